#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "fail-alloc.h"
#include "json-request.h"
#include "object/decode.h"

static void parse_refused(const char *text, size_t len, int code, const char *message)
{
	struct error err = { 0 };
	json_t *root = NULL;

	assert_int_equal(json_parse(text, len, &root, &err), code);
	assert_null(root);
	if (!strstr(err.message, message))
		fail_msg("\"%s\" does not say \"%s\"", err.message, message);
}

static json_t *parse(const char *text, size_t len)
{
	struct error err = { 0 };
	json_t *root = NULL;

	if (json_parse(text, len, &root, &err) < 0)
		fail_msg("%s", err.message);
	return root;
}

static void test_tree(void **state)
{
	static const char text[] = "{\"a\": [1, 2.5, true, null], \"b\": \"[{\\\"\"} ";
	json_t *root = parse(text, strlen(text));

	(void)state;
	assert_int_equal(json_array_size(json_object_get(root, "a")), 4);
	assert_string_equal(json_string_value(json_object_get(root, "b")), "[{\"");
	json_decref(root);
}

static void test_A10_what_is_not_json_is_refused_with_line_and_column(void **state)
{
	static const struct {
		const char *text;
		const char *message;
	} rows[] = {
		{ "", "line 1 column 0: " },
		{ "7", "line 1 column 1: " },
		{ "{\n\"a\": }", "line 2 column 6: " },
		{ "{\"a\":1} x", "line 1 column 9: end of file expected" },
		{ "{\"a\":1,\n \"a\":2}", "line 2 column 4: duplicate object key" },
		{ "[1e999]", "line 1 column 6: real number overflow" },
		{ "[9223372036854775808]", "line 1 column 20: too big integer" },
		{ "[-9223372036854775809]", "line 1 column 21: too big negative integer" },
		{ "[NaN]", "line 1 column 4: invalid token" },
		{ "[\"\\ud800\"]", "line 1 column 9: invalid Unicode" },
		{ "[\"\xff\"]", "unable to decode byte 0xff" },
		{ "[\"a\nb\"]", "line 1 column 3: unexpected newline" },
		{ "}]", "line 1 column 1: " },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		parse_refused(rows[i].text, strlen(rows[i].text), -EINVAL, rows[i].message);
}

static void test_A10_zero_byte_is_refused(void **state)
{
	static const char in_string[] = "[\"a\0b\"]", behind[] = "[1]\0";

	(void)state;
	parse_refused(in_string, sizeof(in_string) - 1, -EINVAL, "line 1 column");
	parse_refused(behind, sizeof(behind), -EINVAL, "line 1 column");
}

/* The API server takes and tells it wherever text is free, as in an annotation. */
static void test_A10_escaped_zero_byte_is_read(void **state)
{
	json_t *root = parse("[\"a\\u0000b\"]", 12);

	(void)state;
	assert_int_equal(json_string_length(json_array_get(root, 0)), 3);
	json_decref(root);
}

static void test_A10_depth_is_limited(void **state)
{
	char text[2 * OBJECT_MAX_DEPTH + 4];

	(void)state;
	memset(text, '[', OBJECT_MAX_DEPTH);
	memset(text + OBJECT_MAX_DEPTH, ']', OBJECT_MAX_DEPTH);
	json_decref(parse(text, 2 * OBJECT_MAX_DEPTH));

	text[0] = '\n';
	memset(text + 1, '[', OBJECT_MAX_DEPTH + 1);
	memset(text + OBJECT_MAX_DEPTH + 2, ']', OBJECT_MAX_DEPTH + 1);
	parse_refused(text, 2 * OBJECT_MAX_DEPTH + 3, -E2BIG, "line 2: more than 64 levels deep");
}

static void test_A10_many_shallow_brackets_are_fine(void **state)
{
	_cleanup_free_ char *text = malloc(4096);

	(void)state;
	assert_non_null(text);
	strcpy(text,
	       "[\"\\\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\"");
	for (size_t i = 0; i < 500; i++)
		strcat(text, ",[{}]");
	strcat(text, "]");
	json_decref(parse(text, strlen(text)));
}

static void test_A10_size_is_limited(void **state)
{
	_cleanup_free_ char *text = malloc(OBJECT_MAX_BYTES + 1);

	(void)state;
	assert_non_null(text);
	memset(text, ' ', OBJECT_MAX_BYTES + 1);
	text[0] = '[';
	text[1] = ']';
	json_decref(parse(text, OBJECT_MAX_BYTES));
	parse_refused(text, OBJECT_MAX_BYTES + 1, -E2BIG, "10485761 bytes, more than 10485760");
}

/* H1: an object is printed whole or not at all. */
static void test_H1_printed_whole(void **state)
{
	static const char expected[] = "{\"key\":[\"value\",{\"\\n\":1.5}],\"other\":true}";
	json_auto_t *root = parse(expected, strlen(expected));
	int r;

	(void)state;
	jansson_counted(NULL);
	for (unsigned n = 1;; n++) {
		_cleanup_free_ char *text = NULL;

		fail_alloc_at(n);
		r = json_print(root, &text);
		if (!fail_alloc_end()) {
			assert_string_equal(text, expected);
			break;
		}
		assert_int_equal(r, -ENOMEM);
		assert_null(text);
	}
	assert_int_equal(r, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tree),
		cmocka_unit_test(test_A10_what_is_not_json_is_refused_with_line_and_column),
		cmocka_unit_test(test_A10_zero_byte_is_refused),
		cmocka_unit_test(test_A10_escaped_zero_byte_is_read),
		cmocka_unit_test(test_A10_depth_is_limited),
		cmocka_unit_test(test_A10_many_shallow_brackets_are_fine),
		cmocka_unit_test(test_A10_size_is_limited),
		cmocka_unit_test(test_H1_printed_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
