#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "decode-text.h"

#define POD "{'apiVersion':'v1','kind':'Pod','metadata':{'name':'a'},'spec':{%s},'status':{%s}}"
#define REFUSED "Pod default/a: "

static struct pod *pod(const char *spec, const char *status)
{
	return (struct pod *)decode(POD, spec, status);
}

static void pod_free(struct pod *p)
{
	object_free(&p->object);
}

static void test_every_field_is_kept(void **state)
{
	struct pod *p = pod(
		"'nodeName':'n1','hostNetwork':true,'containers':[{'ports':["
		"{'name':'web','containerPort':80},{'containerPort':81},{'name':'',"
		"'containerPort':82},{'name':'dns','containerPort':53,'protocol':'UDP'}]},{}]",
		"'phase':'Running','podIP':'10.0.0.9','podIPs':[{'ip':'10.0.0.1'},"
		"{'ip':'fd00::1'}]");

	(void)state;
	assert_string_equal(p->node, "n1");
	assert_true(p->host_network);
	assert_int_equal(p->phase, POD_RUNNING);
	assert_int_equal(p->n_addrs, 2);
	assert_addr(&p->addrs[0], "10.0.0.1");
	assert_addr(&p->addrs[1], "fd00::1");
	assert_int_equal(p->n_ports, 2);
	assert_string_equal(p->ports[0].name, "web");
	assert_int_equal(p->ports[0].port, 80);
	assert_string_equal(p->ports[1].name, "dns");
	assert_int_equal(p->ports[1].protocol, PROTOCOL_UDP);
	assert_int_equal(p->ports[1].port, 53);
	pod_free(p);
}

static void test_defaults(void **state)
{
	struct pod *p = pod("", "");

	(void)state;
	assert_null(p->node);
	assert_false(p->host_network);
	assert_int_equal(p->phase, POD_PENDING);
	assert_int_equal(p->n_addrs, 0);
	assert_int_equal(p->n_ports, 0);
	pod_free(p);
}

static void test_addresses(void **state)
{
	static const struct {
		const char *status;
		const char *first;
		size_t n;
	} rows[] = {
		{ "'podIP':'10.0.0.1'", "10.0.0.1", 1 },
		{ "'podIP':'10.0.0.1','podIPs':[]", "10.0.0.1", 1 },
		{ "'podIP':'10.0.0.1','podIPs':[{'ip':''},{'ip':'fd00::1'}]", "fd00::1", 1 },
		{ "'podIP':''", NULL, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct pod *p = pod("", rows[i].status);

		assert_int_equal(p->n_addrs, rows[i].n);
		if (rows[i].first)
			assert_addr(&p->addrs[0], rows[i].first);
		pod_free(p);
	}
}

static void test_O6_sidecars_have_ports_and_init_containers_do_not(void **state)
{
	struct pod *p = pod("'initContainers':[{'ports':[{'name':'once','containerPort':1}]},"
			    "{'restartPolicy':'Never','ports':[{'containerPort':9}]},"
			    "{'restartPolicy':'Always','ports':[{'name':'side','containerPort':2},"
			    "{'name':'side','containerPort':2,'protocol':'UDP'}]}],"
			    "'containers':[{'ports':[{'name':'main','containerPort':3}]},"
			    "{'ports':[{'name':'main2','containerPort':4,'protocol':'SCTP'}]}]",
			    "");

	(void)state;
	assert_int_equal(p->n_ports, 4);
	assert_string_equal(p->ports[0].name, "main");
	assert_string_equal(p->ports[1].name, "main2");
	assert_int_equal(p->ports[1].protocol, PROTOCOL_SCTP);
	assert_string_equal(p->ports[2].name, "side");
	assert_int_equal(p->ports[3].protocol, PROTOCOL_UDP);
	pod_free(p);
}

static void test_A19_phases(void **state)
{
	static const struct {
		const char *phase;
		enum pod_phase expected;
		uint64_t unknown;
	} rows[] = {
		{ "Pending", POD_PENDING, 0 }, { "Running", POD_RUNNING, 0 },
		{ "Failed", POD_FAILED, 0 },   { "Succeeded", POD_SUCCEEDED, 0 },
		{ "Unknown", POD_UNKNOWN, 0 }, { "Frozen", POD_UNKNOWN, 1 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct decode_stats stats = { 0 };
		struct object *o = NULL;
		json_t *root = tree("{'apiVersion':'v1','kind':'Pod','metadata':{'name':'a'},"
				    "'status':{'phase':'%s'}}",
				    rows[i].phase);

		assert_int_equal(object_decode(root, &o, &stats, NULL), 0);
		assert_int_equal(((struct pod *)o)->phase, rows[i].expected);
		assert_int_equal(stats.unknown_enums, rows[i].unknown);
		object_free(o);
		json_decref(root);
	}
}

static void test_bad_fields_are_refused_with_their_path(void **state)
{
	static const struct {
		const char *spec;
		const char *status;
		const char *message;
	} rows[] = {
		{ "'nodeName':1", "", "spec.nodeName: is an integer, not a string" },
		{ "'hostNetwork':'true'", "", "spec.hostNetwork: is a string, not a boolean" },
		{ "'containers':[{},{'ports':[{'name':'a'}]}]", "",
		  "spec.containers[1].ports[0].containerPort: is missing" },
		{ "'initContainers':[{'restartPolicy':'Always','ports':[{'name':'a','containerPort':0}]}]",
		  "",
		  "spec.initContainers[0].ports[0].containerPort: 0 is not a port (1 to 65535)" },
		{ "", "'podIPs':[{'ip':'10.0.0.1'},{'ip':'fd00'}]",
		  "status.podIPs[1].ip: \"fd00\" is not an IP address" },
		{ "", "'podIP':'10.0.0.1.2'", "status.podIP: \"10.0.0.1.2\" is not an IP address" },
	};
	char message[ERROR_MAX_BYTES];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		snprintf(message, sizeof(message), REFUSED "%s", rows[i].message);
		assert_refused(-EINVAL, message, POD, rows[i].spec, rows[i].status);
	}
}

#define POD_START "{'apiVersion':'v1','kind':'Pod','metadata':{'name':'a'},"

static void test_S11_addresses_are_limited(void **state)
{
	(void)state;
	assert_list_limit(REFUSED "status.podIPs",
			  POD_START "'status':{'podIPs':", "{'ip':'10.0.0.1'}", POD_MAX_ADDRESSES,
			  "}}");
}

/* Whoever may create a pod writes these; a pod that is not known is isolated by no policy. */
static void test_S11_what_a_pod_has_too_much_of_does_not_hide_it(void **state)
{
	_cleanup_free_ char *ports = repeat("{'name':'a','containerPort':1}", POD_MAX_PORTS);
	_cleanup_free_ char *unnamed = repeat("{'containerPort':1,'hostIP':'x'}",
					      2 * POD_MAX_PORTS);
	_cleanup_free_ char *containers = repeat("{}", 5000);
	struct pod *p = (struct pod *)decode(
		POD_START "'spec':{'containers':[{'ports':[%s]},{'ports':[%s,"
			  "{'name':'last','containerPort':2}]},%s]},'status':{'podIP':'10.0.0.1'}}",
		unnamed, ports, containers);

	(void)state;
	assert_int_equal(p->n_addrs, 1);
	assert_int_equal(p->n_ports, POD_MAX_PORTS);
	assert_string_equal(p->ports[POD_MAX_PORTS - 1].name, "a");
	pod_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_field_is_kept),
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_O6_sidecars_have_ports_and_init_containers_do_not),
		cmocka_unit_test(test_A19_phases),
		cmocka_unit_test(test_bad_fields_are_refused_with_their_path),
		cmocka_unit_test(test_S11_addresses_are_limited),
		cmocka_unit_test(test_S11_what_a_pod_has_too_much_of_does_not_hide_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
