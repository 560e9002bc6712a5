/* The agent's way to a cluster: when it is told that everything is there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/cluster.h"
#include "agent/options.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/log.h"
#include "base/loop.h"
#include "http-server.h"
#include "object/object.h"
#include "source/source.h"

#define NODE(name, uid) "{\"metadata\":{\"name\":\"" name "\",\"uid\":\"" uid "\"}}"
#define GONE \
	"{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"code\":410,\"reason\":\"Expired\"}}\n"

struct world {
	struct loop *loop;
	struct http_server *server;
	struct cluster *cluster;
	char kubeconfig[32];
	const char *nodes;                /* the items of their list */
	struct http_exchange *node_watch; /* NULL: none yet */
	struct buf log;
	bool is_ready;
};

static int on_apply(struct object *o, void *userdata)
{
	struct world *w = userdata;

	buf_printf(&w->log, "apply %s\n", o->name);
	object_free(o);
	return 0;
}

static void on_remove(enum object_kind kind, const char *namespace, const char *name,
		      void *userdata)
{
	struct world *w = userdata;

	(void)kind;
	(void)namespace;
	buf_printf(&w->log, "remove %s\n", name);
}

static void on_ready(void *userdata)
{
	struct world *w = userdata;

	buf_puts(&w->log, "ready\n");
	w->is_ready = true;
}

static void list_reply(struct http_exchange *x, const char *kind, const char *items)
{
	char list[512];

	snprintf(list, sizeof(list),
		 "{\"kind\":\"%sList\",\"metadata\":{\"resourceVersion\":\"9\"},\"items\":[%s]}",
		 kind, items);
	http_reply(x, 200, NULL, list);
}

static void on_request(struct http_exchange *x, void *userdata)
{
	struct world *w = userdata;
	const char *target = http_target(x);

	if (strstr(target, "sendInitialEvents")) {
		http_reply(x, 400, NULL, "");
	} else if (strstr(target, "watch=true")) {
		http_begin(x, 200, NULL);
		if (strstr(target, "/nodes"))
			w->node_watch = x;
	} else if (strstr(target, "/nodes")) {
		list_reply(x, "Node", w->nodes);
	} else {
		list_reply(x, strstr(target, "/services") ? "Service" : "EndpointSlice", "");
	}
}

static void kubeconfig_write(struct world *w)
{
	int fd = mkstemp(strcpy(w->kubeconfig, "/tmp/kube-nft-config-XXXXXX"));

	assert_true(fd >= 0);
	assert_true(dprintf(fd,
			    "current-context: c\n"
			    "contexts: [{name: c, context: {cluster: k}}]\n"
			    "clusters: [{name: k, cluster: {server: \"%s\"}}]\n",
			    http_server_url(w->server)) > 0);
	assert_int_equal(close(fd), 0);
}

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	assert_int_equal(loop_new(&w->loop, NULL), 0);
	w->server = http_server_new(w->loop);
	http_answer(w->server, on_request, w);
	kubeconfig_write(w);
	w->nodes = NODE("first", "1");
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	cluster_free(w->cluster);
	http_server_free(w->server);
	loop_free(w->loop);
	unlink(w->kubeconfig);
	buf_free(&w->log);
	free(w);
	return 0;
}

static void world_open(struct world *w, const struct options *o)
{
	const struct source_events events = { .apply = on_apply,
					      .remove = on_remove,
					      .userdata = w };
	struct error err;

	if (cluster_open(w->loop, o, "own", &events, on_ready, w, &w->cluster, &err) < 0)
		fail_msg("%s", err.message);
}

static bool nodes_are_watched(void *userdata)
{
	const struct world *w = userdata;

	return w->node_watch;
}

static bool is_ready(void *userdata)
{
	const struct world *w = userdata;

	return w->is_ready;
}

/* Its own object comes late, and in the middle of a list: of half a list nothing may be made. */
static void test_ready_is_told_behind_a_whole_list(void **state)
{
	struct world *w = *state;
	const struct options o = {
		.kubeconfig = w->kubeconfig,
		.run_service_proxy = true,
		.cache_sync_timeout_ms = UINT32_MAX,
	};

	world_open(w, &o);
	http_wait(w->server, nodes_are_watched, w);
	http_settle(w->server);
	assert_string_equal(buf_text(&w->log), "apply first\n");
	w->nodes = NODE("first", "1") "," NODE("own", "2") "," NODE("other", "3");
	http_chunk(w->node_watch, GONE);
	http_wait(w->server, is_ready, w);
	assert_string_equal(buf_text(&w->log), "apply first\n"
					       "apply first\n"
					       "apply own\n"
					       "apply other\n"
					       "ready\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_ready_is_told_behind_a_whole_list, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
