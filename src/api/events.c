#include "api/events.h"

#include <errno.h>
#include <stdlib.h>

#include <utlist.h>

#include "api/event-series.h"
#include "api/exchange.h"
#include "base/backoff.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/line.h"
#include "base/loop.h"
#include "base/table.h"

#define NS_PER_MS 1000000

struct event_recorder {
	struct api_client *client;
	struct event_recorder_config config;
	char instance[EVENT_MAX_WORD + 1];
	struct table table;          /* of struct event_series, owned */
	struct event_series *series; /* the same, the one told longest ago first */
	struct event_series *writing;
	int32_t writing_count;
	struct exchange *exchange;
	struct loop_source *timer;
	uint64_t full_ms;   /* when the bucket is full again */
	uint64_t paused_ms; /* until then, after failures */
	struct backoff backoff;
	uint64_t serial; /* the last that was given out */
	bool reported;
	struct event_recorder_stats stats;
};

static uint64_t system_clock(clockid_t clock, void *userdata)
{
	struct timespec ts;

	(void)userdata;
	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000 * NS_PER_MS + (uint64_t)ts.tv_nsec;
}

static uint64_t recorder_now_ms(const struct event_recorder *rec)
{
	return rec->config.clock(CLOCK_MONOTONIC, rec->config.userdata) / NS_PER_MS;
}

static void recorder_drop(struct event_recorder *rec, uint64_t n, const char *problem)
{
	rec->stats.dropped += n;
	if (n > 0 && !rec->reported && rec->config.report) {
		rec->reported = true;
		rec->config.report(problem, rec->config.userdata);
	}
}

static void recorder_remove(struct event_recorder *rec, struct event_series *s)
{
	table_take(&rec->table, s);
	DL_DELETE(rec->series, s);
	event_series_free(s);
}

static void recorder_expire(struct event_recorder *rec, uint64_t now_ms)
{
	struct event_series *s, *next;

	DL_FOREACH_SAFE(rec->series, s, next)
		if (s->expires_ms <= now_ms && !event_series_is_pending(s))
			recorder_remove(rec, s);
}

/* The server will not have it, or could not be asked for long. */
static void recorder_give_up(struct event_recorder *rec, struct event_series *s,
			     const char *problem)
{
	recorder_drop(rec, (uint64_t)(s->count - s->written), problem);
	s->written = s->count;
	s->given_up = true;
}

static void recorder_succeed(struct event_recorder *rec, struct event_series *s, int32_t written)
{
	rec->stats.written++;
	s->exists = true;
	s->written = written;
	s->attempts = 0;
	s->due_ms = recorder_now_ms(rec) + EVENT_SERIES_INTERVAL_MS;
	rec->backoff.step_ms = 0;
	rec->reported = false;
}

static void recorder_fail(struct event_recorder *rec, struct event_series *s, int r,
			  uint64_t retry_after_ms, const char *problem)
{
	uint64_t now_ms = recorder_now_ms(rec);
	bool forever = r == -EPERM || r == -EINVAL || (r == -ENOENT && !s->exists);

	rec->stats.failures++;
	if (retry_after_ms > EVENT_RETRY_MAX_MS)
		retry_after_ms = EVENT_RETRY_MAX_MS;
	if (r == -ENOENT)
		s->exists = false; /* Events live for an hour by default: create it again */
	if (!forever)
		rec->paused_ms = now_ms +
				 backoff_next(&rec->backoff, now_ms * 1000, retry_after_ms);
	if (forever || ++s->attempts == EVENT_MAX_ATTEMPTS)
		recorder_give_up(rec, s, problem);
}

static void recorder_work(struct event_recorder *rec);

static void on_written(int r, const struct answer *a, const struct error *err, void *userdata)
{
	struct event_recorder *rec = userdata;
	struct event_series *s = TAKE_PTR(rec->writing);

	rec->exchange = NULL;
	if (r == 0)
		recorder_succeed(rec, s, rec->writing_count);
	else if (r == -EBUSY && !s->exists) /* it was created, and we did not hear of it */
		recorder_succeed(rec, s, 1);
	else
		recorder_fail(rec, s, r, a->retry_after_ms, err->message);
	recorder_work(rec);
}

static int recorder_request(struct event_recorder *rec, const struct event_series *s,
			    struct error *err)
{
	json_auto_t *body = event_series_body(s, rec->instance);
	_cleanup_buf_ struct buf path = { 0 };

	event_series_path(s, &path);
	if (!body || buf_error(&path) < 0)
		return error_set(err, -ENOMEM, "out of memory");
	return exchange_start(rec->client, s->exists ? API_MERGE_PATCH : API_POST, buf_text(&path),
			      body, on_written, rec, &rec->exchange, err);
}

static void recorder_write(struct event_recorder *rec, struct event_series *s, uint64_t now_ms)
{
	struct error err = { 0 };
	int r;

	rec->full_ms = (rec->full_ms > now_ms ? rec->full_ms : now_ms) + EVENT_REFILL_MS;
	rec->stats.requests++;
	r = recorder_request(rec, s, &err);
	if (r < 0) {
		recorder_fail(rec, s, -EAGAIN, 0, err.message);
		return;
	}
	rec->writing = s;
	rec->writing_count = s->count;
}

/* The series to be written next, or NULL. */
static struct event_series *recorder_next(const struct event_recorder *rec)
{
	struct event_series *s, *next = NULL;

	DL_FOREACH(rec->series, s)
		if (event_series_is_pending(s) && (!next || s->due_ms < next->due_ms))
			next = s;
	return next;
}

/* When @s may be written. */
static uint64_t recorder_due_ms(const struct event_recorder *rec, const struct event_series *s)
{
	const uint64_t burst_ms = (uint64_t)(EVENT_BURST - 1) * EVENT_REFILL_MS;
	uint64_t due_ms = rec->full_ms > burst_ms ? rec->full_ms - burst_ms : 0;

	if (due_ms < rec->paused_ms)
		due_ms = rec->paused_ms;
	return due_ms > s->due_ms ? due_ms : s->due_ms;
}

/* Write what is due, or wait for it. */
static void recorder_work(struct event_recorder *rec)
{
	struct event_series *s;
	uint64_t now_ms, due_ms;

	while (!rec->writing && (s = recorder_next(rec))) {
		now_ms = recorder_now_ms(rec);
		due_ms = recorder_due_ms(rec, s);
		if (due_ms > now_ms) {
			(void)loop_timer_arm(rec->timer, due_ms - now_ms);
			return;
		}
		recorder_write(rec, s, now_ms);
	}
}

static int on_timer(void *userdata)
{
	recorder_work(userdata);
	return 0;
}

/* A full table forgets the one that was told longest ago. */
static int recorder_make_room(struct event_recorder *rec)
{
	struct event_series *oldest = rec->series;

	if (rec->table.n == EVENT_MAX_SERIES) {
		if (oldest == rec->writing)
			oldest = oldest->next;
		recorder_drop(rec, (uint64_t)(oldest->count - oldest->written),
			      "too many Events wait to be written");
		recorder_remove(rec, oldest);
	}
	return table_reserve(&rec->table);
}

static void recorder_add(struct event_recorder *rec, struct event_series *s, uint64_t now_ms)
{
	s->due_ms = now_ms;
	s->expires_ms = now_ms + EVENT_SERIES_WINDOW_MS;
	table_put(&rec->table, s);
	DL_APPEND(rec->series, s);
}

static void recorder_repeat(struct event_recorder *rec, struct event_series *s, uint64_t now_ns,
			    uint64_t now_ms)
{
	if (s->given_up || s->count == INT32_MAX) {
		rec->stats.dropped++;
		return;
	}
	s->count++;
	s->last_ns = now_ns;
	s->expires_ms = now_ms + EVENT_SERIES_WINDOW_MS;
	DL_DELETE(rec->series, s);
	DL_APPEND(rec->series, s);
}

void event_recorder_emit(struct event_recorder *rec, const struct event *e)
{
	uint64_t now_ns = rec->config.clock(CLOCK_REALTIME, rec->config.userdata);
	uint64_t now_ms = recorder_now_ms(rec);
	_cleanup_(event_series_freep) struct event_series *new = NULL;
	struct event_series *known;
	int r;

	rec->stats.told++;
	rec->serial = now_ns > rec->serial ? now_ns : rec->serial + 1;
	recorder_expire(rec, now_ms);
	r = event_series_new(e, rec->instance, now_ns, rec->serial, &new);
	if (r < 0) {
		recorder_drop(rec, 1, r == -ENOMEM ? "out of memory" : "no such namespace");
		return;
	}
	known = table_find(&rec->table, new);
	if (known)
		recorder_repeat(rec, known, now_ns, now_ms);
	else if (recorder_make_room(rec) < 0)
		recorder_drop(rec, 1, "out of memory");
	else
		recorder_add(rec, TAKE_PTR(new), now_ms);
	recorder_work(rec);
}

int event_recorder_new(struct api_client *c, struct loop *loop,
		       const struct event_recorder_config *config, struct event_recorder **ret,
		       struct error *err)
{
	_cleanup_(event_recorder_freep) struct event_recorder *rec = calloc(1, sizeof(*rec));
	struct line instance;
	int r;

	if (!rec)
		return error_set(err, -ENOMEM, "out of memory");
	rec->client = c;
	rec->config = *config;
	if (!rec->config.clock)
		rec->config.clock = system_clock;
	instance = line_in(rec->instance, sizeof(rec->instance));
	line_escape(&instance, config->instance);
	rec->backoff = (struct backoff){
		.first_ms = EVENT_RETRY_FIRST_MS,
		.max_ms = EVENT_RETRY_MAX_MS,
		.healthy_ms = EVENT_RETRY_HEALTHY_MS,
		.random = config->seed,
	};
	rec->table.type = &event_series_type;
	r = loop_add_timer(loop, on_timer, rec, &rec->timer, err);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(rec);
	return 0;
}

struct event_recorder *event_recorder_free(struct event_recorder *rec)
{
	struct event_series *s, *next;

	if (!rec)
		return NULL;
	exchange_cancel(rec->exchange);
	loop_source_free(rec->timer);
	DL_FOREACH_SAFE(rec->series, s, next)
		event_series_free(s);
	table_free(&rec->table);
	free(rec);
	return NULL;
}

struct event_recorder_stats event_recorder_stats(const struct event_recorder *rec)
{
	return rec->stats;
}
