#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/status.h"
#include "base/cleanup.h"
#include "fail-alloc.h"
#include "object/decode.h"

#define STATUS "{'kind':'Status','apiVersion':'v1','metadata':{},'status':'Failure',"

/* With single quotes for double ones. */
static struct api_status read_status(const char *text, int http_code)
{
	_cleanup_free_ char *copy = strdup(text);

	assert_non_null(copy);
	for (char *c = copy; *c; c++)
		if (*c == '\'')
			*c = '"';
	return api_status_read(copy, strlen(copy), http_code);
}

static void test_what_a_status_says(void **state)
{
	static const struct {
		const char *text;
		struct api_status expected;
	} rows[] = {
		{ STATUS "'message':'too old resource version: 1 (2)','reason':'Expired',"
			 "'code':410}",
		  { .code = 410,
		    .reason = "Expired",
		    .message = "too old resource version: 1 (2)" } },
		{ STATUS "'message':'services is forbidden','reason':'Forbidden',"
			 "'details':{'kind':'services'},'code':403}",
		  { .code = 403, .reason = "Forbidden", .message = "services is forbidden" } },
		{ STATUS "'message':'slow down','reason':'TooManyRequests',"
			 "'details':{'retryAfterSeconds':5},'code':429}",
		  { .code = 429,
		    .reason = "TooManyRequests",
		    .message = "slow down",
		    .retry_after_s = 5 } },
		{ STATUS "'message':'Timeout: Too large resource version: 9, current: 7',"
			 "'reason':'Timeout','details':{'causes':[{'reason':'Other'},{'reason':"
			 "'ResourceVersionTooLarge','message':'Too large resource version'}],"
			 "'retryAfterSeconds':1},'code':504}",
		  { .code = 504,
		    .reason = "Timeout",
		    .message = "Timeout: Too large resource version: 9, current: 7",
		    .retry_after_s = 1,
		    .version_too_large = true } },
		{ STATUS "'details':{'causes':[{'reason':'Other'}]},'code':504}", { .code = 504 } },
		{ "{'kind':'Status'}", { .code = 0 } },
		{ "{'kind':'Status','code':'410','reason':7,'message':null,'details':"
		  "{'causes':[1,{'reason':[]}],'retryAfterSeconds':'5'}}",
		  { .code = 0 } },
		{ "{'kind':'Status','details':[],'code':599,'metadata':[]}", { .code = 599 } },
		{ "{'kind':'Status','details':{'causes':{}},'code':600}", { .code = 0 } },
		{ "{'kind':'Status','code':99}", { .code = 0 } },
		{ "{'kind':'Status','code':100}", { .code = 100 } },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct api_status *expected = &rows[i].expected;
		struct api_status s = read_status(rows[i].text, 0);

		assert_int_equal(s.code, expected->code);
		assert_string_equal(s.reason, expected->reason);
		assert_string_equal(s.message, expected->message);
		assert_int_equal(s.retry_after_s, expected->retry_after_s);
		assert_int_equal(s.version_too_large, expected->version_too_large);
	}
}

static void test_own_code_goes_before_that_of_http(void **state)
{
	(void)state;
	assert_int_equal(read_status("{'kind':'Status','code':410}", 200).code, 410);
	assert_int_equal(read_status("{'kind':'Status'}", 500).code, 500);
	assert_int_equal(read_status("{'kind':'Status','code':0}", 500).code, 500);
	assert_int_equal(read_status("<html>", 502).code, 502);
}

static void test_A9_what_is_no_status_is_shown(void **state)
{
	static const struct {
		const char *text;
		const char *message;
	} rows[] = {
		{ "", "" },
		{ " \r\n", "" },
		{ "404 page not found\n", "404 page not found" },
		{ "\r\n<html>\r\n<title>502</title>\n\n", "<html>\\x0d\\x0a<title>502</title>" },
		{ "{'kind':'Pod'}", "{\"kind\":\"Pod\"}" },
		{ "{'kind':7,'message':'x'}", "{\"kind\":7,\"message\":\"x\"}" },
		{ "['Status']", "[\"Status\"]" },
		{ "{'kind':'Status'", "{\"kind\":\"Status\"" },
		{ "\x1b[31m\xff", "\\x1b[31m\\xff" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct api_status s = read_status(rows[i].text, 400);

		assert_int_equal(s.code, 400);
		assert_string_equal(s.reason, "");
		assert_string_equal(s.message, rows[i].message);
		assert_int_equal(s.retry_after_s, 0);
		assert_false(s.version_too_large);
	}
}

static void test_A10_zero_bytes_end_what_is_shown(void **state)
{
	static const char text[] = "busy\0hidden";

	(void)state;
	assert_string_equal(api_status_read(text, sizeof(text), 503).message, "busy");
}

static void test_words_are_escaped(void **state)
{
	struct api_status s = read_status("{'kind':'Status','reason':'a\\u001b[2J',"
					  "'message':'one\\ntwo \\u202e'}",
					  0);

	(void)state;
	assert_string_equal(s.reason, "a\\x1b[2J");
	assert_string_equal(s.message, "one\\x0atwo \\xe2\\x80\\xae");
}

/* "é" has two bytes, the first of which would be the last one in the room. */
static void test_A10_words_are_cut_between_characters(void **state)
{
	static const size_t room = STATUS_MESSAGE_BYTES - 1;
	char text[3 * STATUS_MESSAGE_BYTES], words[STATUS_MESSAGE_BYTES];
	struct api_status s;

	(void)state;
	memset(words, 'm', room);
	words[room] = '\0';
	snprintf(text, sizeof(text), "{'kind':'Status','message':'%s'}", words);
	assert_string_equal(read_status(text, 0).message, words);
	assert_string_equal(read_status(words, 0).message, words);

	words[room - 1] = '\0';
	snprintf(text, sizeof(text), "%sé and more", words);
	assert_string_equal(read_status(text, 0).message, words);
	snprintf(text, sizeof(text), "{'kind':'Status','message':'%sé','reason':'%s'}", words,
		 words);
	s = read_status(text, 0);
	assert_string_equal(s.message, words);
	assert_int_equal(strlen(s.reason), STATUS_REASON_BYTES - 1);
}

static void test_A10_delays_are_limited(void **state)
{
	static const struct {
		const char *seconds;
		uint32_t expected;
	} rows[] = {
		{ "0", 0 },       { "1", 1 },       { "-1", 0 },
		{ "3600", 3600 }, { "3601", 3600 }, { "9223372036854775807", 3600 },
		{ "1.5", 0 },     { "null", 0 },
	};
	char text[128];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		snprintf(text, sizeof(text), STATUS "'details':{'retryAfterSeconds':%s}}",
			 rows[i].seconds);
		assert_int_equal(read_status(text, 0).retry_after_s, rows[i].expected);
	}
}

static void test_A10_size_is_limited(void **state)
{
	static const char status[] = "{\"kind\":\"Status\",\"code\":410}";
	_cleanup_free_ char *text = malloc(STATUS_MAX_BYTES + 1);

	(void)state;
	assert_non_null(text);
	memset(text, ' ', STATUS_MAX_BYTES + 1);
	memcpy(text, status, strlen(status));
	assert_int_equal(api_status_read(text, STATUS_MAX_BYTES, 0).code, 410);
	assert_int_equal(api_status_read(text, STATUS_MAX_BYTES + 1, 0).code, 0);
}

static void *counted_malloc(size_t size)
{
	return malloc(size);
}

/* Without memory a Status is shown as if it were none. */
static void test_H1_status(void **state)
{
	static const char text[] = "{\"kind\":\"Status\",\"code\":410,\"message\":\"old\"}";

	(void)state;
	json_set_alloc_funcs(counted_malloc, free);
	json_decref(json_object()); /* draws the seed of the hash tables, which opens files */
	for (unsigned n = 1;; n++) {
		struct api_status s;

		fail_alloc_at(n);
		s = api_status_read(text, strlen(text), 500);
		if (!fail_alloc_end()) {
			assert_string_equal(s.message, "old");
			assert_true(n > 5);
			break;
		}
		assert_int_equal(s.code, 500);
		assert_string_equal(s.message, text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_a_status_says),
		cmocka_unit_test(test_own_code_goes_before_that_of_http),
		cmocka_unit_test(test_A9_what_is_no_status_is_shown),
		cmocka_unit_test(test_A10_zero_bytes_end_what_is_shown),
		cmocka_unit_test(test_words_are_escaped),
		cmocka_unit_test(test_A10_words_are_cut_between_characters),
		cmocka_unit_test(test_A10_delays_are_limited),
		cmocka_unit_test(test_A10_size_is_limited),
		cmocka_unit_test(test_H1_status),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
