#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "proxy-world.h"

#define HTTP "'ports':[{'name':'http','port':80}]"
#define SPEC(ip, external) "'clusterIPs':['10.96.0." ip "'],'externalIPs':['" external "']," HTTP

/* Who has the frontend 192.0.2.1 . tcp . 80, or "". */
static const char *holder(struct world *w)
{
	static char name[64];

	world_sync(w);
	name[0] = '\0';
	sscanf(world_elements(w, "no-endpoints 192.0.2.1 . tcp . 80 "),
	       "no-endpoints 192.0.2.1 . tcp . 80 comment \"default/%63[^:]", name);
	return name;
}

static void test_O1_older_service_has_the_address(void **state)
{
	struct world *w = *state;

	world_service(w, "a", 2, SPEC("1", "192.0.2.1"));
	world_service(w, "b", 1, SPEC("2", "192.0.2.1"));
	assert_string_equal(holder(w), "b");
	assert_string_equal(world_reports(w),
			    "AddressConflict Service default/a: 192.0.2.1 port 80 TCP belongs "
			    "to Service default/b\n");
	assert_int_equal(proxy_stats(w->proxy).contested, 1);

	world_service(w, "b", 3, SPEC("2", "192.0.2.1"));
	assert_string_equal(holder(w), "a");
	world_service(w, "b", 2, SPEC("2", "192.0.2.1"));
	assert_string_equal(holder(w), "a");
}

/* Nothing is left of a Service that lost all it wanted, not even its hairpin. */
static void test_O1_loser_has_no_element(void **state)
{
	struct world *w = *state;

	world_service(w, "a", 1, "'clusterIPs':['10.96.0.1']," HTTP);
	world_service(w, "b", 2, "'clusterIPs':['10.96.0.1']," HTTP);
	world_slice(w, "b-1", "b", "10.1.0.1@me");
	assert_world(w, NULL,
		     "no-endpoints 10.96.0.1 . tcp . 80 comment \"default/a:http\""
		     " : goto refuse\n");
	assert_int_equal(proxy_stats(w->proxy).services, 1);
}

static void test_O1_loser_takes_over_in_the_same_sync(void **state)
{
	struct world *w = *state;

	world_service(w, "a", 1, SPEC("1", "192.0.2.1"));
	world_service(w, "b", 2, SPEC("2", "192.0.2.1"));
	assert_string_equal(holder(w), "a");
	world_remove(w, KIND_SERVICE, "a");
	assert_string_equal(holder(w), "b");
	assert_int_equal(proxy_stats(w->proxy).contested, 0);

	world_service(w, "a", 1, SPEC("1", "192.0.2.1"));
	assert_string_equal(holder(w), "a");
	world_service(w, "a", 1, SPEC("1", "192.0.2.2"));
	assert_string_equal(holder(w), "b");
}

static void test_O1_loser_is_reported_once_while_it_lasts(void **state)
{
	static const char report[] =
		"AddressConflict Service default/b: 192.0.2.1 port 80 TCP belongs to Service default/a\n";
	struct world *w = *state;

	world_service(w, "a", 1, SPEC("1", "192.0.2.1"));
	world_service(w, "b", 2, SPEC("2", "192.0.2.1"));
	assert_reports(w, report);
	world_service(w, "b", 2, SPEC("3", "192.0.2.1"));
	assert_reports(w, "");
	world_service(w, "a", 1, SPEC("1", "192.0.2.2"));
	assert_reports(w, "");
	world_service(w, "a", 1, SPEC("1", "192.0.2.1"));
	assert_reports(w, report);
}

/* Each takes what the other had: neither can go first by itself. */
static void test_O1_two_services_swap_addresses(void **state)
{
	struct world *w = *state;

	world_service(w, "a", 1, SPEC("1", "192.0.2.1"));
	world_service(w, "b", 1, SPEC("2", "192.0.2.2"));
	world_sync(w);
	world_service(w, "a", 1, SPEC("1", "192.0.2.2"));
	world_service(w, "b", 1, SPEC("2", "192.0.2.1"));
	assert_string_equal(holder(w), "b");
	assert_string_equal(world_reports(w), "");
}

static void test_O1_kinds_go_before_age(void **state)
{
	struct world *w = *state;

	world_node(w, "me", "", "", "InternalIP 192.0.2.1");
	world_service(w, "node-port", 1,
		      "'type':'NodePort','clusterIPs':['10.96.0.1'],"
		      "'ports':[{'name':'http','port':8080,'nodePort':80}]");
	assert_string_equal(holder(w), "node-port");
	world_service(w, "external", 2, SPEC("2", "192.0.2.1"));
	assert_string_equal(holder(w), "external");
	world_service(w, "ip", 3, "'clusterIPs':['192.0.2.1']," HTTP);
	assert_string_equal(holder(w), "ip");
	assert_string_equal(
		world_reports(w),
		"AddressConflict Service default/node-port: 192.0.2.1 port 80 TCP belongs to Service default/external\n"
		"ExternalAddressRefused Service default/external: external address 192.0.2.1 is the cluster IP of a Service\n");
	world_remove(w, KIND_SERVICE, "external");
	world_remove(w, KIND_SERVICE, "ip");
	assert_string_equal(holder(w), "node-port");
}

/* The other ports of the address are not touched. */
static void test_O1_ports_and_protocols_are_apart(void **state)
{
	struct world *w = *state;

	world_service(w, "a", 1, SPEC("1", "192.0.2.1"));
	world_service(w, "b", 2,
		      "'clusterIPs':['10.96.0.2'],'externalIPs':['192.0.2.1'],'ports':["
		      "{'name':'x','port':81},{'name':'y','port':80,'protocol':'UDP'}]");
	assert_world(w, "192.0.2.1",
		     "no-endpoints 192.0.2.1 . tcp . 80 comment \"default/a:http\" : goto refuse\n"
		     "no-endpoints 192.0.2.1 . tcp . 81 comment \"default/b:x\" : goto refuse\n"
		     "no-endpoints 192.0.2.1 . udp . 80 comment \"default/b:y\" : goto refuse\n"
		     "udp-services 192.0.2.1 . udp . 80 comment \"default/b:y\"\n");
	assert_string_equal(world_reports(w), "");
}

/* The node port of one service port on an address that is external to the Service. */
static void test_O1_ports_of_one_service(void **state)
{
	struct world *w = *state;

	world_node(w, "me", "", "", "InternalIP 192.0.2.1");
	world_service(w, "a", 1,
		      "'type':'NodePort','clusterIPs':['10.96.0.1'],'externalIPs':['192.0.2.1'],"
		      "'ports':[{'name':'x','port':1,'nodePort':80},{'name':'y','port':80}]");
	assert_world(w, "192.0.2.1",
		     "no-endpoints 192.0.2.1 . tcp . 1 comment \"default/a:x\" : goto refuse\n"
		     "no-endpoints 192.0.2.1 . tcp . 80 comment \"default/a:y\" : goto refuse\n");
	assert_string_equal(world_reports(w),
			    "AddressConflict Service default/a: 192.0.2.1 port 80 TCP belongs "
			    "to Service default/a\n");
	assert_int_equal(proxy_stats(w->proxy).contested, 1);
}

enum { N_SERVICES = 4 };

/* Apply the Services in the order that @order tells (digits of base 4), syncing after each. */
static void apply_in_order(struct world *w, unsigned order)
{
	static const char *const specs[N_SERVICES] = {
		SPEC("1", "192.0.2.1"),
		SPEC("2", "192.0.2.1"),
		SPEC("3", "10.96.0.1"),
		SPEC("1','fd00::1", "192.0.2.1','10.96.0.3"),
	};
	static const int created[N_SERVICES] = { 2, 1, 1, 2 };

	for (size_t i = 0; i < N_SERVICES; i++, order /= N_SERVICES) {
		char name[2] = { (char)('a' + order % N_SERVICES), '\0' };

		world_service(w, name, created[order % N_SERVICES], specs[order % N_SERVICES]);
		world_sync(w);
	}
}

static bool is_permutation(unsigned order)
{
	unsigned seen = 0;

	for (size_t i = 0; i < N_SERVICES; i++, order /= N_SERVICES)
		seen |= 1u << order % N_SERVICES;
	return seen == (1u << N_SERVICES) - 1;
}

static void test_O1_any_order_of_events_ends_alike(void **state)
{
	char *expected = NULL;

	(void)state;
	for (unsigned order = 0; order < 256; order++) {
		struct world *w;

		if (!is_permutation(order))
			continue;
		assert_int_equal(world_setup((void **)&w), 0);
		apply_in_order(w, order);
		if (!expected)
			expected = strdup(world_elements(w, NULL));
		assert_non_null(expected);
		assert_string_equal(world_elements(w, NULL), expected);
		assert_int_equal(proxy_stats(w->proxy).contested, 3);
		world_teardown((void **)&w);
	}
	assert_non_null(expected);
	free(expected);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		world_test(test_O1_older_service_has_the_address),
		world_test(test_O1_loser_has_no_element),
		world_test(test_O1_loser_takes_over_in_the_same_sync),
		world_test(test_O1_loser_is_reported_once_while_it_lasts),
		world_test(test_O1_two_services_swap_addresses),
		world_test(test_O1_kinds_go_before_age),
		world_test(test_O1_ports_and_protocols_are_apart),
		world_test(test_O1_ports_of_one_service),
		cmocka_unit_test(test_O1_any_order_of_events_ends_alike),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
