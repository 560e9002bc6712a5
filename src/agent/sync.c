#include "agent/sync.h"

#include <errno.h>
#include <malloc.h>

#include "agent/node.h"
#include "base/error.h"
#include "base/log.h"
#include "base/loop.h"
#include "kernel/tables.h"
#include "policy/policies.h"
#include "proxy/proxy.h"
#include "ruleset/ruleset.h"
#include "store/store.h"

/* From one sync to the next, so that what changes all the time is gathered. What changes now and then does
 * not wait. */
#define REST_MS 10
#define RETRY_FIRST_MS 100
#define RETRY_MAX_MS 30000
#define UNHEALTHY_US 60000000
#define SWEEP_DELAY_MS 1000
/* How many objects one sync sets aside before it gives up for this time. */
#define QUARANTINE_MAX 100

static void log_synced(const struct sync *s, const char *message, const char *why,
		       const struct commit *c, uint64_t started_us)
{
	const struct policies_stats policies = s->node->policies ?
						       policies_stats(s->node->policies) :
						       (struct policies_stats){ 0 };

	log_info(message, log_text("why", why),
		 log_number("services", proxy_stats(s->node->proxy).services),
		 log_number("policies", policies.policies), log_number("closed", policies.closed),
		 log_number("isolated_pods", policies.pods),
		 log_number("elements", ruleset_count(s->node->ruleset)),
		 log_number("added", c->added), log_number("deleted", c->deleted),
		 log_number("bytes", c->bytes), log_number("us", monotonic_us() - started_us));
}

/* Whether the kernel's refusal is about what it was sent, and not about its own state. */
static bool blames_object(int r)
{
	return r == -EEXIST || r == -EINVAL || r == -ENOENT || r == -EOPNOTSUPP || r == -ERANGE ||
	       r == -E2BIG || r == -EOVERFLOW || r == -EMLINK;
}

/* -EAGAIN: the kernel may take what is left. */
static int sync_set_aside(struct sync *s, const struct commit *c, int r, const struct error *err)
{
	const char *owner = c->culprit ? ruleset_owner(s->node->ruleset, c->culprit) :
					 ruleset_definer(s->node->ruleset, c->refused);
	bool kept;

	if (!owner)
		return r;
	/* What a policy had before may allow what it does not allow any more. */
	if (node_close_policy(s->node, owner, err->message))
		return node_sync(s->node, NULL, NULL) < 0 ? r : -EAGAIN;
	if (ruleset_revert(s->node->ruleset, owner, &kept) < 0)
		return r;
	log_error("object set aside: the kernel refused it", log_text("object", owner),
		  log_text("keeps", kept ? "what it had before" : "nothing"),
		  log_text("error", err->message));
	node_tell_refused(s->node, owner, err->message);
	return -EAGAIN;
}

static void compared_tell(const struct sync *s, enum tables_state state, const char *why,
			  const struct commit *c, uint64_t started_us)
{
	static const char *const messages[] = {
		[TABLES_EQUAL] = "tables are as wanted",
		[TABLES_ADOPTED] = "tables adopted",
		[TABLES_REPLACED] = "tables replaced",
	};
	bool repaired = s->foreign && !s->first && state != TABLES_EQUAL;

	log_synced(s, repaired ? "foreign change repaired" : messages[state], why, c, started_us);
	if (repaired)
		node_tell_repaired(s->node, why);
}

/* Read the tables back, send what is missing. */
static int sync_compare(struct sync *s, struct commit *c, struct error *err)
{
	_cleanup_transaction_ struct transaction whole = { 0 };
	uint64_t started_us = monotonic_us();
	enum tables_state state;
	const char *why;
	int r;

	r = ruleset_whole(s->node->ruleset, &whole);
	if (r < 0)
		return error_set(err, r, "out of memory");
	r = tables_reconcile(s->tables, &whole, &state, &why, c, err);
	if (r < 0 && r != -EIO && r != -ENOMEM && r != -EPERM && !c->culprit && !c->refused) {
		log_warn("tables can't be compared, replacing them",
			 log_text("error", err->message));
		state = TABLES_REPLACED;
		r = tables_replace(s->tables, &whole, c, err);
	}
	if (r < 0 && (c->culprit || c->refused) && blames_object(r)) /* they point into @whole */
		return sync_set_aside(s, c, r, err);
	if (r == 0)
		compared_tell(s, state, why, c, started_us);
	if (r == 0)
		s->repaired |= state != TABLES_EQUAL;
	return r;
}

/* Setting objects aside is for those that the kernel refuses while it takes the others. When it takes
 * nothing in the end, it was not the objects' fault: all of them are computed again. */
static int sync_compare_until_accepted(struct sync *s, struct commit *c, struct error *err)
{
	int r = -EAGAIN, i;

	for (i = 0; r == -EAGAIN && i < QUARANTINE_MAX; i++)
		r = sync_compare(s, c, err);
	if (r < 0 && i > 1 && store_mark_services(s->node->store) < 0)
		r = -ENOMEM;
	return r;
}

static int sync_difference(struct sync *s, struct commit *c, struct error *err)
{
	uint64_t started_us = monotonic_us();
	int r = transaction_settle(&s->tx);

	if (r < 0)
		return error_set(err, r, "out of memory");
	if (transaction_is_empty(&s->tx))
		return 0;
	r = tables_commit(s->tables, &s->tx, c, err);
	if (r == 0)
		log_synced(s, "synced", "objects changed", c, started_us);
	return r;
}

/* What the store says -> ruleset -> kernel. After any failure the kernel is not trusted to hold what we
 * think, and the next attempt reads it back. */
static int sync_once(struct sync *s, struct error *err)
{
	struct commit c = { 0 };
	int r;

	transaction_reset(&s->tx);
	r = node_sync(s->node, s->compare ? NULL : &s->tx, err);
	if (r == 0 && !s->compare)
		r = sync_difference(s, &c, err);
	if (r == 0 && !s->compare)
		return 0;
	if (r < 0 && !s->compare) {
		log_warn("commit failed, reading the tables back", log_text("error", err->message));
		s->compare = true;
		r = node_sync(s->node, NULL, err);
	}
	if (r == 0)
		r = sync_compare_until_accepted(s, &c, err);
	if (r == 0)
		s->compare = s->foreign = false;
	return r;
}

int sync_now(struct sync *s, struct error *err)
{
	int r = sync_once(s, err);

	if (r < 0) {
		s->compare = true;
		flow_sweep_pause(&s->flows);
		return error_wrap(err, r, "sync");
	}
	ruleset_accept(s->node->ruleset);
	/* It is not put off by the commits that come before it. */
	if (!s->sweep_armed)
		r = loop_timer_arm(s->sweep, SWEEP_DELAY_MS);
	s->sweep_armed = r == 0;
	if (r == 0)
		r = flow_sweep_request(&s->flows, s->repaired);
	s->repaired = false;
	/* Not before: until the sources have told everything, nothing may be compared. */
	if (r == 0 && s->first)
		r = loop_timer_arm(s->period, s->period_ms);
	s->first = false;
	if (r < 0)
		return error_set(err, r, "arm a timer");
	return s->committed ? s->committed(s->userdata, err) : 0;
}

bool sync_is_healthy(const struct sync *s)
{
	return s->failing_since_us == 0 || monotonic_us() - s->failing_since_us < UNHEALTHY_US;
}

static int on_sync(void *userdata)
{
	struct sync *s = userdata;
	struct error err = { 0 };
	int r;

	r = sync_now(s, &err);
	s->rest_till_us = monotonic_us() + REST_MS * 1000;
	log_limit_flush(&s->node->log_limit);
	if (r == 0) {
		s->retry_ms = 0;
		s->failing_since_us = 0;
		return 0;
	}
	if (s->failing_since_us == 0)
		s->failing_since_us = monotonic_us();
	s->retry_ms = s->retry_ms ? s->retry_ms * 2 : RETRY_FIRST_MS;
	if (s->retry_ms > RETRY_MAX_MS)
		s->retry_ms = RETRY_MAX_MS;
	log_error("sync failed, keeping the previous ruleset", log_text("error", err.message),
		  log_number("retry_ms", s->retry_ms));
	return loop_timer_arm(s->retry, s->retry_ms);
}

static int on_next(void *userdata)
{
	struct sync *s = userdata;

	return loop_defer(s->deferred);
}

static int on_sweep(void *userdata)
{
	struct sync *s = userdata;
	struct error err = { 0 };

	s->sweep_armed = false;
	/* A whole ruleset, or a large file, was in memory for a moment; glibc would keep the room. */
	malloc_trim(0);
	if (s->compare || tables_sweep(s->tables, s->node->ruleset, &err) == 0)
		return 0;
	log_warn("unused sets and chains are left", log_text("error", err.message));
	return sync_request_compare(s);
}

static int on_period(void *userdata)
{
	struct sync *s = userdata;
	int r = loop_timer_arm(s->period, s->period_ms);

	return r == 0 && tables_worth_checking(s->tables) ? sync_request_compare(s) : r;
}

int sync_open(struct sync *s, struct loop *loop, struct node_state *node, struct tables *tables,
	      uint64_t period_ms, struct error *err)
{
	int r;

	*s = (struct sync){
		.node = node,
		.tables = tables,
		.period_ms = period_ms,
		.compare = true,
		.first = true,
	};
	r = loop_add_deferred(loop, on_sync, s, &s->deferred, err);
	if (r == 0)
		r = loop_add_timer(loop, on_sync, s, &s->retry, err);
	if (r == 0)
		r = loop_add_timer(loop, on_next, s, &s->next, err);
	if (r == 0)
		r = loop_add_timer(loop, on_sweep, s, &s->sweep, err);
	if (r == 0)
		r = loop_add_timer(loop, on_period, s, &s->period, err);
	if (r == 0)
		r = flow_sweep_open(&s->flows, loop, node->ruleset, tables, err);
	return r;
}

void sync_close(struct sync *s)
{
	flow_sweep_close(&s->flows);
	transaction_free(&s->tx);
}

int sync_request(struct sync *s)
{
	uint64_t now_us = monotonic_us();

	if (s->rest_till_us <= now_us)
		return loop_defer(s->deferred);
	return loop_timer_arm(s->next, (s->rest_till_us - now_us + 999) / 1000);
}

int sync_request_compare(struct sync *s)
{
	s->compare = s->foreign = true;
	return sync_request(s);
}
