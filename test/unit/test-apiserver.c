#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/loop.h"
#include "reflector-fixture.h"
#include "source/apiserver.h"
#include "source/resource.h"

/* A server that has one object of each kind, and what was asked of it. */
struct cluster {
	struct reflected *f;
	struct apiserver *a;
	unsigned n_synced;
	bool asked[KIND_COUNT];
	char targets[KIND_COUNT][512]; /* of the lists */
	struct http_exchange *watches[KIND_COUNT];
	enum object_kind forbidden, held; /* KIND_COUNT: none */
	struct http_exchange *held_list;
};

static const char *const objects[KIND_COUNT] = {
	[KIND_SERVICE] =
		"{\"metadata\":{\"name\":\"s\",\"namespace\":\"n\"},\"spec\":{\"clusterIP\":"
		"\"10.0.0.1\",\"ports\":[{\"port\":80}]}}",
	[KIND_ENDPOINT_SLICE] =
		"{\"metadata\":{\"name\":\"e\",\"namespace\":\"n\"},\"addressType\":"
		"\"IPv4\",\"endpoints\":[],\"ports\":[]}",
	[KIND_POD] = "{\"metadata\":{\"name\":\"p\",\"namespace\":\"n\"}}",
	[KIND_NODE] = "{\"metadata\":{\"name\":\"o\"}}",
	[KIND_NAMESPACE] = "{\"metadata\":{\"name\":\"n\"}}",
	[KIND_NETWORK_POLICY] =
		"{\"metadata\":{\"name\":\"y\",\"namespace\":\"n\"},\"spec\":{\"podSelector\":{}}}",
};

static enum object_kind kind_of(const struct http_exchange *x)
{
	const char *path = http_target(x), *end = strchr(path, '?');

	assert_non_null(end);
	for (unsigned i = 0; i < KIND_COUNT; i++) {
		size_t len = strlen(resource_name((enum object_kind)i));

		if (strncmp(end - len, resource_name((enum object_kind)i), len) == 0)
			return (enum object_kind)i;
	}
	fail_msg("%s is asked for", path);
	return KIND_COUNT;
}

static void list_reply(struct http_exchange *x, enum object_kind kind)
{
	char list[512];

	snprintf(list, sizeof(list),
		 "{\"kind\":\"%sList\",\"metadata\":{\"resourceVersion\":\"9\"},\"items\":[%s]}",
		 kind_name(kind), objects[kind]);
	http_reply(x, 200, NULL, list);
}

static void on_request(struct http_exchange *x, void *userdata)
{
	struct cluster *c = userdata;
	enum object_kind kind = kind_of(x);

	c->asked[kind] = true;
	if (strstr(http_target(x), "sendInitialEvents")) {
		http_reply(x, 400, NULL, "");
	} else if (strstr(http_target(x), "watch=true")) {
		http_begin(x, 200, NULL);
		c->watches[kind] = x;
	} else if (kind == c->forbidden) {
		http_reply(x, 403, NULL, STATUS(403, "Forbidden", "no", ""));
	} else {
		snprintf(c->targets[kind], sizeof(c->targets[kind]), "%s", http_target(x));
		if (kind == c->held)
			c->held_list = x;
		else
			list_reply(x, kind);
	}
}

static void on_synced(void *userdata)
{
	struct cluster *c = userdata;

	assert_true(apiserver_synced(c->a));
	c->n_synced++;
}

static int setup(void **state)
{
	struct cluster *c = calloc(1, sizeof(*c));
	void *f = NULL;

	assert_non_null(c);
	reflected_setup(&f);
	c->f = f;
	c->forbidden = c->held = KIND_COUNT;
	http_answer(c->f->server, on_request, c);
	*state = c;
	return 0;
}

static int teardown(void **state)
{
	struct cluster *c = *state;
	void *f = c->f;

	apiserver_free(c->a);
	reflected_teardown(&f);
	free(c);
	return 0;
}

static void cluster_open(struct cluster *c, bool services, bool policies)
{
	const struct apiserver_config config = { .services = services,
						 .policies = policies,
						 .seed = 1 };
	struct source_events events = reflected_events(c->f);
	struct error err;

	if (apiserver_open(c->f->loop, c->f->client, &config, &events, on_synced, c, &c->a, &err) <
	    0)
		fail_msg("%s", err.message);
	assert_false(apiserver_synced(c->a));
}

static bool cluster_is_synced(void *userdata)
{
	const struct cluster *c = userdata;

	return apiserver_synced(c->a);
}

/* All that was listed is watched. */
static bool cluster_is_watched(void *userdata)
{
	const struct cluster *c = userdata;

	for (size_t i = 0; i < KIND_COUNT; i++)
		if (c->asked[i] && !c->watches[i] && i != c->forbidden)
			return false;
	return true;
}

static void assert_kinds(const struct cluster *c, const char *expected)
{
	struct buf kinds = { 0 };

	for (size_t i = 0; i < KIND_COUNT; i++)
		if (c->asked[i])
			buf_printf(&kinds, "%s ", resource_name((enum object_kind)i));
	assert_string_equal(buf_text(&kinds), expected);
	buf_free(&kinds);
}

static void test_kinds_for_services(void **state)
{
	struct cluster *c = *state;

	cluster_open(c, true, false);
	http_wait(c->f->server, cluster_is_synced, c);
	http_wait(c->f->server, cluster_is_watched, c);
	assert_kinds(c, "services endpointslices nodes ");
	assert_int_equal(c->n_synced, 1);
}

static void test_kinds_for_policies(void **state)
{
	struct cluster *c = *state;

	cluster_open(c, false, true);
	http_wait(c->f->server, cluster_is_synced, c);
	assert_kinds(c, "pods nodes namespaces networkpolicies ");
}

static void test_all_kinds(void **state)
{
	struct cluster *c = *state;
	struct apiserver_stats stats;

	cluster_open(c, true, true);
	assert_true(apiserver_stats(c->a).silent_ms == UINT64_MAX);
	http_wait(c->f->server, cluster_is_synced, c);
	http_wait(c->f->server, cluster_is_watched, c);
	stats = apiserver_stats(c->a);
	assert_int_equal(stats.objects, KIND_COUNT);
	assert_int_equal(stats.lists, 2 * KIND_COUNT);
	assert_int_equal(stats.watches, KIND_COUNT);
	assert_int_equal(stats.failures, 0);
	assert_true(stats.silent_ms < UINT64_MAX);
	assert_int_equal(c->n_synced, 1);
}

/* Nothing is synced but the whole, and once. */
static void test_synced_when_the_last_kind_is_there(void **state)
{
	char waiting[APISERVER_WAITING_BYTES];
	struct cluster *c = *state;

	c->held = KIND_NODE;
	cluster_open(c, true, false);
	assert_string_equal(apiserver_waiting(c->a, waiting), "services, endpointslices, nodes");
	while (strcmp(apiserver_waiting(c->a, waiting), "nodes") != 0 || !c->held_list)
		http_settle(c->f->server);
	assert_int_equal(c->n_synced, 0);
	list_reply(c->held_list, KIND_NODE);
	http_wait(c->f->server, cluster_is_synced, c);
	assert_string_equal(apiserver_waiting(c->a, waiting), "");
	http_wait(c->f->server, cluster_is_watched, c);
	http_chunk(c->watches[KIND_NODE], EVENT("ERROR", GONE));
	while (apiserver_stats(c->a).lists < 7)
		assert_int_equal(loop_turn(c->f->loop, 10), 0);
	http_wait(c->f->server, cluster_is_watched, c);
	assert_int_equal(c->n_synced, 1);
}

static void test_longest_list_of_kinds_fits(void **state)
{
	char waiting[APISERVER_WAITING_BYTES];
	struct cluster *c = *state;

	cluster_open(c, true, true);
	assert_string_equal(apiserver_waiting(c->a, waiting),
			    "services, endpointslices, pods, nodes, namespaces, networkpolicies");
}

static void test_only_what_is_needed_is_asked_for(void **state)
{
	static const char *const targets[KIND_COUNT] = {
		[KIND_SERVICE] = "/api/v1/services?resourceVersion=0"
				 "&labelSelector=%21service.kubernetes.io%2Fheadless",
		[KIND_ENDPOINT_SLICE] = "/apis/discovery.k8s.io/v1/endpointslices?resourceVersion=0"
					"&labelSelector=kubernetes.io%2Fservice-name%2C"
					"%21service.kubernetes.io%2Fheadless",
		[KIND_POD] = "/api/v1/pods?resourceVersion=0&fieldSelector=status.phase%21%3D"
			     "Succeeded%2Cstatus.phase%21%3DFailed",
		[KIND_NODE] = "/api/v1/nodes?resourceVersion=0",
		[KIND_NAMESPACE] = "/api/v1/namespaces?resourceVersion=0",
		[KIND_NETWORK_POLICY] =
			"/apis/networking.k8s.io/v1/networkpolicies?resourceVersion=0",
	};
	struct cluster *c = *state;

	cluster_open(c, true, true);
	http_wait(c->f->server, cluster_is_synced, c);
	for (size_t i = 0; i < KIND_COUNT; i++)
		assert_string_equal(c->targets[i], targets[i]);
}

static void test_A8_other_kinds_go_on(void **state)
{
	char waiting[APISERVER_WAITING_BYTES];
	struct cluster *c = *state;

	c->forbidden = KIND_NETWORK_POLICY;
	cluster_open(c, true, true);
	while (strcmp(apiserver_waiting(c->a, waiting), "networkpolicies") != 0)
		assert_int_equal(loop_turn(c->f->loop, 10), 0);
	http_wait(c->f->server, cluster_is_watched, c);
	assert_non_null(
		strstr(buf_text(&c->f->log),
		       "report networkpolicies: may not list networkpolicies: no (RBAC)\n"));
	http_chunk(c->watches[KIND_POD],
		   EVENT("ADDED", "{\"metadata\":{\"name\":\"q\",\"namespace\":\"n\"}}"));
	while (!strstr(buf_text(&c->f->log), "apply n/q@\n"))
		http_settle(c->f->server);
	assert_int_equal(c->n_synced, 0);
	/* Somebody grants it. */
	c->forbidden = KIND_COUNT;
	http_wait(c->f->server, cluster_is_synced, c);
	assert_int_equal(c->n_synced, 1);
}

#define APISERVER_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		APISERVER_TEST(test_kinds_for_services),
		APISERVER_TEST(test_kinds_for_policies),
		APISERVER_TEST(test_all_kinds),
		APISERVER_TEST(test_synced_when_the_last_kind_is_there),
		APISERVER_TEST(test_longest_list_of_kinds_fits),
		APISERVER_TEST(test_only_what_is_needed_is_asked_for),
		APISERVER_TEST(test_A8_other_kinds_go_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
