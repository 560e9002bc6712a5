/* A reflector whose server is asked for its objects by a watch list. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "reflector-fixture.h"

#define FIRST_LIST SERVICES "?resourceVersion=0"

static struct http_exchange *first_stream(struct reflected *f)
{
	reflected_start(f, true);
	return next_stream(f, WATCH_LIST_QUERY);
}

static void test_objects_are_told_at_the_end_and_the_watch_goes_on(void **state)
{
	struct reflected *f = *state;
	struct http_exchange *x = first_stream(f);

	http_chunk(x, EVENT("ADDED", ITEM("a", "u1", "3")));
	http_chunk(x, EVENT("ADDED", ITEM("b", "u2", "4")));
	http_settle(f->server);
	assert_reflected(f, "");
	http_chunk(x, INITIAL_END("9"));
	assert_reflected(f, "apply default/a@3\n"
			    "apply default/b@4\n"
			    "synced Service\n");
	http_chunk(x, EVENT("MODIFIED", ITEM("b", "u2", "10")));
	assert_reflected(f, "apply default/b@10\n");
	http_end(x);
	next_stream(f, WATCH_QUERY("10"));
	assert_int_equal(reflector_stats(f->reflector).lists, 1);
	assert_int_equal(reflector_stats(f->reflector).watches, 1);
	assert_int_equal(reflector_stats(f->reflector).events, 4);
	assert_backed_off(f, 0);
}

/* The watch list that comes next when a and b were told, and the watch behind them had gone too far. */
static struct http_exchange *second_watch_list(struct reflected *f)
{
	struct http_exchange *x = first_stream(f);

	http_chunk(x, EVENT("ADDED", ITEM("a", "u1", "3")) EVENT("ADDED", ITEM("b", "u2", "4")));
	http_chunk(x, INITIAL_END("9") EVENT("ERROR", GONE));
	x = next_stream(f, WATCH_LIST_QUERY "&resourceVersion=9");
	buf_reset(&f->log);
	return x;
}

static void test_A4_relist_by_a_watch_list(void **state)
{
	struct reflected *f = *state;
	struct http_exchange *x = second_watch_list(f);

	http_chunk(x,
		   EVENT("ADDED", BAD_ITEM("a", "u1", "3")) EVENT("ADDED", ITEM("c", "u3", "10")));
	http_settle(f->server);
	assert_reflected(f, "");
	http_chunk(x, INITIAL_END("11"));
	assert_reflected(f, "remove default/b\n"
			    "apply default/c@10\n");
}

/* What happens while the initial objects are on their way may be among them. */
static void test_changes_before_the_end(void **state)
{
	struct reflected *f = *state;
	struct http_exchange *x = second_watch_list(f);

	http_chunk(x, EVENT("ADDED", ITEM("a", "u1", "3")) EVENT("ADDED", ITEM("b", "u2", "4")));
	http_chunk(x, EVENT("ADDED", ITEM("c", "u3", "5")) EVENT("ADDED", ITEM("d", "u4", "6")));
	http_chunk(x,
		   EVENT("DELETED", ITEM("a", "u1", "10")) EVENT("DELETED", ITEM("c", "u3", "11")));
	http_chunk(x,
		   EVENT("MODIFIED", ITEM("d", "u4", "12")) EVENT("DELETED", ITEM("e", "u", "1")));
	http_chunk(x, EVENT("ADDED", ITEM("c", "u5", "13")) INITIAL_END("13"));
	assert_reflected(f, "remove default/a\n"
			    "apply default/d@12\n"
			    "apply default/c@13\n");
	assert_int_equal(reflector_stats(f->reflector).objects, 3);
}

/* No other watch list is asked for, then or later. */
static void assert_fell_back(struct reflected *f)
{
	struct http_exchange *x = next_request(f, FIRST_LIST);

	assert_backed_off(f, 0);
	http_reply(x, 200, NULL, LIST("9", ITEM("z", "u1", "3")));
	assert_reflected(f, "apply default/z@3\n"
			    "synced Service\n");
	http_reply(next_request(f, WATCH_QUERY("9")), 410, NULL, GONE);
	next_request(f, SERVICES "?resourceVersion=9");
	assert_int_equal(reflector_stats(f->reflector).failures, 0);
}

static void test_A17_refused(void **state)
{
	static const int statuses[] = { 400, 404, 405, 406, 415, 422 };

	for (size_t i = 0; i < ARRAY_SIZE(statuses); i++) {
		struct reflected *f;

		reflected_setup(state);
		f = *state;
		reflected_start(f, true);
		http_reply(next_request(f, WATCH_LIST_QUERY), statuses[i], NULL,
			   STATUS(422, "Invalid", "sendInitialEvents: Forbidden", ""));
		assert_fell_back(f);
		reflected_teardown(state);
	}
}

static void test_A17_refused_by_an_event(void **state)
{
	struct reflected *f = *state;
	struct http_exchange *x = first_stream(f);

	http_chunk(x, EVENT("ADDED", ITEM("a", "u1", "3")));
	http_chunk(x, EVENT("ERROR", STATUS(500, "InternalError", "no", "")));
	assert_fell_back(f);
}

static void test_A17_parameter_is_ignored(void **state)
{
	struct reflected *f = *state;
	struct http_exchange *x = first_stream(f);

	http_chunk(x, EVENT("ADDED", ITEM("a", "u1", "3")) BOOKMARK("4"));
	assert_fell_back(f);
	assert_true(http_gone(x));
}

static void test_A17_end_without_a_version(void **state)
{
	struct reflected *f = *state;

	http_chunk(first_stream(f), EVENT("ADDED", ITEM("a", "u1", "3")) INITIAL_END(""));
	assert_fell_back(f);
}

static void test_A17_ended_too_early(void **state)
{
	struct reflected *f = *state;
	struct http_exchange *x = first_stream(f);

	http_chunk(x, EVENT("ADDED", ITEM("a", "u1", "3")));
	http_end(x);
	assert_fell_back(f);
}

static void test_A17_never_completed(void **state)
{
	struct reflected *f = *state;
	struct http_exchange *x;

	reflected_start(f, true);
	f->reflector->limits.initial_quiet_ms = 20;
	x = next_stream(f, WATCH_LIST_QUERY);
	http_chunk(x, EVENT("ADDED", ITEM("a", "u1", "3")));
	assert_fell_back(f);
	assert_true(http_gone(x));
}

/* The deadline of a watch list that has ended otherwise ends nothing else. */
static void test_deadline_ends_with_its_request(void **state)
{
	struct reflected *f = *state;
	struct http_exchange *x;

	reflected_start(f, true);
	f->reflector->limits.initial_quiet_ms = 20;
	f->reflector->backoff.first_ms = f->reflector->backoff.max_ms = 100;
	x = next_stream(f, WATCH_LIST_QUERY);
	http_chunk(x, EVENT("ERROR", STATUS(429, "TooManyRequests", "slow down", "")));
	next_request(f, WATCH_LIST_QUERY);
	assert_int_equal(reflector_stats(f->reflector).failures, 1);
}

static void test_A17_trickles(void **state)
{
	struct reflected *f = *state;
	struct http_exchange *x;

	reflected_start(f, true);
	/* The list that follows has the second of them as well. */
	f->reflector->limits.initial_quiet_ms = 200;
	f->reflector->limits.list_ms = 1000;
	x = next_stream(f, WATCH_LIST_QUERY);
	http_chunk(x, EVENT("ADDED", ITEM("a", "u1", "3")));
	reflected_trickle(f, x);
	assert_fell_back(f);
}

/* A server that can't be asked has not refused. */
static void test_failures_that_are_no_refusal(void **state)
{
	struct reflected *f = *state;
	struct http_exchange *x;

	reflected_start(f, true);
	/* The client itself asks a second time, with other credentials if there are any. */
	http_reply(next_request(f, WATCH_LIST_QUERY), 401, NULL, "");
	http_reply(next_request(f, WATCH_LIST_QUERY), 401, NULL, "");
	http_reply(next_request(f, WATCH_LIST_QUERY), 403, NULL, "");
	http_reply(next_request(f, WATCH_LIST_QUERY), 429, NULL, "");
	http_reply(next_request(f, WATCH_LIST_QUERY), 503, NULL, "");
	assert_backed_off(f, 4 * BACKOFF_FIRST_MS);
	next_request(f, WATCH_LIST_QUERY);
	http_server_down(f->server);
	assert_reflected(f, "report services: can't watch services: the server answers 401\n"
			    "report services: may not watch services: the server answers 403\n"
			    "report services: can't watch services: the server answers 429\n"
			    "report services: can't watch services: the server answers 503\n"
			    "report services: can't watch services: connect to SERVER: Connection "
			    "refused\n");
	http_server_up(f->server);
	x = next_stream(f, WATCH_LIST_QUERY);
	http_chunk(x, EVENT("ADDED", ITEM("a", "u1", "3")) INITIAL_END("9"));
	assert_reflected(f, "apply default/a@3\n"
			    "synced Service\n"
			    "recovered services: followed again after N s\n");
}

static void test_A5_watch_list_of_a_version_that_is_not_there(void **state)
{
	static const struct {
		int status;
		const char *body;
	} answers[] = { { 504, TOO_LARGE }, { 410, GONE } };

	for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
		struct http_exchange *x;
		struct reflected *f;

		reflected_setup(state);
		f = *state;
		x = first_stream(f);
		http_chunk(x, INITIAL_END("9") EVENT("ERROR", GONE));
		x = next_request(f, WATCH_LIST_QUERY "&resourceVersion=9");
		http_reply(x, answers[i].status, NULL, answers[i].body);
		x = next_request(f, WATCH_LIST_QUERY);
		/* That of the watch's end. */
		assert_backed_off(f, BACKOFF_FIRST_MS);
		assert_int_equal(reflector_stats(f->reflector).failures, 0);
		/* Not at once for ever. */
		http_reply(x, answers[i].status, NULL, answers[i].body);
		x = next_stream(f, WATCH_LIST_QUERY);
		assert_backed_off(f, 2 * BACKOFF_FIRST_MS);
		http_chunk(x, INITIAL_END("5") EVENT("ERROR", GONE));
		next_request(f, WATCH_LIST_QUERY "&resourceVersion=5");
		reflected_teardown(state);
	}
}

/* What was heard of a list that broke off is forgotten. */
static void test_half_a_watch_list_is_no_list(void **state)
{
	static const struct {
		const char *end; /* NULL: other credentials; "": the connection breaks */
		uint64_t step;
		unsigned failures;
	} ends[] = {
		{ NULL, 0, 0 },
		{ "", BACKOFF_FIRST_MS, 1 },
		{ EVENT("ERROR", GONE), 0, 0 },
		{ EVENT("ERROR", TOO_LARGE), 0, 0 },
		{ EVENT("ERROR", STATUS(429, "TooManyRequests", "", "")), BACKOFF_FIRST_MS, 1 },
		{ EVENT("ERROR", STATUS(401, "Unauthorized", "", "")), BACKOFF_FIRST_MS, 1 },
		{ EVENT("ERROR", STATUS(403, "Forbidden", "", "")), BACKOFF_FIRST_MS, 1 },
		{ "<html>", BACKOFF_FIRST_MS, 1 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		struct http_exchange *x;
		struct reflected *f;

		reflected_setup(state);
		f = *state;
		x = first_stream(f);
		http_chunk(x, EVENT("ADDED", ITEM("old", "u1", "3")));
		http_settle(f->server);
		if (!ends[i].end)
			reflected_renew(f);
		else if (!*ends[i].end)
			http_reset(x);
		else
			http_chunk(x, ends[i].end);
		x = next_stream(f, WATCH_LIST_QUERY);
		assert_backed_off(f, ends[i].step);
		assert_int_equal(reflector_stats(f->reflector).failures, ends[i].failures);
		buf_reset(&f->log);
		http_chunk(x, EVENT("ADDED", ITEM("new", "u1", "4")) INITIAL_END("9"));
		assert_reflected(f, ends[i].failures ?
					    "apply default/new@4\n"
					    "synced Service\n"
					    "recovered services: followed again after N s\n" :
					    "apply default/new@4\n"
					    "synced Service\n");
		reflected_teardown(state);
	}
}

/* Something between us and the server can't stand long streams, or spoils them: a list may get through. */
static void test_watch_list_is_given_up_when_it_keeps_failing(void **state)
{
	for (int i = 0; i < 3; i++) {
		struct reflected *f;

		reflected_setup(state);
		f = *state;
		reflected_start(f, true);
		for (int n = 0; n < 3; n++) {
			struct http_exchange *x = next_request(f, WATCH_LIST_QUERY);

			if (i == 0) {
				http_reply(x, 500, NULL, "");
				continue;
			}
			http_begin(x, 200, NULL);
			http_chunk(x, EVENT("ADDED", ITEM("a", "u1", "3")));
			http_chunk(x, i == 1 ? "<html>" : "{");
			http_settle(f->server);
			if (i == 2)
				http_reset(x);
		}
		http_reply(next_request(f, FIRST_LIST), 200, NULL, LIST("9", ""));
		next_stream(f, WATCH_QUERY("9"));
		assert_int_equal(reflector_stats(f->reflector).failures, 3);
		reflected_teardown(state);
	}
}

static void test_A10_bad_objects_before_the_end(void **state)
{
	struct reflected *f = *state;
	struct http_exchange *x = first_stream(f);

	http_chunk(x,
		   EVENT("ADDED", BAD_ITEM("a", "u1", "3")) EVENT("ADDED", ITEM("b", "u2", "4")));
	http_chunk(x, EVENT("ADDED", "{\"kind\":\"Pod\",\"metadata\":{\"name\":\"p\"}}"));
	http_chunk(x, INITIAL_END("9"));
	assert_reflected(f,
			 "report services: Service default/a: spec.ports[0].port: 0 is not a port "
			 "(1 to 65535)\n"
			 "report services: Service: kind: is Pod, not Service\n"
			 "apply default/b@4\n"
			 "synced Service\n");
}

static void test_receiver_that_fails_at_the_end(void **state)
{
	struct reflected *f = *state;
	struct http_exchange *x = first_stream(f);

	f->apply_error = -ENOMEM;
	http_chunk(x, EVENT("ADDED", ITEM("a", "u1", "3")) INITIAL_END("9"));
	x = next_stream(f, WATCH_LIST_QUERY);
	f->apply_error = 0;
	http_chunk(x, EVENT("ADDED", ITEM("a", "u1", "3")) INITIAL_END("9"));
	assert_reflected(f, "report services: can't watch services: out of memory\n"
			    "apply default/a@3\n"
			    "synced Service\n"
			    "recovered services: followed again after N s\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		REFLECTED_TEST(test_objects_are_told_at_the_end_and_the_watch_goes_on),
		REFLECTED_TEST(test_A4_relist_by_a_watch_list),
		REFLECTED_TEST(test_changes_before_the_end),
		cmocka_unit_test(test_A17_refused),
		REFLECTED_TEST(test_A17_refused_by_an_event),
		REFLECTED_TEST(test_A17_parameter_is_ignored),
		REFLECTED_TEST(test_A17_end_without_a_version),
		REFLECTED_TEST(test_A17_ended_too_early),
		REFLECTED_TEST(test_A17_never_completed),
		REFLECTED_TEST(test_deadline_ends_with_its_request),
		REFLECTED_TEST(test_A17_trickles),
		REFLECTED_TEST(test_failures_that_are_no_refusal),
		cmocka_unit_test(test_A5_watch_list_of_a_version_that_is_not_there),
		cmocka_unit_test(test_half_a_watch_list_is_no_list),
		cmocka_unit_test(test_watch_list_is_given_up_when_it_keeps_failing),
		REFLECTED_TEST(test_A10_bad_objects_before_the_end),
		REFLECTED_TEST(test_receiver_that_fails_at_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
