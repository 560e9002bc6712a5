#include "agent/cluster.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "agent/options.h"
#include "api/access.h"
#include "api/client.h"
#include "api/events.h"
#include "base/error.h"
#include "base/log-limit.h"
#include "base/loop.h"
#include "proxy/proxy.h"
#include "source/apiserver.h"
#include "source/source.h"

struct cluster {
	const struct options *options;
	const char *node;
	struct source_events events; /* of the receiver */
	void (*ready)(void *userdata);
	void *userdata;
	struct api_access *access;
	struct api_client *client;
	struct apiserver *source;
	struct event_recorder *recorder;
	struct loop_source *patience, *beginning;
	struct log_limit log_limit; /* of what the source reports */
	bool node_is_known;
	bool is_ready;
};

static bool is_own_node(const struct cluster *c, enum object_kind kind, const char *name)
{
	return kind == KIND_NODE && strcmp(name, c->node) == 0;
}

/* Called when either of the two has come: the whole state, or this node's own object. */
static void cluster_check_ready(struct cluster *c)
{
	if (c->is_ready || !c->node_is_known || !apiserver_synced(c->source))
		return;
	c->is_ready = true;
	loop_timer_disarm(c->patience);
	/* Not at once: a list may be just half told. */
	loop_timer_arm(c->beginning, 0);
}

static int on_beginning(void *userdata)
{
	struct cluster *c = userdata;

	c->ready(c->userdata);
	return 0;
}

static int on_apply(struct object *o, void *userdata)
{
	struct cluster *c = userdata;
	bool own = is_own_node(c, o->kind, o->name);
	int r = c->events.apply(o, c->events.userdata);

	if (own && r == 0) {
		c->node_is_known = true;
		if (c->source)
			cluster_check_ready(c);
	}
	return r;
}

static void on_remove(enum object_kind kind, const char *namespace, const char *name,
		      void *userdata)
{
	struct cluster *c = userdata;

	if (is_own_node(c, kind, name)) {
		log_warn("this node's object was deleted, what it said stays",
			 log_text("node", c->node));
		return;
	}
	c->events.remove(kind, namespace, name, c->events.userdata);
}

/* A problem may be told in the server's words, and a server may repeat our request in them. */
static const char *cover(const struct cluster *c, const char *problem,
			 char shown[static ERROR_MAX_BYTES])
{
	snprintf(shown, ERROR_MAX_BYTES, "%s", problem);
	api_client_cover(c->client, shown);
	return shown;
}

static void on_report(const char *where, const char *problem, void *userdata)
{
	struct cluster *c = userdata;
	char shown[ERROR_MAX_BYTES];

	log_limited(&c->log_limit, monotonic_us(), LOG_LEVEL_WARN, "API server",
		    log_fields(log_text("where", where),
			       log_text("problem", cover(c, problem, shown))));
}

static void on_recovered(const char *where, const char *how, void *userdata)
{
	struct cluster *c = userdata;

	log_limit_flush(&c->log_limit);
	log_info("API server", log_text("where", where), log_text("recovered", how));
}

static void log_node_missing(const struct cluster *c)
{
	log_warn("waiting for this node's object: the API server has none of that name",
		 log_text("node", c->node),
		 log_text("remedy", "--hostname-override or NODE_NAME say another name"));
}

static void on_synced(void *userdata)
{
	struct cluster *c = userdata;

	if (!c->node_is_known)
		log_node_missing(c);
	cluster_check_ready(c);
}

/* kube-router ends here. A restart would not help; the tables of before forward meanwhile. */
static int on_patience(void *userdata)
{
	struct cluster *c = userdata;
	char missing[APISERVER_WAITING_BYTES];

	if (apiserver_synced(c->source))
		log_node_missing(c);
	else
		log_warn("waiting for the API server", log_text("server", c->access->server),
			 log_text("missing", apiserver_waiting(c->source, missing)));
	return loop_timer_arm(c->patience, c->options->cache_sync_timeout_ms);
}

static bool is_given(const char *flag)
{
	return flag && *flag;
}

static int cluster_find(struct cluster *c, struct error *err)
{
	const struct options *o = c->options;
	const char *master = is_given(o->master) ? o->master : NULL;
	int r;

	if (is_given(o->kubeconfig))
		return access_read_kubeconfig(o->kubeconfig, master, &c->access, err);
	r = access_in_cluster(master, &c->access, err);
	if (r == -ENOENT)
		return error_wrap(err, r,
				  "no API server is known: give --kubeconfig FILE, or --manifests "
				  "DIR to do without, or run in a pod");
	return r;
}

static void on_events_dropped(const char *problem, void *userdata)
{
	char shown[ERROR_MAX_BYTES];

	log_warn("Events are dropped", log_text("problem", cover(userdata, problem, shown)));
}

static int cluster_connect(struct cluster *c, struct loop *loop, struct error *err)
{
	const struct source_events events = {
		.apply = on_apply,
		.remove = on_remove,
		.report = on_report,
		.recovered = on_recovered,
		.userdata = c,
	};
	struct apiserver_config config = {
		.services = c->options->run_service_proxy,
		.policies = c->options->run_firewall,
	};
	struct event_recorder_config recorder = {
		.instance = c->node,
		.report = on_events_dropped,
		.userdata = c,
	};
	int r;

	if (getrandom(&config.seed, sizeof(config.seed), 0) != sizeof(config.seed))
		return error_errno(err, errno, "get random bytes");
	recorder.seed = config.seed;
	r = api_client_new(loop, c->access, "agent", &c->client, err);
	if (r == 0)
		r = event_recorder_new(c->client, loop, &recorder, &c->recorder, err);
	if (r == 0)
		r = loop_add_timer(loop, on_patience, c, &c->patience, err);
	if (r == 0)
		r = loop_add_timer(loop, on_beginning, c, &c->beginning, err);
	if (r == 0 && loop_timer_arm(c->patience, c->options->cache_sync_timeout_ms) < 0)
		r = error_set(err, -ERANGE, "arm a timer");
	if (r == 0)
		r = apiserver_open(loop, c->client, &config, &events, on_synced, c, &c->source,
				   err);
	return r;
}

int cluster_open(struct loop *loop, const struct options *o, const char *node,
		 const struct source_events *events, void (*ready)(void *userdata), void *userdata,
		 struct cluster **ret, struct error *err)
{
	_cleanup_(cluster_freep) struct cluster *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return error_set(err, -ENOMEM, "out of memory");
	c->options = o;
	c->node = node;
	c->events = *events;
	c->ready = ready;
	c->userdata = userdata;
	r = cluster_find(c, err);
	if (r == 0)
		r = cluster_connect(c, loop, err);
	if (r < 0)
		return r;
	log_info("connecting to the API server", log_text("server", c->access->server));
	if (c->access->insecure)
		log_warn(
			"the API server's certificate is not verified: whoever is on the way to it "
			"decides where this node's traffic goes",
			log_text("cause", "insecure-skip-tls-verify in the kubeconfig"));
	*ret = TAKE_PTR(c);
	return 0;
}

struct cluster *cluster_free(struct cluster *c)
{
	if (!c)
		return NULL;
	loop_source_free(c->patience);
	loop_source_free(c->beginning);
	apiserver_free(c->source);
	event_recorder_free(c->recorder);
	api_client_free(c->client);
	access_free(c->access);
	free(c);
	return NULL;
}

void cluster_tell(struct cluster *c, const struct problem *p)
{
	const struct object *o = p->object;
	const struct event e = {
		.regarding = {
			.api_version = kind_api_version(o->kind),
			.kind = kind_name(o->kind),
			.namespace = o->namespace,
			.name = o->name,
			.uid = o->uid,
			.resource_version = o->resource_version,
		},
		.type = EVENT_WARNING,
		.reason = p->reason,
		.action = "SyncRuleset",
		.note = p->text,
	};

	event_recorder_emit(c->recorder, &e);
}

const char *cluster_server(const struct cluster *c)
{
	return c->access->server;
}
