#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/cleanup.h"
#include "decode-text.h"

#define POD "{'apiVersion':'v1','kind':'Pod','metadata':%s}"
#define POD_WITH \
	"{'apiVersion':'v1','kind':'Pod','metadata':{'name':'a','labels':{%s},'annotations':{%s}}}"
#define NAMED "{'apiVersion':'v1','kind':'Pod','metadata':{'name':'a',%s}}"

static void test_kinds_are_told_apart(void **state)
{
	static const struct {
		const char *api_version;
		const char *kind;
		const char *namespace;
		const char *more;
		enum object_kind expected;
	} rows[] = {
		{ "v1", "Service", "default", ",'spec':{'type':'ClusterIP'}", KIND_SERVICE },
		{ "discovery.k8s.io/v1", "EndpointSlice", "default", ",'addressType':'IPv4'",
		  KIND_ENDPOINT_SLICE },
		{ "v1", "Pod", "default", "", KIND_POD },
		{ "v1", "Node", "", "", KIND_NODE },
		{ "v1", "Namespace", "", "", KIND_NAMESPACE },
		{ "networking.k8s.io/v1", "NetworkPolicy", "default", "", KIND_NETWORK_POLICY },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct object *o = decode(
			"{'apiVersion':'%s','kind':'%s','metadata':{'name':'a'}%s}",
			rows[i].api_version, rows[i].kind, rows[i].more);

		assert_int_equal(o->kind, rows[i].expected);
		assert_string_equal(kind_name(o->kind), rows[i].kind);
		assert_string_equal(o->namespace, rows[i].namespace);
		object_free(o);
	}
}

static void test_other_kinds_are_not_read(void **state)
{
	static const struct {
		int code;
		const char *message;
		const char *text;
	} rows[] = {
		{ -ENOENT, "kind: Ingress of networking.k8s.io/v1 is not read here",
		  "{'apiVersion':'networking.k8s.io/v1','kind':'Ingress'}" },
		{ -ENOENT, "kind: EndpointSlice of discovery.k8s.io/v1beta1 is not read here",
		  "{'apiVersion':'discovery.k8s.io/v1beta1','kind':'EndpointSlice'}" },
		{ -ENOENT, "kind: List of v1 is not read here",
		  "{'apiVersion':'v1','kind':'List','items':[]}" },
		{ -EINVAL, "apiVersion: is missing", "{'kind':'Pod'}" },
		{ -EINVAL, "kind: is missing", "{'apiVersion':'v1','kind':''}" },
		{ -EINVAL, "kind: is a list, not a string", "{'apiVersion':'v1','kind':[]}" },
		{ -EINVAL, "document: is a list, not an object", "['v1']" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_refused(rows[i].code, rows[i].message, "%s", rows[i].text);
}

static void test_no_document_is_refused(void **state)
{
	struct error err = { 0 };
	struct object *o = NULL;

	(void)state;
	assert_int_equal(object_decode(NULL, &o, NULL, &err), -EINVAL);
	assert_string_equal(err.message, "document: is missing");
	assert_int_equal(object_decode(json_null(), &o, NULL, NULL), -EINVAL);
	assert_null(o);
}

static void test_bad_metadata_is_refused(void **state)
{
	static const char not_a_name[] = "is not a name (a-z, 0-9, inside also";
	static const struct {
		const char *metadata;
		const char *message;
		const char *behind;
	} rows[] = {
		{ "null", "Pod: metadata.name: is missing", "" },
		{ "[]", "Pod: metadata: is a list, not an object", "" },
		{ "{'name':''}", "Pod: metadata.name: is missing", "" },
		{ "{'name':5}", "Pod: metadata.name: is an integer, not a string", "" },
		{ "{'name':'A'}", "Pod: metadata.name: \"A\" ", " \"-.\")" },
		{ "{'name':'-a'}", "Pod: metadata.name: \"-a\" ", " \"-.\")" },
		{ "{'name':'a-'}", "Pod: metadata.name: \"a-\" ", " \"-.\")" },
		{ "{'name':'a/b'}", "Pod: metadata.name: \"a/b\" ", " \"-.\")" },
		{ "{'name':'a b'}", "Pod: metadata.name: \"a b\" ", " \"-.\")" },
		{ "{'name':'a','namespace':'x.y'}", "Pod: metadata.namespace: \"x.y\" ",
		  " \"-\")" },
		{ "{'name':'a','namespace':'x','uid':1}",
		  "Pod x/a: metadata.uid: is an integer, not a string", "" },
		{ "{'name':'a','labels':{'k':1}}",
		  "Pod default/a: metadata.labels.k: is an integer, not a string", "" },
		{ "{'name':'a','annotations':{'other':true}}",
		  "Pod default/a: metadata.annotations.other: is a boolean, not a string", "" },
		{ "{'name':'a','deletionTimestamp':'now'}",
		  "Pod default/a: metadata.deletionTimestamp: \"now\" is not an RFC 3339 time",
		  "" },
	};
	char message[ERROR_MAX_BYTES];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		snprintf(message, sizeof(message), "%s%s%s", rows[i].message,
			 *rows[i].behind ? not_a_name : "", rows[i].behind);
		assert_refused(-EINVAL, message, POD, rows[i].metadata);
	}
}

static void test_metadata_defaults(void **state)
{
	struct object *o = decode(POD,
				  "{'name':'a.b-0','namespace':'','labels':{'k':null,'':'v'}}");

	(void)state;
	assert_string_equal(o->namespace, "default");
	assert_string_equal(o->name, "a.b-0");
	assert_string_equal(key_values_get(&o->labels, "k"), "");
	assert_string_equal(key_values_get(&o->labels, ""), "v");
	assert_false(o->deleting);
	object_free(o);

	o = decode("{'apiVersion':'v1','kind':'Node','metadata':{'name':'n','namespace':'x'}}");
	assert_string_equal(o->namespace, "");
	object_free(o);
}

static void test_times(void **state)
{
	static const struct {
		const char *text;
		int64_t seconds;
	} rows[] = {
		{ "1970-01-01T00:00:00Z", 0 },
		{ "2024-02-29T23:59:59Z", 1709251199 },
		{ "2024-03-01T01:59:59.123456+02:00", 1709251199 },
		{ "2024-02-29t18:29:59-05:30", 1709251199 },
		{ "1969-12-31T23:59:59z", -1 },
		{ "9999-12-31T23:59:59Z", 253402300799 },
	};
	static const char *const wrong[] = {
		"",
		"2024-02-29",
		"2023-02-29T00:00:00Z",
		"2024-13-01T00:00:00Z",
		"2024-00-01T00:00:00Z",
		"2024-01-00T00:00:00Z",
		"2024-01-32T00:00:00Z",
		"2024-01-01T24:00:00Z",
		"2024-01-01T00:60:00Z",
		"2024-01-01T00:00:60Z",
		"2024-01-01T00:00:00",
		"2024-01-01T00:00:00.Z",
		"2024-01-01T00:00:00Zx",
		"2024-01-01T00:00:00+24:00",
		"2024-01-01T00:00:00+0200",
		"2024-01-01 00:00:00Z",
		" 2024-01-01T00:00:00Z",
	};
	char text[64], message[ERROR_MAX_BYTES];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		snprintf(text, sizeof(text), "'creationTimestamp':'%s'", rows[i].text);
		struct object *o = decode(NAMED, text);

		assert_int_equal(o->created, rows[i].seconds);
		object_free(o);
	}
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		snprintf(text, sizeof(text), "'creationTimestamp':'%s'", wrong[i]);
		snprintf(
			message, sizeof(message),
			"Pod default/a: metadata.creationTimestamp: \"%s\" is not an RFC 3339 time",
			wrong[i]);
		assert_refused(-EINVAL, message, NAMED, text);
	}
}

static void test_deleting(void **state)
{
	struct object *o = decode(NAMED, "'deletionTimestamp':'2024-01-01T00:00:00Z'");

	(void)state;
	assert_true(o->deleting);
	object_free(o);
}

static void test_O9_names_at_the_limit(void **state)
{
	char name[OBJECT_MAX_NAME + 2], namespace[65];

	(void)state;
	memset(name, 'a', sizeof(name));
	memset(namespace, 'b', sizeof(namespace));
	name[OBJECT_MAX_NAME] = '\0';
	namespace[63] = '\0';
	struct object *o = decode(
		"{'apiVersion':'v1','kind':'Pod','metadata':{'name':'%s','namespace':'%s'}}", name,
		namespace);
	assert_string_equal(o->name, name);
	assert_string_equal(o->namespace, namespace);
	object_free(o);

	name[OBJECT_MAX_NAME] = 'a';
	name[OBJECT_MAX_NAME + 1] = '\0';
	assert_refused(-E2BIG, "Pod: metadata.name: has 254 bytes, more than 253",
		       "{'apiVersion':'v1','kind':'Pod','metadata':{'name':'%s'}}", name);
	namespace[63] = 'b';
	namespace[64] = '\0';
	assert_refused(-E2BIG, "Pod: metadata.namespace: has 64 bytes, more than 63",
		       "{'apiVersion':'v1','kind':'Pod','metadata':{'name':'a','namespace':'%s'}}",
		       namespace);
}

static void test_O9_unicode_labels_stay_as_they_are(void **state)
{
	struct object *o = decode(NAMED, "'labels':{'größe':'\\ud83d\\ude00','z':'\\u0007'}");

	(void)state;
	assert_string_equal(key_values_get(&o->labels, "größe"), "😀");
	assert_string_equal(key_values_get(&o->labels, "z"), "\a");
	object_free(o);
}

static char *annotation_value(size_t len)
{
	char *text = malloc(len + 1);

	assert_non_null(text);
	memset(text, 'v', len);
	text[len] = '\0';
	return text;
}

static void test_O9_annotations_are_limited_all_together(void **state)
{
	static const char key[] = "kube-router.io/peers";
	size_t room = OBJECT_MAX_ANNOTATION_BYTES - strlen(key) - strlen("other");
	_cleanup_free_ char *fits = annotation_value(room);
	_cleanup_free_ char *too_long = annotation_value(room + 1);
	struct object *o = decode("{'apiVersion':'v1','kind':'Node','metadata':{'name':'a',"
				  "'annotations':{'%s':'%s','other':''}}}",
				  key, fits);

	(void)state;
	assert_int_equal(o->annotations.n, 1);
	assert_int_equal(strlen(key_values_get(&o->annotations, key)), room);
	object_free(o);
	assert_refused(-E2BIG, "Node a: metadata.annotations: has 262145 bytes, more than 262144",
		       "{'apiVersion':'v1','kind':'Node','metadata':{'name':'a',"
		       "'annotations':{'other':'%s','%s':''}}}",
		       too_long, key);
}

static char *map_text(size_t n)
{
	char *text = calloc(n + 1, 16);
	size_t len = 0;

	assert_non_null(text);
	for (size_t i = 0; i < n; i++)
		len += (size_t)sprintf(text + len, "%s'k%zu':'v'", i > 0 ? "," : "", i);
	return text;
}

/* A pod that is not known is isolated by no policy; so its labels, which its owner writes, must not be too
 * many. */
static void test_S11_labels_and_annotations_are_as_many_as_fit(void **state)
{
	_cleanup_free_ char *many = map_text(5000);
	struct object *o = decode(POD_WITH, many, many);

	(void)state;
	assert_int_equal(o->labels.n, 5000);
	assert_string_equal(key_values_get(&o->labels, "k4999"), "v");
	assert_int_equal(o->annotations.n, 0);
	object_free(o);
}

static void test_S11_zero_bytes_in_annotations_hide_nothing(void **state)
{
	struct object *o = decode(POD_WITH, "'k':'v'",
				  "'other':'\\u0000','kube-router.io/a':'a\\u0000b',"
				  "'kube-router.io/b':'ab'");

	(void)state;
	assert_string_equal(key_values_get(&o->labels, "k"), "v");
	assert_int_equal(o->annotations.n, 1);
	assert_string_equal(key_values_get(&o->annotations, "kube-router.io/b"), "ab");
	object_free(o);
	assert_refused(-EINVAL, "Pod default/a: metadata.labels.k: has a zero byte", POD_WITH,
		       "'k':'v\\u0000'", "");
}

static void test_labels_are_sorted(void **state)
{
	_cleanup_free_ char *labels = map_text(1000);
	struct object *o = decode(
		"{'apiVersion':'v1','kind':'Node','metadata':{'name':'a','labels':{%s}}}", labels);

	(void)state;
	assert_int_equal(o->labels.n, 1000);
	for (size_t i = 1; i < o->labels.n; i++)
		assert_true(strcmp(o->labels.items[i - 1].key, o->labels.items[i].key) < 0);
	object_free(o);
}

/* A chunk more would be as large as what is there already. @o is freed. */
static void assert_one_chunk(struct object *o, size_t n_pairs)
{
	static const size_t pair_bytes = sizeof(struct key_value) + sizeof("k999") + sizeof("v");

	assert_in_range(arena_size(o->arena), n_pairs * pair_bytes,
			n_pairs * (pair_bytes + 8) + 1024);
	object_free(o);
}

static void test_labels_and_selectors_take_no_second_chunk(void **state)
{
	_cleanup_free_ char *pairs = map_text(200);

	(void)state;
	assert_one_chunk(decode("{'apiVersion':'v1','kind':'Pod','metadata':{'name':'a',"
				"'labels':{%s}}}",
				pairs),
			 200);
	assert_one_chunk(decode("{'apiVersion':'v1','kind':'Service','metadata':{'name':'a'},"
				"'spec':{'selector':{%s}}}",
				pairs),
			 200);
}

/* A path longer than the room for it is cut, not written past the end. */
static void test_long_path_is_cut(void **state)
{
	_cleanup_free_ char *key = annotation_value(2000);
	json_t *root = tree("{'apiVersion':'v1','kind':'Node','metadata':{'name':'a',"
			    "'labels':{'%s':1}}}",
			    key);
	struct error err = { 0 };
	struct object *o = NULL;

	(void)state;
	assert_int_equal(object_decode(root, &o, NULL, &err), -EINVAL);
	assert_memory_equal(err.message, "Node a: metadata.labels.vvv", 27);
	assert_non_null(strstr(err.message, "vvv: is an integer, not a string"));
	json_decref(root);
}

static void test_objects_compare_by_kind_namespace_name(void **state)
{
	static const struct object sorted[] = {
		{ .kind = KIND_SERVICE, .namespace = "b", .name = "a" },
		{ .kind = KIND_POD, .namespace = "a", .name = "b" },
		{ .kind = KIND_POD, .namespace = "a", .name = "c" },
		{ .kind = KIND_POD, .namespace = "b", .name = "a" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sorted); i++)
		for (size_t j = 0; j < ARRAY_SIZE(sorted); j++) {
			int c = object_cmp(&sorted[i], &sorted[j]);

			assert_int_equal((c > 0) - (c < 0), (i > j) - (i < j));
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kinds_are_told_apart),
		cmocka_unit_test(test_other_kinds_are_not_read),
		cmocka_unit_test(test_no_document_is_refused),
		cmocka_unit_test(test_bad_metadata_is_refused),
		cmocka_unit_test(test_metadata_defaults),
		cmocka_unit_test(test_times),
		cmocka_unit_test(test_deleting),
		cmocka_unit_test(test_O9_names_at_the_limit),
		cmocka_unit_test(test_O9_unicode_labels_stay_as_they_are),
		cmocka_unit_test(test_O9_annotations_are_limited_all_together),
		cmocka_unit_test(test_S11_labels_and_annotations_are_as_many_as_fit),
		cmocka_unit_test(test_S11_zero_bytes_in_annotations_hide_nothing),
		cmocka_unit_test(test_labels_are_sorted),
		cmocka_unit_test(test_labels_and_selectors_take_no_second_chunk),
		cmocka_unit_test(test_long_path_is_cut),
		cmocka_unit_test(test_objects_compare_by_kind_namespace_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
