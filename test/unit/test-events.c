#include <ctype.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api-fixture.h"
#include "api/events.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "decode-text.h"
#include "fail-alloc.h"
#include "json-request.h"

#define PATH "/apis/events.k8s.io/v1/namespaces/default/events"
#define NS_PER_MS 1000000ULL
/* 2026-07-14T22:40:00Z */
#define START_NS 1784068800000000000ULL

struct world {
	struct api_world *api;
	struct event_recorder *rec;
	uint64_t now_ns[2]; /* realtime, monotonic */
	uint64_t tick_ns;   /* what each look at the monotonic clock takes */
	uint64_t answered;  /* requests */
	struct buf problems;
	char note[16]; /* of the last request */
};

static uint64_t world_clock(clockid_t clock, void *userdata)
{
	struct world *w = userdata;

	if (clock == CLOCK_REALTIME)
		return w->now_ns[0];
	return w->now_ns[1] += w->tick_ns;
}

static void world_pass(struct world *w, uint64_t ms)
{
	w->now_ns[0] += ms * NS_PER_MS;
	w->now_ns[1] += ms * NS_PER_MS;
}

static void world_report(const char *problem, void *userdata)
{
	struct world *w = userdata;

	fail_alloc_suspend();
	buf_printf(&w->problems, "%s\n", problem);
	fail_alloc_resume();
}

static void world_record_as(struct world *w, const char *instance)
{
	const struct event_recorder_config config = {
		.instance = instance,
		.seed = 1,
		.report = world_report,
		.clock = world_clock,
		.userdata = w,
	};

	event_recorder_free(w->rec);
	w->answered = 0;
	assert_int_equal(
		event_recorder_new(api_client(w->api), w->api->loop, &config, &w->rec, NULL), 0);
}

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	void *api;

	assert_non_null(w);
	assert_int_equal(api_setup(&api), 0);
	w->api = api;
	w->now_ns[0] = START_NS;
	world_record_as(w, "node-1");
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;
	void *api = w->api;

	event_recorder_free(w->rec);
	api_teardown(&api);
	buf_free(&w->problems);
	free(w);
	return 0;
}

/* Of the Service default/web. */
static struct event event_of(const char *note)
{
	return (struct event){
		.regarding = {
			.api_version = "v1",
			.kind = "Service",
			.namespace = "default",
			.name = "web",
			.uid = "4f6c",
			.resource_version = "17",
		},
		.type = EVENT_WARNING,
		.reason = "AddressConflict",
		.action = "ConfigureService",
		.note = note,
	};
}

static void emit(struct world *w, const char *note)
{
	const struct event e = event_of(note);

	event_recorder_emit(w->rec, &e);
}

static bool is_heard(void *userdata)
{
	const struct world *w = userdata;
	struct event_recorder_stats stats = event_recorder_stats(w->rec);

	return stats.written + stats.failures == w->answered;
}

/* The recorder has heard all that the server said. */
static void wait_heard(struct world *w)
{
	w->answered++;
	http_wait(w->api->server, is_heard, w);
}

/* Answer the next request, whose body the caller then owns. */
static json_t *take(struct world *w, const char *method, int status, const char *headers)
{
	struct http_exchange *x = http_next(w->api->server);
	json_t *body = request_json(x);

	assert_string_equal(http_method(x), method);
	http_reply(x, status, headers, "{\"kind\":\"Status\",\"message\":\"as scripted\"}");
	wait_heard(w);
	return body;
}

/* The next request is a new Event with @note, told @count times. */
static void assert_created(struct world *w, const char *note, int count, int status)
{
	json_auto_t *body = take(w, "POST", status, NULL);
	const json_t *series = json_object_get(body, "series");

	assert_string_equal(json_string_value(json_object_get(body, "note")), note);
	assert_int_equal(series ? json_integer_value(json_object_get(series, "count")) : 1, count);
}

static void assert_counted(struct world *w, int count, int status)
{
	json_auto_t *body = take(w, "PATCH", status, NULL);
	const json_t *series = json_object_get(body, "series");

	assert_int_equal(json_integer_value(json_object_get(series, "count")), count);
}

static void assert_silence(struct world *w)
{
	size_t n = http_requests(w->api->server);

	http_settle(w->api->server);
	assert_int_equal(http_requests(w->api->server), n);
}

static void assert_problems(struct world *w, const char *expected)
{
	assert_string_equal(buf_text(&w->problems), expected);
	buf_reset(&w->problems);
	if (w->problems.data)
		w->problems.data[0] = '\0';
}

static void test_event_of_a_service(void **state)
{
	struct world *w = *state;
	struct http_exchange *x;
	json_auto_t *body = NULL;

	w->now_ns[0] += 987654321;
	emit(w, "192.0.2.1 port 80 TCP belongs to Service \"x\"");
	x = http_next(w->api->server);
	assert_string_equal(http_method(x), "POST");
	assert_string_equal(http_target(x), PATH);
	assert_string_equal(http_header(x, "content-type"), "application/json");
	body = request_json(x);
	assert_json(body,
		    "{'apiVersion':'events.k8s.io/v1','kind':'Event',"
		    "'metadata':{'name':'web.18c2491f41b9e8b1207879c3','namespace':'default'},"
		    "'eventTime':'2026-07-14T22:40:00.987654Z',"
		    "'reportingController':'kube-nft.io/agent','reportingInstance':'node-1',"
		    "'action':'ConfigureService','reason':'AddressConflict',"
		    "'regarding':{'apiVersion':'v1','kind':'Service','namespace':'default',"
		    "'name':'web','uid':'4f6c','resourceVersion':'17'},"
		    "'note':'192.0.2.1 port 80 TCP belongs to Service \\\"x\\\"',"
		    "'type':'Warning'}");
}

static void test_event_of_a_node(void **state)
{
	const struct event e = {
		.regarding = { .api_version = "v1", .kind = "Node", .namespace = "", .name = "n" },
		.type = EVENT_NORMAL,
		.reason = "ForeignChangeRepaired",
		.action = "Repair",
		.note = "",
	};
	struct world *w = *state;
	json_auto_t *body = NULL;

	event_recorder_emit(w->rec, &e);
	body = take(w, "POST", 201, NULL);
	assert_json(json_object_get(body, "regarding"),
		    "{'apiVersion':'v1','kind':'Node','namespace':'','name':'n','uid':'',"
		    "'resourceVersion':''}");
	assert_string_equal(json_string_value(json_object_get(json_object_get(body, "metadata"),
							      "namespace")),
			    "default");
	assert_string_equal(json_string_value(json_object_get(body, "type")), "Normal");
}

static const char *text_at(const json_t *object, const char *field)
{
	const char *text = json_string_value(json_object_get(object, field));

	assert_non_null(text);
	return text;
}

/* ValidateEventCreate() of the API server, as far as the values come from outside. */
static void assert_valid(const json_t *event)
{
	const json_t *metadata = json_object_get(event, "metadata");
	const char *name = text_at(metadata, "name");

	assert_in_range(strlen(name), 1, 253);
	assert_true(isalnum(name[0]) && isalnum(name[strlen(name) - 1]));
	assert_int_equal(strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-."), strlen(name));
	assert_null(strstr(name, ".."));
	assert_in_range(strlen(text_at(event, "reportingInstance")), 1, 128);
	assert_in_range(strlen(text_at(event, "action")), 1, 128);
	assert_in_range(strlen(text_at(event, "reason")), 1, 128);
	assert_in_range(strlen(text_at(event, "note")), 0, 1024);
}

/* @n times @item, to be freed by the caller. */
static char *filled(const char *item, size_t n)
{
	struct buf b = { 0 };

	for (size_t i = 0; i < n; i++)
		buf_puts(&b, item);
	assert_int_equal(buf_error(&b), 0);
	return b.data;
}

static void test_S1_odd_bytes_and_long_texts(void **state)
{
	_cleanup_free_ char *euros = filled("\xe2\x82\xac", 1000), *letters = filled("a", 4000);
	const char *const texts[] = {
		"\",\"type\":\"Normal\"}\\",
		"\n\x1b[31m\x7f",
		"\xff\xfe\xc3",
		"../../x?y=z#%2e",
		"..",
		"-",
		"\xe2\x80\xae",
		letters,
		euros,
	};
	struct world *w = *state;

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct event e = event_of(texts[i]);
		json_auto_t *body = NULL;

		world_record_as(w, texts[i]);
		e.regarding.api_version = texts[i];
		e.regarding.kind = texts[i];
		e.regarding.name = texts[i];
		e.regarding.uid = texts[i];
		e.regarding.resource_version = texts[i];
		e.reason = texts[i];
		e.action = texts[i];
		event_recorder_emit(w->rec, &e);
		body = take(w, "POST", 201, NULL);
		assert_valid(body);
		assert_string_equal(text_at(body, "type"), "Warning");
		assert_int_equal(json_object_size(body), 11);
		if (i == 0)
			assert_string_equal(text_at(body, "note"), texts[0]);
		if (texts[i] == euros) /* cut between two */
			assert_int_equal(strlen(text_at(body, "note")), 1023);
	}
}

static void test_S1_no_such_namespace(void **state)
{
	static const char *const namespaces[] = {
		"..", "a/b", "a?b", "A", "%2e", ".", "-", "\xff"
	};
	struct world *w = *state;

	for (size_t i = 0; i < ARRAY_SIZE(namespaces); i++) {
		struct event e = event_of("x");

		e.regarding.namespace = namespaces[i];
		event_recorder_emit(w->rec, &e);
	}
	assert_silence(w);
	assert_problems(w, "no such namespace\n");
	assert_int_equal(event_recorder_stats(w->rec).dropped, ARRAY_SIZE(namespaces));
}

static void test_names_of_long_objects(void **state)
{
	_cleanup_free_ char *longest = filled("a", 253 - 25), *longer = filled("a", 253 - 24);
	const char *const objects[] = { longest, longer };
	struct world *w = *state;

	for (size_t i = 0; i < ARRAY_SIZE(objects); i++) {
		struct event e = event_of("x");
		json_auto_t *body = NULL;
		const char *name;

		e.regarding.name = objects[i];
		event_recorder_emit(w->rec, &e);
		body = take(w, "POST", 201, NULL);
		assert_valid(body);
		name = text_at(json_object_get(body, "metadata"), "name");
		if (objects[i] == longest)
			assert_int_equal(strlen(name), 253);
		else
			assert_memory_equal(name, "kube-nft.", strlen("kube-nft."));
	}
}

static void test_names_at_one_instant(void **state)
{
	struct world *w = *state;
	json_auto_t *a = NULL, *b = NULL;

	emit(w, "a");
	emit(w, "b");
	a = take(w, "POST", 201, NULL);
	b = take(w, "POST", 201, NULL);
	assert_false(json_equal(json_object_get(a, "metadata"), json_object_get(b, "metadata")));
}

static void test_same_again_is_counted(void **state)
{
	struct world *w = *state;
	json_auto_t *patch = NULL, *event = NULL;
	struct http_exchange *x;
	char path[512];

	emit(w, "a");
	event = take(w, "POST", 201, NULL);
	emit(w, "a");
	world_pass(w, EVENT_SERIES_INTERVAL_MS - 1);
	emit(w, "a");
	assert_silence(w);

	world_pass(w, 1);
	emit(w, "a");
	x = http_next(w->api->server);
	snprintf(path, sizeof(path), PATH "/%s",
		 text_at(json_object_get(event, "metadata"), "name"));
	assert_string_equal(http_method(x), "PATCH");
	assert_string_equal(http_target(x), path);
	assert_string_equal(http_header(x, "content-type"), "application/merge-patch+json");
	patch = request_json(x);
	assert_json(patch,
		    "{'series':{'count':4,'lastObservedTime':'2026-07-14T22:41:00.000000Z'}}");
	http_reply(x, 200, NULL, "{}");
	wait_heard(w);

	emit(w, "a");
	assert_silence(w);
	world_pass(w, EVENT_SERIES_INTERVAL_MS);
	emit(w, "a");
	assert_counted(w, 6, 200);
}

/* The last of a series is written though nothing else happens. */
static void test_count_is_written_when_it_is_time(void **state)
{
	struct world *w = *state;

	emit(w, "a");
	assert_created(w, "a", 1, 201);
	world_pass(w, EVENT_SERIES_INTERVAL_MS - 20);
	w->tick_ns = NS_PER_MS;
	emit(w, "a");
	assert_counted(w, 2, 200);
}

static void test_counted_while_it_waits(void **state)
{
	struct world *w = *state;

	emit(w, "a");
	emit(w, "b");
	emit(w, "b");
	emit(w, "a");
	emit(w, "b");
	assert_created(w, "a", 1, 201);
	assert_created(w, "b", 3, 201);
	assert_silence(w);
	world_pass(w, EVENT_SERIES_INTERVAL_MS);
	emit(w, "c");
	assert_counted(w, 2, 200);
	assert_created(w, "c", 1, 201);
}

static void test_what_makes_another_event(void **state)
{
	const struct event base = event_of("a");
	struct event others[8];
	struct world *w = *state;

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

	emit(w, "a");
	emit(w, "b");
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		event_recorder_emit(w->rec, &others[i]);
	for (size_t i = 0; i < 2 + ARRAY_SIZE(others); i++)
		json_decref(take(w, "POST", 201, NULL));

	/* A newer version of the same object does not. */
	others[0] = base;
	others[0].regarding.resource_version = "18";
	event_recorder_emit(w->rec, &others[0]);
	assert_silence(w);
	assert_int_equal(http_requests(w->api->server), 2 + ARRAY_SIZE(others) - 1 + 1);
}

static void test_series_ends(void **state)
{
	struct world *w = *state;
	json_auto_t *first = NULL, *second = NULL;

	emit(w, "a");
	first = take(w, "POST", 201, NULL);
	world_pass(w, EVENT_SERIES_WINDOW_MS - 1);
	emit(w, "a");
	assert_counted(w, 2, 200);
	world_pass(w, EVENT_SERIES_WINDOW_MS);
	emit(w, "a");
	second = take(w, "POST", 201, NULL);
	assert_null(json_object_get(second, "series"));
	assert_string_not_equal(text_at(json_object_get(first, "metadata"), "name"),
				text_at(json_object_get(second, "metadata"), "name"));
}

static void emit_number(struct world *w, int number)
{
	char note[16];

	snprintf(note, sizeof(note), "%d", number);
	emit(w, note);
}

static void test_requests_have_a_rate(void **state)
{
	struct world *w = *state;

	for (int i = 0; i < EVENT_BURST + 3; i++)
		emit_number(w, i);
	for (int i = 0; i < EVENT_BURST; i++)
		json_decref(take(w, "POST", 201, NULL));
	assert_silence(w);
	world_pass(w, EVENT_REFILL_MS - 1);
	emit_number(w, 100);
	assert_silence(w);
	world_pass(w, 1);
	emit_number(w, 101);
	assert_created(w, "25", 1, 201);
	assert_silence(w);
	world_pass(w, 2 * EVENT_REFILL_MS);
	emit_number(w, 102);
	assert_created(w, "26", 1, 201);
	assert_created(w, "27", 1, 201);
	assert_silence(w);
	assert_int_equal(event_recorder_stats(w->rec).requests, EVENT_BURST + 3);
}

static void test_S11_the_oldest_is_dropped(void **state)
{
	struct world *w = *state;

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
	struct world *w = *state;

	for (size_t i = 0; i < ARRAY_SIZE(statuses); i++) {
		char problem[256];

		emit(w, "a");
		assert_created(w, "a", 1, statuses[i]);
		snprintf(problem, sizeof(problem), "POST " PATH ": status %d: as scripted\n",
			 statuses[i]);
		assert_problems(w, problem);
		emit(w, "a");
		world_pass(w, EVENT_SERIES_WINDOW_MS - 1);
		emit(w, "a");
		assert_silence(w);
		assert_int_equal(event_recorder_stats(w->rec).dropped, 4 * i + 3);

		/* Another one may do; nobody is told of the next failure, the server sees it. */
		emit(w, "b");
		assert_created(w, "b", 1, 403);
		assert_problems(w, "");
		emit(w, "c");
		assert_created(w, "c", 1, 201);
		assert_int_equal(event_recorder_stats(w->rec).dropped, 4 * i + 4);
		world_pass(w, EVENT_SERIES_WINDOW_MS);
	}
	emit(w, "a");
	assert_created(w, "a", 1, 201);
}

static void test_event_is_gone_on_the_server(void **state)
{
	struct world *w = *state;
	json_auto_t *first = NULL, *again = NULL;

	emit(w, "a");
	first = take(w, "POST", 201, NULL);
	world_pass(w, EVENT_SERIES_INTERVAL_MS);
	emit(w, "a");
	assert_counted(w, 2, 404);
	world_pass(w, 2 * EVENT_RETRY_FIRST_MS);
	emit(w, "b");
	again = take(w, "POST", 201, NULL);
	assert_json(json_object_get(again, "series"),
		    "{'count':2,'lastObservedTime':'2026-07-14T22:41:00.000000Z'}");
	assert_true(
		json_equal(json_object_get(first, "metadata"), json_object_get(again, "metadata")));
	assert_string_equal(text_at(again, "eventTime"), text_at(first, "eventTime"));
	assert_created(w, "b", 1, 201);
	assert_problems(w, "");
}

/* The first answer was lost, and the Event is there. */
static void test_event_exists_already(void **state)
{
	struct world *w = *state;

	emit(w, "a");
	http_reset(http_next(w->api->server));
	wait_heard(w);
	world_pass(w, 2 * EVENT_RETRY_FIRST_MS);
	emit(w, "a");
	assert_created(w, "a", 2, 409);
	assert_silence(w);
	world_pass(w, EVENT_SERIES_INTERVAL_MS);
	emit(w, "a");
	assert_counted(w, 3, 200);
	assert_int_equal(event_recorder_stats(w->rec).dropped, 0);
}

static void test_A6_failures_are_spaced_and_have_an_end(void **state)
{
	struct world *w = *state;
	uint64_t step_ms = EVENT_RETRY_FIRST_MS;

	emit(w, "a");
	for (int i = 1; i <= EVENT_MAX_ATTEMPTS; i++) {
		assert_created(w, "a", 1, i % 2 ? 503 : 429);
		w->now_ns[1] += (step_ms - 1) * NS_PER_MS;
		emit(w, "b");
		assert_silence(w);
		w->now_ns[1] += (step_ms + 1) * NS_PER_MS;
		assert_int_equal(event_recorder_stats(w->rec).failures, i);
		assert_problems(w, i < EVENT_MAX_ATTEMPTS ? "" :
							    "POST " PATH ": status 429: "
							    "as scripted\n");
		emit(w, "b");
		step_ms = step_ms < EVENT_RETRY_MAX_MS / 4 ? step_ms * 2 : EVENT_RETRY_MAX_MS / 2;
	}
	assert_created(w, "b", 2 * EVENT_MAX_ATTEMPTS, 201);
	assert_int_equal(event_recorder_stats(w->rec).dropped, 1);

	/* Health begins anew. */
	emit(w, "c");
	assert_created(w, "c", 1, 500);
	world_pass(w, 2 * EVENT_RETRY_FIRST_MS);
	emit(w, "c");
	assert_created(w, "c", 2, 201);
}

/* What failed now and then, and was written in between, is not given up. */
static void test_attempts_begin_anew(void **state)
{
	struct world *w = *state;

	emit(w, "a");
	assert_created(w, "a", 1, 201);
	for (int i = 0; i < EVENT_MAX_ATTEMPTS; i++) {
		world_pass(w, EVENT_SERIES_INTERVAL_MS);
		emit(w, "a");
		assert_counted(w, 2 * i + 2, 503);
		world_pass(w, 2 * EVENT_RETRY_FIRST_MS);
		emit(w, "a");
		assert_counted(w, 2 * i + 3, 200);
	}
	assert_int_equal(event_recorder_stats(w->rec).dropped, 0);
}

static void test_A6_retry_after_is_honoured(void **state)
{
	struct world *w = *state;

	emit(w, "a");
	json_decref(take(w, "POST", 429, "Retry-After: 100\r\n"));
	world_pass(w, 99 * 1000);
	emit(w, "a");
	assert_silence(w);
	world_pass(w, 1000 + 2 * EVENT_RETRY_FIRST_MS);
	emit(w, "a");
	assert_created(w, "a", 3, 201);
	world_pass(w, EVENT_SERIES_INTERVAL_MS);

	/* Up to a limit. */
	emit(w, "a");
	json_decref(take(w, "PATCH", 503, "Retry-After: 1000000\r\n"));
	world_pass(w, EVENT_RETRY_MAX_MS + 2 * EVENT_RETRY_FIRST_MS);
	emit(w, "a");
	assert_counted(w, 5, 200);
}

static void test_A2_server_away(void **state)
{
	struct world *w = *state;

	http_server_down(w->api->server);
	emit(w, "a");
	wait_heard(w);
	http_server_up(w->api->server);
	world_pass(w, 2 * EVENT_RETRY_FIRST_MS);
	emit(w, "b");
	assert_created(w, "a", 1, 201);
	assert_created(w, "b", 1, 201);
	assert_int_equal(event_recorder_stats(w->rec).dropped, 0);
}

static void test_freed_on_its_way(void **state)
{
	struct world *w = *state;
	struct http_exchange *x;

	emit(w, "a");
	emit(w, "b");
	x = http_next(w->api->server);
	w->rec = event_recorder_free(w->rec);
	http_settle(w->api->server);
	assert_true(http_gone(x));
	assert_int_equal(http_requests(w->api->server), 1);
	assert_null(event_recorder_free(NULL));
}

static void accept_note(struct http_exchange *x, void *userdata)
{
	json_auto_t *body = request_json(x);
	struct world *w = userdata;

	assert_valid(body);
	assert_int_equal(json_object_size(body), 11);
	assert_int_equal(json_object_size(json_object_get(body, "metadata")), 2);
	assert_int_equal(json_object_size(json_object_get(body, "regarding")), 6);
	snprintf(w->note, sizeof(w->note), "%s", text_at(body, "note"));
	http_reply(x, 201, NULL, "{}");
}

static bool is_idle(void *userdata)
{
	const struct world *w = userdata;
	struct event_recorder_stats stats = event_recorder_stats(w->rec);

	return stats.requests == stats.written + stats.failures;
}

/* What memory was short for is tried again, or counted as dropped. */
static void test_H1_short_memory(void **state)
{
	struct world *w = *state;
	bool failed = true;

	w->tick_ns = EVENT_RETRY_MAX_MS * NS_PER_MS; /* nothing has to be waited for */
	http_answer(w->api->server, accept_note, w);
	for (unsigned n = 1; failed; n++) {
		uint64_t dropped = event_recorder_stats(w->rec).dropped;
		char note[sizeof(w->note)];

		snprintf(note, sizeof(note), "%u", n);
		fail_alloc_at(n);
		emit(w, note);
		http_wait(w->api->server, is_idle, w);
		failed = fail_alloc_end();
		if (event_recorder_stats(w->rec).dropped == dropped)
			assert_string_equal(w->note, note);
		else
			assert_true(failed);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_event_of_a_service, setup, teardown),
		cmocka_unit_test_setup_teardown(test_event_of_a_node, setup, teardown),
		cmocka_unit_test_setup_teardown(test_S1_odd_bytes_and_long_texts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_S1_no_such_namespace, setup, teardown),
		cmocka_unit_test_setup_teardown(test_names_of_long_objects, setup, teardown),
		cmocka_unit_test_setup_teardown(test_names_at_one_instant, setup, teardown),
		cmocka_unit_test_setup_teardown(test_same_again_is_counted, setup, teardown),
		cmocka_unit_test_setup_teardown(test_count_is_written_when_it_is_time, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_counted_while_it_waits, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_makes_another_event, setup, teardown),
		cmocka_unit_test_setup_teardown(test_series_ends, setup, teardown),
		cmocka_unit_test_setup_teardown(test_requests_have_a_rate, setup, teardown),
		cmocka_unit_test_setup_teardown(test_S11_the_oldest_is_dropped, setup, teardown),
		cmocka_unit_test_setup_teardown(test_A8_refused_forever, setup, teardown),
		cmocka_unit_test_setup_teardown(test_event_is_gone_on_the_server, setup, teardown),
		cmocka_unit_test_setup_teardown(test_event_exists_already, setup, teardown),
		cmocka_unit_test_setup_teardown(test_A6_failures_are_spaced_and_have_an_end, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_attempts_begin_anew, setup, teardown),
		cmocka_unit_test_setup_teardown(test_A6_retry_after_is_honoured, setup, teardown),
		cmocka_unit_test_setup_teardown(test_A2_server_away, setup, teardown),
		cmocka_unit_test_setup_teardown(test_freed_on_its_way, setup, teardown),
		cmocka_unit_test_setup_teardown(test_H1_short_memory, setup, teardown),
	};

	return cmocka_run_group_tests(tests, jansson_counted, NULL);
}
