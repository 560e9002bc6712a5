#include <ctype.h>
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

static void test_event_of_a_service(void **state)
{
	struct event_world *w = *state;
	struct http_exchange *x;
	json_auto_t *body = NULL;

	w->now_ns[0] += 987654321;
	event_emit(w, "192.0.2.1 port 80 TCP belongs to Service \"x\"");
	x = http_next(w->api->server);
	assert_string_equal(http_method(x), "POST");
	assert_string_equal(http_target(x), EVENTS_PATH);
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
	struct event_world *w = *state;
	json_auto_t *body = NULL;

	event_recorder_emit(w->rec, &e);
	body = event_take(w, "POST", 201, NULL);
	assert_json(json_object_get(body, "regarding"),
		    "{'apiVersion':'v1','kind':'Node','namespace':'','name':'n','uid':'',"
		    "'resourceVersion':''}");
	assert_string_equal(json_string_value(json_object_get(json_object_get(body, "metadata"),
							      "namespace")),
			    "default");
	assert_string_equal(json_string_value(json_object_get(body, "type")), "Normal");
}

/* ValidateEventCreate() of the API server, as far as the values come from outside. */
static void assert_valid(const json_t *event)
{
	const json_t *metadata = json_object_get(event, "metadata");
	const char *name = event_text_at(metadata, "name");

	assert_in_range(strlen(name), 1, 253);
	assert_true(isalnum(name[0]) && isalnum(name[strlen(name) - 1]));
	assert_int_equal(strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-."), strlen(name));
	assert_null(strstr(name, ".."));
	assert_in_range(strlen(event_text_at(event, "reportingInstance")), 1, 128);
	assert_in_range(strlen(event_text_at(event, "action")), 1, 128);
	assert_in_range(strlen(event_text_at(event, "reason")), 1, 128);
	assert_in_range(strlen(event_text_at(event, "note")), 0, 1024);
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
	struct event_world *w = *state;

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct event e = event_of(texts[i]);
		json_auto_t *body = NULL;

		event_world_record_as(w, texts[i]);
		e.regarding.api_version = texts[i];
		e.regarding.kind = texts[i];
		e.regarding.name = texts[i];
		e.regarding.uid = texts[i];
		e.regarding.resource_version = texts[i];
		e.reason = texts[i];
		e.action = texts[i];
		event_recorder_emit(w->rec, &e);
		body = event_take(w, "POST", 201, NULL);
		assert_valid(body);
		assert_string_equal(event_text_at(body, "type"), "Warning");
		assert_int_equal(json_object_size(body), 11);
		if (i == 0)
			assert_string_equal(event_text_at(body, "note"), texts[0]);
		if (texts[i] == euros) /* cut between two */
			assert_int_equal(strlen(event_text_at(body, "note")), 1023);
	}
}

static void test_S1_no_such_namespace(void **state)
{
	static const char *const namespaces[] = {
		"..", "a/b", "a?b", "A", "%2e", ".", "-", "\xff"
	};
	struct event_world *w = *state;

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
	struct event_world *w = *state;

	for (size_t i = 0; i < ARRAY_SIZE(objects); i++) {
		struct event e = event_of("x");
		json_auto_t *body = NULL;
		const char *name;

		e.regarding.name = objects[i];
		event_recorder_emit(w->rec, &e);
		body = event_take(w, "POST", 201, NULL);
		assert_valid(body);
		name = event_text_at(json_object_get(body, "metadata"), "name");
		if (objects[i] == longest)
			assert_int_equal(strlen(name), 253);
		else
			assert_memory_equal(name, "kube-nft.", strlen("kube-nft."));
	}
}

static void test_names_at_one_instant(void **state)
{
	struct event_world *w = *state;
	json_auto_t *a = NULL, *b = NULL;

	event_emit(w, "a");
	event_emit(w, "b");
	a = event_take(w, "POST", 201, NULL);
	b = event_take(w, "POST", 201, NULL);
	assert_false(json_equal(json_object_get(a, "metadata"), json_object_get(b, "metadata")));
}

static void accept_note(struct http_exchange *x, void *userdata)
{
	json_auto_t *body = request_json(x);
	struct event_world *w = userdata;

	assert_valid(body);
	assert_int_equal(json_object_size(body), 11);
	assert_int_equal(json_object_size(json_object_get(body, "metadata")), 2);
	assert_int_equal(json_object_size(json_object_get(body, "regarding")), 6);
	snprintf(w->note, sizeof(w->note), "%s", event_text_at(body, "note"));
	http_reply(x, 201, NULL, "{}");
}

static bool is_idle(void *userdata)
{
	const struct event_world *w = userdata;
	struct event_recorder_stats stats = event_recorder_stats(w->rec);

	return stats.requests == stats.written + stats.failures;
}

/* What memory was short for is tried again, or counted as dropped. */
static void test_H1_short_memory(void **state)
{
	struct event_world *w = *state;
	bool failed = true;

	w->tick_ns = EVENT_RETRY_MAX_MS * NS_PER_MS; /* nothing has to be waited for */
	http_answer(w->api->server, accept_note, w);
	for (unsigned n = 1; failed; n++) {
		uint64_t dropped = event_recorder_stats(w->rec).dropped;
		char note[sizeof(w->note)];

		snprintf(note, sizeof(note), "%u", n);
		fail_alloc_at(n);
		event_emit(w, note);
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
		EVENT_TEST(test_event_of_a_service),
		EVENT_TEST(test_event_of_a_node),
		EVENT_TEST(test_S1_odd_bytes_and_long_texts),
		EVENT_TEST(test_S1_no_such_namespace),
		EVENT_TEST(test_names_of_long_objects),
		EVENT_TEST(test_names_at_one_instant),
		EVENT_TEST(test_H1_short_memory),
	};

	return cmocka_run_group_tests(tests, jansson_counted, NULL);
}
