#include "base/loop.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <time.h>

#include <systemd/sd-event.h>
#include <utlist.h>

#include "base/error.h"

/* Timers may be this late, so that the kernel can join wake-ups. */
#define TIMER_ACCURACY_US 1000

union source_fn {
	loop_fd_fn fd;
	loop_signal_fn signal;
	loop_fn plain;
};

struct loop_source {
	struct loop *loop;
	sd_event_source *event_source;
	union source_fn fn;
	void *userdata;
	struct loop_source *prev, *next;
};

struct loop {
	sd_event *event;
	struct loop_source *sources;
};

uint64_t monotonic_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

int loop_new(struct loop **ret, struct error *err)
{
	_cleanup_(loop_freep) struct loop *l = calloc(1, sizeof(*l));
	int r;

	if (!l)
		return error_errno(err, ENOMEM, "event loop");
	r = sd_event_new(&l->event);
	if (r < 0)
		return error_errno(err, -r, "event loop");
	*ret = TAKE_PTR(l);
	return 0;
}

struct loop *loop_free(struct loop *l)
{
	struct loop_source *s, *next;

	if (!l)
		return NULL;
	DL_FOREACH_SAFE(l->sources, s, next)
		loop_source_free(s);
	sd_event_unref(l->event);
	free(l);
	return NULL;
}

int loop_run(struct loop *l)
{
	return sd_event_loop(l->event);
}

int loop_turn(struct loop *l, int timeout_ms)
{
	uint64_t timeout_us = timeout_ms < 0 ? UINT64_MAX : (uint64_t)timeout_ms * 1000;
	int r, code;

	r = sd_event_run(l->event, timeout_us);
	if (r < 0)
		return r;
	if (sd_event_get_exit_code(l->event, &code) >= 0 && code < 0)
		return code;
	return 0;
}

void loop_exit(struct loop *l, int code)
{
	sd_event_exit(l->event, code);
}

struct loop_source *loop_source_free(struct loop_source *s)
{
	if (!s)
		return NULL;
	sd_event_source_disable_unref(s->event_source);
	DL_DELETE(s->loop->sources, s);
	free(s);
	return NULL;
}

/* A callback may free its own source: nothing of it is read after the call. */
static int source_result(struct loop *l, int r)
{
	if (r < 0)
		sd_event_exit(l->event, r);
	return 0;
}

static int on_fd(sd_event_source *event_source, int fd, uint32_t epoll_events, void *userdata)
{
	struct loop_source *s = userdata;
	struct loop *l = s->loop;

	(void)event_source;
	return source_result(l, s->fn.fd(fd, epoll_events, s->userdata));
}

static int on_signal(sd_event_source *event_source, const struct signalfd_siginfo *info,
		     void *userdata)
{
	struct loop_source *s = userdata;
	struct loop *l = s->loop;

	(void)event_source;
	return source_result(l, s->fn.signal((int)info->ssi_signo, s->userdata));
}

static int on_deferred(sd_event_source *event_source, void *userdata)
{
	struct loop_source *s = userdata;
	struct loop *l = s->loop;

	(void)event_source;
	return source_result(l, s->fn.plain(s->userdata));
}

static int on_timer(sd_event_source *event_source, uint64_t usec, void *userdata)
{
	(void)usec;
	return on_deferred(event_source, userdata);
}

/* NULL when memory is short. */
static struct loop_source *source_new(struct loop *l, union source_fn fn, void *userdata)
{
	struct loop_source *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->loop = l;
	s->fn = fn;
	s->userdata = userdata;
	DL_APPEND(l->sources, s);
	return s;
}

/* The end of every loop_add_*(): @r is what sd-event said to @s. */
static int source_finish(struct loop_source *s, int r, enum loop_priority priority, int enabled,
			 const char *what, struct loop_source **ret, struct error *err)
{
	if (r >= 0)
		r = sd_event_source_set_priority(s->event_source, priority);
	if (r >= 0)
		r = sd_event_source_set_enabled(s->event_source, enabled);
	if (r < 0) {
		loop_source_free(s);
		return error_errno(err, -r, "event loop: add %s", what);
	}
	if (ret)
		*ret = s;
	return 0;
}

int loop_add_fd(struct loop *l, int fd, uint32_t epoll_events, loop_fd_fn fn, void *userdata,
		struct loop_source **ret, struct error *err)
{
	struct loop_source *s = source_new(l, (union source_fn){ .fd = fn }, userdata);
	int r = -ENOMEM;

	if (s)
		r = sd_event_add_io(l->event, &s->event_source, fd, epoll_events, on_fd, s);
	return source_finish(s, r, LOOP_PRIORITY_INPUT, SD_EVENT_ON, "descriptor", ret, err);
}

int loop_fd_set_events(struct loop_source *fd_source, uint32_t epoll_events)
{
	return sd_event_source_set_io_events(fd_source->event_source, epoll_events);
}

static int signal_block(int signal)
{
	sigset_t set;

	sigemptyset(&set);
	if (sigaddset(&set, signal) < 0)
		return -errno;
	return -pthread_sigmask(SIG_BLOCK, &set, NULL);
}

int loop_add_signal(struct loop *l, int signal, loop_signal_fn fn, void *userdata,
		    struct error *err)
{
	struct loop_source *s = source_new(l, (union source_fn){ .signal = fn }, userdata);
	int r = -ENOMEM;

	if (s)
		r = signal_block(signal);
	if (r >= 0)
		r = sd_event_add_signal(l->event, &s->event_source, signal, on_signal, s);
	return source_finish(s, r, LOOP_PRIORITY_INPUT, SD_EVENT_ON, "signal", NULL, err);
}

int loop_add_timer(struct loop *l, loop_fn fn, void *userdata, struct loop_source **ret,
		   struct error *err)
{
	struct loop_source *s = source_new(l, (union source_fn){ .plain = fn }, userdata);
	int r = -ENOMEM;

	if (s)
		r = sd_event_add_time(l->event, &s->event_source, CLOCK_MONOTONIC, 0,
				      TIMER_ACCURACY_US, on_timer, s);
	return source_finish(s, r, LOOP_PRIORITY_INPUT, SD_EVENT_OFF, "timer", ret, err);
}

int loop_timer_arm(struct loop_source *timer, uint64_t delay_ms)
{
	uint64_t us;
	int r;

	if (__builtin_mul_overflow(delay_ms, 1000, &us) ||
	    __builtin_add_overflow(us, monotonic_us(), &us))
		return -ERANGE;
	r = sd_event_source_set_time(timer->event_source, us);
	if (r < 0)
		return r;
	return sd_event_source_set_enabled(timer->event_source, SD_EVENT_ONESHOT);
}

int loop_timer_disarm(struct loop_source *timer)
{
	return sd_event_source_set_enabled(timer->event_source, SD_EVENT_OFF);
}

int loop_add_deferred(struct loop *l, loop_fn fn, void *userdata, struct loop_source **ret,
		      struct error *err)
{
	struct loop_source *s = source_new(l, (union source_fn){ .plain = fn }, userdata);
	int r = -ENOMEM;

	if (s)
		r = sd_event_add_defer(l->event, &s->event_source, on_deferred, s);
	return source_finish(s, r, LOOP_PRIORITY_SYNC, SD_EVENT_OFF, "deferred work", ret, err);
}

int loop_defer(struct loop_source *deferred)
{
	return sd_event_source_set_enabled(deferred->event_source, SD_EVENT_ONESHOT);
}
