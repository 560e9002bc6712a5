/* When a reflector asks again: at once, later, or not before it is told so. */
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
	assert_int_equal(reflected_stats(f).lists, 1);
	f->reflector->limits.watch_short_ms = 0;
	http_begin(x, 200, NULL);
	assert_reflected(f, "recovered services: followed again after N s\n");
}

static void test_A6_position_is_kept_and_the_delay_honoured(void **state)
{
	struct reflected *f = *state;
	struct http_exchange *x = reflected_stream(f, TWO);
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
	assert_int_equal(reflected_stats(f).lists, 1);
	assert_int_equal(reflected_stats(f).failures, 5);
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

static void test_A2_server_is_gone_for_a_while(void **state)
{
	struct reflected *f = *state;
	uint64_t heard_us;
	struct http_exchange *x;

	reflected_stream(f, TWO);
	http_settle(f->server);
	http_server_down(f->server);
	assert_reflected(f, "report services: can't watch services: connect to SERVER: Connection "
			    "refused\n");
	heard_us = reflected_stats(f).last_heard_us;
	while (reflected_stats(f).failures < 10)
		assert_int_equal(loop_turn(f->loop, 10), 0);
	assert_backed_off(f, BACKOFF_MAX_MS / 2);
	assert_int_equal(reflected_stats(f).last_heard_us, heard_us);
	assert_reflected(f, "");
	http_server_up(f->server);
	x = next_stream(f, WATCH_QUERY("9"));
	http_chunk(x, EVENT("ADDED", ITEM("c", "u3", "10")));
	while (!strstr(buf_text(&f->log), "apply"))
		http_settle(f->server);
	assert_non_null(
		strstr(buf_text(&f->log), "recovered services: followed again after N s\n"));
	assert_int_equal(reflected_stats(f).lists, 1);
	assert_true(reflected_stats(f).last_heard_us > heard_us);
}

/* Listed; its watches last 20 ms, then they are ended from here. */
static void start_with_short_watches(struct reflected *f)
{
	reflected_start(f, false);
	f->reflector->limits.watch_min_s = f->reflector->limits.watch_max_s = 0;
	f->reflector->limits.watch_margin_ms = 20;
	http_reply(next_request(f, SERVICES "?resourceVersion=0"), 200, NULL, TWO);
}

static void test_silent_watch_is_ended_by_us(void **state)
{
	struct reflected *f = *state;
	struct http_exchange *x;

	start_with_short_watches(f);
	for (int i = 0; i < 3; i++) {
		x = http_next(f->server);
		http_begin(x, 200, NULL);
		http_chunk(x, BOOKMARK("9"));
	}
	assert_backed_off(f, 0);
	assert_int_equal(reflected_stats(f).lists, 1);
	assert_int_equal(reflected_stats(f).failures, 0);
}

static void test_A11_watch_that_trickles_is_ended_by_us(void **state)
{
	struct reflected *f = *state;
	struct http_exchange *x;

	start_with_short_watches(f);
	x = http_next(f->server);
	http_begin(x, 200, NULL);
	reflected_trickle(f, x);
	assert_int_equal(reflected_stats(f).watches, 2);
	assert_int_equal(reflected_stats(f).failures, 0);
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

static void test_renewed_credentials_resume_at_once(void **state)
{
	struct reflected *f = *state;
	struct http_exchange *x = reflected_stream(f, TWO);

	http_settle(f->server);
	reflected_renew(f);
	next_stream(f, WATCH_QUERY("9"));
	assert_true(http_gone(x));
	assert_backed_off(f, 0);
	assert_int_equal(reflected_stats(f).failures, 0);
	assert_reflected(f, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		REFLECTED_TEST(test_watch_that_ends_at_once_backs_off),
		REFLECTED_TEST(test_A6_position_is_kept_and_the_delay_honoured),
		REFLECTED_TEST(test_A6_endless_delay_is_cut_short),
		REFLECTED_TEST(test_server_error_that_stays_leads_to_a_list),
		REFLECTED_TEST(test_A2_server_is_gone_for_a_while),
		REFLECTED_TEST(test_silent_watch_is_ended_by_us),
		REFLECTED_TEST(test_A11_watch_that_trickles_is_ended_by_us),
		REFLECTED_TEST(test_A11_refusal_that_never_ends),
		REFLECTED_TEST(test_hurry_has_a_limit),
		cmocka_unit_test(test_watches_are_asked_for_at_random),
		REFLECTED_TEST(test_renewed_credentials_resume_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
