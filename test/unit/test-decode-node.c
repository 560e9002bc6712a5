#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "decode-text.h"

#define NODE "{'apiVersion':'v1','kind':'Node','metadata':{'name':'n'},'spec':{%s},'status':{%s}}"

static struct node *node(const char *spec, const char *status)
{
	return (struct node *)decode(NODE, spec, status);
}

static void node_free(struct node *n)
{
	object_free(&n->object);
}

static void test_every_field_is_kept(void **state)
{
	struct node *n = (struct node *)decode(
		"{'apiVersion':'v1','kind':'Node','metadata':{'name':'n',"
		"'labels':{'topology.kubernetes.io/zone':'z1'}},"
		"'spec':{'podCIDR':'10.9.0.0/24','podCIDRs':['10.1.0.0/24','fd00:1::/64'],"
		"'providerID':'aws:///x','taints':[{'key':'a','effect':'NoSchedule'},{'key':'b'}]},"
		"'status':{'addresses':[{'type':'Hostname','address':'n'},"
		"{'type':'InternalIP','address':'192.0.2.1'},"
		"{'type':'ExternalIP','address':'2001:db8::1'},"
		"{'type':'InternalDNS','address':'n.local'}]}}");
	char text[PREFIX_TEXT_MAX];

	(void)state;
	assert_int_equal(n->n_addrs, 2);
	assert_int_equal(n->addrs[0].type, NODE_ADDR_INTERNAL);
	assert_addr(&n->addrs[0].addr, "192.0.2.1");
	assert_int_equal(n->addrs[1].type, NODE_ADDR_EXTERNAL);
	assert_addr(&n->addrs[1].addr, "2001:db8::1");
	assert_int_equal(n->n_pod_cidrs, 2);
	assert_string_equal(prefix_format(&n->pod_cidrs[1], text), "fd00:1::/64");
	assert_string_equal(n->zone, "z1");
	assert_string_equal(n->provider_id, "aws:///x");
	assert_int_equal(n->n_taints, 2);
	assert_string_equal(n->taints[1], "b");
	node_free(n);
}

static void test_defaults(void **state)
{
	struct node *n = node("'podCIDR':''", "");

	(void)state;
	assert_int_equal(n->n_addrs, 0);
	assert_int_equal(n->n_pod_cidrs, 0);
	assert_int_equal(n->n_taints, 0);
	assert_null(n->zone);
	assert_null(n->provider_id);
	node_free(n);
}

static void test_single_pod_cidr_keeps_its_host_bits(void **state)
{
	struct node *n = node("'podCIDR':'10.1.2.3/24','podCIDRs':[]", "");
	char text[PREFIX_TEXT_MAX];

	(void)state;
	assert_int_equal(n->n_pod_cidrs, 1);
	assert_string_equal(prefix_format(&n->pod_cidrs[0], text), "10.1.2.3/24");
	node_free(n);
}

static void test_A19_unknown_words_are_counted(void **state)
{
	struct decode_stats stats = { 0 };

	(void)state;
	decode_count(&stats, "{'apiVersion':'v1','kind':'Node','metadata':{'name':'n'},"
			     "'status':{'addresses':[{'type':'MoonIP','address':'crater'}]}}");
	assert_int_equal(stats.unknown_enums, 1);
	decode_count(&stats, "{'apiVersion':'v1','kind':'Namespace','metadata':{'name':'n'},"
			     "'status':{'phase':'Dreaming'}}");
	assert_int_equal(stats.unknown_enums, 2);
}

static void test_bad_fields_are_refused_with_their_path(void **state)
{
	static const struct {
		const char *spec;
		const char *status;
		const char *message;
	} rows[] = {
		{ "", "'addresses':[{'type':'InternalIP','address':'n1'}]",
		  "Node n: status.addresses[0].address: \"n1\" is not an IP address" },
		{ "'podCIDRs':['10.1.0.0/24','10.2.0.0']", "",
		  "Node n: spec.podCIDRs[1]: \"10.2.0.0\" is not an address range (ADDRESS/BITS)" },
		{ "'podCIDR':'10.1.0.0/'", "",
		  "Node n: spec.podCIDR: \"10.1.0.0/\" is not an address range (ADDRESS/BITS)" },
		{ "'taints':[{'key':1}]", "",
		  "Node n: spec.taints[0].key: is an integer, not a string" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_refused(-EINVAL, rows[i].message, NODE, rows[i].spec, rows[i].status);
}

#define NODE_START "{'apiVersion':'v1','kind':'Node','metadata':{'name':'n'},"

static void test_S11_lists_are_limited(void **state)
{
	(void)state;
	assert_list_limit("Node n: status.addresses",
			  NODE_START "'status':{'addresses':", "{'type':'Hostname'}",
			  NODE_MAX_ADDRESSES, "}}");
	assert_list_limit("Node n: spec.podCIDRs",
			  NODE_START "'spec':{'podCIDRs':", "'10.1.0.0/24'", NODE_MAX_POD_CIDRS,
			  "}}");
	assert_list_limit("Node n: spec.taints", NODE_START "'spec':{'taints':", "{'key':'a'}",
			  NODE_MAX_TAINTS, "}}");
}

static void test_namespace_phases(void **state)
{
	static const struct {
		const char *status;
		bool terminating;
	} rows[] = {
		{ "{}", false },
		{ "{'phase':'Active'}", false },
		{ "{'phase':'Terminating'}", true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct object *o = decode("{'apiVersion':'v1','kind':'Namespace',"
					  "'metadata':{'name':'n'},'status':%s}",
					  rows[i].status);

		assert_int_equal(((struct namespace_object *)o)->terminating, rows[i].terminating);
		object_free(o);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_field_is_kept),
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_single_pod_cidr_keeps_its_host_bits),
		cmocka_unit_test(test_A19_unknown_words_are_counted),
		cmocka_unit_test(test_bad_fields_are_refused_with_their_path),
		cmocka_unit_test(test_S11_lists_are_limited),
		cmocka_unit_test(test_namespace_phases),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
