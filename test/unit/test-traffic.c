#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "fail-alloc.h"
#include "object/object.h"
#include "traffic-fixture.h"

#define VIP "10.96.0.10"
#define VIP6 "fd96::10"

static void assert_route(const struct traffic_route *r, enum traffic_verdict verdict, uint32_t n)
{
	assert_int_equal(r->verdict, verdict);
	assert_int_equal(r->n_endpoints, n);
}

static void assert_addr(const struct addr *a, const char *text)
{
	char got[ADDR_TEXT_MAX];

	assert_string_equal(addr_format(a, got), text);
}

static void test_names_from_comments(void **state)
{
	static const struct {
		const char *comment, *namespace, *name, *port;
	} cases[] = {
		{ "default/web:http", "default", "web", "http" },
		{ "default/web", "default", "web", "" },
		{ "a/b:c:d/e", "a", "b", "c:d/e" },
		{ NULL, "", "", "" },
		{ "", "", "", "" },
		{ "a stranger's", "", "a stranger_s-41b05f2d16ed4f41", "" },
		{ "/x:y", "", "/x:y", "" },
		{ "x/", "x", "", "" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(arena_freep) struct arena *arena = arena_new(64);
		struct traffic_name n;

		assert_int_equal(traffic_name_parse(cases[i].comment, arena, &n), 0);
		assert_string_equal(n.namespace, cases[i].namespace);
		assert_string_equal(n.port, cases[i].port);
		if (cases[i].comment && strchr(cases[i].comment, '\''))
			assert_memory_equal(n.name, cases[i].name, 13); /* and a hash */
		else
			assert_string_equal(n.name, cases[i].name);
	}
}

/* Terminal escapes, quotes, anything: somebody else can write our table. */
static void test_S4_names_are_safe_whoever_wrote_them(void **state)
{
	_cleanup_(arena_freep) struct arena *arena = arena_new(64);
	struct traffic_name n;

	(void)state;
	for (int c = 1; c < 256; c++) {
		const char comment[] = { 'a', '/', (char)c, '\0' };

		assert_int_equal(traffic_name_parse(comment, arena, &n), 0);
		for (const char *p = n.name; *p; p++)
			assert_non_null(
				strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				       "0123456789 ._:/-",
				       *p));
	}
}

static void test_frontend_and_its_endpoints(void **state)
{
	struct reading_fixture *rd = *state;
	_cleanup_(traffic_freep) struct traffic *t = NULL;

	note_row(rd, SET_ENDPOINTS, VIP, 80, 1, "10.244.1.2", 7);
	note_verdict(rd, SET_AFFINITY_TIMEOUTS, VIP, 80, VERDICT_LEARN, 600, 0);
	note_row(rd, SET_ENDPOINTS, VIP, 80, 0, "10.244.2.2", 5);
	note_verdict(rd, SET_SERVICES, VIP, 80, VERDICT_RECALL, 8080, 20);
	note_verdict(rd, SET_AFFINITY_SERVICES, VIP, 80, VERDICT_LB, 2, 8);
	note_hairpin(rd, "10.244.1.2");
	t = traffic_of(rd);

	assert_int_equal(t->n, 1);
	assert_string_equal(t->frontends->service.name, "web");
	assert_addr(&t->frontends->addr, VIP);
	assert_int_equal(t->frontends->port, 80);
	assert_int_equal(t->frontends->protocol, PROTOCOL_TCP);
	assert_route(&t->frontends->inside, TRAFFIC_BALANCED, 2);
	assert_route(&t->frontends->outside, TRAFFIC_BALANCED, 2);
	assert_false(t->frontends->differs);
	assert_int_equal(t->frontends->affinity_s, 600);
	assert_int_equal(t->frontends->connections, 20);
	assert_int_equal(t->frontends->unserved, 0);
	assert_int_equal(t->frontends->n_endpoints, 2);
	assert_addr(&t->frontends->endpoints[0].addr, "10.244.1.2");
	assert_int_equal(t->frontends->endpoints[0].port, 8080);
	assert_int_equal(t->frontends->endpoints[0].connections, 7);
	assert_true(t->frontends->endpoints[0].here);
	assert_addr(&t->frontends->endpoints[1].addr, "10.244.2.2");
	assert_int_equal(t->frontends->endpoints[1].connections, 5);
	assert_false(t->frontends->endpoints[1].here);
	assert_true(t->frontends->endpoints[1].inside && t->frontends->endpoints[1].outside);
}

/* A table of slots: each endpoint stands in many, and counts in all of them. */
static void test_endpoints_in_many_slots_are_counted_once(void **state)
{
	struct reading_fixture *rd = *state;
	_cleanup_(traffic_freep) struct traffic *t = NULL;

	note_verdict(rd, SET_SERVICES, VIP, 80, VERDICT_SH, 7, 21);
	note_verdict(rd, SET_LOCAL_SERVICES, VIP, 80, VERDICT_LOCAL_SH, 7, 7);
	for (uint32_t slot = 0; slot < 7; slot++) {
		note_row(rd, SET_ENDPOINTS, VIP, 80, slot, slot % 3 ? "10.244.1.2" : "10.244.2.2",
			 3);
		note_row(rd, SET_LOCAL_ENDPOINTS, VIP, 80, slot, "10.244.1.2", 1);
	}
	t = traffic_of(rd);
	assert_route(&t->frontends->inside, TRAFFIC_BALANCED, 2);
	assert_route(&t->frontends->outside, TRAFFIC_BALANCED, 1);
	assert_int_equal(t->frontends->n_endpoints, 2);
	assert_int_equal(t->frontends->endpoints[0].connections, 4 * 3 + 7);
}

static void test_schedulers(void **state)
{
	static const struct {
		enum verdict verdict;
		const char *word; /* with as many slots as endpoints, and with more */
		const char *with_more;
		bool port;
	} cases[] = {
		{ VERDICT_LB, "random", "random", false }, { VERDICT_RR, "rr", "rr", false },
		{ VERDICT_SH, "sh", "mh", false },         { VERDICT_SH_PORT, "sh", "mh", true },
		{ VERDICT_DH, "dh", "dh", false },
	};
	struct reading_fixture *rd = *state;
	_cleanup_(traffic_freep) struct traffic *t = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		for (size_t more = 0; more <= 1; more++) {
			uint16_t port = (uint16_t)(2 * i + more + 1);

			note_verdict(rd, SET_SERVICES, VIP, port, cases[i].verdict, 2, 0);
			note_row(rd, SET_ENDPOINTS, VIP, port, 0, "10.244.1.2", 0);
			note_row(rd, SET_ENDPOINTS, VIP, port, 1,
				 more ? "10.244.1.2" : "10.244.1.3", 0);
		}
	note_verdict(rd, SET_NO_ENDPOINTS, VIP, 99, VERDICT_REFUSE, 0, 0);
	t = traffic_of(rd);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		for (size_t more = 0; more <= 1; more++) {
			const struct traffic_frontend *f = &t->frontends[2 * i + more];

			assert_string_equal(traffic_scheduler_word(f),
					    more ? cases[i].with_more : cases[i].word);
			assert_int_equal(traffic_hashes_port(f), cases[i].port);
		}
	assert_null(traffic_scheduler_word(&t->frontends[2 * ARRAY_SIZE(cases)]));
}

/* The list of the endpoints of this node is the only one that clients from outside have. */
static void test_scheduler_of_a_local_frontend(void **state)
{
	struct reading_fixture *rd = *state;
	_cleanup_(traffic_freep) struct traffic *t = NULL;

	note_verdict(rd, SET_LOCAL_SERVICES, VIP, 80, VERDICT_LOCAL_SH, 2, 0);
	note_verdict(rd, SET_NO_ENDPOINTS, VIP, 80, VERDICT_DROP, 0, 0);
	note_row(rd, SET_LOCAL_ENDPOINTS, VIP, 80, 0, "10.244.1.2", 0);
	note_row(rd, SET_LOCAL_ENDPOINTS, VIP, 80, 1, "10.244.1.2", 0);
	t = traffic_of(rd);
	assert_string_equal(traffic_scheduler_word(t->frontends), "mh");
}

static void test_local_policy_with_endpoints_here(void **state)
{
	struct reading_fixture *rd = *state;
	_cleanup_(traffic_freep) struct traffic *t = NULL;

	note_verdict(rd, SET_SERVICES, VIP, 80, VERDICT_LB, 2, 4);
	note_verdict(rd, SET_LOCAL_SERVICES, VIP, 80, VERDICT_LOCAL_LB, 2, 3);
	note_row(rd, SET_ENDPOINTS, VIP, 80, 0, "10.244.2.2", 1);
	note_row(rd, SET_ENDPOINTS, VIP, 80, 1, "10.244.1.2", 3);
	note_row(rd, SET_LOCAL_ENDPOINTS, VIP, 80, 0, "10.244.1.2", 2);
	note_row(rd, SET_LOCAL_ENDPOINTS, VIP, 80, 1, "10.244.1.3", 1);
	t = traffic_of(rd);

	assert_true(t->frontends->differs);
	assert_route(&t->frontends->inside, TRAFFIC_BALANCED, 2);
	assert_route(&t->frontends->outside, TRAFFIC_BALANCED, 2);
	assert_int_equal(t->frontends->connections, 7);
	assert_int_equal(t->frontends->n_endpoints, 3);
	for (size_t i = 0; i < 3; i++) {
		static const struct {
			const char *addr;
			bool inside, outside;
			uint64_t connections;
		} want[] = {
			{ "10.244.1.2", true, true, 5 },
			{ "10.244.1.3", false, true, 1 },
			{ "10.244.2.2", true, false, 1 },
		};
		const struct traffic_endpoint *e = &t->frontends->endpoints[i];

		assert_addr(&e->addr, want[i].addr);
		assert_int_equal(e->inside, want[i].inside);
		assert_int_equal(e->outside, want[i].outside);
		assert_int_equal(e->connections, want[i].connections);
	}
}

static void test_local_policy_without_endpoints_here(void **state)
{
	struct reading_fixture *rd = *state;
	_cleanup_(traffic_freep) struct traffic *t = NULL;

	note_verdict(rd, SET_SERVICES, VIP, 80, VERDICT_LB, 1, 4);
	note_verdict(rd, SET_LOCAL_SERVICES, VIP, 80, VERDICT_ACCEPT, 0, 9);
	note_verdict(rd, SET_NO_ENDPOINTS, VIP, 80, VERDICT_DROP, 0, 9);
	t = traffic_of(rd);

	assert_route(&t->frontends->inside, TRAFFIC_BALANCED, 1);
	assert_route(&t->frontends->outside, TRAFFIC_DROPPED, 0);
	assert_int_equal(t->frontends->connections, 4);
	assert_int_equal(t->frontends->unserved, 9);
}

static void test_nobody_serves(void **state)
{
	struct reading_fixture *rd = *state;
	_cleanup_(traffic_freep) struct traffic *t = NULL;

	note_verdict(rd, SET_NO_ENDPOINTS, VIP, 80, VERDICT_REFUSE, 0, 3);
	note_verdict(rd, SET_NO_ENDPOINTS, VIP, 81, VERDICT_DROP, 0, 0);
	note_verdict(rd, SET_SERVICES, VIP, 82, VERDICT_NONE, 0, 0); /* somebody's own chain */
	t = traffic_of(rd);

	assert_int_equal(t->n, 3);
	assert_route(&t->frontends[0].inside, TRAFFIC_REFUSED, 0);
	assert_route(&t->frontends[0].outside, TRAFFIC_REFUSED, 0);
	assert_int_equal(t->frontends[0].unserved, 3);
	assert_route(&t->frontends[1].outside, TRAFFIC_DROPPED, 0);
	assert_route(&t->frontends[2].inside, TRAFFIC_OTHER, 0);
}

static void test_sources_of_guarded_frontends(void **state)
{
	struct reading_fixture *rd = *state;
	_cleanup_(traffic_freep) struct traffic *t = NULL;
	char text[PREFIX_TEXT_MAX];

	for (uint16_t port = 80; port < 83; port++) {
		note_verdict(rd, SET_SERVICES, VIP, port, VERDICT_LB, 1, 0);
		note_row(rd, SET_ENDPOINTS, VIP, port, 0, "10.244.1.2", 0);
	}
	note_source(rd, VIP, 80, "198.51.100.7/32");
	note_source(rd, VIP, 80, "192.0.2.0/24");
	note_verdict(rd, SET_GUARDED_FRONTENDS, VIP, 80, VERDICT_NONE, 0, 0);
	note_verdict(rd, SET_GUARDED_FRONTENDS, VIP, 81, VERDICT_NONE, 0, 0);
	t = traffic_of(rd);
	assert_true(t->frontends[0].guarded && t->frontends[1].guarded);
	assert_false(t->frontends[2].guarded);
	assert_int_equal(t->frontends[0].n_sources, 2);
	assert_string_equal(prefix_format(&t->frontends[0].sources[0], text), "192.0.2.0/24");
	assert_string_equal(prefix_format(&t->frontends[0].sources[1], text), "198.51.100.7/32");
	assert_int_equal(t->frontends[1].n_sources, 0);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(t->frontends[i].n_endpoints, 1);
}

/* A scheduler may put an endpoint into many slots. */
static void test_endpoint_in_several_slots_is_one(void **state)
{
	struct reading_fixture *rd = *state;
	_cleanup_(traffic_freep) struct traffic *t = NULL;

	note_verdict(rd, SET_SERVICES, VIP, 80, VERDICT_LB, 5, 15);
	for (uint32_t slot = 0; slot < 5; slot++)
		note_row(rd, SET_ENDPOINTS, VIP, 80, slot, slot % 2 ? "10.244.1.2" : "10.244.1.3",
			 slot + 1);
	t = traffic_of(rd);
	assert_int_equal(t->frontends->n_endpoints, 2);
	assert_int_equal(t->frontends->endpoints[0].connections, 2 + 4);
	assert_int_equal(t->frontends->endpoints[1].connections, 1 + 3 + 5);
}

static void test_order_is_by_name_then_address(void **state)
{
	static const char *const wanted[] = { "10.96.0.9", "10.96.0.11", "fd96::1", "10.96.0.1",
					      "10.96.0.2" };
	struct reading_fixture *rd = *state;
	_cleanup_(traffic_freep) struct traffic *t = NULL;

	rd->comment = "b/web:http";
	note_verdict(rd, SET_SERVICES, "10.96.0.1", 80, VERDICT_LB, 1, 0);
	rd->comment = "a/web:http";
	note_verdict(rd, SET_SERVICES, "fd96::1", 80, VERDICT_LB, 1, 0);
	note_verdict(rd, SET_NO_ENDPOINTS, "10.96.0.11", 80, VERDICT_REFUSE, 0, 0);
	note_verdict(rd, SET_SERVICES, "10.96.0.9", 80, VERDICT_LB, 1, 0);
	rd->comment = "b/web:https";
	note_verdict(rd, SET_SERVICES, "10.96.0.2", 80, VERDICT_LB, 1, 0);
	t = traffic_of(rd);
	assert_int_equal(t->n, ARRAY_SIZE(wanted));
	for (size_t i = 0; i < t->n; i++)
		assert_addr(&t->frontends[i].addr, wanted[i]);
}

static void test_elements_of_other_protocols_are_strange(void **state)
{
	struct reading_fixture *rd = *state;
	_cleanup_(traffic_freep) struct traffic *t = NULL;

	note_verdict(rd, SET_SERVICES, VIP, 80, VERDICT_LB, 1, 0);
	note_verdict(rd, SET_SERVICES, VIP, 81, VERDICT_LB, 1, 0);
	rd->elements.items[1].element.protocol = 99;
	rd->elements.strange = 2;
	t = traffic_of(rd);
	assert_int_equal(t->n, 1);
	assert_int_equal(t->strange, 3);
}

static void assert_flows(const struct traffic_flows *f, uint64_t n, uint64_t packets)
{
	assert_int_equal(f->n, n);
	assert_int_equal(f->in.packets, packets);
	assert_int_equal(f->in.bytes, 100 * packets);
	assert_int_equal(f->out.packets, 2 * packets);
	assert_int_equal(f->out.bytes, 200 * packets);
}

static void count(struct traffic *t, struct conntrack_entry e)
{
	traffic_add_flow(t, &e);
}

static void test_connections_by_frontend_and_endpoint(void **state)
{
	struct reading_fixture *rd = *state;
	_cleanup_(traffic_freep) struct traffic *t = NULL;
	struct conntrack_entry e;

	note_verdict(rd, SET_SERVICES, VIP, 80, VERDICT_LB, 2, 0);
	note_row(rd, SET_ENDPOINTS, VIP, 80, 0, "10.244.1.2", 0);
	note_row(rd, SET_ENDPOINTS, VIP, 80, 1, "10.244.1.3", 0);
	note_verdict(rd, SET_SERVICES, VIP6, 80, VERDICT_LB, 1, 0);
	note_row(rd, SET_ENDPOINTS, VIP6, 80, 0, "fd44::2", 0);
	t = traffic_of(rd);

	count(t, entry_make(VIP, 80, "10.244.1.2", 3));
	count(t, entry_make(VIP, 80, "10.244.1.2", 4));
	count(t, entry_make(VIP, 80, "10.244.1.3", 1));
	count(t, entry_make(VIP, 80, "10.244.9.9", 10)); /* has left; its connections go on */
	count(t, entry_make(VIP, 81, "10.244.1.2", 1));
	count(t, entry_make("10.96.0.11", 80, "10.244.1.2", 1));
	count(t, entry_make(VIP6, 80, "fd44::2", 8));
	e = entry_make(VIP, 80, "10.244.1.2", 1);
	e.protocol = PROTOCOL_UDP;
	count(t, e);
	e = entry_make(VIP, 80, VIP, 1);
	e.translated = false;
	count(t, e);

	assert_flows(&t->frontends[0].flows, 4, 18);
	assert_flows(&t->frontends[0].endpoints[0].flows, 2, 7);
	assert_flows(&t->frontends[0].endpoints[1].flows, 1, 1);
	assert_flows(&t->frontends[1].flows, 1, 8);
	assert_flows(&t->frontends[1].endpoints[0].flows, 1, 8);
}

static void test_empty_tables(void **state)
{
	_cleanup_(traffic_freep) struct traffic *t = traffic_of(*state);

	assert_int_equal(t->n, 0);
	count(t, entry_make(VIP, 80, "10.244.1.2", 3));
	traffic_free(NULL);
}

static void test_H1_without_memory(void **state)
{
	struct reading_fixture *rd = *state;
	bool failed = true;
	unsigned n = 0;

	note_verdict(rd, SET_SERVICES, VIP, 80, VERDICT_LB, 1, 0);
	note_row(rd, SET_ENDPOINTS, VIP, 80, 0, "10.244.1.2", 0);
	while (failed) {
		_cleanup_(traffic_freep) struct traffic *t = NULL;
		int r;

		fail_alloc_at(++n);
		r = traffic_build(&rd->elements, &rd->hairpins, &t);
		failed = fail_alloc_end();
		assert_int_equal(r, failed ? -ENOMEM : 0);
		assert_int_equal(!t, failed);
	}
	assert_true(n > 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names_from_comments),
		cmocka_unit_test(test_S4_names_are_safe_whoever_wrote_them),
		TRAFFIC_TEST(test_frontend_and_its_endpoints),
		TRAFFIC_TEST(test_endpoints_in_many_slots_are_counted_once),
		TRAFFIC_TEST(test_schedulers),
		TRAFFIC_TEST(test_scheduler_of_a_local_frontend),
		TRAFFIC_TEST(test_local_policy_with_endpoints_here),
		TRAFFIC_TEST(test_local_policy_without_endpoints_here),
		TRAFFIC_TEST(test_nobody_serves),
		TRAFFIC_TEST(test_sources_of_guarded_frontends),
		TRAFFIC_TEST(test_endpoint_in_several_slots_is_one),
		TRAFFIC_TEST(test_order_is_by_name_then_address),
		TRAFFIC_TEST(test_elements_of_other_protocols_are_strange),
		TRAFFIC_TEST(test_connections_by_frontend_and_endpoint),
		TRAFFIC_TEST(test_empty_tables),
		TRAFFIC_TEST(test_H1_without_memory),
	};

	return cmocka_run_group_tests_name("traffic", tests, NULL, NULL);
}
