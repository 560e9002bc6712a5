#include "agent/agent.h"

#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/resource.h>

#include "agent/affinity-watch.h"
#include "agent/cluster.h"
#include "agent/conntrack-watch.h"
#include "agent/health-check-ports.h"
#include "agent/lock.h"
#include "agent/node.h"
#include "agent/options.h"
#include "agent/sync.h"
#include "base/backoff.h"
#include "base/error.h"
#include "base/http-daemon.h"
#include "base/log.h"
#include "base/loop.h"
#include "kernel/bridges.h"
#include "kernel/events.h"
#include "kernel/links.h"
#include "kernel/tables.h"
#include "policy/policies.h"
#include "proxy/proxy.h"
#include "source/manifests.h"
#include "store/store.h"

enum { LINKS_RETRY_FIRST_MS = 100, LINKS_RETRY_MAX_MS = 30 * 1000 };

struct agent {
	const struct options *options;
	int lock_fd;
	struct loop *loop;
	struct node_state node;
	struct tables *tables;
	struct events *events;
	struct links *links;
	struct loop_source *links_retry;
	struct backoff links_backoff;
	struct sync sync;
	struct affinity_watch affinity;
	struct conntrack_watch conntrack;
	struct http_daemon *http;
	struct health_check_ports *health_check_ports;
	struct cluster *cluster; /* NULL: the objects come from manifests */
	bool started;      /* the first sync is done, so that changes are to be followed by one */
	struct error *err; /* why the loop ended */
};

static void on_objects_changed(void *userdata)
{
	struct agent *a = userdata;

	if (a->started)
		(void)sync_request(&a->sync);
}

static void on_problem(const struct problem *p, void *userdata)
{
	struct agent *a = userdata;

	if (a->cluster)
		cluster_tell(a->cluster, p);
}

static void on_health_check_failed(const char *namespace, const char *name, const char *text,
				   void *userdata)
{
	struct agent *a = userdata;

	node_report(&a->node, namespace, name, "FailedToStartServiceHealthcheck", text);
}

static void on_conntrack_filled(const struct conntrack_stats *stats, void *userdata)
{
	struct agent *a = userdata;
	struct error text;

	error_set(&text, 0, "%u of %u connections are tracked: new ones are dropped",
		  stats->entries, stats->limit);
	node_tell_own(&a->node, "ConnectionTrackingFull", text.message);
}

static bool is_healthy(void *userdata)
{
	const struct agent *a = userdata;

	return sync_is_healthy(&a->sync);
}

static int on_committed(void *userdata, struct error *err)
{
	struct agent *a = userdata;
	const struct health_check_port *ports;
	size_t n;
	int r;

	ports = proxy_health_check_ports(a->node.proxy, &n);
	r = health_check_ports_set(a->health_check_ports, ports, n);
	return r < 0 ? error_set(err, r, "health check ports: out of memory") : 0;
}

static int on_stop(int signal, void *userdata)
{
	struct agent *a = userdata;

	log_info("stopping, the ruleset stays", log_number("signal", signal));
	loop_exit(a->loop, 0);
	return 0;
}

static int on_reload(int signal, void *userdata)
{
	struct agent *a = userdata;
	struct error err = { 0 };

	(void)signal;
	if (!a->started)
		return 0;
	log_info("computing everything again and comparing the tables");
	if (a->node.manifests && manifests_rescan(a->node.manifests, &err) < 0)
		log_error("manifests can't be read", log_text("error", err.message));
	if (store_mark_services(a->node.store) < 0) /* also those that were set aside */
		log_error("services can't be computed again", log_text("error", "out of memory"));
	return sync_request_compare(&a->sync);
}

static int on_nftables_event(int fd, uint32_t epoll_events, void *userdata)
{
	struct agent *a = userdata;
	struct error err = { 0 };
	bool ours;

	(void)fd;
	(void)epoll_events;
	if (events_read(a->events, &ours, &err) < 0) {
		log_error("nftables notifications can't be read", log_text("error", err.message));
		ours = true;
	}
	return ours ? sync_request_compare(&a->sync) : 0;
}

static int agent_read_links(struct agent *a, struct error *err)
{
	_cleanup_free_ struct addr *addrs = NULL;
	size_t n;
	int r = links_addrs(&addrs, &n, err);

	if (r < 0)
		return r;
	r = proxy_set_local_addrs(a->node.proxy, a->node.store, addrs, n);
	return r < 0 ? error_set(err, r, "out of memory") : 0;
}

static int on_links_retry(void *userdata)
{
	struct agent *a = userdata;
	struct error err = { 0 };
	uint64_t retry_ms;

	if (agent_read_links(a, &err) == 0)
		return sync_request(&a->sync);
	retry_ms = backoff_next(&a->links_backoff, monotonic_us(), 0);
	log_error("the host's addresses can't be read", log_text("error", err.message),
		  log_number("retry_ms", retry_ms));
	return loop_timer_arm(a->links_retry, retry_ms);
}

static int on_links_event(int fd, uint32_t epoll_events, void *userdata)
{
	struct agent *a = userdata;

	(void)fd;
	(void)epoll_events;
	links_drain(a->links);
	return on_links_retry(a);
}

static int agent_open_kernel(struct agent *a, struct error *err)
{
	const struct options *o = a->options;
	int r = tables_open(o->enable_ipv4, o->enable_ipv6, &a->tables, err);

	if (r == -EPERM)
		return error_set(err, r,
				 "nftables: permission denied: kube-nft needs the capability "
				 "NET_ADMIN (root, setpriv or the container's securityContext)");
	if (r == 0)
		r = links_open(&a->links, err);
	return r;
}

static int agent_open_signals(struct agent *a, struct error *err)
{
	int r = loop_add_signal(a->loop, SIGTERM, on_stop, a, err);

	if (r == 0)
		r = loop_add_signal(a->loop, SIGINT, on_stop, a, err);
	if (r == 0)
		r = loop_add_signal(a->loop, SIGHUP, on_reload, a, err);
	if (signal(SIGPIPE, SIG_IGN) == SIG_ERR)
		r = error_errno(err, errno, "ignore SIGPIPE");
	return r;
}

/* The first sync comes before the notifications: our own first commit may be large, and nobody is to
 * be told of it. What a stranger did between the two shows in the generation. */
static int agent_first_sync(struct agent *a, struct error *err)
{
	int r = agent_read_links(a, err);

	if (r == 0)
		r = sync_now(&a->sync, err);
	if (r == 0)
		r = events_open(tables_port(a->tables), &a->events, err);
	if (r == 0 && tables_worth_checking(a->tables))
		r = sync_request_compare(&a->sync);
	a->started = r == 0;
	return r;
}

static int agent_follow(struct agent *a, struct error *err)
{
	int r = loop_add_fd(a->loop, events_fd(a->events), EPOLLIN, on_nftables_event, a, NULL,
			    err);

	if (r == 0)
		r = loop_add_fd(a->loop, links_fd(a->links), EPOLLIN, on_links_event, a, NULL, err);
	if (r == 0)
		r = loop_add_timer(a->loop, on_links_retry, a, &a->links_retry, err);
	if (r == 0 && a->node.manifests)
		r = manifests_follow(a->node.manifests, a->loop, err);
	return r;
}

/* Where no pods share a bridge, nothing is lost; whether some do, is not known here. */
static void agent_show_bridges(const struct agent *a)
{
	const struct options *o = a->options;
	struct error err = { 0 };

	if (!a->node.policies ||
	    bridges_show_packets("/proc/sys", o->enable_ipv4, o->enable_ipv6, &err) == 0)
		return;
	log_warn("pods of this node that share a bridge reach each other whatever policies say",
		 log_text("error", err.message),
		 log_text("remedy",
			  "load br_netfilter, and let the agent write net.bridge.*, or set "
			  "bridge-nf-call-iptables and bridge-nf-call-ip6tables to 1"));
}

/* Nothing can be denied where nobody knows who is a pod. */
static int agent_check_default_deny(const struct agent *a, struct error *err)
{
	if (!a->options->netpol_default_deny || !a->node.policies ||
	    policies_know_pod_cidrs(a->node.policies, a->node.store))
		return 0;
	return error_set(err, -ENODATA,
			 "--netpol-default-deny: the pod networks of node %s are not known: it has "
			 "neither spec.podCIDRs nor the annotation kube-router.io/pod-cidrs",
			 a->node.name);
}

/* All objects are there. */
static int agent_begin(struct agent *a, struct error *err)
{
	int r = agent_check_default_deny(a, err);

	agent_show_bridges(a);
	if (r == 0)
		r = agent_first_sync(a, err);
	if (r == 0)
		r = agent_follow(a, err);
	if (r < 0)
		return r;
	*err = (struct error){ 0 }; /* of what was asked for and need not be there */
	log_info("following", log_text("node", a->node.name),
		 a->cluster ? log_text("server", cluster_server(a->cluster)) :
			      log_text("manifests", a->options->manifests));
	return 0;
}

static void on_cluster_ready(void *userdata)
{
	struct agent *a = userdata;
	int r = agent_begin(a, a->err);

	if (r < 0)
		loop_exit(a->loop, r);
}

static int agent_open_source(struct agent *a, struct error *err)
{
	const struct options *o = a->options;
	const struct source_events events = node_events(&a->node);
	int r;

	if (!o->manifests || !*o->manifests)
		return cluster_open(a->loop, o, a->node.name, &events, on_cluster_ready, a,
				    &a->cluster, err);
	r = node_load(&a->node, o, err);
	return r < 0 ? r : agent_begin(a, err);
}

static int agent_open_sync(struct agent *a, struct error *err)
{
	int r = sync_open(&a->sync, a->loop, &a->node, a->tables, a->options->ipvs_sync_period_ms,
			  err);

	a->sync.flows.drain_ms = a->options->ipvs_graceful_period_ms;
	a->sync.committed = on_committed;
	a->sync.userdata = a;
	if (r == 0)
		r = affinity_watch_open(&a->affinity, a->loop, a->tables, err);
	if (r == 0)
		r = conntrack_watch_open(&a->conntrack, a->loop, err);
	a->conntrack.filled = on_conntrack_filled;
	a->conntrack.userdata = a;
	if (r == 0)
		r = http_daemon_new(a->loop, HTTP_DAEMON_DEADLINE_MS, &a->http, err);
	if (r == 0)
		r = health_check_ports_new(a->loop, a->http, is_healthy, on_health_check_failed, a,
					   &a->health_check_ports, err);
	return r;
}

/* Each health check port needs two. The usual soft limit of 1024 is for the sake of select(2). */
static void raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit); /* what there is has to do */
}

static int agent_start(struct agent *a, struct error *err)
{
	const struct options *o = a->options;
	int r = lock_take(&a->lock_fd, err);

	raise_descriptor_limit();
	if (r == 0)
		r = loop_new(&a->loop, err);
	if (r == 0)
		r = agent_open_signals(a, err);
	if (r == 0)
		r = node_open(&a->node, o, err);
	if (r == 0)
		r = agent_open_kernel(a, err);
	if (r == 0)
		r = agent_open_sync(a, err);
	if (r == 0)
		r = agent_open_source(a, err);
	return r;
}

static void agent_stop(struct agent *a)
{
	health_check_ports_free(a->health_check_ports);
	http_daemon_free(a->http);
	cluster_free(a->cluster);
	node_close(&a->node);
	sync_close(&a->sync);
	conntrack_watch_close(&a->conntrack);
	links_close(a->links);
	events_close(a->events);
	tables_close(a->tables);
	loop_free(a->loop);
	closep(&a->lock_fd);
}

int agent_run(const struct options *o, struct error *err)
{
	struct agent a = {
		.options = o,
		.lock_fd = -EBADF,
		.err = err,
		.links_backoff = { .first_ms = LINKS_RETRY_FIRST_MS,
				   .max_ms = LINKS_RETRY_MAX_MS,
				   .healthy_ms = LINKS_RETRY_MAX_MS },
	};
	int r;

	a.node.changed = on_objects_changed;
	a.node.problem = on_problem;
	a.node.userdata = &a;
	r = agent_start(&a, err);
	if (r == 0) {
		r = loop_run(a.loop);
		if (r < 0 && !err->code)
			error_errno(err, -r, "event loop");
	}
	agent_stop(&a);
	return r;
}
