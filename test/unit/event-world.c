#include "event-world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "decode-text.h"
#include "fail-alloc.h"
#include "json-request.h"

static uint64_t event_world_clock(clockid_t clock, void *userdata)
{
	struct event_world *w = userdata;

	if (clock == CLOCK_REALTIME)
		return w->now_ns[0];
	return w->now_ns[1] += w->tick_ns;
}

void event_world_pass(struct event_world *w, uint64_t ms)
{
	w->now_ns[0] += ms * NS_PER_MS;
	w->now_ns[1] += ms * NS_PER_MS;
}

static void event_world_report(const char *problem, void *userdata)
{
	struct event_world *w = userdata;

	fail_alloc_suspend();
	buf_printf(&w->problems, "%s\n", problem);
	fail_alloc_resume();
}

void event_world_record_as(struct event_world *w, const char *instance)
{
	const struct event_recorder_config config = {
		.instance = instance,
		.seed = 1,
		.report = event_world_report,
		.clock = event_world_clock,
		.userdata = w,
	};

	event_recorder_free(w->rec);
	w->answered = 0;
	assert_int_equal(
		event_recorder_new(api_client(w->api), w->api->loop, &config, &w->rec, NULL), 0);
}

int event_world_setup(void **state)
{
	struct event_world *w = calloc(1, sizeof(*w));
	void *api;

	assert_non_null(w);
	assert_int_equal(api_setup(&api), 0);
	w->api = api;
	w->now_ns[0] = START_NS;
	event_world_record_as(w, "node-1");
	*state = w;
	return 0;
}

int event_world_teardown(void **state)
{
	struct event_world *w = *state;
	void *api = w->api;

	event_recorder_free(w->rec);
	api_teardown(&api);
	buf_free(&w->problems);
	free(w);
	return 0;
}

struct event event_of(const char *note)
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

void event_emit(struct event_world *w, const char *note)
{
	const struct event e = event_of(note);

	event_recorder_emit(w->rec, &e);
}

static bool is_heard(void *userdata)
{
	const struct event_world *w = userdata;
	struct event_recorder_stats stats = event_recorder_stats(w->rec);

	return stats.written + stats.failures == w->answered;
}

void event_wait_heard(struct event_world *w)
{
	w->answered++;
	http_wait(w->api->server, is_heard, w);
}

json_t *event_take(struct event_world *w, const char *method, int status, const char *headers)
{
	struct http_exchange *x = http_next(w->api->server);
	json_t *body = request_json(x);

	assert_string_equal(http_method(x), method);
	http_reply(x, status, headers, "{\"kind\":\"Status\",\"message\":\"as scripted\"}");
	event_wait_heard(w);
	return body;
}

void assert_created(struct event_world *w, const char *note, int count, int status)
{
	json_auto_t *body = event_take(w, "POST", status, NULL);
	const json_t *series = json_object_get(body, "series");

	assert_string_equal(json_string_value(json_object_get(body, "note")), note);
	assert_int_equal(series ? json_integer_value(json_object_get(series, "count")) : 1, count);
}

void assert_counted(struct event_world *w, int count, int status)
{
	json_auto_t *body = event_take(w, "PATCH", status, NULL);
	const json_t *series = json_object_get(body, "series");

	assert_int_equal(json_integer_value(json_object_get(series, "count")), count);
}

void assert_silence(struct event_world *w)
{
	size_t n = http_requests(w->api->server);

	http_settle(w->api->server);
	assert_int_equal(http_requests(w->api->server), n);
}

void assert_problems(struct event_world *w, const char *expected)
{
	assert_string_equal(buf_text(&w->problems), expected);
	buf_reset(&w->problems);
	if (w->problems.data)
		w->problems.data[0] = '\0';
}

const char *event_text_at(const json_t *object, const char *field)
{
	const char *text = json_string_value(json_object_get(object, field));

	assert_non_null(text);
	return text;
}
