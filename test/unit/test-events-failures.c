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
#include "decode-text.h"
#include "event-world.h"
#include "fail-alloc.h"
#include "json-request.h"

static void emit_number(struct event_world *w, int number)
{
	char note[16];

	snprintf(note, sizeof(note), "%d", number);
	event_emit(w, note);
}

static void test_requests_have_a_rate(void **state)
{
	struct event_world *w = *state;

	for (int i = 0; i < EVENT_BURST + 3; i++)
		emit_number(w, i);
	for (int i = 0; i < EVENT_BURST; i++)
		json_decref(event_take(w, "POST", 201, NULL));
	assert_silence(w);
	event_world_pass(w, EVENT_REFILL_MS - 1);
	emit_number(w, 100);
	assert_silence(w);
	event_world_pass(w, 1);
	emit_number(w, 101);
	assert_created(w, "25", 1, 201);
	assert_silence(w);
	event_world_pass(w, 2 * EVENT_REFILL_MS);
	emit_number(w, 102);
	assert_created(w, "26", 1, 201);
	assert_created(w, "27", 1, 201);
	assert_silence(w);
	assert_int_equal(event_recorder_stats(w->rec).requests, EVENT_BURST + 3);
}

static void test_S11_the_oldest_is_dropped(void **state)
{
	struct event_world *w = *state;

	w->tick_ns = NS_PER_MS;
	for (int i = 0; i < EVENT_MAX_SERIES; i++)
		emit_number(w, i);
	emit_number(w, 1); /* now one of the newest */
	assert_problems(w, "");
	emit_number(w, -1);
	assert_problems(w, "too many Events wait to be written\n");
	assert_int_equal(event_recorder_stats(w->rec).dropped, 1);
	emit_number(w, -2);
	assert_int_equal(event_recorder_stats(w->rec).dropped, 2);
	assert_problems(w, "");
	assert_created(w, "0", 1, 201); /* was on its way */
	assert_created(w, "1", 2, 201);
	assert_created(w, "4", 1, 201);

	/* What was written goes without loss. */
	emit_number(w, -3);
	emit_number(w, -4);
	assert_int_equal(event_recorder_stats(w->rec).dropped, 2);
	emit_number(w, -5);
	assert_int_equal(event_recorder_stats(w->rec).dropped, 3);
}

/* The server will say the same again: it is not asked for some time. */
static void test_A8_refused_forever(void **state)
{
	static const int statuses[] = { 403, 404, 422 };
	struct event_world *w = *state;

	for (size_t i = 0; i < ARRAY_SIZE(statuses); i++) {
		char problem[256];

		event_emit(w, "a");
		assert_created(w, "a", 1, statuses[i]);
		snprintf(problem, sizeof(problem), "POST " EVENTS_PATH ": status %d: as scripted\n",
			 statuses[i]);
		assert_problems(w, problem);
		event_emit(w, "a");
		event_world_pass(w, EVENT_SERIES_WINDOW_MS - 1);
		event_emit(w, "a");
		assert_silence(w);
		assert_int_equal(event_recorder_stats(w->rec).dropped, 4 * i + 3);

		/* Another one may do; nobody is told of the next failure, the server sees it. */
		event_emit(w, "b");
		assert_created(w, "b", 1, 403);
		assert_problems(w, "");
		event_emit(w, "c");
		assert_created(w, "c", 1, 201);
		assert_int_equal(event_recorder_stats(w->rec).dropped, 4 * i + 4);
		event_world_pass(w, EVENT_SERIES_WINDOW_MS);
	}
	event_emit(w, "a");
	assert_created(w, "a", 1, 201);
}

static void test_event_is_gone_on_the_server(void **state)
{
	struct event_world *w = *state;
	json_auto_t *first = NULL, *again = NULL;

	event_emit(w, "a");
	first = event_take(w, "POST", 201, NULL);
	event_world_pass(w, EVENT_SERIES_INTERVAL_MS);
	event_emit(w, "a");
	assert_counted(w, 2, 404);
	event_world_pass(w, 2 * EVENT_RETRY_FIRST_MS);
	event_emit(w, "b");
	again = event_take(w, "POST", 201, NULL);
	assert_json(json_object_get(again, "series"),
		    "{'count':2,'lastObservedTime':'2026-07-14T22:41:00.000000Z'}");
	assert_true(
		json_equal(json_object_get(first, "metadata"), json_object_get(again, "metadata")));
	assert_string_equal(event_text_at(again, "eventTime"), event_text_at(first, "eventTime"));
	assert_created(w, "b", 1, 201);
	assert_problems(w, "");
}

/* The first answer was lost, and the Event is there. */
static void test_event_exists_already(void **state)
{
	struct event_world *w = *state;

	event_emit(w, "a");
	http_reset(http_next(w->api->server));
	event_wait_heard(w);
	event_world_pass(w, 2 * EVENT_RETRY_FIRST_MS);
	event_emit(w, "a");
	assert_created(w, "a", 2, 409);
	assert_silence(w);
	event_world_pass(w, EVENT_SERIES_INTERVAL_MS);
	event_emit(w, "a");
	assert_counted(w, 3, 200);
	assert_int_equal(event_recorder_stats(w->rec).dropped, 0);
}

static void test_A6_failures_are_spaced_and_have_an_end(void **state)
{
	struct event_world *w = *state;
	uint64_t step_ms = EVENT_RETRY_FIRST_MS;

	event_emit(w, "a");
	for (int i = 1; i <= EVENT_MAX_ATTEMPTS; i++) {
		assert_created(w, "a", 1, i % 2 ? 503 : 429);
		w->now_ns[1] += (step_ms - 1) * NS_PER_MS;
		event_emit(w, "b");
		assert_silence(w);
		w->now_ns[1] += (step_ms + 1) * NS_PER_MS;
		assert_int_equal(event_recorder_stats(w->rec).failures, i);
		assert_problems(w, i < EVENT_MAX_ATTEMPTS ? "" :
							    "POST " EVENTS_PATH ": status 429: "
							    "as scripted\n");
		event_emit(w, "b");
		step_ms = step_ms < EVENT_RETRY_MAX_MS / 4 ? step_ms * 2 : EVENT_RETRY_MAX_MS / 2;
	}
	assert_created(w, "b", 2 * EVENT_MAX_ATTEMPTS, 201);
	assert_int_equal(event_recorder_stats(w->rec).dropped, 1);

	/* Health begins anew. */
	event_emit(w, "c");
	assert_created(w, "c", 1, 500);
	event_world_pass(w, 2 * EVENT_RETRY_FIRST_MS);
	event_emit(w, "c");
	assert_created(w, "c", 2, 201);
}

/* What failed now and then, and was written in between, is not given up. */
static void test_attempts_begin_anew(void **state)
{
	struct event_world *w = *state;

	event_emit(w, "a");
	assert_created(w, "a", 1, 201);
	for (int i = 0; i < EVENT_MAX_ATTEMPTS; i++) {
		event_world_pass(w, EVENT_SERIES_INTERVAL_MS);
		event_emit(w, "a");
		assert_counted(w, 2 * i + 2, 503);
		event_world_pass(w, 2 * EVENT_RETRY_FIRST_MS);
		event_emit(w, "a");
		assert_counted(w, 2 * i + 3, 200);
	}
	assert_int_equal(event_recorder_stats(w->rec).dropped, 0);
}

static void test_A6_retry_after_is_honoured(void **state)
{
	struct event_world *w = *state;

	event_emit(w, "a");
	json_decref(event_take(w, "POST", 429, "Retry-After: 100\r\n"));
	event_world_pass(w, 99 * 1000);
	event_emit(w, "a");
	assert_silence(w);
	event_world_pass(w, 1000 + 2 * EVENT_RETRY_FIRST_MS);
	event_emit(w, "a");
	assert_created(w, "a", 3, 201);
	event_world_pass(w, EVENT_SERIES_INTERVAL_MS);

	/* Up to a limit. */
	event_emit(w, "a");
	json_decref(event_take(w, "PATCH", 503, "Retry-After: 1000000\r\n"));
	event_world_pass(w, EVENT_RETRY_MAX_MS + 2 * EVENT_RETRY_FIRST_MS);
	event_emit(w, "a");
	assert_counted(w, 5, 200);
}

static void test_A2_server_away(void **state)
{
	struct event_world *w = *state;

	http_server_down(w->api->server);
	event_emit(w, "a");
	event_wait_heard(w);
	http_server_up(w->api->server);
	event_world_pass(w, 2 * EVENT_RETRY_FIRST_MS);
	event_emit(w, "b");
	assert_created(w, "a", 1, 201);
	assert_created(w, "b", 1, 201);
	assert_int_equal(event_recorder_stats(w->rec).dropped, 0);
}

static void test_freed_on_its_way(void **state)
{
	struct event_world *w = *state;
	struct http_exchange *x;

	event_emit(w, "a");
	event_emit(w, "b");
	x = http_next(w->api->server);
	w->rec = event_recorder_free(w->rec);
	http_settle(w->api->server);
	assert_true(http_gone(x));
	assert_int_equal(http_requests(w->api->server), 1);
	assert_null(event_recorder_free(NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		EVENT_TEST(test_requests_have_a_rate),
		EVENT_TEST(test_S11_the_oldest_is_dropped),
		EVENT_TEST(test_A8_refused_forever),
		EVENT_TEST(test_event_is_gone_on_the_server),
		EVENT_TEST(test_event_exists_already),
		EVENT_TEST(test_A6_failures_are_spaced_and_have_an_end),
		EVENT_TEST(test_attempts_begin_anew),
		EVENT_TEST(test_A6_retry_after_is_honoured),
		EVENT_TEST(test_A2_server_away),
		EVENT_TEST(test_freed_on_its_way),
	};

	return cmocka_run_group_tests(tests, jansson_counted, NULL);
}
