/* test-decode-kind.c - documents of which it is known what they are: the items of a list. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "decode-text.h"

/* One of each kind, with all objects that it can have inside. */
static const char *const items[KIND_COUNT] = {
	[KIND_SERVICE] = "{'metadata':{'name':'a'},'spec':{'ports':[{'port':80}],"
			 "'sessionAffinityConfig':{'clientIP':{'timeoutSeconds':5}}},"
			 "'status':{'loadBalancer':{'ingress':[{'ip':'192.0.2.1','ports':[{}]}]}}}",
	[KIND_ENDPOINT_SLICE] =
		"{'metadata':{'name':'a'},'addressType':'IPv4','ports':[{'port':80}],"
		"'endpoints':[{'addresses':['192.0.2.1'],'conditions':{'ready':true},"
		"'targetRef':{'kind':'Pod','name':'p'},'hints':{'forZones':[{'name':'z'}],"
		"'forNodes':[{'name':'n'}]}}]}",
	[KIND_POD] = "{'metadata':{'name':'a','ownerReferences':[{}]},'spec':{'containers':["
		     "{'ports':[{'containerPort':80}]}]},'status':{'phase':'Running',"
		     "'podIPs':[{'ip':'192.0.2.1'}]}}",
	[KIND_NODE] = "{'metadata':{'name':'a'},'spec':{'taints':[{'key':'k'}]},'status':{"
		      "'addresses':[{'type':'InternalIP','address':'192.0.2.1'}]}}",
	[KIND_NAMESPACE] = "{'metadata':{'name':'a'},'spec':{},'status':{'phase':'Active'}}",
	[KIND_NETWORK_POLICY] =
		"{'metadata':{'name':'a'},'spec':{'podSelector':{'matchExpressions':"
		"[{'key':'k','operator':'Exists'}]},'ingress':[{'ports':[{'port':80}],"
		"'from':[{'ipBlock':{'cidr':'192.0.2.0/24'}}]}]}}",
};

static void test_items_of_lists_have_no_kind(void **state)
{
	(void)state;
	for (size_t i = 0; i < KIND_COUNT; i++) {
		enum object_kind kind = (enum object_kind)i;
		json_t *root = tree("%s", items[i]);
		struct object *o = NULL;

		assert_int_equal(object_decode(root, &o, NULL, NULL), -EINVAL);
		assert_int_equal(object_decode_kind(root, kind, &o, NULL, NULL), 0);
		assert_int_equal(o->kind, i);
		assert_string_equal(o->name, "a");
		assert_string_equal(o->namespace, kind_is_namespaced(kind) ? "default" : "");
		object_free(o);

		json_object_set_new(root, "kind", json_string(kind_name(kind)));
		assert_int_equal(object_decode_kind(root, kind, &o, NULL, NULL), 0);
		object_free(o);
		json_decref(root);
	}
}

static void refused(const char *text, const char *message)
{
	json_t *root = text ? tree("%s", text) : NULL;
	struct error err = { 0 };
	struct object *o = NULL;

	assert_int_equal(object_decode_kind(root, KIND_NODE, &o, NULL, &err), -EINVAL);
	assert_null(o);
	assert_string_equal(err.message, message);
	json_decref(root);
}

static void test_other_documents_are_refused(void **state)
{
	(void)state;
	refused("{'kind':'Pod','metadata':{'name':'a'}}", "Node: kind: is Pod, not Node");
	refused("{'kind':7,'metadata':{'name':'a'}}", "Node: kind: is an integer, not a string");
	refused("['a']", "Node: document: is a list, not an object");
	refused(NULL, "Node: document: is missing");
	refused("{'metadata':{'name':'a'},'spec':{'podCIDR':1}}",
		"Node a: spec.podCIDR: is an integer, not a string");
}

static void future_fields_add(json_t *value)
{
	json_t *child;
	const char *key;
	size_t i;

	json_object_foreach(value, key, child) future_fields_add(child);
	json_array_foreach(value, i, child) future_fields_add(child);
	if (json_is_object(value))
		json_object_set_new(value, "fieldOfTheFuture", tree("{'mode':['Warp',1e300]}"));
}

static void test_A19_unknown_fields_are_ignored_everywhere(void **state)
{
	(void)state;
	for (size_t i = 0; i < KIND_COUNT; i++) {
		struct decode_stats stats = { 0 };
		struct error err = { 0 };
		struct object *o = NULL;
		json_t *root = tree("%s", items[i]);

		future_fields_add(root);
		if (object_decode_kind(root, (enum object_kind)i, &o, &stats, &err) < 0)
			fail_msg("%s", err.message);
		assert_int_equal(stats.unknown_enums, 0);
		object_free(o);
		json_decref(root);
	}
}

static void test_names_of_objects_that_are_not_there(void **state)
{
	static const struct {
		enum object_kind kind;
		const char *namespace, *expected;
	} rows[] = {
		{ KIND_SERVICE, "x", "x" },    { KIND_ENDPOINT_SLICE, "", "default" },
		{ KIND_POD, NULL, "default" }, { KIND_NETWORK_POLICY, "y", "y" },
		{ KIND_NODE, "x", "" },        { KIND_NAMESPACE, NULL, "" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct object_id id = object_id(rows[i].kind, rows[i].namespace, "a");

		assert_int_equal(id.kind, rows[i].kind);
		assert_string_equal(id.namespace, rows[i].expected);
		assert_string_equal(id.name, "a");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_items_of_lists_have_no_kind),
		cmocka_unit_test(test_other_documents_are_refused),
		cmocka_unit_test(test_A19_unknown_fields_are_ignored_everywhere),
		cmocka_unit_test(test_names_of_objects_that_are_not_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
