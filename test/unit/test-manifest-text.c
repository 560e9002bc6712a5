/* The text of one file: documents, lists, lines, and what is wrong in it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "object/decode.h"
#include "source/manifest-text.h"

struct reader {
	struct buf log;
	uint64_t content; /* of the last object */
	int result;       /* what the visitor returns */
};

static int on_object(struct object *o, uint64_t content, unsigned line, void *userdata)
{
	struct reader *r = userdata;

	buf_printf(&r->log, "%u %s %s/%s\n", line, kind_name(o->kind), o->namespace, o->name);
	r->content = content;
	object_free(o);
	return r->result;
}

static int on_problem(const struct manifest_problem *p, void *userdata)
{
	struct reader *r = userdata;

	buf_printf(&r->log, "%u broken", p->line);
	if (p->about)
		buf_printf(&r->log, " %s %s/%s", kind_name(p->about->kind), p->about->namespace,
			   p->about->name);
	/* What is wrong with a field is the decoder's to say. */
	if (strncmp(p->text, "items[", strlen("items[")) == 0)
		buf_printf(&r->log, " in %.8s", p->text);
	buf_puts(&r->log, "\n");
	return r->result;
}

static int text_read(struct reader *r, const char *text, enum manifest_format format)
{
	const struct manifest_visitor visitor = { .object = on_object,
						  .problem = on_problem,
						  .userdata = r };
	struct decode_stats stats = { 0 };

	return manifest_text_read(text, strlen(text), format, &visitor, &stats);
}

static void assert_read(const char *text, enum manifest_format format, const char *expected)
{
	struct reader r = { .result = 0 };

	assert_int_equal(text_read(&r, text, format), 0);
	assert_string_equal(buf_text(&r.log), expected);
	buf_free(&r.log);
}

#define POD(name) \
	"{\"apiVersion\": \"v1\", \"kind\": \"Pod\", \"metadata\": {\"name\": \"" name "\"}}"

static void test_yaml_documents(void **state)
{
	(void)state;
	assert_read("# a comment\n\n" POD("a") "\n---\n---\n\n" POD("b") "\n...\n", MANIFEST_YAML,
		    "3 Pod default/a\n7 Pod default/b\n");
	assert_read("", MANIFEST_YAML, "");
}

static void test_json_documents_one_behind_the_other(void **state)
{
	(void)state;
	assert_read("\n " POD("a") POD("b") "\n\n" POD("c") "\n", MANIFEST_JSON,
		    "2 Pod default/a\n2 Pod default/b\n4 Pod default/c\n");
	assert_read(" \n", MANIFEST_JSON, "");
}

/* Brackets and quotes inside of strings end nothing. */
static void test_json_strings_are_no_structure(void **state)
{
	(void)state;
	assert_read("{\"}\": \"\\\"}]\\\\\", \"apiVersion\": \"v1\", \"kind\": \"Pod\","
		    " \"metadata\": {\"name\": \"a\"}}" POD("b"),
		    MANIFEST_JSON, "1 Pod default/a\n1 Pod default/b\n");
}

static void test_broken_json_document_leaves_the_next(void **state)
{
	(void)state;
	assert_read("{\"a\": nothing}\n" POD("a"), MANIFEST_JSON, "1 broken\n2 Pod default/a\n");
	assert_read("{\"a\": [\n" POD("a"), MANIFEST_JSON, "1 broken\n");
	assert_read("word " POD("a"), MANIFEST_JSON, "1 broken\n");
	assert_read(POD("a") "}", MANIFEST_JSON, "1 Pod default/a\n1 broken\n");
	assert_read("\"", MANIFEST_JSON, "1 broken\n");
	assert_read("{\"\\", MANIFEST_JSON, "1 broken\n");
}

static void test_lists_are_unfolded(void **state)
{
	(void)state;
	assert_read("{\"apiVersion\": \"v1\", \"kind\": \"List\", \"items\": [" POD("a") ",\n" POD(
			    "b") "]}",
		    MANIFEST_JSON, "1 Pod default/a\n1 Pod default/b\n");
	assert_read("apiVersion: v1\nkind: List\nitems: []\n", MANIFEST_YAML, "");
	assert_read("apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: List\n"
		    "  items: [" POD("a") "]\n- " POD("b") "\n",
		    MANIFEST_YAML, "1 Pod default/a\n1 Pod default/b\n");
}

/* What kubectl prints of one kind: the items need not say what they are, but may. */
static void test_typed_lists_say_what_their_items_are(void **state)
{
	(void)state;
	assert_read("apiVersion: discovery.k8s.io/v1\nkind: EndpointSliceList\nitems:\n"
		    "- metadata: {name: a}\n  addressType: IPv4\n  endpoints: []\n"
		    "- {apiVersion: v1, kind: Pod, metadata: {name: b}}\n",
		    MANIFEST_YAML, "1 EndpointSlice default/a\n1 Pod default/b\n");
	assert_read("apiVersion: v1\nkind: ConfigMapList\nitems: [{metadata: {name: a}}]\n",
		    MANIFEST_YAML, "");
}

static void test_kind_that_only_ends_like_a_list(void **state)
{
	(void)state;
	assert_read("apiVersion: example.org/v1\nkind: AllowList\nspec: {}\n", MANIFEST_YAML, "");
	assert_read("apiVersion: v1\nkind: PodList\n", MANIFEST_YAML, "");
	assert_read("apiVersion: v1\nkind: PodList\nitems: null\n", MANIFEST_YAML, "");
}

static void test_item_that_is_broken_is_named(void **state)
{
	(void)state;
	assert_read("apiVersion: v1\nkind: PodList\nitems:\n- metadata: {name: a}\n- 7\n"
		    "- metadata: {name: b, namespace: 3}\n",
		    MANIFEST_YAML,
		    "1 Pod default/a\n1 broken in items[1]\n"
		    "1 broken Pod default/b in items[2]\n");
}

static void test_broken_document_tells_who_it_is(void **state)
{
	(void)state;
	assert_read(
		"{apiVersion: v1, kind: Service, metadata: {name: web, namespace: shop}, spec: 7}",
		MANIFEST_YAML, "1 broken Service shop/web\n");
	assert_read("{apiVersion: v1, kind: Node, metadata: {name: n, namespace: x}, spec: 7}",
		    MANIFEST_YAML, "1 broken Node /n\n");
	assert_read("{kind: Service, metadata: {name: web}}", MANIFEST_YAML,
		    "1 broken Service default/web\n");
}

static void test_broken_document_without_identity(void **state)
{
	(void)state;
	assert_read("{apiVersion: v1, kind: Service, metadata: {}}", MANIFEST_YAML, "1 broken\n");
	assert_read("{apiVersion: v1, metadata: {name: web}}", MANIFEST_YAML, "1 broken\n");
	assert_read("just text\n", MANIFEST_YAML, "1 broken\n");
	assert_read("[1, 2]\n", MANIFEST_YAML, "1 broken\n");
}

static uint64_t content_of(const char *text)
{
	struct reader r = { .result = 0 };

	assert_int_equal(text_read(&r, text, MANIFEST_YAML), 0);
	assert_true(r.log.len > 0);
	buf_free(&r.log);
	return r.content;
}

static void test_content_is_what_is_said_not_how(void **state)
{
	uint64_t content = content_of("{apiVersion: v1, kind: Pod, metadata: {name: a}}");

	(void)state;
	assert_true(content ==
		    content_of("# x\nmetadata:\n  name: \"a\"\nkind: Pod\napiVersion: v1\n"));
	assert_true(content !=
		    content_of("{apiVersion: v1, kind: Pod, metadata: {name: a, labels: {b: c}}}"));
}

static void test_visitor_ends_the_reading(void **state)
{
	struct reader r = { .result = -ECANCELED };

	(void)state;
	assert_int_equal(text_read(&r, POD("a") "\n---\n" POD("b"), MANIFEST_YAML), -ECANCELED);
	assert_string_equal(buf_text(&r.log), "1 Pod default/a\n");
	buf_reset(&r.log);
	assert_int_equal(text_read(&r, "}" POD("b"), MANIFEST_JSON), -ECANCELED);
	assert_string_equal(buf_text(&r.log), "1 broken\n");
	buf_reset(&r.log);
	assert_int_equal(text_read(&r, "{kind: List, items: [" POD("a") "," POD("b") "]}",
				   MANIFEST_YAML),
			 -ECANCELED);
	assert_string_equal(buf_text(&r.log), "1 Pod default/a\n");
	buf_free(&r.log);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_yaml_documents),
		cmocka_unit_test(test_json_documents_one_behind_the_other),
		cmocka_unit_test(test_json_strings_are_no_structure),
		cmocka_unit_test(test_broken_json_document_leaves_the_next),
		cmocka_unit_test(test_lists_are_unfolded),
		cmocka_unit_test(test_typed_lists_say_what_their_items_are),
		cmocka_unit_test(test_kind_that_only_ends_like_a_list),
		cmocka_unit_test(test_item_that_is_broken_is_named),
		cmocka_unit_test(test_broken_document_tells_who_it_is),
		cmocka_unit_test(test_broken_document_without_identity),
		cmocka_unit_test(test_content_is_what_is_said_not_how),
		cmocka_unit_test(test_visitor_ends_the_reading),
	};

	return cmocka_run_group_tests_name("manifest-text", tests, NULL, NULL);
}
