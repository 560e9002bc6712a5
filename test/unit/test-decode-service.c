#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "decode-text.h"

#define SERVICE "{'apiVersion':'v1','kind':'Service','metadata':{'name':'web'},'spec':{%s}}"
#define REFUSED "Service default/web: spec."

static struct service *service(const char *spec)
{
	return (struct service *)decode(SERVICE, spec);
}

static void service_free(struct service *s)
{
	object_free(&s->object);
}

static void refuse_spec(int code, const char *message, const char *spec)
{
	assert_refused(code, message, SERVICE, spec);
}

static void test_every_field_is_kept(void **state)
{
	struct service *s = (struct service *)decode(
		"{'apiVersion':'v1','kind':'Service',"
		"'metadata':{'name':'web','namespace':'shop','uid':'u-1','resourceVersion':'42',"
		" 'creationTimestamp':'2024-02-29T12:00:00Z','deletionTimestamp':null,"
		" 'labels':{'service.kubernetes.io/service-proxy-name':'p','app':'web',"
		"  'service.kubernetes.io/headless':''},"
		" 'annotations':{'kube-router.io/service.local':'true','other':'x',"
		"  'endpoints.kubernetes.io/last-change-trigger-time':'t'}},"
		"'spec':{'type':'LoadBalancer','clusterIP':'10.96.0.10',"
		" 'clusterIPs':['10.96.0.10','fd00::a'],"
		" 'ports':[{'name':'http','port':80,'nodePort':30080,'appProtocol':'h2c'},"
		"  {'name':'dns','protocol':'UDP','port':53},"
		"  {'name':'sig','protocol':'SCTP','port':80}],"
		" 'externalIPs':['192.0.2.1','2001:db8::1'],'selector':{'tier':'b','app':'a'},"
		" 'loadBalancerSourceRanges':['203.0.113.7/24',' 2001:db8::/32 '],"
		" 'loadBalancerClass':'kube-router','healthCheckNodePort':31000,"
		" 'externalTrafficPolicy':'Local','internalTrafficPolicy':'Local',"
		" 'sessionAffinity':'ClientIP','publishNotReadyAddresses':true,"
		" 'sessionAffinityConfig':{'clientIP':{'timeoutSeconds':60}}},"
		"'status':{'loadBalancer':{'ingress':[{'ip':'198.51.100.1'},{'hostname':'h'},"
		" {'ip':'2001:db8::2','ipMode':'Proxy'}]}}}");
	char text[PREFIX_TEXT_MAX];

	(void)state;
	assert_int_equal(s->object.kind, KIND_SERVICE);
	assert_string_equal(s->object.namespace, "shop");
	assert_string_equal(s->object.name, "web");
	assert_string_equal(s->object.uid, "u-1");
	assert_string_equal(s->object.resource_version, "42");
	assert_int_equal(s->object.created, 1709208000);
	assert_false(s->object.deleting);
	assert_int_equal(s->object.labels.n, 2);
	assert_string_equal(s->object.labels.items[0].key, "service.kubernetes.io/headless");
	assert_string_equal(
		key_values_get(&s->object.labels, "service.kubernetes.io/service-proxy-name"), "p");
	assert_int_equal(s->object.annotations.n, 2);
	assert_string_equal(key_values_get(&s->object.annotations, "kube-router.io/service.local"),
			    "true");

	assert_int_equal(s->type, SERVICE_LOAD_BALANCER);
	assert_false(s->headless);
	assert_int_equal(s->n_cluster_ips, 2);
	assert_addr(&s->cluster_ips[0], "10.96.0.10");
	assert_addr(&s->cluster_ips[1], "fd00::a");
	assert_int_equal(s->n_ports, 3);
	assert_string_equal(s->ports[0].name, "http");
	assert_int_equal(s->ports[0].protocol, PROTOCOL_TCP);
	assert_int_equal(s->ports[0].port, 80);
	assert_int_equal(s->ports[0].node_port, 30080);
	assert_string_equal(s->ports[0].app_protocol, "h2c");
	assert_int_equal(s->ports[1].protocol, PROTOCOL_UDP);
	assert_int_equal(s->ports[1].node_port, 0);
	assert_null(s->ports[1].app_protocol);
	assert_int_equal(s->ports[2].protocol, PROTOCOL_SCTP);
	assert_int_equal(s->n_external_ips, 2);
	assert_addr(&s->external_ips[1], "2001:db8::1");
	assert_int_equal(s->n_load_balancer_ips, 2);
	assert_addr(&s->load_balancer_ips[0].addr, "198.51.100.1");
	assert_false(s->load_balancer_ips[0].proxy_mode);
	assert_true(s->load_balancer_ips[1].proxy_mode);
	assert_int_equal(s->n_source_ranges, 2);
	assert_string_equal(prefix_format(&s->source_ranges[0], text), "203.0.113.7/24");
	assert_string_equal(prefix_format(&s->source_ranges[1], text), "2001:db8::/32");
	assert_int_equal(s->n_selector, 2);
	assert_string_equal(s->selector[0].key, "app");
	assert_string_equal(s->load_balancer_class, "kube-router");
	assert_int_equal(s->health_check_node_port, 31000);
	assert_int_equal(s->external_policy, POLICY_LOCAL);
	assert_int_equal(s->internal_policy, POLICY_LOCAL);
	assert_true(s->affinity);
	assert_int_equal(s->affinity_timeout_s, 60);
	assert_true(s->publish_not_ready);
	service_free(s);
}

static void test_absent_and_null_fields_get_defaults(void **state)
{
	struct service *s = service("'type':null,'ports':null,'selector':null,'externalIPs':null,"
				    "'sessionAffinity':'','clusterIP':'10.96.0.1'");

	(void)state;
	assert_string_equal(s->object.namespace, "default");
	assert_null(s->object.uid);
	assert_int_equal(s->object.created, 0);
	assert_int_equal(s->object.labels.n, 0);
	assert_int_equal(s->type, SERVICE_CLUSTER_IP);
	assert_int_equal(s->n_cluster_ips, 1);
	assert_int_equal(s->n_ports, 0);
	assert_int_equal(s->n_external_ips, 0);
	assert_int_equal(s->n_load_balancer_ips, 0);
	assert_int_equal(s->n_selector, 0);
	assert_null(s->load_balancer_class);
	assert_int_equal(s->health_check_node_port, 0);
	assert_int_equal(s->external_policy, POLICY_CLUSTER);
	assert_int_equal(s->internal_policy, POLICY_CLUSTER);
	assert_false(s->affinity);
	assert_int_equal(s->affinity_timeout_s, 10800);
	assert_false(s->publish_not_ready);
	service_free(s);
}

static void test_O14_headless_and_external_name(void **state)
{
	static const struct {
		const char *spec;
		bool headless;
		size_t n_cluster_ips;
		enum service_type type;
	} rows[] = {
		{ "'clusterIP':'None'", true, 0, SERVICE_CLUSTER_IP },
		{ "'clusterIP':'None','clusterIPs':['None']", true, 0, SERVICE_CLUSTER_IP },
		{ "'clusterIP':''", true, 0, SERVICE_CLUSTER_IP },
		{ "'type':'ExternalName','externalName':'a.b'", true, 0, SERVICE_EXTERNAL_NAME },
		{ "'clusterIPs':['','10.0.0.1']", false, 1, SERVICE_CLUSTER_IP },
		{ "'clusterIPs':[],'clusterIP':'fd00::1'", false, 1, SERVICE_CLUSTER_IP },
		{ "'clusterIPs':['fd00::1','10.0.0.1']", false, 2, SERVICE_CLUSTER_IP },
		{ "'type':'NodePort','clusterIP':'10.0.0.1'", false, 1, SERVICE_NODE_PORT },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct service *s = service(rows[i].spec);

		assert_int_equal(s->headless, rows[i].headless);
		assert_int_equal(s->n_cluster_ips, rows[i].n_cluster_ips);
		assert_int_equal(s->type, rows[i].type);
		service_free(s);
	}
}

static void test_bad_fields_are_refused_with_their_path(void **state)
{
	static const struct {
		const char *spec;
		const char *message;
	} rows[] = {
		{ "'type':7", "type: is an integer, not a string" },
		{ "'ports':{}", "ports: is an object, not a list" },
		{ "'ports':[{'port':80},8]", "ports[1]: is an integer, not an object" },
		{ "'ports':[null]", "ports[0].port: is missing" },
		{ "'ports':[{'name':'a'}]", "ports[0].port: is missing" },
		{ "'ports':[{'port':'80'}]", "ports[0].port: is a string, not an integer" },
		{ "'ports':[{'port':80.0}]", "ports[0].port: is a fraction, not an integer" },
		{ "'ports':[{'port':80},{'name':'b','port':70000}]",
		  "ports[1].port: 70000 is not a port (1 to 65535)" },
		{ "'ports':[{'port':0}]", "ports[0].port: 0 is not a port (1 to 65535)" },
		{ "'ports':[{'port':-1}]", "ports[0].port: -1 is not a port (1 to 65535)" },
		{ "'ports':[{'port':1,'nodePort':65536}]",
		  "ports[0].nodePort: 65536 is not a port (1 to 65535)" },
		{ "'healthCheckNodePort':9223372036854775807",
		  "healthCheckNodePort: 9223372036854775807 is not a port (1 to 65535)" },
		{ "'ports':[{'port':1,'protocol':'ICMP'}]",
		  "ports[0].protocol: \"ICMP\" is not a protocol (TCP, UDP or SCTP)" },
		{ "'ports':[{'port':1,'protocol':'tcp'}]",
		  "ports[0].protocol: \"tcp\" is not a protocol (TCP, UDP or SCTP)" },
		{ "'clusterIP':'10.0.0.256'", "clusterIP: \"10.0.0.256\" is not an IP address" },
		{ "'clusterIPs':['10.0.0.1','10.0.0.2']",
		  "clusterIPs[1]: \"10.0.0.2\" is a second address of its family" },
		{ "'clusterIPs':['10.0.0.1','fd00::1','fd00::2']",
		  "clusterIPs[2]: \"fd00::2\" is a third address" },
		{ "'externalIPs':['1.2.3.4','01.2.3.4']",
		  "externalIPs[1]: \"01.2.3.4\" is not an IP address" },
		{ "'externalIPs':['::ffff:1.2.3.4']",
		  "externalIPs[0]: \"::ffff:1.2.3.4\" is not an IP address" },
		{ "'externalIPs':['fe80::1%eth0']",
		  "externalIPs[0]: \"fe80::1%eth0\" is not an IP address" },
		{ "'loadBalancerSourceRanges':['10.0.0.0/8',7]",
		  "loadBalancerSourceRanges[1]: is an integer, not a string" },
		{ "'selector':{'app':1}", "selector.app: is an integer, not a string" },
		{ "'selector':[]", "selector: is a list, not an object" },
		{ "'publishNotReadyAddresses':'yes'",
		  "publishNotReadyAddresses: is a string, not a boolean" },
		{ "'sessionAffinityConfig':{'clientIP':{'timeoutSeconds':true}}",
		  "sessionAffinityConfig.clientIP.timeoutSeconds: is a boolean, not an integer" },
	};
	char message[ERROR_MAX_BYTES];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		snprintf(message, sizeof(message), REFUSED "%s", rows[i].message);
		refuse_spec(-EINVAL, message, rows[i].spec);
	}
}

static void test_bad_status_is_refused(void **state)
{
	(void)state;
	assert_refused(
		-EINVAL,
		"Service default/web: status.loadBalancer.ingress[1].ip: \"x\" is not an IP "
		"address",
		"{'apiVersion':'v1','kind':'Service','metadata':{'name':'web'},'spec':{'a':1},"
		"'status':{'loadBalancer':{'ingress':[{'ip':'1.2.3.4'},{'ip':'x'}]}}}");
	assert_refused(-EINVAL, "Service default/web: spec: is missing",
		       "{'apiVersion':'v1','kind':'Service','metadata':{'name':'web'}}");
}

static void test_duplicate_ports_are_refused(void **state)
{
	(void)state;
	refuse_spec(-EINVAL, REFUSED "ports[2].name: \"a\" is the name of ports[0] too",
		    "'ports':[{'name':'a','port':1},{'name':'b','port':2},{'name':'a','port':3}]");
	refuse_spec(-EINVAL, REFUSED "ports[1].name: \"\" is the name of ports[0] too",
		    "'ports':[{'port':1},{'port':2}]");
	refuse_spec(-EINVAL, REFUSED "ports[1].port: UDP 53 is that of ports[0] too",
		    "'ports':[{'name':'a','protocol':'UDP','port':53},"
		    "{'name':'b','protocol':'UDP','port':53}]");
	refuse_spec(-EINVAL, REFUSED "ports[1].nodePort: TCP 30000 is that of ports[0] too",
		    "'ports':[{'name':'a','port':1,'nodePort':30000},"
		    "{'name':'b','port':2,'nodePort':30000}]");
	service_free(service("'ports':[{'name':'a','port':53,'nodePort':30053},"
			     "{'name':'b','port':53,'nodePort':30053,'protocol':'UDP'}]"));
}

static void test_A19_unknown_enums_get_their_default_and_are_counted(void **state)
{
	struct decode_stats stats = { 0 };
	struct service *s = service("'type':'Mesh','externalTrafficPolicy':'Nearest',"
				    "'internalTrafficPolicy':'Zone','sessionAffinity':'Cookie',"
				    "'trafficDistribution':'PreferClose','new':{'field':[1]}");

	(void)state;
	assert_int_equal(s->type, SERVICE_CLUSTER_IP);
	assert_int_equal(s->external_policy, POLICY_CLUSTER);
	assert_int_equal(s->internal_policy, POLICY_CLUSTER);
	assert_false(s->affinity);
	service_free(s);

	decode_count(&stats, "{'apiVersion':'v1','kind':'Service','metadata':{'name':'a'},"
			     "'spec':{'type':'','sessionAffinity':null}}");
	assert_int_equal(stats.unknown_enums, 0);
	decode_count(&stats,
		     "{'apiVersion':'v1','kind':'Service','metadata':{'name':'a'},"
		     "'spec':{'type':'Mesh','externalTrafficPolicy':'Nearest','unknown':'x',"
		     "'internalTrafficPolicy':'Zone','sessionAffinity':'Cookie'},"
		     "'status':{'loadBalancer':{'ingress':[{'ip':'1.2.3.4','ipMode':'Warp'}]}}}");
	assert_int_equal(stats.unknown_enums, 5);
	assert_int_equal(stats.clamped_values, 0);
}

static void test_S11_affinity_timeout_is_clamped_and_counted(void **state)
{
	static const struct {
		const char *seconds;
		uint32_t expected;
		uint64_t clamped;
	} rows[] = {
		{ "1", 1, 0 },  { "86400", 86400, 0 }, { "0", 1, 1 },
		{ "-5", 1, 1 }, { "86401", 86400, 1 }, { "9223372036854775807", 86400, 1 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct decode_stats stats = { 0 };
		struct object *o = NULL;
		json_t *root = tree("{'apiVersion':'v1','kind':'Service','metadata':{'name':'a'},"
				    "'spec':{'sessionAffinityConfig':{'clientIP':"
				    "{'timeoutSeconds':%s}}}}",
				    rows[i].seconds);

		assert_int_equal(object_decode(root, &o, &stats, NULL), 0);
		assert_int_equal(((struct service *)o)->affinity_timeout_s, rows[i].expected);
		assert_int_equal(stats.clamped_values, rows[i].clamped);
		object_free(o);
		json_decref(root);
	}
}

static void test_source_ranges_that_are_none_are_counted(void **state)
{
	struct service *s = service("'loadBalancerSourceRanges':['10.0.0.0/33','10.0.0.0/8',"
				    "'10.0.0.0/8 x','',null,'010.0.0.0/8','fe80::/10%eth0']");
	char text[PREFIX_TEXT_MAX];

	(void)state;
	assert_int_equal(s->n_source_ranges, 1);
	assert_string_equal(prefix_format(&s->source_ranges[0], text), "10.0.0.0/8");
	assert_int_equal(s->n_bad_source_ranges, 6);
	service_free(s);

	s = service("'loadBalancerSourceRanges':['nonsense']");
	assert_int_equal(s->n_source_ranges, 0);
	assert_int_equal(s->n_bad_source_ranges, 1);
	service_free(s);

	s = service("'loadBalancerSourceRanges':[]");
	assert_int_equal(s->n_source_ranges + s->n_bad_source_ranges, 0);
	service_free(s);
}

#define SPEC_START "{'apiVersion':'v1','kind':'Service','metadata':{'name':'web'},'spec':{"

static void test_S11_lists_are_limited(void **state)
{
	(void)state;
	assert_list_limit(REFUSED "externalIPs", SPEC_START "'externalIPs':", "'192.0.2.1'",
			  SERVICE_MAX_ADDRESSES, "}}");
	assert_list_limit(REFUSED "loadBalancerSourceRanges",
			  SPEC_START "'loadBalancerSourceRanges':", "'192.0.2.0/24'",
			  SERVICE_MAX_ADDRESSES, "}}");
	assert_list_limit(REFUSED "clusterIPs", SPEC_START "'clusterIPs':", "''",
			  SERVICE_MAX_ADDRESSES, "}}");
	assert_list_limit("Service default/web: status.loadBalancer.ingress",
			  SPEC_START "'type':''},'status':{'loadBalancer':{'ingress':",
			  "{'ip':'192.0.2.1'}", SERVICE_MAX_ADDRESSES, "}}}");
}

static char *ports_text(size_t n)
{
	char *text = calloc(n + 1, 64);
	size_t len = 0;

	assert_non_null(text);
	for (size_t i = 1; i <= n; i++)
		len += (size_t)sprintf(text + len, "%s{'name':'p%zu','port':%zu}", i > 1 ? "," : "",
				       i, i);
	return text;
}

static void test_S11_ports_are_limited(void **state)
{
	_cleanup_free_ char *fits = ports_text(SERVICE_MAX_PORTS);
	_cleanup_free_ char *too_many = ports_text(SERVICE_MAX_PORTS + 1);
	struct service *s = (struct service *)decode(SPEC_START "'ports':[%s]}}", fits);

	(void)state;
	assert_int_equal(s->n_ports, SERVICE_MAX_PORTS);
	assert_int_equal(s->ports[SERVICE_MAX_PORTS - 1].port, SERVICE_MAX_PORTS);
	service_free(s);
	assert_refused(-E2BIG, REFUSED "ports: has 1001 items, more than 1000",
		       SPEC_START "'ports':[%s]}}", too_many);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_field_is_kept),
		cmocka_unit_test(test_absent_and_null_fields_get_defaults),
		cmocka_unit_test(test_O14_headless_and_external_name),
		cmocka_unit_test(test_source_ranges_that_are_none_are_counted),
		cmocka_unit_test(test_bad_fields_are_refused_with_their_path),
		cmocka_unit_test(test_bad_status_is_refused),
		cmocka_unit_test(test_duplicate_ports_are_refused),
		cmocka_unit_test(test_A19_unknown_enums_get_their_default_and_are_counted),
		cmocka_unit_test(test_S11_affinity_timeout_is_clamped_and_counted),
		cmocka_unit_test(test_S11_lists_are_limited),
		cmocka_unit_test(test_S11_ports_are_limited),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
