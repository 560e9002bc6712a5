#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "proxy-world.h"

#define HTTP "'ports':[{'name':'http','port':80}]"
#define TWO_PORTS "'ports':[{'name':'http','port':80},{'name':'dns','port':53}]"

static struct prefix ranges[3];

static void configure(struct world *w, const char *first, const char *second)
{
	struct proxy_config config = w->config;

	assert_int_equal(prefix_parse(first, &ranges[0]) | prefix_parse(second, &ranges[1]), 0);
	config.address_firewall = true;
	config.cluster_ranges = ranges;
	config.n_cluster_ranges = 2;
	world_configure(w, &config);
}

static int setup(void **state)
{
	int r = world_setup(state);

	configure(*state, "10.96.0.0/12", "fd96::/108");
	return r;
}

#define firewall_test(test) cmocka_unit_test_setup_teardown(test, setup, world_teardown)

#define BOTH_RANGES                                 \
	"cluster-ranges 10.96.0.0-10.111.255.255\n" \
	"cluster-ranges fd96::-fd96::f:ffff\n"

static void test_addresses_of_services(void **state)
{
	struct world *w = *state;

	world_node(w, "me", "", "", "InternalIP 198.51.100.1");
	world_apply(w, "{'apiVersion':'v1','kind':'Service','metadata':{'namespace':'default',"
		       "'name':'web'},'spec':{'clusterIPs':['10.96.0.1','fd96::1'],"
		       "'externalIPs':['192.0.2.1','2001:db8::1'],"
		       "'ports':[{'name':'a','port':80,'nodePort':30080},{'name':'b','port':81}]},"
		       "'status':{'loadBalancer':{'ingress':[{'ip':'192.0.2.2'}]}}}");
	assert_world(w, "service-addresses",
		     "service-addresses 10.96.0.1\n"
		     "service-addresses 192.0.2.1\n"
		     "service-addresses 192.0.2.2\n"
		     "service-addresses 2001:db8::1\n"
		     "service-addresses fd96::1\n");
	world_remove(w, KIND_SERVICE, "web");
	assert_world(w, "service-addresses", "");
}

/* Two Services may have different ports of one address: it is there until both are gone. */
static void test_address_of_two_services(void **state)
{
	struct world *w = *state;

	world_service(w, "a", 1, "'clusterIPs':['10.96.0.1'],'externalIPs':['192.0.2.1']," HTTP);
	world_service(w, "b", 2,
		      "'clusterIPs':['10.96.0.2'],'externalIPs':['192.0.2.1']," TWO_PORTS);
	assert_world(w, "service-addresses 192", "service-addresses 192.0.2.1\n");
	world_remove(w, KIND_SERVICE, "a");
	assert_world(w, "service-addresses 192", "service-addresses 192.0.2.1\n");
	world_remove(w, KIND_SERVICE, "b");
	assert_world(w, "service-addresses 192", "");
}

/* Who has none of an address's ports does not close the others. */
static void test_O1_loser_closes_nothing(void **state)
{
	struct world *w = *state;

	world_service(w, "a", 1, "'clusterIPs':['10.96.0.1']," HTTP);
	world_service(w, "b", 2, "'clusterIPs':['10.96.0.1']," HTTP);
	assert_world(w, "service-addresses", "service-addresses 10.96.0.1\n");
	world_remove(w, KIND_SERVICE, "a");
	assert_world(w, "service-addresses", "service-addresses 10.96.0.1\n");
}

/* Validation is off here, or it would be refused. */
static void test_O2_addresses_of_nodes_are_not_closed(void **state)
{
	struct world *w = *state;

	world_node(w, "other", "", "", "InternalIP 192.0.2.1");
	world_service(w, "web", 1, "'clusterIPs':['10.96.0.1'],'externalIPs':['192.0.2.1']," HTTP);
	assert_world(
		w, "192.0.2.1",
		"no-endpoints 192.0.2.1 . tcp . 80 comment \"default/web:http\" : goto refuse\n");
	world_node(w, "other", "", "", "InternalIP 192.0.2.2");
	assert_world(w, "service-addresses 192", "service-addresses 192.0.2.1\n");
	world_node(w, "other", "", "", "InternalIP 192.0.2.1");
	assert_world(w, "service-addresses 192", "");
	world_remove(w, KIND_NODE, "other");
	assert_world(w, "service-addresses 192", "service-addresses 192.0.2.1\n");
}

/* Its other ports, too, which nobody contests. Whoever comes first. */
static void test_O2_cluster_ip_of_another_service_is_refused(void **state)
{
	struct world *w = *state;

	world_service(w, "thief", 1,
		      "'clusterIPs':['10.96.0.1'],'externalIPs':['10.43.0.1','192.0.2.1'],"
		      "'ports':[{'name':'http','port':8080}]");
	assert_world(
		w, "no-endpoints 10.43.0.1",
		"no-endpoints 10.43.0.1 . tcp . 8080 comment \"default/thief:http\" : goto refuse\n");
	world_service(w, "api", 2, "'clusterIPs':['10.43.0.1']," HTTP);
	assert_world(
		w, "no-endpoints 10.43.0.1",
		"no-endpoints 10.43.0.1 . tcp . 80 comment \"default/api:http\" : goto refuse\n");
	assert_string_equal(world_reports(w),
			    "ExternalAddressRefused Service default/thief: external address "
			    "10.43.0.1 is the cluster IP of a Service\n");
	assert_int_equal(proxy_stats(w->proxy).refused_addrs, 1);
	assert_world(
		w, "no-endpoints 192.0.2.1",
		"no-endpoints 192.0.2.1 . tcp . 8080 comment \"default/thief:http\" : goto refuse\n");
	world_remove(w, KIND_SERVICE, "api");
	assert_world(
		w, "no-endpoints 10.43.0.1",
		"no-endpoints 10.43.0.1 . tcp . 8080 comment \"default/thief:http\" : goto refuse\n");
}

static void test_other_services_are_not_looked_at(void **state)
{
	struct world *w = *state;

	world_service(w, "a", 1, "'clusterIPs':['10.96.0.1']," HTTP);
	world_service(w, "b", 1, "'clusterIPs':['10.96.0.2'],'externalIPs':['192.0.2.1']," HTTP);
	world_sync(w);
	world_node(w, "other", "", "", "InternalIP 192.0.2.7");
	world_sync(w);
	assert_int_equal(w->computed, 1);
}

static void test_range_counts_while_it_has_a_cluster_ip(void **state)
{
	struct world *w = *state;

	world_service(w, "elsewhere", 1, "'clusterIPs':['10.43.0.1','fd43::1']," HTTP);
	assert_world(w, "cluster-ranges", "");
	world_service(w, "a", 1, "'clusterIPs':['10.96.0.1']," HTTP);
	assert_world(w, "cluster-ranges", "cluster-ranges 10.96.0.0-10.111.255.255\n");
	world_service(w, "b", 1, "'clusterIPs':['10.111.255.255','fd96::1']," HTTP);
	assert_world(w, "cluster-ranges", BOTH_RANGES);
	world_service(w, "a", 1, "'clusterIPs':['10.43.0.2']," HTTP);
	assert_world(w, "cluster-ranges", BOTH_RANGES);
	world_remove(w, KIND_SERVICE, "b");
	assert_world(w, "cluster-ranges", "");
	/* One comes as another goes. */
	world_service(w, "a", 1, "'clusterIPs':['10.96.0.1']," HTTP);
	world_sync(w);
	world_remove(w, KIND_SERVICE, "a");
	world_service(w, "b", 1, "'clusterIPs':['10.96.0.1']," HTTP);
	assert_world(w, "cluster-ranges", "cluster-ranges 10.96.0.0-10.111.255.255\n");
}

static void test_ranges_of_one_family(void **state)
{
	struct world *w = *state;

	configure(w, "10.96.0.0/16", "10.97.0.0/16");
	world_service(w, "a", 1, "'clusterIPs':['10.96.0.1']," HTTP);
	assert_world(w, "cluster-ranges", "cluster-ranges 10.96.0.0-10.96.255.255\n");
	world_service(w, "b", 1, "'clusterIPs':['10.97.0.1']," HTTP);
	assert_world(w, "cluster-ranges", "cluster-ranges 10.96.0.0-10.97.255.255\n");
	configure(w, "10.96.0.0/16", "10.96.0.0/12");
	assert_world(w, "cluster-ranges", "cluster-ranges 10.96.0.0-10.111.255.255\n");
}

/* Of cluster IPs in the ranges nothing is said one by one; where pods are not known, or everybody is hidden anyway,
 * not of the ranges either. */
static void test_masquerade_ranges(void **state)
{
	struct world *w = *state;
	struct proxy_config config = w->config;

	world_service(w, "in", 1,
		      "'clusterIPs':['10.96.0.1','fd96::1'],'externalIPs':['192.0.2.1']," HTTP);
	world_slice(w, "in-4", "in", "10.1.0.1");
	world_slice(w, "in-6", "in", "fd10::1");
	world_service(w, "out", 1, "'clusterIPs':['10.43.0.1']," HTTP);
	world_slice(w, "out-4", "out", "10.1.0.2");
	assert_world(w, "masquerade",
		     "masquerade-services 192.0.2.1 . tcp . 80 comment \"default/in:http\""
		     " : goto masquerade-all\n");
	world_node(w, "me", "", "'podCIDRs':['10.1.0.0/24']", "");
	assert_world(w, "masquerade",
		     "masquerade-services 10.43.0.1 . tcp . 80 comment \"default/out:http\""
		     " : goto masquerade-outside\n"
		     "masquerade-services 192.0.2.1 . tcp . 80 comment \"default/in:http\""
		     " : goto masquerade-all\n"
		     "masquerade-ranges 10.96.0.0-10.111.255.255\n");
	world_node(w, "me", "", "'podCIDRs':['10.1.0.0/24','fd10::/64']", "");
	assert_world(w, "masquerade-ranges",
		     "masquerade-ranges 10.96.0.0-10.111.255.255\n"
		     "masquerade-ranges fd96::-fd96::f:ffff\n");
	config.ipv6 = false;
	world_configure(w, &config);
	assert_world(w, "masquerade-ranges", "masquerade-ranges 10.96.0.0-10.111.255.255\n");
	config.masquerade_all = true;
	world_configure(w, &config);
	assert_world(w, "masquerade-ranges", "");
	assert_world(w, "10.96.0.1 . tcp . 80 comment \"default/in:http\" : goto masquerade",
		     "masquerade-services 10.96.0.1 . tcp . 80 comment \"default/in:http\""
		     " : goto masquerade-all\n");
}

static void test_family_that_is_off(void **state)
{
	struct world *w = *state;
	struct proxy_config config = w->config;

	config.ipv6 = false;
	world_configure(w, &config);
	world_service(w, "a", 1, "'clusterIPs':['10.96.0.1','fd96::1']," HTTP);
	assert_world(w, "cluster-ranges", "cluster-ranges 10.96.0.0-10.111.255.255\n");
	assert_world(w, "service-addresses", "service-addresses 10.96.0.1\n");
}

/* What the flag says can't be all true then. */
static void test_range_that_is_also_somebody_elses(void **state)
{
	struct world *w = *state;

	world_service(w, "a", 1, "'clusterIPs':['10.96.0.1','fd96::1']," HTTP);
	assert_world(w, "cluster-ranges", BOTH_RANGES);
	world_node(w, "other", "", "'podCIDRs':['10.0.0.0/8']", "");
	assert_world(w, "cluster-ranges", "cluster-ranges fd96::-fd96::f:ffff\n");
	world_node(w, "other", "", "'podCIDRs':['10.99.1.0/24']", "");
	assert_world(w, "cluster-ranges", "cluster-ranges fd96::-fd96::f:ffff\n");
	world_node(w, "other", "", "'podCIDRs':['10.112.0.0/16']", "InternalIP 10.95.255.255");
	assert_world(w, "cluster-ranges", BOTH_RANGES);
	world_node(w, "other", "", "", "InternalIP 10.96.7.7");
	assert_world(w, "cluster-ranges", "cluster-ranges fd96::-fd96::f:ffff\n");
	world_remove(w, KIND_NODE, "other");
	assert_world(w, "cluster-ranges", BOTH_RANGES);
	world_local_addrs(w, "192.0.2.5 fd96::77");
	assert_world(w, "cluster-ranges", "cluster-ranges 10.96.0.0-10.111.255.255\n");
	/* Left by another proxy, which puts cluster IPs on an interface. */
	world_local_addrs(w, "192.0.2.5 fd96::1");
	assert_world(w, "cluster-ranges", BOTH_RANGES);
}

static void test_switched_off(void **state)
{
	struct world *w = *state;
	struct proxy_config config = w->config;

	config.address_firewall = false;
	world_configure(w, &config);
	world_service(w, "a", 1, "'clusterIPs':['10.96.0.1'],'externalIPs':['192.0.2.1']," HTTP);
	assert_world(w, "service-addresses", "");
	assert_world(w, "cluster-ranges", "");
}

static void test_memory_is_short(void **state)
{
	struct world *w = *state;

	for (unsigned fail_at = 1;; fail_at++) {
		bool there = fail_at % 2;

		if (there)
			world_service(w, "a", 1, "'clusterIPs':['10.96.0.1','fd96::1']," HTTP);
		else
			world_remove(w, KIND_SERVICE, "a");
		w->fail_at = fail_at;
		world_try_sync(w);
		w->fail_at = 0;
		assert_world(w, "cluster-ranges", there ? BOTH_RANGES : "");
		if (!w->failed && fail_at > 100)
			break;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		firewall_test(test_addresses_of_services),
		firewall_test(test_address_of_two_services),
		firewall_test(test_O1_loser_closes_nothing),
		firewall_test(test_O2_addresses_of_nodes_are_not_closed),
		firewall_test(test_O2_cluster_ip_of_another_service_is_refused),
		firewall_test(test_other_services_are_not_looked_at),
		firewall_test(test_range_counts_while_it_has_a_cluster_ip),
		firewall_test(test_ranges_of_one_family),
		firewall_test(test_masquerade_ranges),
		firewall_test(test_family_that_is_off),
		firewall_test(test_range_that_is_also_somebody_elses),
		firewall_test(test_switched_off),
		firewall_test(test_memory_is_short),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
