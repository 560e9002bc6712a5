#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/mix.h"
#include "proxy-world.h"

static uint64_t seed;

/* A number below @n. */
static unsigned roll(unsigned n)
{
	return (unsigned)(mix64(++seed) % n);
}

/* One of the words of @text. */
static const char *pick(const char *const *words, size_t n)
{
	return words[roll((unsigned)n)];
}
#define PICK(...)                                                    \
	({                                                           \
		static const char *const _words[] = { __VA_ARGS__ }; \
		pick(_words, ARRAY_SIZE(_words));                    \
	})

/* Few values for everything, so that Services meet. */
static void random_service(struct world *w)
{
	char spec[1024];

	snprintf(spec, sizeof(spec),
		 "%s,'clusterIPs':[%s],'externalIPs':[%s],'ports':[%s],%s'internalTrafficPolicy':"
		 "'%s','sessionAffinity':'%s'",
		 PICK("'type':'NodePort'", "'type':'NodePort'", "'type':'NodePort'",
		      "'type':'ExternalName','externalName':'h'"),
		 PICK("'10.96.0.1'", "'10.96.0.2'", "'10.96.0.3'", "'10.96.0.1','fd00::1'",
		      "'fd00::2','10.96.0.2'", "'fd00::1'", "'None'"),
		 PICK("", "'192.0.2.1'", "'192.0.2.2','2001:db8::1'", "'192.168.0.1','192.0.2.1'",
		      "'10.96.0.2'", "'127.0.0.1'"),
		 PICK("{'name':'http','port':80}", "{'name':'http','port':80,'nodePort':30001}",
		      "{'name':'http','port':30001,'nodePort':30002}",
		      "{'name':'http','port':80},{'name':'x','port':81,'nodePort':30001}",
		      "{'name':'http','port':81,'nodePort':80}"),
		 PICK("", "'externalTrafficPolicy':'Local',"), PICK("Cluster", "Local"),
		 PICK("None", "ClientIP"));
	world_service(w, PICK("a", "b", "c", "d"), (int)roll(3), spec);
}

static void random_slice(struct world *w)
{
	char endpoints[512] = "";

	for (unsigned i = roll(5); i > 0; i--) {
		size_t len = strlen(endpoints);

		snprintf(endpoints + len, sizeof(endpoints) - len, "%s%s%s%s ",
			 PICK("10.1.0.1", "10.1.0.2", "10.1.0.3", "10.96.0.1", "10.96.0.2",
			      "127.0.0.1"),
			 PICK("", "@me"), PICK("", "", "/draining", "/unready"),
			 PICK("", "/zone:a", "/zone:b"));
	}
	world_slice(w, PICK("s1", "s2", "s3", "s4", "s5"), PICK("a", "b", "c", "d"), endpoints);
}

static void random_node(struct world *w)
{
	world_node(w, PICK("me", "me", "n1", "n2"),
		   PICK("", "'labels':{'topology.kubernetes.io/zone':'a'}"),
		   PICK("", "'podCIDRs':['10.1.0.0/24']", "'podCIDRs':['10.1.1.0/24','fd01::/64']"),
		   PICK("", "InternalIP 192.168.0.1", "InternalIP 192.0.2.1",
			"InternalIP 192.168.0.2,InternalIP 2001:db8::1"));
}

static void random_event(struct world *w)
{
	switch (roll(8)) {
	case 0:
	case 1:
	case 2:
		random_service(w);
		break;
	case 3:
	case 4:
		random_slice(w);
		break;
	case 5:
		random_node(w);
		break;
	case 6:
		world_remove(w, KIND_SERVICE, PICK("a", "b", "c", "d"));
		break;
	case 7:
		world_remove(w, roll(2) ? KIND_ENDPOINT_SLICE : KIND_NODE,
			     PICK("s1", "s2", "s3", "s4", "s5", "me", "n1", "n2"));
		break;
	}
}

/* What a proxy says that never saw anything but the store as it is. */
static char *elements_from_scratch(struct world *w)
{
	struct proxy *proxy = w->proxy;
	struct ruleset *ruleset = w->ruleset;
	char *text;

	assert_int_equal(proxy_new(&w->config, NULL, NULL, &w->proxy), 0);
	assert_int_equal(ruleset_new(&w->ruleset), 0);
	assert_int_equal(store_mark_services(w->store), 0);
	assert_int_equal(proxy_sync(w->proxy, w->store, w->ruleset, NULL, NULL, NULL), 0);
	text = strdup(world_elements(w, NULL));
	assert_non_null(text);

	proxy_free(w->proxy);
	ruleset_free(w->ruleset);
	w->proxy = proxy;
	w->ruleset = ruleset;
	return text;
}

static void assert_as_from_scratch(struct world *w)
{
	_cleanup_free_ char *expected = elements_from_scratch(w);

	assert_string_equal(world_elements(w, NULL), expected);
}

/* Some events, then a sync, in which memory may be short: the store alone decides on the outcome. */
static void test_history_does_not_matter(void **state)
{
	struct world *w = *state;
	unsigned failures = 0;

	seed = 1;
	for (unsigned step = 0; step < 3000; step++) {
		for (unsigned i = roll(4) + 1; i > 0; i--)
			random_event(w);
		w->fail_at = roll(3) ? 0 : 1 + roll(120);
		if (world_try_sync(w) == 0)
			assert_as_from_scratch(w);
		else
			failures++;
	}
	assert_true(failures > 100);
}

static void busy_world(struct world *w)
{
	world_node(w, "me", "'labels':{'topology.kubernetes.io/zone':'a'}",
		   "'podCIDRs':['10.1.0.0/24','fd01::/64']",
		   "InternalIP 192.168.0.1,InternalIP 2001:db8::1");
	world_service(w, "a", 1,
		      "'type':'NodePort','clusterIPs':['10.96.0.1','fd00::1'],"
		      "'externalIPs':['192.0.2.1','127.0.0.1'],'externalTrafficPolicy':'Local',"
		      "'ports':[{'name':'http','port':80,'nodePort':30080}]");
	world_service(w, "b", 2,
		      "'clusterIPs':['10.96.0.2'],'externalIPs':['192.0.2.1','192.0.2.2'],"
		      "'ports':[{'name':'http','port':80}]");
	world_slice(w, "a-1", "a", "10.1.0.1@me 10.1.0.2 10.96.0.2");
	world_slice(w, "b-1", "b", "10.1.0.1@me 127.0.0.1");
}

/* a and b swap an address each, and a cluster IP moves out of the way of an endpoint. */
static void busy_world_changes(struct world *w)
{
	busy_world(w);
	world_sync(w);
	world_reports(w);
	world_service(w, "a", 1,
		      "'clusterIPs':['10.96.0.1'],'externalIPs':['192.0.2.2'],"
		      "'ports':[{'name':'http','port':80}]");
	world_service(w, "b", 2,
		      "'clusterIPs':['10.96.0.3'],'externalIPs':['192.0.2.1','192.0.2.2'],"
		      "'ports':[{'name':'http','port':80}]");
}

/* a's cluster IPs are half claimed when memory runs out; b has one as an endpoint. */
static void half_a_service(struct world *w)
{
	world_service(w, "b", 1, "'clusterIPs':['10.96.0.2'],'ports':[{'name':'http','port':80}]");
	world_slice(w, "b-1", "b", "10.96.0.1");
	world_sync(w);
	world_service(w, "a", 1,
		      "'clusterIPs':['10.96.0.1','fd00::1'],'ports':[{'name':'http','port':80}]");
}

static void no_service(struct world *w)
{
	world_remove(w, KIND_SERVICE, "a");
	world_slice(w, "b-1", "b", "10.96.0.1");
}

static void nothing(struct world *w)
{
	(void)w;
}

/* Fail each allocation of the sync after @prepare; the next sync, after @then, makes up for it. */
static void check_every_allocation(void (*prepare)(struct world *w), void (*then)(struct world *w))
{
	for (unsigned n = 1;; n++) {
		struct world *w;
		bool failed;
		int r;

		assert_int_equal(world_setup((void **)&w), 0);
		prepare(w);
		w->fail_at = n;
		r = world_try_sync(w);
		failed = w->failed;
		assert_int_equal(r, failed ? -ENOMEM : 0);
		w->fail_at = 0;
		then(w);
		world_sync(w);
		assert_as_from_scratch(w);
		world_teardown((void **)&w);
		if (!failed) {
			assert_true(n > 10);
			return;
		}
	}
}

static void test_short_memory_in_the_first_sync(void **state)
{
	(void)state;
	check_every_allocation(busy_world, nothing);
}

static void test_short_memory_in_a_later_sync(void **state)
{
	(void)state;
	check_every_allocation(busy_world_changes, nothing);
}

static void test_short_memory_before_a_service_goes(void **state)
{
	(void)state;
	check_every_allocation(half_a_service, no_service);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		world_test(test_history_does_not_matter),
		cmocka_unit_test(test_short_memory_in_the_first_sync),
		cmocka_unit_test(test_short_memory_in_a_later_sync),
		cmocka_unit_test(test_short_memory_before_a_service_goes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
