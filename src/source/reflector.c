#include "source/reflector.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/loop.h"
#include "source/reflector-internal.h"
#include "source/resource.h"

enum { ROW_MAX = 3 }; /* of one outcome, before another way is tried */

static const struct reflector_limits usual_limits = {
	.watch_min_s = REFLECTOR_WATCH_MIN_S,
	.watch_max_s = REFLECTOR_WATCH_MAX_S,
	.watch_margin_ms = 30 * 1000,
	.watch_short_ms = 500,
	.initial_quiet_ms = 10 * 1000,
	.list_ms = REFLECTOR_LIST_MAX_MS,
	.refusal_ms = 10 * 1000,
	.hurry_ms = 500,
	.patience_ms = 60 * 1000,
	.retry_after_max_ms = REFLECTOR_RETRY_AFTER_MAX_MS,
	.max_objects = REFLECTOR_MAX_OBJECTS,
	.max_pages = REFLECTOR_MAX_PAGES,
};

/* What is done about an outcome. Without all of these: the same request again when the back-off says so,
 * only that a watch list always begins anew. */
enum {
	RELIST = 1 << 0,        /* list from the beginning instead */
	NOW = 1 << 1,           /* without back-off, unless it is the second time in a row */
	FORGET = 1 << 2,        /* do not ask for what is as new as our resourceVersion */
	NO_WATCH_LIST = 1 << 3, /* never again */
	QUIET = 1 << 4,         /* happens in the best of clusters: no trouble unless it goes on */
	ROW = 1 << 5,           /* the ROW_MAX-th time: RELIST, or NO_WATCH_LIST if it was one */
	PATIENCE = 1 << 6,      /* likewise, after limits.patience_ms */
};

static const uint8_t reactions[PHASE_COUNT][OUTCOME_COUNT] = {
	[PHASE_WATCH_LIST] = {
		[OUTCOME_END] = NOW | NO_WATCH_LIST | QUIET,
		[OUTCOME_CUT] = ROW,
		[OUTCOME_STALE] = NOW | QUIET,
		[OUTCOME_EXPIRED] = NOW | FORGET | QUIET,
		[OUTCOME_TOO_LARGE] = NOW | FORGET | QUIET,
		[OUTCOME_REFUSED] = NOW | NO_WATCH_LIST | QUIET,
		[OUTCOME_SERVER_ERROR] = ROW,
		[OUTCOME_GARBAGE] = ROW,
	},
	[PHASE_LIST] = {
		[OUTCOME_CUT] = RELIST,
		[OUTCOME_STALE] = RELIST | NOW | QUIET,
		[OUTCOME_EXPIRED] = RELIST | NOW | FORGET | QUIET,
		[OUTCOME_TOO_LARGE] = RELIST | NOW | FORGET | QUIET,
		[OUTCOME_REFUSED] = RELIST | FORGET,
		[OUTCOME_GARBAGE] = RELIST,
		[OUTCOME_LOCAL] = RELIST,
	},
	[PHASE_WATCH] = {
		[OUTCOME_END] = NOW | QUIET,
		[OUTCOME_SHORT] = QUIET,
		[OUTCOME_CUT] = NOW | QUIET,
		[OUTCOME_STALE] = NOW | QUIET,
		[OUTCOME_EXPIRED] = RELIST | QUIET,
		[OUTCOME_TOO_LARGE] = RELIST | FORGET | QUIET,
		[OUTCOME_REFUSED] = RELIST,
		[OUTCOME_SERVER_ERROR] = PATIENCE,
		[OUTCOME_GARBAGE] = ROW,
		[OUTCOME_LOCAL] = ROW, /* it stands before the news that would make room */
	},
};

/* Count how often this has happened in a row. */
static void row_count(struct reflector *r, uint64_t now_us)
{
	struct row *row = &r->row;

	if (request_went_well(r))
		row->n = 0;
	else if (row->n > 0 && row->outcome == r->request.outcome)
		row->n++;
	else
		row->n = 1;
	row->outcome = r->request.outcome;
	if (row->n <= 1)
		row->since_us = now_us;
}

static bool row_is_over(const struct reflector *r, unsigned reaction, uint64_t now_us)
{
	return ((reaction & ROW) && r->row.n >= ROW_MAX) ||
	       ((reaction & PATIENCE) && now_us - r->row.since_us >= r->limits.patience_ms * 1000);
}

/* Each way to fail to connect is another trouble. */
static uint32_t trouble_bit(const struct request *q)
{
	static const int codes[] = { ECONNREFUSED, ETIMEDOUT, EPROTO, EHOSTUNREACH, EACCES };
	unsigned bit = q->outcome;

	if (q->outcome == OUTCOME_CONNECTION)
		for (unsigned i = 0; i < ARRAY_SIZE(codes); i++)
			if (q->why.code == -codes[i])
				bit = OUTCOME_COUNT + i;
	return UINT32_C(1) << bit;
}

/* Each kind of trouble once, until all is well again. */
static void trouble_tell(struct reflector *r, uint64_t now_us)
{
	const char *name = resource_name(r->config.kind);
	const struct request *q = &r->request;
	uint32_t bit = trouble_bit(q);
	struct error err;

	if (r->troubles & bit)
		return;
	if (!r->troubles)
		r->trouble_since_us = now_us;
	r->troubles |= bit;
	error_set(&err, -EIO, "%s %s %s: %s", q->outcome == OUTCOME_FORBIDDEN ? "may not" : "can't",
		  r->phase == PHASE_LIST ? "list" : "watch", name, q->why.message);
	r->events.report(name, err.message, r->events.userdata);
}

static void trouble_end(struct reflector *r)
{
	uint64_t s = (monotonic_us() - r->trouble_since_us) / 1000000;
	struct error err;

	if (!r->troubles)
		return;
	r->troubles = 0;
	if (!r->events.recovered)
		return;
	error_set(&err, 0, "followed again after %" PRIu64 " s", s);
	r->events.recovered(resource_name(r->config.kind), err.message, r->events.userdata);
}

static void list_begin(struct reflector *r)
{
	r->phase = r->no_watch_list ? PHASE_LIST : PHASE_WATCH_LIST;
	staging_begin(r);
}

/* At once, unless that was done only just now: not every circle is a row. */
static uint64_t hurry_delay_ms(struct reflector *r, uint64_t now_us)
{
	uint64_t since_ms = (now_us - r->hurried_us) / 1000, hurry_ms = r->limits.hurry_ms;
	uint64_t delay_ms = since_ms < hurry_ms ? hurry_ms - since_ms : 0;

	r->hurried_us = now_us + delay_ms * 1000;
	return delay_ms;
}

static uint64_t retry_delay_ms(struct reflector *r, unsigned reaction, uint64_t now_us)
{
	uint64_t wish_ms = r->request.retry_after_ms;

	if ((reaction & NOW) && r->row.n <= 1)
		return hurry_delay_ms(r, now_us);
	if (wish_ms > r->limits.retry_after_max_ms)
		wish_ms = r->limits.retry_after_max_ms;
	return backoff_next(&r->backoff, now_us, wish_ms);
}

void reflector_ended(struct reflector *r)
{
	unsigned reaction = reactions[r->phase][r->request.outcome];
	uint64_t now_us = monotonic_us();

	row_count(r, now_us);
	if (!(reaction & QUIET))
		r->stats.failures++;
	if (!(reaction & QUIET) || r->row.n > ROW_MAX)
		trouble_tell(r, now_us);
	if (row_is_over(r, reaction, now_us)) {
		reaction |= r->phase == PHASE_WATCH_LIST ? NO_WATCH_LIST : RELIST;
		r->row.n = 0;
	}
	r->version_lost |= (reaction & FORGET) != 0;
	r->no_watch_list |= (reaction & NO_WATCH_LIST) != 0;
	if ((reaction & RELIST) || r->phase == PHASE_WATCH_LIST)
		list_begin(r);
	(void)loop_timer_arm(r->retry, retry_delay_ms(r, reaction, now_us));
}

void reflector_move(struct reflector *r, const char *version)
{
	if (!*version || strcmp(version, r->version) == 0)
		return;
	snprintf(r->version, sizeof(r->version), "%s", version);
	r->moves++;
}

int reflector_listed(struct reflector *r, const char *version)
{
	int rc = staging_commit(r);

	if (rc < 0)
		return rc;
	reflector_move(r, version);
	staging_free(&r->staging);
	r->version_lost = false;
	r->phase = PHASE_WATCH;
	if (!r->stats.synced) {
		r->stats.synced = true;
		r->synced(r->config.kind, r->userdata);
	}
	return 0;
}

void reflector_settled(struct reflector *r)
{
	r->request.settled = true;
	trouble_end(r);
}

static int on_retry(void *userdata)
{
	request_start(userdata);
	return 0;
}

int reflector_new(struct api_client *client, struct loop *loop,
		  const struct reflector_config *config, const struct source_events *events,
		  void (*synced)(enum object_kind kind, void *userdata), void *userdata,
		  struct reflector **ret, struct error *err)
{
	_cleanup_(reflector_freep) struct reflector *r = calloc(1, sizeof(*r));
	int rc;

	if (!r)
		return error_set(err, -ENOMEM, "out of memory");
	r->config = *config;
	r->events = *events;
	r->synced = synced;
	r->userdata = userdata;
	r->client = client;
	r->limits = usual_limits;
	r->random = config->seed;
	r->backoff = (struct backoff){
		.first_ms = REFLECTOR_BACKOFF_FIRST_MS,
		.max_ms = REFLECTOR_BACKOFF_MAX_MS,
		.healthy_ms = REFLECTOR_HEALTHY_MS,
		.random = ~config->seed,
	};
	r->known.type = &known_type;
	list_begin(r);

	rc = loop_add_timer(loop, on_retry, r, &r->retry, err);
	if (rc == 0)
		rc = loop_add_timer(loop, request_deadline, r, &r->deadline, err);
	if (rc == 0)
		rc = loop_timer_arm(r->retry, 0);
	if (rc < 0)
		return rc;
	*ret = TAKE_PTR(r);
	return 0;
}

struct reflector *reflector_free(struct reflector *r)
{
	if (!r)
		return NULL;
	request_free(&r->request);
	loop_source_free(r->retry);
	loop_source_free(r->deadline);
	staging_free(&r->staging);
	known_free(&r->known);
	free(r);
	return NULL;
}

struct reflector_stats reflector_stats(const struct reflector *r)
{
	return r->stats;
}
