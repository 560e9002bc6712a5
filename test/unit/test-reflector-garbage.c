/* What a watch may say that is no news, or none that can be used. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/loop.h"
#include "fail-alloc.h"
#include "reflector-fixture.h"

static void test_A8_forbidden_watch(void **state)
{
	struct reflected *f = *state;
	struct http_exchange *x = reflected_watch(f, TWO);

	for (int i = 0; i < 5; i++) {
		http_reply(x, 403, NULL, STATUS(403, "Forbidden", "n cannot watch", ""));
		x = next_request(f, WATCH_QUERY("9"));
	}
	assert_reflected(f, "report services: may not watch services: n cannot watch (RBAC)\n");
	assert_int_equal(reflected_stats(f).failures, 5);
}

static void test_A9_garbage_in_a_watch(void **state)
{
	static const struct {
		const char *headers, *body;
	} answers[] = {
		{ NULL, "<html></html>" },
		{ "Content-Type: text/html\r\n", EVENT("ADDED", ITEM("c", "u3", "10")) },
		{ NULL, LIST("9", "") },
		{ NULL, "{\"type\":\"ADDED\"}" },
		{ NULL, "{\"type\":\"ADDED\",\"object\":}" },
		{ NULL, "{\"type\":1,\"object\":{}}" },
	};
	struct reflected *f = *state;
	struct http_exchange *x = reflected_watch(f, TWO);

	f->reflector->limits.watch_short_ms = FOREVER_MS;
	for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
		http_reply(x, 200, answers[i].headers, answers[i].body);
		/* Three times at one place: the place may be what is wrong. */
		if (i % 3 == 2)
			http_reply(next_request(f, SERVICES "?resourceVersion=9"), 200, NULL, TWO);
		x = next_request(f, WATCH_QUERY("9"));
	}
	http_begin(x, 200, NULL);
	assert_non_null(strstr(buf_text(&f->log), "report services: can't watch services: byte 0"));
	assert_null(strstr(buf_text(&f->log), "apply"));
	assert_int_equal(reflected_stats(f).failures, ARRAY_SIZE(answers));
}

static void test_A9_garbage_behind_news_is_no_row(void **state)
{
	struct reflected *f = *state;
	struct http_exchange *x = reflected_stream(f, TWO);
	char event[256], query[256];

	for (int i = 10; i < 20; i++) {
		snprintf(event, sizeof(event), BOOKMARK("%d") "garbage", i);
		snprintf(query, sizeof(query), WATCH_QUERY("%d"), i);
		http_chunk(x, event);
		x = next_stream(f, query);
	}
	assert_int_equal(reflected_stats(f).lists, 1);
}

static void test_A10_bad_events_cost_only_their_object(void **state)
{
	static const char bad_a[] =
		"report services: Service default/a: spec.ports[0].port: 0 is not a "
		"port (1 to 65535)\n";
	struct reflected *f = *state;
	struct http_exchange *x = reflected_stream(f, TWO);

	http_chunk(x, EVENT("MODIFIED", BAD_ITEM("a", "u1", "10")));
	http_chunk(x, EVENT("MODIFIED", BAD_ITEM("a", "u1", "10")));
	assert_reflected(f, bad_a);
	/* The last good version stands, even when the bad one is another object of that name. */
	http_chunk(x, EVENT("MODIFIED", BAD_ITEM("a", "u7", "11")));
	assert_reflected(f, bad_a);
	assert_int_equal(reflected_stats(f).objects, 2);
	assert_int_equal(reflected_stats(f).refused, 3);
	http_chunk(x, EVENT("MODIFIED", ITEM("a", "u7", "12")));
	assert_reflected(f, "remove default/a\n"
			    "apply default/a@12\n");
	http_chunk(x, EVENT("ADDED", BAD_ITEM("new", "u8", "13")));
	http_chunk(x, EVENT("DELETED", BAD_ITEM("new", "u8", "14")));
	http_chunk(x, EVENT("DELETED", BAD_ITEM("a", "u7", "15")));
	assert_reflected(
		f, "report services: Service default/new: spec.ports[0].port: 0 is not a port "
		   "(1 to 65535)\n"
		   "remove default/a\n");
	http_end(x);
	next_stream(f, WATCH_QUERY("15"));
}

static void test_A10_objects_that_no_parser_likes(void **state)
{
	static const char *const tails[] = {
		"\"a\":{\"a\":1,\"a\":2}",
		"\"a\":NaN",
		"\"a\":\"\\ud800\"",
		"\"a\":\"\\u0000\"",
		"\"a\":\"\xff\"",
		"\"spec\":{\"ports\":[{\"port\":99999999999999999999999}]}",
		"\"spec\":{\"ports\":[{\"port\":1e400}]}",
		"\"metadata\":1",
		"\"spec\":[]",
	};
	struct reflected *f = *state;
	struct http_exchange *x = reflected_stream(f, TWO);

	for (size_t i = 0; i < ARRAY_SIZE(tails); i++) {
		char event[512];

		snprintf(event, sizeof(event),
			 EVENT("ADDED", "{\"metadata\":{\"name\":\"n%zu\",\"namespace\":\"x\","
					"\"resourceVersion\":\"5\"},%s}"),
			 i, tails[i]);
		http_chunk(x, event);
	}
	http_chunk(x, EVENT("ADDED", ITEM("c", "u3", "10")));
	while (!strstr(buf_text(&f->log), "apply default/c@10\n"))
		http_settle(f->server);
	for (size_t i = 0; i < ARRAY_SIZE(tails); i++) {
		char report[64];

		snprintf(report, sizeof(report), "report services: Service x/n%zu: ", i);
		if (!strstr(buf_text(&f->log), report))
			fail_msg("%s of %s is missing: %s", report, tails[i], buf_text(&f->log));
	}
	assert_int_equal(reflected_stats(f).refused, ARRAY_SIZE(tails));
}

static void test_A10_deep_object(void **state)
{
	struct reflected *f = *state;
	struct http_exchange *x = reflected_stream(f, TWO);

	http_chunk(x, "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"deep\"},\"x\":");
	for (int i = 0; i < 100000; i++)
		http_chunk_bytes(x, "[", 1);
	for (int i = 0; i < 100000; i++)
		http_chunk_bytes(x, "]", 1);
	http_chunk(x, "}}" EVENT("ADDED", ITEM("c", "u3", "10")));
	assert_reflected(f, "report services: Service deep: line 1: more than 64 levels deep\n"
			    "apply default/c@10\n");
}

static void test_A11_one_byte_at_a_time(void **state)
{
	static const char event[] = EVENT("ADDED", ITEM("c", "u3", "10"));
	struct reflected *f = *state;
	struct http_exchange *x = reflected_stream(f, TWO);

	/* The newline behind it is not waited for. */
	for (size_t i = 0; i + 2 < sizeof(event); i++) {
		assert_reflected(f, "");
		http_chunk_bytes(x, event + i, 1);
	}
	assert_reflected(f, "apply default/c@10\n");
}

static void test_A19_unknown_words_are_counted(void **state)
{
	struct reflected *f = *state;
	struct http_exchange *x = reflected_stream(f, TWO);

	http_chunk(x, EVENT("ADDED", "{\"metadata\":{\"name\":\"c\",\"namespace\":\"default\","
				     "\"resourceVersion\":\"10\",\"new\":{\"x\":[1]}},\"spec\":{"
				     "\"clusterIP\":\"10.0.0.3\",\"ports\":[{\"port\":80}],"
				     "\"internalTrafficPolicy\":\"Nearest\",\"another\":null},"
				     "\"newest\":[]}"));
	assert_reflected(f, "apply default/c@10\n");
	assert_int_equal(reflected_stats(f).unknown_enums, 1);
}

static void test_event_that_was_not_taken_is_heard_again(void **state)
{
	struct reflected *f = *state;
	struct http_exchange *x = reflected_stream(f, TWO);

	f->reflector->limits.watch_short_ms = FOREVER_MS;
	f->apply_error = -ENOMEM;
	http_chunk(x, BOOKMARK("10") EVENT("MODIFIED", ITEM("a", "u9", "11")));
	x = next_stream(f, WATCH_QUERY("10"));
	assert_reflected(f, "remove default/a\n"
			    "report services: can't watch services: out of memory\n");
	f->apply_error = 0;
	http_chunk(x, EVENT("MODIFIED", ITEM("a", "u9", "11")));
	while (!strstr(buf_text(&f->log), "apply default/a@11\n"))
		http_settle(f->server);
	assert_int_equal(reflected_stats(f).objects, 2);
	assert_int_equal(reflected_stats(f).lists, 1);
}

/* What was removed for a successor that was not taken is told anew, even as it was before. */
static void test_removed_object_that_comes_back(void **state)
{
	struct reflected *f = *state;
	struct http_exchange *x = reflected_stream(f, TWO);

	f->reflector->limits.watch_short_ms = FOREVER_MS;
	f->apply_error = -ENOMEM;
	http_chunk(x, EVENT("MODIFIED", ITEM("a", "u9", "11")));
	http_reply(next_request(f, WATCH_QUERY("9")), 410, NULL, GONE);
	x = next_request(f, SERVICES "?resourceVersion=9");
	f->apply_error = 0;
	http_reply(x, 200, NULL, TWO);
	assert_reflected(f, "remove default/a\n"
			    "report services: can't watch services: out of memory\n"
			    "apply default/a@3\n");
	assert_int_equal(reflected_stats(f).objects, 2);
}

/* Trouble that comes and goes while there is another is not told each time. */
static void test_each_trouble_is_told_once(void **state)
{
	struct reflected *f = *state;
	struct http_exchange *x = reflected_watch(f, TWO);

	f->reflector->limits.watch_short_ms = FOREVER_MS;
	for (int i = 0; i < 3; i++) {
		http_reply(x, 429, NULL, "");
		http_reply(next_request(f, WATCH_QUERY("9")), 503, NULL, "");
		next_request(f, WATCH_QUERY("9"));
		http_server_down(f->server);
		while (reflected_stats(f).failures < (unsigned)(3 * i + 3))
			assert_int_equal(loop_turn(f->loop, 10), 0);
		http_server_up(f->server);
		x = next_request(f, WATCH_QUERY("9"));
		f->reflector->stats.failures = (unsigned)(3 * i + 3);
	}
	f->reflector->limits.watch_short_ms = 0;
	http_begin(x, 200, NULL);
	assert_reflected(f, "report services: can't watch services: the server answers 429\n"
			    "report services: can't watch services: the server answers 503\n"
			    "report services: can't watch services: connect to SERVER: Connection "
			    "refused\n"
			    "recovered services: followed again after N s\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		REFLECTED_TEST(test_A8_forbidden_watch),
		REFLECTED_TEST(test_A9_garbage_in_a_watch),
		REFLECTED_TEST(test_A9_garbage_behind_news_is_no_row),
		REFLECTED_TEST(test_A10_bad_events_cost_only_their_object),
		REFLECTED_TEST(test_A10_objects_that_no_parser_likes),
		REFLECTED_TEST(test_A10_deep_object),
		REFLECTED_TEST(test_A11_one_byte_at_a_time),
		REFLECTED_TEST(test_A19_unknown_words_are_counted),
		REFLECTED_TEST(test_event_that_was_not_taken_is_heard_again),
		REFLECTED_TEST(test_removed_object_that_comes_back),
		REFLECTED_TEST(test_each_trouble_is_told_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
