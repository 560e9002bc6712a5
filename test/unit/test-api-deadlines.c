/* Deadlines of calls. None of these tests fails because the machine is slow: a deadline that is not
 * meant to pass is an hour away. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "api-fixture.h"

enum { SHORT_MS = 60, HOUR_MS = 3600 * 1000 };

static struct listener *ask(struct api_world *w, uint64_t head_ms, uint64_t idle_ms,
			    uint64_t total_ms)
{
	struct listener *l = api_listener(w, "a");

	api_ask(l, &(struct api_request){ .path = "/",
					  .head_timeout_ms = head_ms,
					  .idle_timeout_ms = idle_ms,
					  .total_timeout_ms = total_ms });
	return l;
}

static void test_A11_head_has_a_deadline(void **state)
{
	struct api_world *w = *state;
	struct listener *l = ask(w, SHORT_MS, HOUR_MS, HOUR_MS);
	uint64_t begin = monotonic_us();
	struct http_exchange *x = http_next(w->server);

	/* A slow-loris of a server: a head that never ends. */
	http_raw(x, "HTTP/1.1 200 OK\r\n", 17);
	api_wait(l);
	assert_true(monotonic_us() - begin >= SHORT_MS * 1000);
	assert_heard(w, "a done ETIMEDOUT: SERVER has not answered within 60 ms\n");
	http_settle(w->server);
	assert_true(http_gone(x));
}

static void test_A11_body_that_stands_still_has_a_deadline(void **state)
{
	struct api_world *w = *state;
	struct listener *l = ask(w, HOUR_MS, SHORT_MS, HOUR_MS);
	struct http_exchange *x = http_next(w->server);
	uint64_t begin = monotonic_us();

	http_begin(x, 200, "");
	api_wait(l);
	assert_true(monotonic_us() - begin >= SHORT_MS * 1000);
	assert_heard(w, "a head 200  0\n"
			"a done ETIMEDOUT: SERVER has sent nothing more for 60 ms\n");
}

static int on_tick(void *userdata)
{
	*(bool *)userdata = true;
	return 0;
}

static bool is_set(void *userdata)
{
	return *(const bool *)userdata;
}

/* Let time pass. */
static void sleep_ms(struct api_world *w, uint64_t ms)
{
	struct loop_source *timer;
	bool over = false;

	assert_int_equal(loop_add_timer(w->loop, on_tick, &over, &timer, NULL), 0);
	assert_int_equal(loop_timer_arm(timer, ms), 0);
	http_wait(w->server, is_set, &over);
	loop_source_free(timer);
}

/* On a slow machine the deadline may pass before the piece is there, and nothing is shown. */
static void test_piece_of_the_body_moves_the_deadline(void **state)
{
	struct api_world *w = *state;
	struct listener *l = ask(w, HOUR_MS, 2 * SHORT_MS, HOUR_MS);
	struct http_exchange *x = http_next(w->server);
	uint64_t piece_us;

	http_begin(x, 200, "");
	sleep_ms(w, SHORT_MS);
	piece_us = monotonic_us();
	http_chunk(x, "piece");
	api_wait(l);
	if (strstr(buf_text(&w->log), "a body piece\n"))
		assert_true(monotonic_us() - piece_us >= 2 * SHORT_MS * 1000);
	assert_non_null(strstr(buf_text(&w->log), "a done ETIMEDOUT"));
}

static void test_watch_may_be_silent(void **state)
{
	struct api_world *w = *state;
	struct listener *l = ask(w, HOUR_MS, UINT64_MAX, 0);
	struct http_exchange *x = http_next(w->server);

	http_begin(x, 200, "");
	sleep_ms(w, SHORT_MS);
	assert_heard(w, "a head 200  0\n");
	http_end(x);
	api_wait(l);
	assert_heard(w, "a done\n");
}

static void test_A11_whole_call_has_a_deadline(void **state)
{
	struct api_world *w = *state;
	uint64_t begin = monotonic_us();
	struct listener *l = ask(w, HOUR_MS, HOUR_MS, SHORT_MS);
	struct http_exchange *x = http_next(w->server);

	http_begin(x, 200, "");
	while (!l->is_done) {
		http_chunk(x, ".");
		http_settle(w->server);
		sleep_ms(w, 1);
	}
	assert_true(monotonic_us() - begin >= SHORT_MS * 1000);
	assert_non_null(strstr(buf_text(&w->log),
			       "a done ETIMEDOUT: SERVER: no whole answer within 60 ms\n"));
}

static void test_A11_body_of_a_401_has_a_deadline(void **state)
{
	struct api_world *w = *state;
	struct listener *l = ask(w, HOUR_MS, SHORT_MS, HOUR_MS);
	struct http_exchange *x = http_next(w->server);

	http_begin(x, 401, "");
	api_wait(l);
	assert_heard(w, "a done ETIMEDOUT: SERVER has sent nothing more for 60 ms\n");
}

static void test_A11_body_of_a_401_that_trickles_has_a_deadline(void **state)
{
	struct api_world *w = *state;
	struct listener *l = ask(w, HOUR_MS, SHORT_MS, HOUR_MS);
	struct http_exchange *x = http_next(w->server);

	http_begin(x, 401, "");
	while (!l->is_done) {
		http_chunk(x, ".");
		http_settle(w->server);
		sleep_ms(w, 1);
	}
	assert_heard(w, "a done ETIMEDOUT: SERVER has sent nothing more for 60 ms\n");
}

static void test_cancelled_call_has_no_deadline(void **state)
{
	struct api_world *w = *state;
	uint64_t begin = monotonic_us();
	struct listener *l = ask(w, HOUR_MS, HOUR_MS, 1);

	/* It passes before the loop has a turn. */
	while (monotonic_us() - begin < 5000)
		continue;
	api_call_cancel(l->call);
	http_settle(w->server);
	assert_heard(w, "");
}

/* Who was silent may be dead, and so may be an idle connection to him. */
static void test_A12_after_silence_connections_are_new(void **state)
{
	struct api_world *w = *state;
	struct listener *idle = api_get(w, "a", "/"), *l = ask(w, SHORT_MS, HOUR_MS, HOUR_MS);
	struct http_exchange *x = http_next(w->server);

	http_reply(x, 200, "", "");
	api_wait(idle);
	api_wait(l);
	http_next(w->server);
	assert_int_equal(http_connections(w->server), 2);
	api_ask(idle, &(struct api_request){ .path = "/" });
	assert_int_equal(http_connection(http_next(w->server)), 3);
}

static void test_deadlines_far_away_do_not_overflow(void **state)
{
	struct api_world *w = *state;
	struct listener *l = ask(w, UINT64_MAX - 1, UINT64_MAX / 1000, UINT64_MAX / 1000 + 1);

	http_reply(http_next(w->server), 200, "", "");
	api_wait(l);
	assert_heard(w, "a head 200  0\na done\n");
}

#define api_test(name) cmocka_unit_test_setup_teardown(name, api_setup, api_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		api_test(test_A11_head_has_a_deadline),
		api_test(test_A11_body_that_stands_still_has_a_deadline),
		api_test(test_piece_of_the_body_moves_the_deadline),
		api_test(test_watch_may_be_silent),
		api_test(test_A11_whole_call_has_a_deadline),
		api_test(test_A11_body_of_a_401_has_a_deadline),
		api_test(test_A11_body_of_a_401_that_trickles_has_a_deadline),
		api_test(test_cancelled_call_has_no_deadline),
		api_test(test_A12_after_silence_connections_are_new),
		api_test(test_deadlines_far_away_do_not_overflow),
	};

	return cmocka_run_group_tests_name("api deadlines", tests, NULL, NULL);
}
