#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "object/object.h"
#include "object/yaml.h"

/* What the reader gives, one line for each document: "LINE JSON", or "LINE CODE: MESSAGE". */
static void documents_print(const char *text, size_t len, struct buf *out)
{
	_cleanup_(yaml_reader_freep) struct yaml_reader *reader = NULL;

	assert_int_equal(yaml_reader_new(text, len, &reader, NULL), 0);
	for (;;) {
		struct error err = { 0 };
		json_t *root = NULL;
		unsigned line = 0;
		int r = yaml_reader_next(reader, &root, &line, &err);

		if (r == 0)
			break;
		assert_int_equal(err.code, r < 0 ? r : 0);
		if (r < 0) {
			assert_null(root);
			buf_printf(out, "%u %s: %s\n", line, r == -E2BIG ? "E2BIG" : "EINVAL",
				   err.message);
		} else {
			_cleanup_free_ char *json = json_dumps(root,
							       JSON_ENCODE_ANY | JSON_COMPACT);

			buf_printf(out, "%u %s\n", line, json ? json : "empty");
		}
		json_decref(root);
	}
}

static void assert_documents_of(const char *text, size_t len, const char *expected)
{
	_cleanup_buf_ struct buf out = { 0 };

	documents_print(text, len, &out);
	assert_string_equal(buf_text(&out), expected);
}

static void assert_documents(const char *text, const char *expected)
{
	assert_documents_of(text, strlen(text), expected);
}

static void test_documents_and_their_lines(void **state)
{
	(void)state;
	assert_documents("", "");
	assert_documents("# nothing\n\n", "");
	assert_documents("a: 1", "1 {\"a\":1}\n");
	assert_documents("# why\n\na: 1\n---\n# more\nb: [x, {y: z}]\n---\nc: 3",
			 "3 {\"a\":1}\n6 {\"b\":[\"x\",{\"y\":\"z\"}]}\n8 {\"c\":3}\n");
	assert_documents("---\n---\na: 1\n---\n", "1 empty\n3 {\"a\":1}\n4 empty\n");
	assert_documents("a: 1\n...\n\n---\nc: 3\n...\n", "1 {\"a\":1}\n5 {\"c\":3}\n");
	assert_documents("--- {a: 1}\n---\tb\n--- # c\nd: 4\n",
			 "1 {\"a\":1}\n2 \"b\"\n4 {\"d\":4}\n");
	assert_documents("a: 1\r\n---\r\nb: 2\r\n", "1 {\"a\":1}\n3 {\"b\":2}\n");
	assert_documents("~\n---\nnull\n", "1 empty\n3 empty\n");
	assert_documents("\xef\xbb\xbf"
			 "a: 1\n",
			 "1 {\"a\":1}\n");
}

static void test_separator_must_stand_alone(void **state)
{
	(void)state;
	assert_documents("a: |\n  ---\n  x\n", "1 {\"a\":\"---\\nx\\n\"}\n");
	assert_documents("a: 1\n---b: 2\n", "1 {\"a\":1,\"---b\":2}\n");
	assert_documents("a: ---\n", "1 {\"a\":\"---\"}\n");
}

static void test_plain_scalars_follow_the_core_schema(void **state)
{
	static const struct {
		const char *yaml;
		const char *json;
	} rows[] = {
		{ "7", "7" },
		{ "-7", "-7" },
		{ "+7", "7" },
		{ "007", "7" },
		{ "0o17", "15" },
		{ "0x1F", "31" },
		{ "0x", "\"0x\"" },
		{ "0o8", "\"0o8\"" },
		{ "-0x1", "\"-0x1\"" },
		{ "9223372036854775807", "9223372036854775807" },
		{ "-9223372036854775808", "-9223372036854775808" },
		{ "1.5", "1.5" },
		{ "1.", "1.0" },
		{ ".5", "0.5" },
		{ "-.5e1", "-5.0" },
		{ "1e3", "1000.0" },
		{ "1E+3", "1000.0" },
		{ "1e", "\"1e\"" },
		{ "e1", "\"e1\"" },
		{ ".", "\".\"" },
		{ "-a", "\"-a\"" },
		{ "+", "\"+\"" },
		{ "1.2.3", "\"1.2.3\"" },
		{ "10.0.0.1", "\"10.0.0.1\"" },
		{ "fd00::1", "\"fd00::1\"" },
		{ "1_000", "\"1_000\"" },
		{ "true", "true" },
		{ "True", "true" },
		{ "TRUE", "true" },
		{ "false", "false" },
		{ "False", "false" },
		{ "FALSE", "false" },
		{ "tRUE", "\"tRUE\"" },
		{ "yes", "\"yes\"" },
		{ "No", "\"No\"" },
		{ "on", "\"on\"" },
		{ "null", "null" },
		{ "Null", "null" },
		{ "NULL", "null" },
		{ "~", "null" },
		{ "", "null" },
		{ "nULL", "\"nULL\"" },
		{ "2024-01-01T00:00:00Z", "\"2024-01-01T00:00:00Z\"" },
	};
	char yaml[128], expected[128];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		snprintf(yaml, sizeof(yaml), "a: %s\n", rows[i].yaml);
		snprintf(expected, sizeof(expected), "1 {\"a\":%s}\n", rows[i].json);
		assert_documents(yaml, expected);
	}
}

static void test_quoted_and_block_scalars_are_strings(void **state)
{
	(void)state;
	assert_documents("[\"7\", 'true', \"\", '~']", "1 [\"7\",\"true\",\"\",\"~\"]\n");
	assert_documents("a: |\n  7\nb: >-\n  true\n  x\n",
			 "1 {\"a\":\"7\\n\",\"b\":\"true x\"}\n");
	assert_documents("\"7\": 1\n'null': 2\n", "1 {\"7\":1,\"null\":2}\n");
}

static void test_A10_what_is_not_read_is_refused(void **state)
{
	static const struct {
		const char *yaml;
		const char *expected;
	} rows[] = {
		{ "a: &x 1\nb: *x\n", "2 EINVAL: an alias: aliases are not read\n" },
		{ "a: &x 1\n", "1 {\"a\":1}\n" },
		{ "a: !!str 7\n", "1 EINVAL: tag \"tag:yaml.org,2002:str\": tags are not read\n" },
		{ "a: !mine [x]\n", "1 EINVAL: tag \"!mine\": tags are not read\n" },
		{ "a: !mine {x: y}\n", "1 EINVAL: tag \"!mine\": tags are not read\n" },
		{ "!mine a: 1\n", "1 EINVAL: tag \"!mine\": tags are not read\n" },
		{ "a: 1\nb: 2\na: 3\n", "3 EINVAL: key \"a\" stands there twice\n" },
		{ "x:\n  7: 1\n", "2 EINVAL: key \"7\" is not a string\n" },
		{ "true: 1\n", "1 EINVAL: key \"true\" is not a string\n" },
		{ "? [a]\n: 1\n", "1 EINVAL: a key is not a string\n" },
		{ "<<: {a: 1}\n", "1 EINVAL: key \"<<\" is not a string\n" },
		{ "a: 9223372036854775808\n", "1 EINVAL: 9223372036854775808 is beyond 64 bits\n" },
		{ "a: 0xffffffffffffffff\n", "1 EINVAL: 0xffffffffffffffff is beyond 64 bits\n" },
		{ "a: 1e999\n", "1 EINVAL: 1e999 is too big\n" },
		{ "a: .nan\n", "1 EINVAL: .nan is not a number that JSON knows\n" },
		{ "a: -.inf\n", "1 EINVAL: -.inf is not a number that JSON knows\n" },
		{ "\na: \"x\\0y\"\n", "2 EINVAL: a string holds a zero byte\n" },
		{ "\"x\\0y\": 1\n", "1 EINVAL: a key holds a zero byte\n" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_documents(rows[i].yaml, rows[i].expected);
}

static void test_bad_document_costs_only_itself(void **state)
{
	static const struct {
		const char *bad;
		unsigned line;
	} rows[] = {
		{ "a: [1, 2\nb: 3", 6 }, { "a: \"open\n  string", 6 },
		{ "a: 'open", 5 },       { "a: b: c", 5 },
		{ "\tb: 1", 5 },         { "a: }", 5 },
		{ "- a\nb: 1", 6 },      { "a: 1\na: 2", 6 },
		{ "a: *nobody", 5 },     { "a: {b: [", 5 },
		{ "a: \"\\q\"", 5 },     { "a: \"\\ud800\"", 5 },
		{ "%YAML 1.2", 5 },      { "a: 1\n...\n]\n...\nnever: read", 7 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_buf_ struct buf text = { 0 }, out = { 0 };
		const char *fault;
		unsigned line;

		buf_printf(&text, "# comment\nfirst: 1\nmore: 2\n---\n%s\n---\nlast: 3\n",
			   rows[i].bad);
		documents_print(text.data, text.len, &out);
		fault = strstr(buf_text(&out), " EINVAL: ");
		assert_non_null(fault);
		assert_memory_equal(out.data, "2 {\"first\":1,\"more\":2}\n", 23);
		while (fault > out.data && fault[-1] != '\n')
			fault--;
		assert_int_equal(sscanf(fault, "%u", &line), 1);
		assert_int_equal(line, rows[i].line);
		assert_non_null(strstr(fault, " {\"last\":3}\n"));
	}
}

static void test_lines_stay_right_behind_a_bad_document(void **state)
{
	(void)state;
	assert_documents("---\na: ]\n---\n\nb: 1\n---\nc: *x\n---\nd: 1\n",
			 "2 EINVAL: while parsing a block node: did not find expected node "
			 "content\n"
			 "5 {\"b\":1}\n"
			 "7 EINVAL: an alias: aliases are not read\n"
			 "9 {\"d\":1}\n");
}

static void test_end_of_text_is_on_its_last_line(void **state)
{
	static const char message[] =
		"EINVAL: while parsing a flow node: did not find expected node "
		"content\n";
	char expected[128];

	(void)state;
	snprintf(expected, sizeof(expected), "2 %s", message);
	assert_documents("a:\n [", expected);
	assert_documents("a:\n [\n", expected);
	/* NEL is a line end to libyaml alone. */
	snprintf(expected, sizeof(expected), "1 %s", message);
	assert_documents("a: [\xc2\x85\xc2\x85", expected);
}

static void test_A10_bytes_that_are_no_text(void **state)
{
	static const char zero[] = "a: \"x\0y\"\n---\nb: 1\n";

	(void)state;
	assert_documents("a: \xff\n---\nb: 1\n",
			 "1 EINVAL: invalid leading UTF-8 octet\n3 {\"b\":1}\n");
	assert_documents("a: \x1b[31m\n---\nb: 1\n",
			 "1 EINVAL: control characters are not allowed\n3 {\"b\":1}\n");
	assert_documents("a: 1\n---\nb: 1\nc: \xc3(\nd: 1\n",
			 "1 {\"a\":1}\n4 EINVAL: invalid trailing UTF-8 octet\n");
	assert_documents_of(zero, sizeof(zero) - 1,
			    "1 EINVAL: control characters are not allowed\n3 {\"b\":1}\n");
	assert_documents_of("\xff\xfe"
			    "a\0",
			    4, "1 EINVAL: invalid leading UTF-8 octet\n");
}

static void nested_print(struct buf *out, char open, char close, size_t depth)
{
	for (size_t i = 0; i < depth; i++)
		buf_printf(out, "%c", open);
	for (size_t i = 0; i < depth; i++)
		buf_printf(out, "%c", close);
	buf_puts(out, "\n---\nb: 1\n");
}

static void test_A10_depth_is_limited(void **state)
{
	_cleanup_buf_ struct buf fits = { 0 }, deep = { 0 }, block = { 0 }, out = { 0 };

	(void)state;
	nested_print(&fits, '[', ']', OBJECT_MAX_DEPTH);
	documents_print(fits.data, fits.len, &out);
	assert_null(strstr(buf_text(&out), "E2BIG"));
	nested_print(&deep, '[', ']', OBJECT_MAX_DEPTH + 1);
	assert_documents(buf_text(&deep), "1 E2BIG: more than 64 levels deep\n3 {\"b\":1}\n");

	for (size_t i = 0; i < 100000; i++)
		buf_puts(&block, "- ");
	buf_puts(&block, "a\n---\nb: 1\n");
	assert_documents(buf_text(&block), "1 E2BIG: more than 64 levels deep\n3 {\"b\":1}\n");
}

static void test_A10_document_size_is_limited(void **state)
{
	size_t len = OBJECT_MAX_BYTES;
	_cleanup_free_ char *text = malloc(len + 32);

	(void)state;
	assert_non_null(text);
	memset(text, 'x', len);
	memcpy(text, "a: ", 3);
	memcpy(text + len - 1, "\n---\nb: 1\n", 11);
	{
		_cleanup_buf_ struct buf out = { 0 };

		documents_print(text, strlen(text), &out);
		assert_memory_equal(buf_text(&out), "1 {\"a\":\"xxx", 11);
		assert_non_null(strstr(buf_text(&out), "\n3 {\"b\":1}\n"));
	}
	memcpy(text + len - 1, "x\n---\nb: 1\n", 12);
	assert_documents(text, "1 E2BIG: document of 10485761 bytes, more than 10485760\n"
			       "3 {\"b\":1}\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_documents_and_their_lines),
		cmocka_unit_test(test_separator_must_stand_alone),
		cmocka_unit_test(test_plain_scalars_follow_the_core_schema),
		cmocka_unit_test(test_quoted_and_block_scalars_are_strings),
		cmocka_unit_test(test_A10_what_is_not_read_is_refused),
		cmocka_unit_test(test_bad_document_costs_only_itself),
		cmocka_unit_test(test_lines_stay_right_behind_a_bad_document),
		cmocka_unit_test(test_end_of_text_is_on_its_last_line),
		cmocka_unit_test(test_A10_bytes_that_are_no_text),
		cmocka_unit_test(test_A10_depth_is_limited),
		cmocka_unit_test(test_A10_document_size_is_limited),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
