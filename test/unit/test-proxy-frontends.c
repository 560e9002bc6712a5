#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "decode-text.h"
#include "proxy/frontends.h"

#define IPV4_ONLY "'clusterIPs':['10.96.0.10']"
#define IPV6_ONLY "'clusterIPs':['fd00::a']"
#define DUAL "'clusterIPs':['10.96.0.10','fd00::a']"
#define HTTP "'ports':[{'name':'http','port':80}]"
#define HTTP_NODE_PORT "'ports':[{'name':'http','port':80,'nodePort':30080}]"

static struct proxy_config config;
static struct addr node_port_addrs[2];
static const struct frontend_site site = {
	.config = &config,
	.node_port_addrs = node_port_addrs,
	.n_node_port_addrs = ARRAY_SIZE(node_port_addrs),
};

static int setup(void **state)
{
	(void)state;
	config = (struct proxy_config){ .node = "me", .ipv4 = true, .ipv6 = true };
	addr_parse("192.168.0.1", &node_port_addrs[0]);
	addr_parse("2001:db8::1", &node_port_addrs[1]);
	return 0;
}

static struct service *service(const char *metadata, const char *spec, const char *status)
{
	return (struct service *)decode("{'apiVersion':'v1','kind':'Service','metadata':{"
					"'namespace':'default','name':'web'%s},'spec':{%s},"
					"'status':{%s}}",
					metadata, spec, status);
}

static void assert_frontends_of(const char *metadata, const char *spec, const char *status,
				const char *expected)
{
	static const char *const kinds[] = { "ip", "external", "node" };
	struct service *s = service(metadata, spec, status);
	struct frontends f = { .items = NULL };
	struct buf text = { .data = NULL };

	assert_int_equal(frontends_read(&f, s, &site, NULL), 0);
	for (size_t i = 0; i < f.n; i++) {
		char addr[ADDR_TEXT_MAX];

		buf_printf(&text, "%s%s %s %u", i > 0 ? ", " : "", kinds[f.items[i].kind],
			   addr_format(&f.items[i].addr, addr), f.items[i].port);
	}
	assert_string_equal(buf_text(&text), expected);
	buf_free(&text);
	frontends_free(&f);
	object_free(&s->object);
}

static void assert_frontends(const char *spec, const char *expected)
{
	assert_frontends_of("", spec, "", expected);
}

static void test_kinds(void **state)
{
	(void)state;
	assert_frontends(IPV4_ONLY "," HTTP, "ip 10.96.0.10 80");
	assert_frontends(IPV4_ONLY "," HTTP_NODE_PORT, "ip 10.96.0.10 80, node 192.168.0.1 30080");
	assert_frontends(IPV4_ONLY ",'externalIPs':['192.0.2.2','192.0.2.1']," HTTP,
			 "ip 10.96.0.10 80, external 192.0.2.1 80, external 192.0.2.2 80");
	assert_frontends(IPV4_ONLY ",'ports':[{'name':'a','port':1},{'name':'b','port':2}]",
			 "ip 10.96.0.10 1, ip 10.96.0.10 2");
}

/* The families are those of the cluster IPs; a family that is switched off has nothing. */
static void test_families(void **state)
{
	static const char externals[] =
		",'externalIPs':['192.0.2.1','2001:db8::2']," HTTP_NODE_PORT;
	char spec[256];

	(void)state;
	snprintf(spec, sizeof(spec), IPV4_ONLY "%s", externals);
	assert_frontends(spec, "ip 10.96.0.10 80, external 192.0.2.1 80, node 192.168.0.1 30080");
	snprintf(spec, sizeof(spec), IPV6_ONLY "%s", externals);
	assert_frontends(spec, "ip fd00::a 80, external 2001:db8::2 80, node 2001:db8::1 30080");
	snprintf(spec, sizeof(spec), DUAL "%s", externals);
	assert_frontends(spec, "ip 10.96.0.10 80, external 192.0.2.1 80, node 192.168.0.1 30080, "
			       "ip fd00::a 80, external 2001:db8::2 80, node 2001:db8::1 30080");
	config.ipv6 = false;
	assert_frontends(spec, "ip 10.96.0.10 80, external 192.0.2.1 80, node 192.168.0.1 30080");
	config.ipv4 = false;
	assert_frontends(spec, "");
}

static void test_load_balancer_ips(void **state)
{
	static const char ingress[] = "'loadBalancer':{'ingress':[{'ip':'198.51.100.1'},"
				      "{'ip':'198.51.100.2','ipMode':'VIP'},"
				      "{'ip':'198.51.100.3','ipMode':'Proxy'},{'hostname':'h'}]}";
	static const char spec[] = "'type':'LoadBalancer'," IPV4_ONLY "," HTTP;

	(void)state;
	assert_frontends_of("", spec, ingress,
			    "ip 10.96.0.10 80, external 198.51.100.1 80, external 198.51.100.2 80");
	assert_frontends_of(",'annotations':{'kube-router.io/service.skiplbips':'false'}", spec,
			    ingress, "ip 10.96.0.10 80");
}

/* One frontend each, however often an address is named. */
static void test_repeated_addresses(void **state)
{
	(void)state;
	assert_frontends_of("",
			    "'type':'LoadBalancer'," IPV4_ONLY
			    ",'externalIPs':['192.0.2.1','192.0.2.1','10.96.0.10']," HTTP,
			    "'loadBalancer':{'ingress':[{'ip':'192.0.2.1'}]}",
			    "ip 10.96.0.10 80, external 192.0.2.1 80");
	assert_frontends(IPV4_ONLY ",'externalIPs':['192.168.0.1'],"
				   "'ports':[{'name':'a','port':30080,'nodePort':30080}]",
			 "ip 10.96.0.10 30080, external 192.168.0.1 30080");
}

/* Not those of a family that the Service does not have. */
static void test_refused_addresses_are_counted(void **state)
{
	struct service *s = service(
		"", IPV4_ONLY ",'externalIPs':['127.0.0.1','192.0.2.1','fe80::1']," HTTP, "");
	struct frontends f = { .items = NULL };

	(void)state;
	assert_int_equal(frontends_read(&f, s, &site, NULL), 0);
	assert_int_equal(f.n, 2);
	assert_int_equal(f.n_refused, 1);
	frontends_free(&f);
	object_free(&s->object);
}

/* Each type of address has its own ranges. */
static void test_strict_ranges_by_type(void **state)
{
	struct prefix external, load_balancer;

	(void)state;
	prefix_parse("192.0.2.0/24", &external);
	prefix_parse("198.51.100.0/24", &load_balancer);
	config.strict_addresses = true;
	config.external_ranges = &external;
	config.n_external_ranges = 1;
	config.load_balancer_ranges = &load_balancer;
	config.n_load_balancer_ranges = 1;
	assert_frontends_of("",
			    "'type':'LoadBalancer'," IPV4_ONLY
			    ",'externalIPs':['192.0.2.1','198.51.100.1']," HTTP,
			    "'loadBalancer':{'ingress':[{'ip':'192.0.2.2'},{'ip':'198.51.100.2'}]}",
			    "ip 10.96.0.10 80, external 192.0.2.1 80, external 198.51.100.2 80");
}

static void assert_scope(const char *metadata, const char *spec, bool expected)
{
	struct service *s = service(metadata, spec, "");

	assert_int_equal(service_in_scope(s), expected);
	object_free(&s->object);
}

static void test_O14_scope(void **state)
{
	static const char plain[] = IPV4_ONLY "," HTTP;

	(void)state;
	assert_scope("", plain, true);
	assert_scope("", "'clusterIP':'None'," HTTP, false);
	assert_scope("", "'type':'ExternalName','externalName':'h'", false);
	assert_scope(",'labels':{'service.kubernetes.io/service-proxy-name':'cilium'}", plain,
		     false);
	assert_scope(",'labels':{'service.kubernetes.io/service-proxy-name':''}", plain, false);
	assert_scope(",'labels':{'service.kubernetes.io/service-proxy-name':'kube-router'}", plain,
		     true);
	assert_scope(",'labels':{'service.kubernetes.io/headless':''}", plain, false);
}

static void assert_policy(const char *metadata, const char *spec, bool external, bool internal)
{
	struct service *s = service(metadata, spec, "");
	struct service_policy policy = service_policy_of(s);

	assert_int_equal(policy.external_local, external);
	assert_int_equal(policy.internal_local, internal);
	object_free(&s->object);
}

static void test_policy(void **state)
{
	(void)state;
	assert_policy("", "'type':'NodePort'," IPV4_ONLY, false, false);
	assert_policy("", "'externalTrafficPolicy':'Local'," IPV4_ONLY, true, false);
	assert_policy("", "'internalTrafficPolicy':'Local'," IPV4_ONLY, false, true);
	assert_policy(",'annotations':{'kube-router.io/service.local':'true'}",
		      "'internalTrafficPolicy':'Local'," IPV4_ONLY, true, false);
	assert_policy(",'annotations':{'kube-router.io/service.local':'True'}",
		      "'internalTrafficPolicy':'Local'," IPV4_ONLY, false, true);
}

static void test_S11_frontends_have_a_limit(void **state)
{
	static struct service_port ports[256];
	static struct addr addrs[256];
	struct service s = {
		.n_cluster_ips = 1,
		.ports = ports,
		.n_ports = ARRAY_SIZE(ports),
		.external_ips = addrs,
		.n_external_ips = 255,
	};
	struct frontends f = { .items = NULL };

	(void)state;
	addr_parse("10.96.0.10", &s.cluster_ips[0]);
	for (size_t i = 0; i < ARRAY_SIZE(addrs); i++)
		addrs[i] = (struct addr){ AF_INET, { 192, 0, 2, (uint8_t)i } };
	for (size_t i = 0; i < ARRAY_SIZE(ports); i++)
		ports[i] = (struct service_port){ "", PROTOCOL_TCP, (uint16_t)(i + 1), 0, NULL };

	assert_int_equal(frontends_read(&f, &s, &site, NULL), 0);
	assert_int_equal(f.n, SERVICE_MAX_FRONTENDS);
	assert_int_equal(frontends_add(&f, &f.items[0]), -E2BIG);
	s.n_external_ips++;
	assert_int_equal(frontends_read(&f, &s, &site, NULL), -E2BIG);
	frontends_free(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_kinds, setup),
		cmocka_unit_test_setup(test_families, setup),
		cmocka_unit_test_setup(test_load_balancer_ips, setup),
		cmocka_unit_test_setup(test_repeated_addresses, setup),
		cmocka_unit_test_setup(test_refused_addresses_are_counted, setup),
		cmocka_unit_test_setup(test_strict_ranges_by_type, setup),
		cmocka_unit_test(test_O14_scope),
		cmocka_unit_test(test_policy),
		cmocka_unit_test_setup(test_S11_frontends_have_a_limit, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
