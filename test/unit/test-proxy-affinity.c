#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "object/object.h"
#include "proxy-world.h"
#include "ruleset/bindings.h"

#define SPEC "'clusterIPs':['10.96.0.1','fd00::1'],'ports':[{'name':'http','port':80}]"
#define STICKY ",'sessionAffinity':'ClientIP'"
#define EXTERNAL ",'externalIPs':['192.0.2.1']"

/* "10.96.0.1 10.1.0.1:8080 local, ..." of all that clients may have, whichever words it is in the map. */
static bool is_allowed(const struct transaction *whole, const char *addr, const char *target,
		       uint16_t port, bool local)
{
	struct dispatch d = { .protocol = PROTOCOL_TCP, .port = 80 };
	struct addr own, endpoint;
	struct binding one;

	assert_int_equal(addr_parse(addr, &own) | addr_parse(target, &endpoint), 0);
	d.family = own.family;
	d.verdict = local ? VERDICT_LOCAL_LEARN : VERDICT_LEARN;
	memcpy(d.addr, own.bytes, sizeof(d.addr));
	one = (struct binding){ .family = own.family };
	memcpy(one.addr, endpoint.bytes, sizeof(one.addr));
	binding_words(&d, port, one.words);
	return bindings_have(&whole->bindings, &one);
}

struct row {
	const char *addr, *target;
	bool local;
};

/* Exactly these, to port 8080. */
static void assert_allowed(struct world *w, const struct row *rows, size_t n)
{
	struct transaction whole = { .changes = NULL };

	world_sync(w);
	assert_int_equal(ruleset_whole(w->ruleset, &whole), 0);
	assert_int_equal(whole.bindings.n, n);
	for (size_t i = 0; i < n; i++)
		assert_true(is_allowed(&whole, rows[i].addr, rows[i].target, 8080, rows[i].local));
	transaction_free(&whole);
}

static void test_clients_may_have_what_is_chosen(void **state)
{
	static const struct row both[] = {
		{ "10.96.0.1", "10.1.0.1", false },
		{ "10.96.0.1", "10.1.0.2", false },
		{ "fd00::1", "fd01::1", false },
	};
	struct world *w = *state;

	world_service(w, "web", 1, SPEC STICKY);
	world_slice(w, "web-1", "web", "10.1.0.1@me 10.1.0.2 10.1.0.3/unready");
	world_slice(w, "web-2", "web", "fd01::1");
	assert_allowed(w, both, ARRAY_SIZE(both));
	world_slice(w, "web-1", "web", "10.1.0.1@me/draining 10.1.0.2 10.1.0.3/unready");
	assert_allowed(w, both + 1, ARRAY_SIZE(both) - 1);
	world_service(w, "web", 1, SPEC);
	assert_allowed(w, NULL, 0);
}

static void test_lists_are_apart(void **state)
{
	static const struct row rows[] = {
		{ "10.96.0.1", "10.1.0.1", false },
		{ "10.96.0.1", "10.1.0.2", false },
		{ "10.96.0.1", "10.1.0.1", true },
	};
	struct world *w = *state;

	world_service(w, "web", 1, SPEC STICKY EXTERNAL ",'externalTrafficPolicy':'Local'");
	world_slice(w, "web-1", "web", "10.1.0.1@me 10.1.0.2");
	assert_allowed(w, rows, ARRAY_SIZE(rows));
	world_service(w, "web", 1, SPEC STICKY ",'internalTrafficPolicy':'Local'");
	assert_allowed(w, rows + 2, 1);
	world_slice(w, "web-1", "web", "10.1.0.2");
	assert_allowed(w, NULL, 0);
}

static void test_frontends_share_a_chain(void **state)
{
	struct world *w = *state;

	world_service(w, "web", 1, SPEC STICKY EXTERNAL);
	world_slice(w, "web-1", "web", "10.1.0.1 10.1.0.2");
	assert_world(w, "recall",
		     "services 10.96.0.1 . tcp . 80 comment \"default/web:http\""
		     " : jump recall-10.96.0.1-tcp-80-8080\n"
		     "services 192.0.2.1 . tcp . 80 comment \"default/web:http\""
		     " : jump recall-10.96.0.1-tcp-80-8080\n");
}

/* A slice in which port "http" has another number. */
static void slice_with_port(struct world *w, const char *name, const char *addr, unsigned port)
{
	world_apply(
		w,
		"{'apiVersion':'discovery.k8s.io/v1','kind':'EndpointSlice','metadata':{"
		"'name':'%s','namespace':'default','labels':{'kubernetes.io/service-name':'web'}}"
		",'addressType':'IPv4','ports':[{'name':'http','port':%u}],"
		"'endpoints':[{'addresses':['%s']}]}",
		name, port, addr);
}

/* Two at a time are what a Service has while its pods are replaced by such with another port. */
static void test_target_ports_are_two_at_most(void **state)
{
	struct world *w = *state;

	world_service(w, "web", 1, SPEC STICKY);
	slice_with_port(w, "web-1", "10.1.0.1", 8081);
	slice_with_port(w, "web-2", "10.1.0.2", 8080);
	assert_world(w, "recall",
		     "services 10.96.0.1 . tcp . 80 comment \"default/web:http\""
		     " : jump recall-10.96.0.1-tcp-80-8080-8081\n");
	assert_string_equal(world_reports(w), "");
	slice_with_port(w, "web-3", "10.1.0.3", 80);
	assert_reports(w,
		       "AffinityIncomplete Service default/web: endpoints of port 80 have more "
		       "than 2 different ports: clients stay with those of the lowest ones only\n");
	assert_string_equal(world_elements(w, "recall"),
			    "services 10.96.0.1 . tcp . 80 comment \"default/web:http\""
			    " : jump recall-10.96.0.1-tcp-80-80-8080\n");
	world_service(w, "web", 1, SPEC);
	assert_reports(w, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		world_test(test_clients_may_have_what_is_chosen),
		world_test(test_lists_are_apart),
		world_test(test_frontends_share_a_chain),
		world_test(test_target_ports_are_two_at_most),
	};

	return cmocka_run_group_tests_name("proxy-affinity", tests, NULL, NULL);
}
