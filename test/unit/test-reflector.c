/* How a reflector follows its watch, and what it does when that ends, one way or another. */
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

#define TWO LIST("9", ITEM("a", "u1", "3") "," ITEM("b", "u2", "4"))
enum { FOREVER_MS = 60 * 60 * 1000 };

static struct http_exchange *watch_begin(struct reflected *f, const char *list)
{
	struct http_exchange *x = reflected_watch(f, list);

	http_begin(x, 200, NULL);
	return x;
}

static struct reflector_stats stats_of(const struct reflected *f)
{
	return reflector_stats(f->reflector);
}

static void test_events_are_told_as_they_come(void **state)
{
	struct reflected *f = *state;
	struct http_exchange *x = watch_begin(f, TWO);

	http_chunk(x, EVENT("ADDED", ITEM("c", "u3", "10")));
	assert_reflected(f, "apply default/c@10\n");
	http_chunk(x, EVENT("MODIFIED", ITEM("a", "u1", "11"))
			      EVENT("DELETED", ITEM("b", "u2", "12")));
	assert_reflected(f, "apply default/a@11\n"
			    "remove default/b\n");
	assert_int_equal(stats_of(f).objects, 2);
	assert_int_equal(stats_of(f).events, 3);
	http_end(x);
	next_stream(f, WATCH_QUERY("12"));
}

static void test_A16_oddities_of_order(void **state)
{
	struct reflected *f = *state;
	struct http_exchange *x = watch_begin(f, TWO);

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
	assert_int_equal(stats_of(f).objects, 2);
}

static void test_A16_bookmarks_only_move_the_version(void **state)
{
	struct reflected *f = *state;
	struct http_exchange *x = watch_begin(f, TWO);

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
	struct http_exchange *x = watch_begin(f, TWO);

	for (int i = 0; i < 60; i++) {
		http_settle(f->server);
		http_end(x);
		x = next_stream(f, WATCH_QUERY("9"));
	}
	assert_int_equal(stats_of(f).lists, 1);
	assert_int_equal(stats_of(f).watches, 61);
	assert_int_equal(stats_of(f).failures, 0);
	assert_backed_off(f, 0);
	assert_reflected(f, "");
}

static void test_watch_that_ends_at_once_backs_off(void **state)
{
	struct reflected *f = *state;
	struct http_exchange *x = reflected_watch(f, TWO);

	f->reflector->limits.watch_short_ms = FOREVER_MS;
	for (uint64_t step = BACKOFF_FIRST_MS; step <= 4 * BACKOFF_FIRST_MS; step *= 2) {
		http_reply(x, 200, NULL, "");
		x = next_request(f, WATCH_QUERY("9"));
		assert_backed_off(f, step);
	}
	assert_reflected(f, "");
	http_reply(x, 200, NULL, "");
	assert_reflected(f, "report services: can't watch services: ends at once\n");
	/* One that tells news is none of them, and is resumed at once. */
	http_reply(next_request(f, WATCH_QUERY("9")), 200, NULL, BOOKMARK("10"));
	x = next_request(f, WATCH_QUERY("10"));
	assert_backed_off(f, 8 * BACKOFF_FIRST_MS);
	assert_int_equal(stats_of(f).lists, 1);
	f->reflector->limits.watch_short_ms = 0;
	http_begin(x, 200, NULL);
	assert_reflected(f, "recovered services: followed again after N s\n");
}

static void test_unexpected_end_resumes(void **state)
{
	static const char half[] = "{\"type\":\"ADDED\",\"object\":{\"metadata\":";
	struct reflected *f = *state;
	struct http_exchange *x = watch_begin(f, TWO);

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
	assert_int_equal(stats_of(f).failures, 0);
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
		http_chunk(watch_begin(f, TWO), errors[i].event);
		next_request(f, errors[i].list);
		assert_backed_off(f, BACKOFF_FIRST_MS);
		assert_int_equal(stats_of(f).failures, errors[i].failures);
		reflected_teardown(state);
	}
}

static void test_A6_position_is_kept_and_the_delay_honoured(void **state)
{
	struct reflected *f = *state;
	struct http_exchange *x = watch_begin(f, TWO);
	uint64_t begin;

	http_chunk(x, BOOKMARK("10") EVENT("ERROR", STATUS(429, "TooManyRequests", "slow down",
							   "\"retryAfterSeconds\":1")));
	begin = monotonic_us();
	x = next_request(f, WATCH_QUERY("10"));
	assert_true(monotonic_us() - begin >= 990 * 1000);
	http_reply(x, 429, NULL, "");
	http_reply(next_request(f, WATCH_QUERY("10")), 503, NULL, "");
	http_reply(next_request(f, WATCH_QUERY("10")), 500, NULL, "");
	http_chunk(next_stream(f, WATCH_QUERY("10")),
		   EVENT("ERROR", STATUS(504, "Timeout", "", "")));
	next_stream(f, WATCH_QUERY("10"));
	assert_backed_off(f, 16 * BACKOFF_FIRST_MS);
	assert_int_equal(stats_of(f).lists, 1);
	assert_int_equal(stats_of(f).failures, 5);
}

static void test_A6_endless_delay_is_cut_short(void **state)
{
	struct reflected *f = *state;
	struct http_exchange *x = reflected_watch(f, TWO);

	assert_int_equal(f->reflector->limits.retry_after_max_ms, REFLECTOR_RETRY_AFTER_MAX_MS);
	f->reflector->limits.retry_after_max_ms = 1;
	http_reply(x, 429, "Retry-After: 86400\r\n", "");
	next_request(f, WATCH_QUERY("9"));
}

static void test_server_error_that_stays_leads_to_a_list(void **state)
{
	struct reflected *f = *state;
	struct http_exchange *x = reflected_watch(f, TWO);

	http_reply(x, 500, NULL, "");
	x = next_request(f, WATCH_QUERY("9"));
	f->reflector->limits.patience_ms = 0;
	http_reply(x, 500, NULL, "");
	next_request(f, SERVICES "?resourceVersion=9");
	assert_backed_off(f, 2 * BACKOFF_FIRST_MS);
}

static void test_A8_forbidden_watch(void **state)
{
	struct reflected *f = *state;
	struct http_exchange *x = reflected_watch(f, TWO);

	for (int i = 0; i < 5; i++) {
		http_reply(x, 403, NULL, STATUS(403, "Forbidden", "n cannot watch", ""));
		x = next_request(f, WATCH_QUERY("9"));
	}
	assert_reflected(f, "report services: may not watch services: n cannot watch (RBAC)\n");
	assert_int_equal(stats_of(f).failures, 5);
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
	assert_int_equal(stats_of(f).failures, ARRAY_SIZE(answers));
}

static void test_A9_garbage_behind_news_is_no_row(void **state)
{
	struct reflected *f = *state;
	struct http_exchange *x = watch_begin(f, TWO);
	char event[256], query[256];

	for (int i = 10; i < 20; i++) {
		snprintf(event, sizeof(event), BOOKMARK("%d") "garbage", i);
		snprintf(query, sizeof(query), WATCH_QUERY("%d"), i);
		http_chunk(x, event);
		x = next_stream(f, query);
	}
	assert_int_equal(stats_of(f).lists, 1);
}

static void test_A10_bad_events_cost_only_their_object(void **state)
{
	static const char bad_a[] =
		"report services: Service default/a: spec.ports[0].port: 0 is not a "
		"port (1 to 65535)\n";
	struct reflected *f = *state;
	struct http_exchange *x = watch_begin(f, TWO);

	http_chunk(x, EVENT("MODIFIED", BAD_ITEM("a", "u1", "10")));
	http_chunk(x, EVENT("MODIFIED", BAD_ITEM("a", "u1", "10")));
	assert_reflected(f, bad_a);
	/* The last good version stands, even when the bad one is another object of that name. */
	http_chunk(x, EVENT("MODIFIED", BAD_ITEM("a", "u7", "11")));
	assert_reflected(f, bad_a);
	assert_int_equal(stats_of(f).objects, 2);
	assert_int_equal(stats_of(f).refused, 3);
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
	struct http_exchange *x = watch_begin(f, TWO);

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
	assert_int_equal(stats_of(f).refused, ARRAY_SIZE(tails));
}

static void test_A10_deep_object(void **state)
{
	struct reflected *f = *state;
	struct http_exchange *x = watch_begin(f, TWO);

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
	struct http_exchange *x = watch_begin(f, TWO);

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
	struct http_exchange *x = watch_begin(f, TWO);

	http_chunk(x, EVENT("ADDED", "{\"metadata\":{\"name\":\"c\",\"namespace\":\"default\","
				     "\"resourceVersion\":\"10\",\"new\":{\"x\":[1]}},\"spec\":{"
				     "\"clusterIP\":\"10.0.0.3\",\"ports\":[{\"port\":80}],"
				     "\"internalTrafficPolicy\":\"Nearest\",\"another\":null},"
				     "\"newest\":[]}"));
	assert_reflected(f, "apply default/c@10\n");
	assert_int_equal(stats_of(f).unknown_enums, 1);
}

static void test_A2_server_is_gone_for_a_while(void **state)
{
	struct reflected *f = *state;
	uint64_t heard_us;
	struct http_exchange *x;

	watch_begin(f, TWO);
	http_settle(f->server);
	http_server_down(f->server);
	assert_reflected(f, "report services: can't watch services: connect to SERVER: Connection "
			    "refused\n");
	heard_us = stats_of(f).last_heard_us;
	while (stats_of(f).failures < 10)
		assert_int_equal(loop_turn(f->loop, 10), 0);
	assert_backed_off(f, BACKOFF_MAX_MS / 2);
	assert_int_equal(stats_of(f).last_heard_us, heard_us);
	assert_reflected(f, "");
	http_server_up(f->server);
	x = next_stream(f, WATCH_QUERY("9"));
	http_chunk(x, EVENT("ADDED", ITEM("c", "u3", "10")));
	while (!strstr(buf_text(&f->log), "apply"))
		http_settle(f->server);
	assert_non_null(
		strstr(buf_text(&f->log), "recovered services: followed again after N s\n"));
	assert_int_equal(stats_of(f).lists, 1);
	assert_true(stats_of(f).last_heard_us > heard_us);
}

static void test_silent_watch_is_ended_by_us(void **state)
{
	struct reflected *f = *state;
	struct http_exchange *x;

	reflected_start(f, false);
	f->reflector->limits.watch_min_s = f->reflector->limits.watch_max_s = 0;
	f->reflector->limits.watch_margin_ms = 20;
	http_reply(next_request(f, SERVICES "?resourceVersion=0"), 200, NULL, TWO);
	for (int i = 0; i < 3; i++) {
		x = http_next(f->server);
		http_begin(x, 200, NULL);
		http_chunk(x, BOOKMARK("9"));
	}
	assert_backed_off(f, 0);
	assert_int_equal(stats_of(f).lists, 1);
	assert_int_equal(stats_of(f).failures, 0);
}

static void test_A11_watch_that_trickles_is_ended_by_us(void **state)
{
	struct reflected *f = *state;
	struct http_exchange *x;

	reflected_start(f, false);
	f->reflector->limits.watch_min_s = f->reflector->limits.watch_max_s = 0;
	f->reflector->limits.watch_margin_ms = 20;
	http_reply(next_request(f, SERVICES "?resourceVersion=0"), 200, NULL, TWO);
	x = http_next(f->server);
	http_begin(x, 200, NULL);
	reflected_trickle(f, x);
	assert_int_equal(stats_of(f).watches, 2);
	assert_int_equal(stats_of(f).failures, 0);
}

/* Whatever of it has come by then is told. */
static void test_A11_refusal_that_never_ends(void **state)
{
	struct reflected *f = *state;
	struct http_exchange *x = reflected_watch(f, TWO);

	f->reflector->limits.refusal_ms = 20;
	http_begin(x, 503, NULL);
	x = next_request(f, WATCH_QUERY("9"));
	assert_reflected(f, "report services: can't watch services: the server answers 503\n");
	http_begin(x, 403, NULL);
	http_chunk(x, "go away");
	reflected_trickle(f, x);
	next_request(f, WATCH_QUERY("9"));
	assert_reflected(f, "report services: may not watch services: go away (RBAC)\n");
	assert_backed_off(f, 2 * BACKOFF_FIRST_MS);
}

/* News or not, a server that ends every watch does not make us ask all the time. */
static void test_hurry_has_a_limit(void **state)
{
	enum { HURRY_MS = 100 };
	struct reflected *f = *state;
	struct http_exchange *x = reflected_watch(f, TWO);
	uint64_t begin_us;

	f->reflector->limits.hurry_ms = HURRY_MS;
	http_reply(x, 200, NULL, BOOKMARK("10"));
	x = next_request(f, WATCH_QUERY("10"));
	begin_us = f->reflector->hurried_us;
	http_reply(x, 200, NULL, BOOKMARK("11"));
	http_reply(next_request(f, WATCH_QUERY("11")), 410, NULL, GONE);
	assert_true(monotonic_us() - begin_us >= HURRY_MS * 1000);
	http_reply(next_request(f, SERVICES "?resourceVersion=11"), 410, NULL, GONE);
	http_reply(next_request(f, SERVICES), 504, NULL, TOO_LARGE);
	next_request(f, SERVICES);
	assert_true(monotonic_us() - begin_us >= 3 * HURRY_MS * 1000);
}

static void test_watches_are_asked_for_at_random(void **state)
{
	unsigned seen[2] = { 0 };

	for (uint64_t seed = 0; seed < 40; seed++) {
		const struct reflector_config config = { .kind = KIND_SERVICE, .seed = seed };
		struct source_events events;
		struct reflected *f;
		const char *p;
		long s;

		reflected_setup(state);
		f = *state;
		events = reflected_events(f);
		assert_int_equal(reflector_new(f->client, f->loop, &config, &events, NULL, NULL,
					       &f->reflector, NULL),
				 0);
		p = strstr(http_target(http_next(f->server)), "timeoutSeconds=");
		assert_non_null(p);
		s = strtol(strchr(p, '=') + 1, NULL, 10);
		assert_in_range(s, REFLECTOR_WATCH_MIN_S, REFLECTOR_WATCH_MAX_S);
		seen[s > (REFLECTOR_WATCH_MIN_S + REFLECTOR_WATCH_MAX_S) / 2]++;
		reflected_teardown(state);
	}
	assert_in_range(seen[0], 5, 35);
}

static void test_event_that_was_not_taken_is_heard_again(void **state)
{
	struct reflected *f = *state;
	struct http_exchange *x = watch_begin(f, TWO);

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
	assert_int_equal(stats_of(f).objects, 2);
	assert_int_equal(stats_of(f).lists, 1);
}

/* What was removed for a successor that was not taken is told anew, even as it was before. */
static void test_removed_object_that_comes_back(void **state)
{
	struct reflected *f = *state;
	struct http_exchange *x = watch_begin(f, TWO);

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
	assert_int_equal(stats_of(f).objects, 2);
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
		while (stats_of(f).failures < (unsigned)(3 * i + 3))
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

static void test_renewed_credentials_resume_at_once(void **state)
{
	struct reflected *f = *state;
	struct http_exchange *x = watch_begin(f, TWO);

	http_settle(f->server);
	reflected_renew(f);
	next_stream(f, WATCH_QUERY("9"));
	assert_true(http_gone(x));
	assert_backed_off(f, 0);
	assert_int_equal(stats_of(f).failures, 0);
	assert_reflected(f, "");
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
			for (int turns = 0; stats_of(f).objects < 3; turns++) {
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
		REFLECTED_TEST(test_watch_that_ends_at_once_backs_off),
		REFLECTED_TEST(test_unexpected_end_resumes),
		REFLECTED_TEST(test_A4_gone),
		cmocka_unit_test(test_error_events_that_mean_a_list),
		REFLECTED_TEST(test_A6_position_is_kept_and_the_delay_honoured),
		REFLECTED_TEST(test_A6_endless_delay_is_cut_short),
		REFLECTED_TEST(test_server_error_that_stays_leads_to_a_list),
		REFLECTED_TEST(test_A8_forbidden_watch),
		REFLECTED_TEST(test_A9_garbage_in_a_watch),
		REFLECTED_TEST(test_A9_garbage_behind_news_is_no_row),
		REFLECTED_TEST(test_A10_bad_events_cost_only_their_object),
		REFLECTED_TEST(test_A10_objects_that_no_parser_likes),
		REFLECTED_TEST(test_A10_deep_object),
		REFLECTED_TEST(test_A11_one_byte_at_a_time),
		REFLECTED_TEST(test_A19_unknown_words_are_counted),
		REFLECTED_TEST(test_A2_server_is_gone_for_a_while),
		REFLECTED_TEST(test_silent_watch_is_ended_by_us),
		REFLECTED_TEST(test_A11_watch_that_trickles_is_ended_by_us),
		REFLECTED_TEST(test_A11_refusal_that_never_ends),
		REFLECTED_TEST(test_hurry_has_a_limit),
		cmocka_unit_test(test_watches_are_asked_for_at_random),
		REFLECTED_TEST(test_event_that_was_not_taken_is_heard_again),
		REFLECTED_TEST(test_removed_object_that_comes_back),
		REFLECTED_TEST(test_each_trouble_is_told_once),
		REFLECTED_TEST(test_renewed_credentials_resume_at_once),
		cmocka_unit_test(test_short_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
