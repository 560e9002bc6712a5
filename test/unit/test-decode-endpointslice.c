#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/cleanup.h"
#include "decode-text.h"

#define SLICE(more)                                                            \
	"{'apiVersion':'discovery.k8s.io/v1','kind':'EndpointSlice'," more "," \
	"'metadata':{'name':'web-1','labels':{'kubernetes.io/service-name':'web'}}}"
#define REFUSED "EndpointSlice default/web-1: "

static void slice_free(struct endpoint_slice *slice)
{
	object_free(&slice->object);
}

static void test_every_field_is_kept(void **state)
{
	struct endpoint_slice *slice = (struct endpoint_slice *)decode(SLICE(
		"'addressType':'IPv4','endpoints':["
		"{'addresses':['10.1.0.1','10.1.0.2'],'nodeName':'n1','zone':'z1',"
		" 'conditions':{'ready':true,'serving':true,'terminating':false},"
		" 'hints':{'forZones':[{'name':'z1'},{'name':'z2'}],'forNodes':[{'name':'n1'}]},"
		" 'targetRef':{'kind':'Pod','name':'web-a'}},"
		"{'addresses':['10.1.0.3'],'targetRef':{'kind':'VM','name':'v'}}],"
		"'ports':[{'name':'http','port':8080},{'protocol':'UDP','port':53},{'name':'all'}]"));
	const struct endpoint *e = slice->endpoints;

	(void)state;
	assert_string_equal(slice->service, "web");
	assert_int_equal(slice->family, AF_INET);
	assert_int_equal(slice->n_endpoints, 2);
	assert_addr(&e[0].addr, "10.1.0.1");
	assert_string_equal(e[0].node, "n1");
	assert_string_equal(e[0].zone, "z1");
	assert_int_equal(e[0].n_zone_hints, 2);
	assert_string_equal(e[0].zone_hints[1], "z2");
	assert_int_equal(e[0].n_node_hints, 1);
	assert_string_equal(e[0].node_hints[0], "n1");
	assert_null(e[1].node);
	assert_null(e[1].zone);
	assert_int_equal(e[1].n_zone_hints, 0);
	assert_int_equal(slice->n_ports, 3);
	assert_string_equal(slice->ports[0].name, "http");
	assert_int_equal(slice->ports[0].port, 8080);
	assert_int_equal(slice->ports[0].protocol, PROTOCOL_TCP);
	assert_string_equal(slice->ports[1].name, "");
	assert_int_equal(slice->ports[1].protocol, PROTOCOL_UDP);
	assert_int_equal(slice->ports[2].port, 0);
	slice_free(slice);
}

static void test_conditions_that_are_nil(void **state)
{
	static const struct {
		const char *conditions;
		bool ready, serving, terminating;
	} rows[] = {
		{ "null", true, true, false },
		{ "{}", true, true, false },
		{ "{'ready':null,'serving':null}", true, true, false },
		{ "{'ready':false}", false, false, false },
		{ "{'ready':false,'serving':true,'terminating':true}", false, true, true },
		{ "{'serving':false}", true, false, false },
		{ "{'terminating':true}", true, true, true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct endpoint_slice *slice = (struct endpoint_slice *)decode(
			SLICE("'addressType':'IPv6','endpoints':[{'addresses':['fd00::1'],"
			      "'conditions':%s}]"),
			rows[i].conditions);

		assert_int_equal(slice->family, AF_INET6);
		assert_int_equal(slice->endpoints[0].ready, rows[i].ready);
		assert_int_equal(slice->endpoints[0].serving, rows[i].serving);
		assert_int_equal(slice->endpoints[0].terminating, rows[i].terminating);
		slice_free(slice);
	}
}

static void test_A19_address_types(void **state)
{
	static const struct {
		const char *type;
		uint64_t unknown;
	} rows[] = { { "FQDN", 0 }, { "IPv7", 1 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct decode_stats stats = { 0 };
		struct object *o = NULL;
		json_t *root = tree(SLICE("'addressType':'%s','endpoints':[{'addresses':['a.b']}]"),
				    rows[i].type);

		assert_int_equal(object_decode(root, &o, &stats, NULL), 0);
		assert_int_equal(((struct endpoint_slice *)o)->family, 0);
		assert_int_equal(((struct endpoint_slice *)o)->n_endpoints, 0);
		assert_int_equal(stats.unknown_enums, rows[i].unknown);
		object_free(o);
		json_decref(root);
	}
}

static void test_bad_fields_are_refused_with_their_path(void **state)
{
	static const struct {
		const char *slice;
		const char *message;
	} rows[] = {
		{ "'endpoints':[]", "addressType: is missing" },
		{ "'addressType':4", "addressType: is an integer, not a string" },
		{ "'addressType':'IPv4','endpoints':{}", "endpoints: is an object, not a list" },
		{ "'addressType':'IPv4','endpoints':[null]",
		  "endpoints[0].addresses[0]: is missing" },
		{ "'addressType':'IPv4','endpoints':[{'addresses':[]}]",
		  "endpoints[0].addresses[0]: is missing" },
		{ "'addressType':'IPv4','endpoints':[{'addresses':['10.0.0.1']},"
		  "{'addresses':['10.0.0']}]",
		  "endpoints[1].addresses[0]: \"10.0.0\" is not an IP address" },
		{ "'addressType':'IPv4','endpoints':[{'addresses':['10.0.0.1']},"
		  "{'addresses':['fd00::1']}]",
		  "endpoints[1].addresses[0]: is not an IPv4 address" },
		{ "'addressType':'IPv6','endpoints':[{'addresses':['10.0.0.1']}]",
		  "endpoints[0].addresses[0]: is not an IPv6 address" },
		{ "'addressType':'IPv4','endpoints':[{'addresses':['10.0.0.1'],"
		  "'conditions':{'ready':'no'}}]",
		  "endpoints[0].conditions.ready: is a string, not a boolean" },
		{ "'addressType':'IPv4','endpoints':[{'addresses':['10.0.0.1'],"
		  "'hints':{'forZones':[{'name':'a'},{'name':[]}]}}]",
		  "endpoints[0].hints.forZones[1].name: is a list, not a string" },
		{ "'addressType':'IPv4','ports':[{'port':0}]",
		  "ports[0].port: 0 is not a port (1 to 65535)" },
		{ "'addressType':'IPv4','ports':[{'port':1,'protocol':'XTP'}]",
		  "ports[0].protocol: \"XTP\" is not a protocol (TCP, UDP or SCTP)" },
	};
	char message[ERROR_MAX_BYTES];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		snprintf(message, sizeof(message), REFUSED "%s", rows[i].message);
		assert_refused(-EINVAL, message, SLICE("%s"), rows[i].slice);
	}
}

static void test_slice_without_a_service(void **state)
{
	struct endpoint_slice *slice = (struct endpoint_slice *)decode(
		"{'apiVersion':'discovery.k8s.io/v1','kind':'EndpointSlice','addressType':'IPv4',"
		"'metadata':{'name':'a'}}");

	(void)state;
	assert_null(slice->service);
	slice_free(slice);
}

#define SLICE_START                                                   \
	"{'apiVersion':'discovery.k8s.io/v1','kind':'EndpointSlice'," \
	"'metadata':{'name':'web-1'},'addressType':'IPv4',"

static void test_S11_lists_are_limited(void **state)
{
	(void)state;
	assert_list_limit(REFUSED "endpoints",
			  SLICE_START "'endpoints':", "{'addresses':['10.0.0.1']}",
			  SLICE_MAX_ENDPOINTS, "}");
	assert_list_limit(REFUSED "ports", SLICE_START "'ports':", "{'port':1}", SLICE_MAX_PORTS,
			  "}");
	assert_list_limit(REFUSED "endpoints[0].addresses",
			  SLICE_START "'endpoints':[{'addresses':", "'10.0.0.1'",
			  ENDPOINT_MAX_ADDRESSES, "}]}");
	assert_list_limit(REFUSED "endpoints[0].hints.forZones",
			  SLICE_START "'endpoints':[{'addresses':['10.0.0.1'],'hints':{'forZones':",
			  "{'name':'z'}", ENDPOINT_MAX_HINTS, "}}]}");
	assert_list_limit(REFUSED "endpoints[0].hints.forNodes",
			  SLICE_START "'endpoints':[{'addresses':['10.0.0.1'],'hints':{'forNodes':",
			  "{'name':'n'}", ENDPOINT_MAX_HINTS, "}}]}");
}

/* As a Deployment of 1000 pods on 300 nodes in one zone gives them. */
static char *endpoints_text(size_t n)
{
	char *text = calloc(n, 256);
	size_t len = 0;

	assert_non_null(text);
	for (size_t i = 0; i < n; i++)
		len += (size_t)sprintf(
			text + len,
			"%s{'addresses':['10.1.%zu.%zu'],'nodeName':'worker-%zu','zone':'eu-central-1a',"
			"'targetRef':{'kind':'Pod','name':'web-5d8f7c9b4-x%zu'},"
			"'hints':{'forZones':[{'name':'eu-central-1a'}]}}",
			i > 0 ? "," : "", i / 256, i % 256, i % 300, i);
	return text;
}

/* A cluster has 100 000 endpoints and more: each should cost little more than its struct. */
static void test_full_slice_is_small(void **state)
{
	_cleanup_free_ char *endpoints = endpoints_text(SLICE_MAX_ENDPOINTS);
	struct endpoint_slice *slice = (struct endpoint_slice *)decode(
		SLICE("'addressType':'IPv4','endpoints':[%s]"), endpoints);
	const struct endpoint *e = slice->endpoints;

	(void)state;
	assert_int_equal(slice->n_endpoints, SLICE_MAX_ENDPOINTS);
	assert_string_equal(e[999].node, "worker-99");
	assert_ptr_equal(e[0].zone, e[1].zone);
	assert_ptr_equal(e[0].zone, e[0].zone_hints[0]);
	assert_true(arena_size(slice->object.arena) < SLICE_MAX_ENDPOINTS * 90);
	slice_free(slice);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_field_is_kept),
		cmocka_unit_test(test_conditions_that_are_nil),
		cmocka_unit_test(test_A19_address_types),
		cmocka_unit_test(test_bad_fields_are_refused_with_their_path),
		cmocka_unit_test(test_slice_without_a_service),
		cmocka_unit_test(test_S11_lists_are_limited),
		cmocka_unit_test(test_full_slice_is_small),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
