#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "proxy-world.h"

#define IP "'clusterIPs':['10.96.0.1']"
#define HTTP "'ports':[{'name':'http','port':80}]"
#define NODE_PORT "'type':'NodePort','ports':[{'name':'http','port':80,'nodePort':30080}]"
#define EXTERNAL "'externalIPs':['192.0.2.1']"
#define POD_CIDR "'podCIDRs':['10.1.0.0/24']"

static void test_cluster_ip(void **state)
{
	struct world *w = *state;

	world_node(w, "me", "", POD_CIDR, "");
	world_service(w, "web", 1, IP "," HTTP);
	world_slice(w, "web-1", "web", "10.1.0.1@me");
	assert_world(w, NULL,
		     "services 10.96.0.1 . tcp . 80 comment \"default/web:http\" : goto lb-1\n"
		     "endpoints 10.96.0.1 . tcp . 80 . 0 comment \"default/web:http\""
		     " : 10.1.0.1 . 8080\n"
		     "masquerade-services 10.96.0.1 . tcp . 80 comment \"default/web:http\""
		     " : goto masquerade-outside\n"
		     "hairpin 10.1.0.1 . 10.1.0.1\n"
		     "pod-cidrs 10.1.0.0-10.1.0.255\n");
	world_slice(w, "web-1", "web", "");
	assert_world(w, NULL,
		     "no-endpoints 10.96.0.1 . tcp . 80 comment \"default/web:http\""
		     " : goto refuse\n"
		     "pod-cidrs 10.1.0.0-10.1.0.255\n");
	world_remove(w, KIND_SERVICE, "web");
	assert_world(w, NULL, "pod-cidrs 10.1.0.0-10.1.0.255\n");
}

static void test_unnamed_port(void **state)
{
	struct world *w = *state;

	world_service(w, "web", 1, IP ",'ports':[{'port':53,'protocol':'UDP'}]");
	assert_world(w, NULL,
		     "no-endpoints 10.96.0.1 . udp . 53 comment \"default/web\" : goto refuse\n"
		     "udp-services 10.96.0.1 . udp . 53 comment \"default/web\"\n");
}

static void test_external_local_with_affinity(void **state)
{
	struct world *w = *state;

	world_service(w, "web", 1,
		      IP "," EXTERNAL ",'externalTrafficPolicy':'Local'," HTTP
			 ",'sessionAffinity':'ClientIP','sessionAffinityConfig':"
			 "{'clientIP':{'timeoutSeconds':60}}");
	world_slice(w, "web-1", "web", "10.1.0.1@me 10.1.0.2");
	assert_world(w, " 192.0.2.1 . tcp . 80 comment",
		     "services 192.0.2.1 . tcp . 80 comment \"default/web:http\""
		     " : jump recall-10.96.0.1-tcp-80-8080\n"
		     "local-services 192.0.2.1 . tcp . 80 comment \"default/web:http\""
		     " : jump local-recall-10.96.0.1-tcp-80-8080\n"
		     "affinity-services 192.0.2.1 . tcp . 80 comment \"default/web:http\""
		     " : goto lb-2\n"
		     "local-affinity-services 192.0.2.1 . tcp . 80 comment \"default/web:http\""
		     " : goto local-lb-1\n"
		     "affinity-timeouts 192.0.2.1 . tcp . 80 comment \"default/web:http\""
		     " : goto mixed-learn-10.96.0.1-tcp-80-60\n"
		     "masquerade-services 192.0.2.1 . tcp . 80 comment \"default/web:http\""
		     " : goto masquerade-node\n");
	assert_string_equal(world_elements(w, "local-endpoints"),
			    "local-endpoints 192.0.2.1 . tcp . 80 . 0 comment \"default/web:http\""
			    " : 10.1.0.1 . 8080\n");
	assert_string_equal(world_elements(w, "hairpin"), "hairpin 10.1.0.1 . 10.1.0.1\n");

	world_slice(w, "web-1", "web", "10.1.0.2");
	assert_world(w, "no-endpoints",
		     "no-endpoints 192.0.2.1 . tcp . 80 comment \"default/web:http\" : drop\n");
	assert_string_equal(world_elements(w, "local-services"),
			    "local-services 192.0.2.1 . tcp . 80 comment \"default/web:http\""
			    " : accept\n");
}

static void test_local_annotation_beats_the_policies(void **state)
{
	struct world *w = *state;

	world_apply(w, "{'apiVersion':'v1','kind':'Service','metadata':{'name':'web',"
		       "'namespace':'default','annotations':{'kube-router.io/service.local':"
		       "'true'}},'spec':{" IP "," EXTERNAL ",'internalTrafficPolicy':'Local'," HTTP
		       "}}");
	world_slice(w, "web-1", "web", "10.1.0.2");
	assert_world(w, "no-endpoints",
		     "no-endpoints 192.0.2.1 . tcp . 80 comment \"default/web:http\" : drop\n");
}

/* A draining endpoint in the local list only is reached through that list, so it may hairpin. */
static void test_hairpin_of_both_lists(void **state)
{
	struct world *w = *state;

	world_service(w, "web", 1, IP "," EXTERNAL ",'externalTrafficPolicy':'Local'," HTTP);
	world_slice(w, "web-1", "web", "10.1.0.1@me/draining 10.1.0.2");
	assert_world(w, "hairpin", "hairpin 10.1.0.1 . 10.1.0.1\n");
	world_service(w, "web", 1, IP "," EXTERNAL "," HTTP);
	assert_world(w, "hairpin", "");
	world_service(w, "web", 1, IP ",'internalTrafficPolicy':'Local'," HTTP);
	assert_world(w, "hairpin", "hairpin 10.1.0.1 . 10.1.0.1\n");
}

/* Two Services have the same endpoint: the element goes with the last of them. */
static void test_hairpin_is_shared(void **state)
{
	struct world *w = *state;

	world_service(w, "a", 1, IP "," HTTP);
	world_service(w, "b", 1, "'clusterIPs':['10.96.0.2']," HTTP);
	world_slice(w, "a-1", "a", "10.1.0.1@me");
	world_slice(w, "b-1", "b", "10.1.0.1@me");
	assert_world(w, "hairpin", "hairpin 10.1.0.1 . 10.1.0.1\n");
	world_remove(w, KIND_SERVICE, "a");
	assert_world(w, "hairpin", "hairpin 10.1.0.1 . 10.1.0.1\n");
	world_remove(w, KIND_SERVICE, "b");
	assert_world(w, NULL, "");
}

static void test_node_port_on_the_primary_address(void **state)
{
	struct world *w = *state;

	world_service(w, "web", 1, "'clusterIPs':['10.96.0.1','fd00::1']," NODE_PORT);
	assert_world(w, "30080", "");
	world_node(w, "me", "", "",
		   "ExternalIP 198.51.100.1,InternalIP 192.168.0.1,InternalIP 192.168.0.2,"
		   "ExternalIP 2001:db8::1");
	assert_world(w, "30080",
		     "no-endpoints 192.168.0.1 . tcp . 30080 comment \"default/web:http\""
		     " : goto refuse\n"
		     "no-endpoints 2001:db8::1 . tcp . 30080 comment \"default/web:http\""
		     " : goto refuse\n");
	world_node(w, "me", "", "", "ExternalIP 192.168.0.1,InternalIP 192.168.0.2");
	assert_world(w, "30080",
		     "no-endpoints 192.168.0.2 . tcp . 30080 comment \"default/web:http\""
		     " : goto refuse\n");
	world_node(w, "me", "", "", "ExternalIP 192.168.0.2,InternalIP 192.168.0.1");
	world_local_addrs(w, "192.168.0.1 192.168.0.9");
	assert_world(w, "30080",
		     "no-endpoints 192.168.0.1 . tcp . 30080 comment \"default/web:http\""
		     " : goto refuse\n");
}

static void test_node_port_on_all_addresses(void **state)
{
	struct proxy_config config;
	struct world *w = *state;

	config = w->config;
	config.node_port_all = true;
	world_configure(w, &config);
	world_service(w, "web", 1, IP "," NODE_PORT);
	world_node(w, "me", "", "", "InternalIP 192.168.0.1,ExternalIP 192.168.0.1");
	assert_world(w, "30080",
		     "no-endpoints 192.168.0.1 . tcp . 30080 comment \"default/web:http\""
		     " : goto refuse\n");
	world_node(w, "me", "", "", "InternalIP 192.168.0.1,InternalIP 192.168.0.2");
	assert_world(w, "192.168.0.2",
		     "no-endpoints 192.168.0.2 . tcp . 30080 comment \"default/web:http\""
		     " : goto refuse\n");
	world_local_addrs(w, "127.0.0.1 169.254.0.1 192.168.0.9 10.0.0.1 10.0.0.1 fd01::1 fe80::1");
	assert_world(w, "30080",
		     "no-endpoints 10.0.0.1 . tcp . 30080 comment \"default/web:http\""
		     " : goto refuse\n"
		     "no-endpoints 192.168.0.9 . tcp . 30080 comment \"default/web:http\""
		     " : goto refuse\n");
	world_local_addrs(w, "10.0.0.1 192.168.0.9 fd01::1");
	world_sync(w);
	assert_int_equal(w->computed, 0);
}

static void test_zone_of_the_own_node(void **state)
{
	struct world *w = *state;

	world_service(w, "web", 1, IP "," HTTP);
	world_slice(w, "web-1", "web", "10.1.0.1/zone:a 10.1.0.2/zone:b");
	assert_world(w, "goto lb",
		     "services 10.96.0.1 . tcp . 80 comment \"default/web:http\" : goto lb-2\n");
	world_node(w, "me", "'labels':{'topology.kubernetes.io/zone':'a'}", "", "");
	assert_world(w, " : 10.",
		     "endpoints 10.96.0.1 . tcp . 80 . 0 comment \"default/web:http\""
		     " : 10.1.0.1 . 8080\n");
	world_node(w, "me", "'labels':{'topology.kubernetes.io/zone':'b'}", "", "");
	assert_world(w, " : 10.",
		     "endpoints 10.96.0.1 . tcp . 80 . 0 comment \"default/web:http\""
		     " : 10.1.0.2 . 8080\n");
}

static void test_pod_cidrs_of_all_nodes(void **state)
{
	struct world *w = *state;

	world_node(w, "a",
		   "'annotations':{'kube-router.io/pod-cidr':'10.1.0.0/24',"
		   "'kube-router.io/pod-cidrs':'10.9.0.0/24'}",
		   "'podCIDRs':['10.8.0.0/24']", "");
	world_node(w, "b",
		   "'annotations':{'kube-router.io/pod-cidr':'x',"
		   "'kube-router.io/pod-cidrs':'10.1.1.0/24,x, 10.7.0.0/24,fd01::/64'}",
		   "'podCIDRs':['10.8.0.0/24']", "");
	world_node(w, "c", "'annotations':{'kube-router.io/pod-cidrs':'x'}",
		   "'podCIDRs':['10.3.0.0/24','fd02::/64']", "");
	assert_world(w, NULL,
		     "pod-cidrs 10.1.0.0-10.1.1.255\n"
		     "pod-cidrs 10.3.0.0-10.3.0.255\n"
		     "pod-cidrs fd01::-fd01::ffff:ffff:ffff:ffff\n"
		     "pod-cidrs fd02::-fd02::ffff:ffff:ffff:ffff\n");
	world_remove(w, KIND_NODE, "a");
	world_remove(w, KIND_NODE, "b");
	world_remove(w, KIND_NODE, "c");
	assert_world(w, NULL, "");
}

/* The first known pod CIDR of a family decides who counts as a pod; the others do not. */
static void test_other_nodes_do_not_mark_services(void **state)
{
	struct world *w = *state;

	world_service(w, "web", 1, IP "," HTTP);
	world_slice(w, "web-1", "web", "10.1.0.1");
	assert_world(w, "masquerade", "");
	world_node(w, "a", "", POD_CIDR, "");
	assert_world(w, "masquerade",
		     "masquerade-services 10.96.0.1 . tcp . 80 comment \"default/web:http\""
		     " : goto masquerade-outside\n");
	assert_int_equal(w->computed, 1);

	world_node(w, "b", "'labels':{'topology.kubernetes.io/zone':'a'}",
		   "'podCIDRs':['10.2.0.0/24']", "InternalIP 192.168.0.2");
	assert_world(w, "pod-cidrs",
		     "pod-cidrs 10.1.0.0-10.1.0.255\n"
		     "pod-cidrs 10.2.0.0-10.2.0.255\n");
	assert_int_equal(w->computed, 0);
	world_node(w, "me", "'labels':{'other':'label'}", "", "");
	world_sync(w);
	assert_int_equal(w->computed, 0);
	world_remove(w, KIND_NODE, "a");
	world_remove(w, KIND_NODE, "b");
	assert_world(w, "masquerade", "");
	assert_int_equal(w->computed, 1);
}

static void test_disabled_family_has_nothing(void **state)
{
	struct world *w = *state;
	struct proxy_config config = w->config;

	config.ipv6 = false;
	world_configure(w, &config);
	world_node(w, "me", "", "'podCIDRs':['10.1.0.0/24','fd01::/64']", "");
	world_service(w, "web", 1, "'clusterIPs':['fd00::1','10.96.0.1']," HTTP);
	world_slice(w, "web-1", "web", "fd01::1@me");
	assert_world(w, NULL,
		     "no-endpoints 10.96.0.1 . tcp . 80 comment \"default/web:http\""
		     " : goto refuse\n"
		     "pod-cidrs 10.1.0.0-10.1.0.255\n");
}

static void test_O2_external_ip_refused_and_reported(void **state)
{
	struct world *w = *state;

	world_service(w, "web", 1,
		      IP ",'externalIPs':['127.0.0.1','192.0.2.1','169.254.169.254']," HTTP);
	assert_reports(
		w,
		"ExternalAddressRefused Service default/web: external address 127.0.0.1 is a loopback address\n"
		"ExternalAddressRefused Service default/web: external address 169.254.169.254 is a link-local "
		"address\n");
	assert_string_equal(world_elements(w, " 1"),
			    "no-endpoints 10.96.0.1 . tcp . 80 comment \"default/web:http\""
			    " : goto refuse\n"
			    "no-endpoints 192.0.2.1 . tcp . 80 comment \"default/web:http\""
			    " : goto refuse\n");
	assert_int_equal(proxy_stats(w->proxy).refused_addrs, 2);
	world_service(w, "web", 1, IP "," HTTP);
	world_sync(w);
	assert_int_equal(proxy_stats(w->proxy).refused_addrs, 0);
}

static void test_O2_node_addresses_refused_when_strict(void **state)
{
	struct world *w = *state;
	struct proxy_config config = w->config;
	struct prefix range;

	assert_int_equal(prefix_parse("192.0.2.0/24", &range), 0);
	config.strict_addresses = true;
	config.external_ranges = &range;
	config.n_external_ranges = 1;
	world_configure(w, &config);
	world_node(w, "me", "", "",
		   "InternalIP 192.0.2.3,ExternalIP 192.0.2.2,InternalIP 192.0.2.1");
	world_service(w, "web", 1,
		      IP ",'externalIPs':['192.0.2.1','192.0.2.2','192.0.2.3','192.0.2.4']," HTTP);
	assert_world(w, " 192.0.2.",
		     "no-endpoints 192.0.2.4 . tcp . 80 comment \"default/web:http\""
		     " : goto refuse\n");
}

static void test_O3_endpoint_addr_skipped_and_reported(void **state)
{
	struct world *w = *state;

	world_service(w, "web", 1, IP "," HTTP);
	world_slice(w, "web-1", "web", "127.0.0.1 10.1.0.1 10.96.0.1");
	assert_reports(
		w,
		"EndpointSkipped Service default/web: endpoint 127.0.0.1 skipped: it is a loopback address\n"
		"EndpointSkipped Service default/web: endpoint 10.96.0.1 skipped: it is the cluster IP of a "
		"Service\n");
	assert_string_equal(world_elements(w, "endpoints"),
			    "endpoints 10.96.0.1 . tcp . 80 . 0 comment \"default/web:http\""
			    " : 10.1.0.1 . 8080\n");
	assert_int_equal(proxy_stats(w->proxy).skipped_endpoints, 2);
}

/* The cluster IP may come after the endpoint, and go again. */
static void test_O3_cluster_ip_skipped_as_endpoint(void **state)
{
	static const char row[] = "endpoints 10.96.0.1 . tcp . 80 . 0 comment \"default/web:http\""
				  " : 10.96.0.2 . 8080\n";
	struct world *w = *state;

	world_service(w, "web", 1, IP "," HTTP);
	world_slice(w, "web-1", "web", "10.96.0.2");
	assert_world(w, "endpoints", row);
	world_service(w, "other", 1, "'clusterIPs':['10.96.0.2']," HTTP);
	world_sync(w);
	assert_int_equal(w->computed, 2);
	assert_string_equal(world_elements(w, " : 10.96.0.2"), "");
	world_remove(w, KIND_SERVICE, "other");
	assert_world(w, "endpoints", row);
	world_service(w, "other", 1, "'clusterIPs':['10.96.0.3']," HTTP);
	world_sync(w);
	assert_int_equal(w->computed, 1);
}

static void test_O8_too_big_service_keeps_its_block(void **state)
{
	static const char before[] =
		"no-endpoints 10.96.0.1 . tcp . 80 comment \"default/web:http\""
		" : goto refuse\n";
	struct buf spec = { .data = NULL };
	struct world *w = *state;

	world_service(w, "web", 1, IP "," HTTP);
	assert_world(w, NULL, before);
	buf_puts(&spec, IP ",'externalIPs':['192.0.2.0'");
	for (int i = 1; i < 100; i++)
		buf_printf(&spec, ",'192.0.2.%d'", i);
	buf_puts(&spec, "],'ports':[{'name':'p','port':1}");
	for (int i = 2; i <= 700; i++)
		buf_printf(&spec, ",{'name':'p%d','port':%d}", i, i);
	buf_puts(&spec, "]");
	world_service(w, "web", 1, buf_text(&spec));
	world_service(w, "other", 2,
		      "'clusterIPs':['10.96.0.2'],'externalIPs':['192.0.2.1']," HTTP);
	assert_reports(
		w,
		"ServiceTooLarge Service default/web: not rendered: more than 65536 frontends or 2097152 "
		"elements\n");
	assert_string_equal(world_elements(w, "web"), before);
	assert_string_equal(world_elements(w, "192.0.2.1"),
			    "no-endpoints 192.0.2.1 . tcp . 80 comment \"default/other:http\""
			    " : goto refuse\n");

	/* What an older Service takes is gone; nothing is in two blocks. */
	world_service(w, "older", 0, IP "," HTTP);
	assert_world(w, " 10.96.0.1 .",
		     "no-endpoints 10.96.0.1 . tcp . 80 comment \"default/older:http\""
		     " : goto refuse\n");
	world_remove(w, KIND_SERVICE, "web");
	assert_world(w, "web", "");
	buf_free(&spec);
}

/* S11: rows are counted before they are made. */
static void test_S11_elements_have_a_limit(void **state)
{
	struct buf spec = { .data = NULL }, endpoints = { .data = NULL };
	struct world *w = *state;

	buf_puts(&spec, IP ",'ports':[{'name':'http','port':1}");
	for (int i = 2; i <= 1000; i++)
		buf_printf(&spec, ",{'name':'p%d','port':%d}", i, i);
	buf_puts(&spec, "]");
	for (int i = 1; i <= 1000; i++)
		buf_printf(&endpoints, "10.1.%d.%d ", i / 250, i % 250);
	world_service(w, "web", 1, buf_text(&spec));
	world_slice(w, "web-1", "web", buf_text(&endpoints));
	assert_reports(w, "");
	world_slice(w, "web-2", "web", buf_text(&endpoints));
	assert_reports(
		w,
		"ServiceTooLarge Service default/web: not rendered: more than 65536 frontends or 2097152 "
		"elements\n");
	buf_free(&spec);
	buf_free(&endpoints);
}

static void test_O14_service_changes_its_nature(void **state)
{
	static const struct {
		const char *spec, *expected;
	} steps[] = {
		{ IP "," HTTP, "no-endpoints 10.96.0.1 . tcp . 80 comment \"default/web:http\""
			       " : goto refuse\n" },
		{ "'clusterIP':'None'," HTTP, "" },
		{ IP ",'ports':[{'name':'http','port':80,'protocol':'UDP'}]",
		  "no-endpoints 10.96.0.1 . udp . 80 comment \"default/web:http\""
		  " : goto refuse\n"
		  "udp-services 10.96.0.1 . udp . 80 comment \"default/web:http\"\n" },
		{ "'type':'ExternalName','externalName':'h'", "" },
		{ "'clusterIPs':['10.96.0.1','fd00::1']," HTTP,
		  "no-endpoints 10.96.0.1 . tcp . 80 comment \"default/web:http\""
		  " : goto refuse\n"
		  "no-endpoints fd00::1 . tcp . 80 comment \"default/web:http\""
		  " : goto refuse\n" },
		{ "'clusterIPs':['fd00::1']," HTTP,
		  "no-endpoints fd00::1 . tcp . 80 comment \"default/web:http\""
		  " : goto refuse\n" },
	};
	struct world *w = *state;

	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		world_service(w, "web", 1, steps[i].spec);
		assert_world(w, NULL, steps[i].expected);
	}
}

static void test_stats(void **state)
{
	struct world *w = *state;
	struct proxy_stats stats;

	world_service(w, "a", 1, IP ",'ports':[{'name':'x','port':1},{'name':'y','port':2}]");
	world_service(w, "b", 1, "'clusterIPs':['10.96.0.2']," HTTP);
	world_service(w, "c", 1, "'clusterIP':'None'," HTTP);
	world_sync(w);
	stats = proxy_stats(w->proxy);
	assert_int_equal(stats.services, 2);
	assert_int_equal(stats.service_ports, 3);
	world_remove(w, KIND_SERVICE, "a");
	world_sync(w);
	stats = proxy_stats(w->proxy);
	assert_int_equal(stats.services, 1);
	assert_int_equal(stats.service_ports, 1);
}

static void test_only_what_changed_is_computed(void **state)
{
	struct world *w = *state;

	world_service(w, "a", 1, IP "," HTTP);
	world_service(w, "b", 1, "'clusterIPs':['10.96.0.2']," HTTP);
	world_sync(w);
	assert_int_equal(w->computed, 2);
	world_sync(w);
	assert_int_equal(w->computed, 0);
	world_slice(w, "b-1", "b", "10.1.0.1");
	world_sync(w);
	assert_int_equal(w->computed, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		world_test(test_cluster_ip),
		world_test(test_unnamed_port),
		world_test(test_external_local_with_affinity),
		world_test(test_local_annotation_beats_the_policies),
		world_test(test_hairpin_of_both_lists),
		world_test(test_hairpin_is_shared),
		world_test(test_node_port_on_the_primary_address),
		world_test(test_node_port_on_all_addresses),
		world_test(test_zone_of_the_own_node),
		world_test(test_pod_cidrs_of_all_nodes),
		world_test(test_other_nodes_do_not_mark_services),
		world_test(test_disabled_family_has_nothing),
		world_test(test_O2_external_ip_refused_and_reported),
		world_test(test_O2_node_addresses_refused_when_strict),
		world_test(test_O3_endpoint_addr_skipped_and_reported),
		world_test(test_O3_cluster_ip_skipped_as_endpoint),
		world_test(test_O8_too_big_service_keeps_its_block),
		world_test(test_S11_elements_have_a_limit),
		world_test(test_O14_service_changes_its_nature),
		world_test(test_stats),
		world_test(test_only_what_changed_is_computed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
