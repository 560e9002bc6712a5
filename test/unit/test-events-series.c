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

static void test_same_again_is_counted(void **state)
{
	struct event_world *w = *state;
	json_auto_t *patch = NULL, *event = NULL;
	struct http_exchange *x;
	char path[512];

	event_emit(w, "a");
	event = event_take(w, "POST", 201, NULL);
	event_emit(w, "a");
	event_world_pass(w, EVENT_SERIES_INTERVAL_MS - 1);
	event_emit(w, "a");
	assert_silence(w);

	event_world_pass(w, 1);
	event_emit(w, "a");
	x = http_next(w->api->server);
	snprintf(path, sizeof(path), EVENTS_PATH "/%s",
		 event_text_at(json_object_get(event, "metadata"), "name"));
	assert_string_equal(http_method(x), "PATCH");
	assert_string_equal(http_target(x), path);
	assert_string_equal(http_header(x, "content-type"), "application/merge-patch+json");
	patch = request_json(x);
	assert_json(patch,
		    "{'series':{'count':4,'lastObservedTime':'2026-07-14T22:41:00.000000Z'}}");
	http_reply(x, 200, NULL, "{}");
	event_wait_heard(w);

	event_emit(w, "a");
	assert_silence(w);
	event_world_pass(w, EVENT_SERIES_INTERVAL_MS);
	event_emit(w, "a");
	assert_counted(w, 6, 200);
}

/* The last of a series is written though nothing else happens. */
static void test_count_is_written_when_it_is_time(void **state)
{
	struct event_world *w = *state;

	event_emit(w, "a");
	assert_created(w, "a", 1, 201);
	event_world_pass(w, EVENT_SERIES_INTERVAL_MS - 20);
	w->tick_ns = NS_PER_MS;
	event_emit(w, "a");
	assert_counted(w, 2, 200);
}

static void test_counted_while_it_waits(void **state)
{
	struct event_world *w = *state;

	event_emit(w, "a");
	event_emit(w, "b");
	event_emit(w, "b");
	event_emit(w, "a");
	event_emit(w, "b");
	assert_created(w, "a", 1, 201);
	assert_created(w, "b", 3, 201);
	assert_silence(w);
	event_world_pass(w, EVENT_SERIES_INTERVAL_MS);
	event_emit(w, "c");
	assert_counted(w, 2, 200);
	assert_created(w, "c", 1, 201);
}

static void test_what_makes_another_event(void **state)
{
	const struct event base = event_of("a");
	struct event others[8];
	struct event_world *w = *state;

	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		others[i] = base;
	others[0].regarding.api_version = "v2";
	others[1].regarding.kind = "Node";
	others[2].regarding.namespace = "kube-system";
	others[3].regarding.name = "db";
	others[4].regarding.uid = "other";
	others[5].type = EVENT_NORMAL;
	others[6].reason = "Other";
	others[7].action = "Other";

	event_emit(w, "a");
	event_emit(w, "b");
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		event_recorder_emit(w->rec, &others[i]);
	for (size_t i = 0; i < 2 + ARRAY_SIZE(others); i++)
		json_decref(event_take(w, "POST", 201, NULL));

	/* A newer version of the same object does not. */
	others[0] = base;
	others[0].regarding.resource_version = "18";
	event_recorder_emit(w->rec, &others[0]);
	assert_silence(w);
	assert_int_equal(http_requests(w->api->server), 2 + ARRAY_SIZE(others) - 1 + 1);
}

static void test_series_ends(void **state)
{
	struct event_world *w = *state;
	json_auto_t *first = NULL, *second = NULL;

	event_emit(w, "a");
	first = event_take(w, "POST", 201, NULL);
	event_world_pass(w, EVENT_SERIES_WINDOW_MS - 1);
	event_emit(w, "a");
	assert_counted(w, 2, 200);
	event_world_pass(w, EVENT_SERIES_WINDOW_MS);
	event_emit(w, "a");
	second = event_take(w, "POST", 201, NULL);
	assert_null(json_object_get(second, "series"));
	assert_string_not_equal(event_text_at(json_object_get(first, "metadata"), "name"),
				event_text_at(json_object_get(second, "metadata"), "name"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		EVENT_TEST(test_same_again_is_counted),
		EVENT_TEST(test_count_is_written_when_it_is_time),
		EVENT_TEST(test_counted_while_it_waits),
		EVENT_TEST(test_what_makes_another_event),
		EVENT_TEST(test_series_ends),
	};

	return cmocka_run_group_tests(tests, jansson_counted, NULL);
}
