/* loop.h - the agent's one event loop: sd-event behind a page, replaceable in one file.
 *
 * Everything runs in one thread. A callback that returns a negative errno ends the loop with it.
 * Sources live until loop_free() or loop_source_free().
 */
#ifndef KUBE_NFT_BASE_LOOP_H
#define KUBE_NFT_BASE_LOOP_H

#include <stdint.h>

#include "base/cleanup.h"

struct error;
struct loop;
struct loop_source;

/* Higher runs later: the sync runs when the sources of work have nothing more to say. */
enum loop_priority { LOOP_PRIORITY_INPUT = 0, LOOP_PRIORITY_SYNC = 100 };

typedef int (*loop_fd_fn)(int fd, uint32_t epoll_events, void *userdata);
typedef int (*loop_signal_fn)(int signal, void *userdata);
typedef int (*loop_fn)(void *userdata);

int loop_new(struct loop **ret, struct error *err);
struct loop *loop_free(struct loop *l); /* NULL is fine; returns NULL */
DEFINE_CLEANUP(struct loop, loop_free);

/* Until loop_exit() or a callback's error. Returns the exit code or the error. */
int loop_run(struct loop *l);
/* One turn, waiting @timeout_ms at most (-1: for ever). 0 or a negative errno. For tests. */
int loop_turn(struct loop *l, int timeout_ms);
void loop_exit(struct loop *l, int code);

/* @ret may be NULL when the caller never removes the source. The descriptor stays the caller's. */
int loop_add_fd(struct loop *l, int fd, uint32_t epoll_events, loop_fd_fn fn, void *userdata,
		struct loop_source **ret, struct error *err);
/* Wait for these instead. 0 or a negative errno. */
int loop_fd_set_events(struct loop_source *fd_source, uint32_t epoll_events);
/* Blocks @signal for the process and delivers it here. */
int loop_add_signal(struct loop *l, int signal, loop_signal_fn fn, void *userdata,
		    struct error *err);
/* A one-shot timer on the monotonic clock, born unarmed. Priority: LOOP_PRIORITY_INPUT. */
int loop_add_timer(struct loop *l, loop_fn fn, void *userdata, struct loop_source **ret,
		   struct error *err);
/* Fire once, @delay_ms from now; a second call moves it. */
int loop_timer_arm(struct loop_source *timer, uint64_t delay_ms);
int loop_timer_disarm(struct loop_source *timer);
/* Work that waits until loop_defer() and then runs once at LOOP_PRIORITY_SYNC. */
int loop_add_deferred(struct loop *l, loop_fn fn, void *userdata, struct loop_source **ret,
		      struct error *err);
int loop_defer(struct loop_source *deferred);
struct loop_source *loop_source_free(struct loop_source *s); /* NULL is fine; returns NULL */

/* CLOCK_MONOTONIC in microseconds. */
uint64_t monotonic_us(void);

#endif
