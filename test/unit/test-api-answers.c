/* Answers of all kinds, good and bad, and what the caller hears of them. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "api-fixture.h"

static void assert_retry_after(struct api_world *w, const char *value, const char *expected)
{
	struct listener *l = api_get(w, "a", "/");
	char headers[100], heard[100];

	snprintf(headers, sizeof(headers), "Retry-After: %s\r\n", value);
	snprintf(heard, sizeof(heard), "a head 429  %s\na done\n", expected);
	http_reply(http_next(w->server), 429, headers, "");
	api_wait(l);
	assert_heard(w, heard);
}

static void test_A6_retry_after_counts_in_seconds(void **state)
{
	struct api_world *w = *state;

	assert_retry_after(w, "7", "7000");
	assert_retry_after(w, "0", "0");
	assert_retry_after(w, "4294967295", "4294967295000");
	assert_retry_after(w, "4294967296", "0");
	assert_retry_after(w, "99999999999999999999", "0");
	assert_retry_after(w, "-7", "0");
	assert_retry_after(w, "+7", "0");
	assert_retry_after(w, "7s", "0");
	assert_retry_after(w, "", "0");
	assert_retry_after(w, "Fri, 31 Dec 2100 23:59:59 GMT", "0");
}

static void test_any_status_is_an_answer(void **state)
{
	struct api_world *w = *state;
	struct listener *l = api_get(w, "a", "/");

	http_reply(http_next(w->server), 503, "Content-Type: text/plain; charset=utf-8\r\n",
		   "overloaded");
	api_wait(l);
	assert_heard(w, "a head 503 text/plain 0\na body overloaded\na done\n");
	api_ask(l, &(struct api_request){ .path = "/" });
	http_reply(http_next(w->server), 204, "", "");
	api_wait(l);
	assert_heard(w, "a head 204  0\na done\n");
}

static void test_redirections_and_cookies_are_not_followed(void **state)
{
	struct api_world *w = *state;
	struct listener *l = api_get(w, "a", "/");

	http_reply(http_next(w->server), 302, "Location: /else\r\nSet-Cookie: a=b\r\n", "");
	api_wait(l);
	assert_heard(w, "a head 302  0\na done\n");
	api_ask(l, &(struct api_request){ .path = "/else" });
	assert_null(http_header(http_next(w->server), "Cookie"));
	assert_int_equal(http_requests(w->server), 2);
}

static void test_interim_answers_and_trailers_are_not_told(void **state)
{
	struct api_world *w = *state;
	struct listener *l = api_get(w, "a", "/");
	static const char answer[] = "HTTP/1.1 103 Early Hints\r\nRetry-After: 5\r\n\r\n"
				     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
				     "2\r\nok\r\n0\r\nRetry-After: 6\r\n\r\n";

	http_raw(http_next(w->server), answer, sizeof(answer) - 1);
	api_wait(l);
	assert_heard(w, "a head 200  0\na body ok\na done\n");
}

/* {"kind":"ServiceList"} */
static const unsigned char zipped[] = {
	0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0xab, 0x56, 0xca, 0xce,
	0xcc, 0x4b, 0x51, 0xb2, 0x52, 0x0a, 0x4e, 0x2d, 0x2a, 0xcb, 0x4c, 0x4e, 0xf5, 0xc9,
	0x2c, 0x2e, 0x51, 0xaa, 0x05, 0x00, 0xab, 0xeb, 0xf9, 0x90, 0x16, 0x00, 0x00, 0x00,
};

/* Send it byte by byte, and what was made of it. */
static void zipped_answer(struct api_world *w, const unsigned char *bytes, struct buf *ret_body)
{
	struct listener *l = api_get(w, "a", "/");
	struct http_exchange *x = http_next(w->server);

	http_begin(x, 200, "Content-Encoding: gzip\r\n");
	for (size_t i = 0; i < sizeof(zipped); i++) {
		http_chunk_bytes(x, bytes + i, 1);
		http_settle(w->server);
	}
	http_end(x);
	api_wait(l);
	for (const char *p = buf_text(&w->log); (p = strstr(p, "a body ")); p++)
		buf_append(ret_body, p + 7, strcspn(p + 7, "\n"));
}

static void test_gzip_is_taken_off(void **state)
{
	struct api_world *w = *state;
	_cleanup_buf_ struct buf body = { 0 };

	zipped_answer(w, zipped, &body);
	assert_string_equal(buf_text(&body), "{\"kind\":\"ServiceList\"}");
	assert_string_equal(strstr(buf_text(&w->log), "a done"), "a done\n");
}

static void test_A9_gzip_with_a_wrong_checksum_is_an_error(void **state)
{
	struct api_world *w = *state;
	_cleanup_buf_ struct buf body = { 0 };
	unsigned char wrong[sizeof(zipped)];

	memcpy(wrong, zipped, sizeof(wrong));
	wrong[35] ^= 1;
	zipped_answer(w, wrong, &body);
	assert_non_null(
		strstr(buf_text(&w->log), "a done EBADMSG: SERVER: what it answered is no"));
}

static void test_A9_broken_gzip_is_an_error(void **state)
{
	struct api_world *w = *state;
	struct listener *l = api_get(w, "a", "/");

	http_reply(http_next(w->server), 200, "Content-Encoding: gzip\r\n", "no gzip at all");
	api_wait(l);
	assert_heard(w, "a head 200  0\na done EBADMSG: SERVER: what it answered is no proper "
			"HTTP: Unrecognized or bad HTTP Content or Transfer-Encoding\n");
}

/* A few bytes could become more than anybody can read. */
static void test_A10_gzip_in_gzip_is_refused(void **state)
{
	static const char *const codings[] = {
		"Content-Encoding: gzip, gzip\r\n",
		"Content-Encoding: gzip\r\nContent-Encoding: gzip\r\n",
		"Transfer-Encoding: gzip, gzip\r\n",
	};
	static const unsigned char twice[] = {
		0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0x93, 0xef, 0xe6,
		0x60, 0x00, 0x01, 0x26, 0xe6, 0xd3, 0xe7, 0xd9, 0x18, 0xdc, 0xef, 0xde, 0xa9,
		0x64, 0x02, 0xf2, 0x00, 0xf9, 0x60, 0x66, 0xbc, 0x16, 0x00, 0x00, 0x00,
	};
	struct api_world *w = *state;
	struct listener *l = api_listener(w, "a");

	for (size_t i = 0; i < ARRAY_SIZE(codings); i++) {
		static const char head[] = "HTTP/1.1 200 OK\r\n";
		struct http_exchange *x;

		api_ask(l, &(struct api_request){ .path = "/" });
		x = http_next(w->server);
		http_raw(x, head, sizeof(head) - 1);
		http_raw(x, codings[i], strlen(codings[i]));
		http_raw(x, "\r\n", 2);
		http_raw(x, twice, sizeof(twice));
		http_cut(x);
		api_wait(l);
		assert_heard(w, "a done EBADMSG: SERVER: its answer is not wanted: Bad message\n");
	}
}

static void test_A9_what_is_no_http_is_an_error(void **state)
{
	struct api_world *w = *state;
	struct listener *l = api_get(w, "a", "/");
	struct http_exchange *x = http_next(w->server);

	http_raw(x, "SSH-2.0-OpenSSH_9.2\r\n", 21);
	http_cut(x);
	api_wait(l);
	assert_heard(w, "a done EBADMSG: SERVER: what it answered is no proper HTTP: "
			"Unsupported protocol\n");
}

static void test_A9_body_that_breaks_off_is_an_error(void **state)
{
	struct api_world *w = *state;
	struct listener *l = api_get(w, "a", "/");
	struct http_exchange *x = http_next(w->server);
	static const char half[] = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf";

	http_raw(x, half, sizeof(half) - 1);
	http_cut(x);
	api_wait(l);
	assert_heard(w, "a head 200  0\na body half\na done ECONNRESET: SERVER: connection lost: "
			"transfer closed with 6 bytes remaining to read\n");

	api_ask(l, &(struct api_request){ .path = "/" });
	x = http_next(w->server);
	http_begin(x, 200, "");
	http_chunk(x, "half");
	http_settle(w->server);
	http_cut(x);
	api_wait(l);
	assert_heard(w, "a head 200  0\na body half\na done ECONNRESET: SERVER: connection lost: "
			"transfer closed with outstanding read data remaining\n");

	api_ask(l, &(struct api_request){ .path = "/" });
	x = http_next(w->server);
	http_begin(x, 200, "");
	http_settle(w->server);
	http_reset(x);
	api_wait(l);
	assert_heard(w, "a head 200  0\na done ECONNRESET: SERVER: connection lost: Recv failure: "
			"Connection reset by peer\n");
}

static void test_connection_without_an_answer_is_an_error(void **state)
{
	struct api_world *w = *state;
	struct listener *l = api_get(w, "a", "/");

	http_cut(http_next(w->server));
	api_wait(l);
	assert_heard(w, "a done ECONNRESET: SERVER: connection lost: Empty reply from server\n");
}

#define api_test(name) cmocka_unit_test_setup_teardown(name, api_setup, api_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		api_test(test_A6_retry_after_counts_in_seconds),
		api_test(test_any_status_is_an_answer),
		api_test(test_redirections_and_cookies_are_not_followed),
		api_test(test_interim_answers_and_trailers_are_not_told),
		api_test(test_gzip_is_taken_off),
		api_test(test_A9_gzip_with_a_wrong_checksum_is_an_error),
		api_test(test_A9_broken_gzip_is_an_error),
		api_test(test_A10_gzip_in_gzip_is_refused),
		api_test(test_A9_what_is_no_http_is_an_error),
		api_test(test_A9_body_that_breaks_off_is_an_error),
		api_test(test_connection_without_an_answer_is_an_error),
	};

	return cmocka_run_group_tests_name("api answers", tests, NULL, NULL);
}
