/* How a reflector follows its watch, and how it goes on when that has ended. */
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

static void test_events_are_told_as_they_come(void **state)
{
	struct reflected *f = *state;
	struct http_exchange *x = reflected_stream(f, TWO);

	http_chunk(x, EVENT("ADDED", ITEM("c", "u3", "10")));
	assert_reflected(f, "apply default/c@10\n");
	http_chunk(x, EVENT("MODIFIED", ITEM("a", "u1", "11"))
			      EVENT("DELETED", ITEM("b", "u2", "12")));
	assert_reflected(f, "apply default/a@11\n"
			    "remove default/b\n");
	assert_int_equal(reflected_stats(f).objects, 2);
	assert_int_equal(reflected_stats(f).events, 3);
	http_end(x);
	next_stream(f, WATCH_QUERY("12"));
}

static void test_A16_oddities_of_order(void **state)
{
	struct reflected *f = *state;
	struct http_exchange *x = reflected_stream(f, TWO);

	/* Deleted and made again, told as one change. */
	http_chunk(x, EVENT("MODIFIED", ITEM("a", "u9", "10")));
	assert_reflected(f, "remove default/a\n"
			    "apply default/a@10\n");
	http_chunk(x, EVENT("DELETED", ITEM("never", "u3", "11")));
	http_chunk(x, EVENT("ADDED", ITEM("b", "u2", "4")));
	http_chunk(x, EVENT("MODIFIED", ITEM("a", "u9", "10")));
	http_chunk(x, EVENT("RENAMED", ITEM("c", "u3", "15")));
	http_chunk(x, EVENT("MODIFIED", ITEM("d", "u4", "16")));
	http_chunk(x,
		   EVENT("DELETED", ITEM("a", "u9", "17")) EVENT("DELETED", ITEM("a", "u9", "17")));
	assert_reflected(f, "apply default/d@16\n"
			    "remove default/a\n");
	assert_int_equal(reflected_stats(f).objects, 2);
}

static void test_A16_bookmarks_only_move_the_version(void **state)
{
	struct reflected *f = *state;
	struct http_exchange *x = reflected_stream(f, TWO);

	http_chunk(x, BOOKMARK("20"));
	http_chunk(x, BOOKMARK(""));
	http_end(x);
	http_chunk(next_stream(f, WATCH_QUERY("20")), INITIAL_END("21") EVENT("ERROR", GONE));
	next_request(f, SERVICES "?resourceVersion=21");
	assert_reflected(f, "");
}

static void test_A3_closed_watches_are_resumed(void **state)
{
	struct reflected *f = *state;
	struct http_exchange *x = reflected_stream(f, TWO);

	for (int i = 0; i < 60; i++) {
		http_settle(f->server);
		http_end(x);
		x = next_stream(f, WATCH_QUERY("9"));
	}
	assert_int_equal(reflected_stats(f).lists, 1);
	assert_int_equal(reflected_stats(f).watches, 61);
	assert_int_equal(reflected_stats(f).failures, 0);
	assert_backed_off(f, 0);
	assert_reflected(f, "");
}

static void test_unexpected_end_resumes(void **state)
{
	static const char half[] = "{\"type\":\"ADDED\",\"object\":{\"metadata\":";
	struct reflected *f = *state;
	struct http_exchange *x = reflected_stream(f, TWO);

	for (int i = 0; i < 3; i++) {
		http_chunk(x, half);
		http_settle(f->server);
		if (i == 0)
			http_end(x);
		else if (i == 1)
			http_cut(x);
		else
			http_reset(x);
		x = next_stream(f, WATCH_QUERY("9"));
		assert_backed_off(f, 0);
	}
	http_chunk(x, EVENT("ADDED", ITEM("c", "u3", "10")));
	assert_reflected(f, "apply default/c@10\n");
}

static void test_A4_gone(void **state)
{
	struct reflected *f = *state;
	struct http_exchange *x = reflected_watch(f, TWO);

	http_reply(x, 410, NULL, GONE);
	http_reply(next_request(f, SERVICES "?resourceVersion=9"), 200, NULL,
		   LIST("20", ITEM("b", "u2", "4")));
	assert_reflected(f, "remove default/a\n");
	assert_backed_off(f, BACKOFF_FIRST_MS);
	/* Whatever else the server has to say behind it. */
	http_chunk(next_stream(f, WATCH_QUERY("20")),
		   EVENT("ERROR", GONE) EVENT("ADDED", ITEM("c", "u3", "21")));
	next_request(f, SERVICES "?resourceVersion=20");
	assert_reflected(f, "");
	assert_int_equal(reflected_stats(f).failures, 0);
}

static void test_error_events_that_mean_a_list(void **state)
{
	static const struct {
		const char *event, *list;
		unsigned failures;
	} errors[] = {
		{ EVENT("ERROR", TOO_LARGE), SERVICES, 0 },
		{ EVENT("ERROR", STATUS(400, "BadRequest", "no", "")),
		  SERVICES "?resourceVersion=9", 1 },
		{ EVENT("ERROR", STATUS(404, "NotFound", "no", "")), SERVICES "?resourceVersion=9",
		  1 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
		struct reflected *f;

		reflected_setup(state);
		f = *state;
		http_chunk(reflected_stream(f, TWO), errors[i].event);
		next_request(f, errors[i].list);
		assert_backed_off(f, BACKOFF_FIRST_MS);
		assert_int_equal(reflected_stats(f).failures, errors[i].failures);
		reflected_teardown(state);
	}
}

/* Requests are answered as they come: lists and watch lists by "a" and "b", watches by "c". */
static void on_request(struct http_exchange *x, void *userdata)
{
	(void)userdata;
	if (!strstr(http_target(x), "watch=true")) {
		http_reply(x, 200, NULL, TWO);
		return;
	}
	http_begin(x, 200, NULL);
	if (strstr(http_target(x), "sendInitialEvents"))
		http_chunk(x, EVENT("ADDED", ITEM("a", "u1", "3"))
				      EVENT("ADDED", ITEM("b", "u2", "4")) INITIAL_END("9"));
	http_chunk(x, EVENT("ADDED", ITEM("c", "u3", "10")));
}

/* Whatever allocation fails, in the end all is told. */
static void test_short_memory(void **state)
{
	for (int watch_list = 0; watch_list < 2; watch_list++) {
		bool failed = true;

		for (unsigned n = 1; failed; n++) {
			struct reflected *f;

			reflected_setup(state);
			f = *state;
			http_answer(f->server, on_request, NULL);
			reflected_start(f, watch_list);
			fail_alloc_at(n);
			for (int turns = 0; reflected_stats(f).objects < 3; turns++) {
				assert_true(turns < 10000);
				assert_int_equal(loop_turn(f->loop, 10), 0);
			}
			failed = fail_alloc_end();
			reflected_teardown(state);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		REFLECTED_TEST(test_events_are_told_as_they_come),
		REFLECTED_TEST(test_A16_oddities_of_order),
		REFLECTED_TEST(test_A16_bookmarks_only_move_the_version),
		REFLECTED_TEST(test_A3_closed_watches_are_resumed),
		REFLECTED_TEST(test_unexpected_end_resumes),
		REFLECTED_TEST(test_A4_gone),
		cmocka_unit_test(test_error_events_that_mean_a_list),
		cmocka_unit_test(test_short_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
