#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/loop.h"
#include "fail-alloc.h"

/* What ran, one letter each. */
struct trace {
	struct loop *loop;
	struct loop_source *source;
	char letters[16];
	int result;
};

static int setup(void **state)
{
	struct trace *t = calloc(1, sizeof(*t));

	*state = t;
	return t ? loop_new(&t->loop, NULL) : -1;
}

static int teardown(void **state)
{
	struct trace *t = *state;

	loop_free(t->loop);
	free(t);
	return 0;
}

static void trace_add(struct trace *t, char letter)
{
	size_t n = strlen(t->letters);

	assert_true(n + 1 < sizeof(t->letters));
	t->letters[n] = letter;
}

static int on_readable(int fd, uint32_t epoll_events, void *userdata)
{
	struct trace *t = userdata;
	char byte;

	assert_true(epoll_events & EPOLLIN);
	assert_int_equal(read(fd, &byte, 1), 1);
	trace_add(t, byte);
	return t->result;
}

static int on_usr1(int signal, void *userdata)
{
	assert_int_equal(signal, SIGUSR1);
	trace_add(userdata, 'u');
	return 0;
}

static int on_work(void *userdata)
{
	struct trace *t = userdata;

	trace_add(t, 'w');
	return t->result;
}

static int on_end(void *userdata)
{
	struct trace *t = userdata;

	trace_add(t, 'e');
	loop_exit(t->loop, 7);
	return 0;
}

/* Turn until nothing is pending. */
static void drain(struct trace *t)
{
	size_t n;

	do {
		n = strlen(t->letters);
		assert_int_equal(loop_turn(t->loop, 0), 0);
	} while (strlen(t->letters) > n);
}

static void test_descriptor_tells_until_it_is_removed(void **state)
{
	struct trace *t = *state;
	struct loop_source *source;
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	assert_int_equal(loop_add_fd(t->loop, fds[0], EPOLLIN, on_readable, t, &source, NULL), 0);
	assert_int_equal(write(fds[1], "ab", 2), 2);
	drain(t);
	assert_string_equal(t->letters, "ab");

	assert_int_equal(write(fds[1], "c", 1), 1);
	assert_null(loop_source_free(source));
	drain(t);
	assert_string_equal(t->letters, "ab");
	assert_int_equal(close(fds[0]), 0);
	close(fds[1]);
}

static int on_ready(int fd, uint32_t epoll_events, void *userdata)
{
	(void)fd;
	trace_add(userdata, epoll_events & EPOLLOUT ? 'o' : 'i');
	return 0;
}

static void test_descriptor_tells_only_what_is_waited_for(void **state)
{
	struct trace *t = *state;
	struct loop_source *source;
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	assert_int_equal(loop_add_fd(t->loop, fds[1], 0, on_ready, t, &source, NULL), 0);
	drain(t);
	assert_string_equal(t->letters, "");
	assert_int_equal(loop_fd_set_events(source, EPOLLOUT), 0);
	assert_int_equal(loop_turn(t->loop, 0), 0);
	assert_string_equal(t->letters, "o");
	assert_int_equal(loop_fd_set_events(source, EPOLLIN), 0);
	drain(t);
	assert_string_equal(t->letters, "o");
	loop_source_free(source);
	close(fds[0]);
	close(fds[1]);
}

static void test_deferred_work_runs_once_behind_all_input(void **state)
{
	struct trace *t = *state;
	struct loop_source *work;
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	assert_int_equal(loop_add_deferred(t->loop, on_work, t, &work, NULL), 0);
	assert_int_equal(loop_add_fd(t->loop, fds[0], EPOLLIN, on_readable, t, NULL, NULL), 0);
	drain(t);
	assert_string_equal(t->letters, "");

	loop_defer(work);
	loop_defer(work);
	assert_int_equal(write(fds[1], "abc", 3), 3);
	drain(t);
	assert_string_equal(t->letters, "abcw");
	drain(t);
	assert_string_equal(t->letters, "abcw");
	loop_defer(work);
	drain(t);
	assert_string_equal(t->letters, "abcww");
	close(fds[0]);
	close(fds[1]);
}

static void test_signal_arrives_in_the_loop(void **state)
{
	struct trace *t = *state;

	assert_int_equal(loop_add_signal(t->loop, SIGUSR1, on_usr1, t, NULL), 0);
	raise(SIGUSR1);
	raise(SIGUSR1);
	assert_string_equal(t->letters, "");
	drain(t);
	assert_string_equal(t->letters, "u");
}

static void ignore_signal(int signal)
{
	(void)signal;
}

static void test_interrupted_wait_is_no_error(void **state)
{
	struct trace *t = *state;
	struct sigaction old, action = { .sa_handler = ignore_signal };
	struct itimerval soon = { .it_value.tv_usec = 10000 };
	int turns = 0;

	assert_int_equal(sigaction(SIGALRM, &action, &old), 0);
	assert_int_equal(loop_add_timer(t->loop, on_work, t, &t->source, NULL), 0);
	assert_int_equal(loop_timer_arm(t->source, 50), 0);
	setitimer(ITIMER_REAL, &soon, NULL);
	for (; t->letters[0] == '\0' && turns < 100; turns++)
		assert_int_equal(loop_turn(t->loop, -1), 0);
	assert_string_equal(t->letters, "w");
	sigaction(SIGALRM, &old, NULL);
}

static void test_timer_fires_once_when_armed(void **state)
{
	struct trace *t = *state;
	struct loop_source *timer;
	uint64_t begin;

	assert_int_equal(loop_add_timer(t->loop, on_work, t, &timer, NULL), 0);
	drain(t);
	assert_string_equal(t->letters, "");

	begin = monotonic_us();
	assert_int_equal(loop_timer_arm(timer, 30), 0);
	while (t->letters[0] == '\0')
		assert_int_equal(loop_turn(t->loop, -1), 0);
	assert_true(monotonic_us() - begin >= 30 * 1000);
	drain(t);
	assert_string_equal(t->letters, "w");
	assert_int_equal(loop_timer_arm(timer, 0), 0);
	while (t->letters[1] == '\0')
		assert_int_equal(loop_turn(t->loop, -1), 0);
}

static void test_timer_is_moved_and_disarmed(void **state)
{
	struct trace *t = *state;
	struct loop_source *timer;

	assert_int_equal(loop_add_timer(t->loop, on_work, t, &timer, NULL), 0);
	assert_int_equal(loop_timer_arm(timer, 0), 0);
	assert_int_equal(loop_timer_arm(timer, 3600 * 1000), 0);
	assert_int_equal(loop_turn(t->loop, 20), 0);
	assert_string_equal(t->letters, "");
	assert_int_equal(loop_timer_arm(timer, 0), 0);
	assert_int_equal(loop_timer_disarm(timer), 0);
	assert_int_equal(loop_turn(t->loop, 20), 0);
	assert_string_equal(t->letters, "");
}

static void test_S11_timer_delay_does_not_overflow(void **state)
{
	struct trace *t = *state;
	struct loop_source *timer;

	assert_int_equal(loop_add_timer(t->loop, on_work, t, &timer, NULL), 0);
	assert_int_equal(loop_timer_arm(timer, UINT64_MAX), -ERANGE);
	assert_int_equal(loop_timer_arm(timer, UINT64_MAX / 1000), -ERANGE);
	assert_int_equal(loop_timer_arm(timer, UINT64_MAX / 1000 + 1), -ERANGE);
	assert_int_equal(loop_turn(t->loop, 0), 0);
	assert_string_equal(t->letters, "");
}

static void test_run_ends_with_the_exit_code(void **state)
{
	struct trace *t = *state;
	struct loop_source *end;

	assert_int_equal(loop_add_deferred(t->loop, on_end, t, &end, NULL), 0);
	loop_defer(end);
	assert_int_equal(loop_run(t->loop), 7);
	assert_string_equal(t->letters, "e");
}

static void test_run_ends_with_an_error_of_a_callback(void **state)
{
	struct trace *t = *state;
	struct loop_source *work;

	t->result = -EXDEV;
	assert_int_equal(loop_add_deferred(t->loop, on_work, t, &work, NULL), 0);
	loop_defer(work);
	assert_int_equal(loop_run(t->loop), -EXDEV);
	assert_string_equal(t->letters, "w");
}

static void test_turn_tells_an_error_of_a_callback(void **state)
{
	struct trace *t = *state;
	struct loop_source *work;

	t->result = -EXDEV;
	assert_int_equal(loop_add_deferred(t->loop, on_work, t, &work, NULL), 0);
	loop_defer(work);
	assert_int_equal(loop_turn(t->loop, 0), -EXDEV);
}

static int on_readable_free_source(int fd, uint32_t epoll_events, void *userdata)
{
	struct trace *t = userdata;

	(void)epoll_events;
	t->source = loop_source_free(t->source);
	close(fd);
	trace_add(t, 'f');
	return 0;
}

static void test_callback_may_free_its_source(void **state)
{
	struct trace *t = *state;
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	assert_int_equal(loop_add_fd(t->loop, fds[0], EPOLLIN, on_readable_free_source, t,
				     &t->source, NULL),
			 0);
	close(fds[1]);
	drain(t);
	assert_string_equal(t->letters, "f");
}

static void test_unusable_descriptor_and_signal_are_errors(void **state)
{
	struct trace *t = *state;
	struct error err = { 0 };

	assert_int_equal(loop_add_fd(t->loop, 1000, EPOLLIN, on_readable, t, &t->source, &err),
			 -EBADF);
	assert_null(t->source);
	assert_string_equal(err.message, "event loop: add descriptor: Bad file descriptor");
	assert_int_equal(loop_add_signal(t->loop, 4711, on_usr1, t, &err), -EINVAL);
	assert_int_equal(loop_turn(t->loop, 0), 0);
}

static void test_short_memory_is_an_error(void **state)
{
	struct trace *t = *state;
	struct loop *l = NULL;

	fail_alloc_at(1);
	assert_int_equal(loop_new(&l, NULL), -ENOMEM);
	assert_true(fail_alloc_end());
	fail_alloc_at(1);
	assert_int_equal(loop_add_fd(t->loop, 0, EPOLLIN, on_readable, t, NULL, NULL), -ENOMEM);
	assert_true(fail_alloc_end());
	fail_alloc_at(1);
	assert_int_equal(loop_add_signal(t->loop, SIGUSR2, on_usr1, t, NULL), -ENOMEM);
	assert_true(fail_alloc_end());
	fail_alloc_at(1);
	assert_int_equal(loop_add_timer(t->loop, on_work, t, &t->source, NULL), -ENOMEM);
	assert_true(fail_alloc_end());
	fail_alloc_at(1);
	assert_int_equal(loop_add_deferred(t->loop, on_work, t, &t->source, NULL), -ENOMEM);
	assert_true(fail_alloc_end());
	assert_null(l);
	assert_null(t->source);
	assert_null(loop_free(NULL));
	assert_null(loop_source_free(NULL));
}

#define loop_test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		loop_test(test_descriptor_tells_until_it_is_removed),
		loop_test(test_descriptor_tells_only_what_is_waited_for),
		loop_test(test_deferred_work_runs_once_behind_all_input),
		loop_test(test_signal_arrives_in_the_loop),
		loop_test(test_interrupted_wait_is_no_error),
		loop_test(test_timer_fires_once_when_armed),
		loop_test(test_timer_is_moved_and_disarmed),
		loop_test(test_S11_timer_delay_does_not_overflow),
		loop_test(test_run_ends_with_the_exit_code),
		loop_test(test_run_ends_with_an_error_of_a_callback),
		loop_test(test_turn_tells_an_error_of_a_callback),
		loop_test(test_callback_may_free_its_source),
		loop_test(test_unusable_descriptor_and_signal_are_errors),
		loop_test(test_short_memory_is_an_error),
	};

	return cmocka_run_group_tests_name("loop", tests, NULL, NULL);
}
