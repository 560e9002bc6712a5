#include "agent/flow-sweep.h"

#include <errno.h>

#include "base/error.h"
#include "base/log.h"
#include "base/loop.h"
#include "kernel/tables.h"
#include "ruleset/ruleset.h"

/* A packet that met the rules before the commit is on its way for a moment, and makes its entry at the end
 * of it. So one pass comes at once, and another one when that must be over. */
#define PASSES 2
#define SECOND_MS 1000
/* Of the time, sweeps take one part in so many. */
#define REST_PARTS 10
#define REST_MAX_US 5000000
#define RETRY_FIRST_MS 1000
#define RETRY_MAX_MS 60000

/* Begin at @when_us, or when rested. */
static int sweep_arm(struct flow_sweep *fs, uint64_t when_us)
{
	uint64_t now_us = monotonic_us();

	if (when_us < fs->rest_till_us)
		when_us = fs->rest_till_us;
	if (when_us <= now_us)
		return loop_defer(fs->step);
	return loop_timer_arm(fs->timer, (when_us - now_us + 999) / 1000);
}

static int on_timer(void *userdata)
{
	struct flow_sweep *fs = userdata;

	return loop_defer(fs->step);
}

static int on_drain(void *userdata)
{
	struct flow_sweep *fs = userdata;

	if (fs->left < PASSES)
		fs->left++;
	return fs->pass ? 0 : sweep_arm(fs, 0);
}

static int sweep_begin(struct flow_sweep *fs, struct error *err)
{
	struct conntrack_rules *rules = &fs->rules;

	fs->began_us = monotonic_us();
	fs->left--;
	if (drains_list(&fs->drains, fs->began_us, &rules->draining, &rules->ended) < 0)
		return error_set(err, -ENOMEM, "out of memory");
	return conntrack_begin(&fs->pass, err);
}

/* Begins a pass when there is none. Entries that were judged by older rules need another one. */
static int sweep_step(struct flow_sweep *fs, struct error *err)
{
	bool changed = ruleset_flows_changed(fs->ruleset);
	int r = 0;

	if (!fs->pass)
		r = sweep_begin(fs, err);
	else if (changed)
		fs->left = PASSES;
	if (r == 0 && changed &&
	    ruleset_take_flows(fs->ruleset, &fs->rules.kept, &fs->rules.gone) < 0)
		r = error_set(err, -ENOMEM, "out of memory");
	return r < 0 ? r : conntrack_step(fs->pass, &fs->rules, err);
}

static void sweep_report(struct flow_sweep *fs)
{
	const struct conntrack_counts *counts = conntrack_counts(fs->pass);
	size_t deleted = counts->deleted - counts->ended;
	const struct log_field *fields = log_fields(
		log_number("deleted", deleted), log_number("seen", counts->seen),
		log_number("us", monotonic_us() - fs->began_us));

	log_write(deleted > 0 ? LOG_LEVEL_INFO : LOG_LEVEL_DEBUG, "UDP flows swept", fields);
	if (counts->ended > 0)
		log_info("connections ended, their endpoints had left",
			 log_number("connections", counts->ended));
}

/* What was found goes on until its time is over. */
static int sweep_remember(struct flow_sweep *fs, struct error *err)
{
	uint64_t end_us = monotonic_us() + fs->drain_ms * 1000;

	if (drains_update(&fs->drains, conntrack_draining(fs->pass), end_us) < 0)
		return error_set(err, -ENOMEM, "out of memory");
	return 0;
}

static int drain_arm(struct flow_sweep *fs, uint64_t now_us)
{
	uint64_t next_us = drains_next(&fs->drains);

	if (next_us == UINT64_MAX)
		return loop_timer_disarm(fs->drain);
	return loop_timer_arm(fs->drain, next_us > now_us ? (next_us - now_us + 999) / 1000 : 0);
}

static int sweep_finish(struct flow_sweep *fs)
{
	uint64_t now_us = monotonic_us(), rest_us = (now_us - fs->began_us) * (REST_PARTS - 1);
	int r = drain_arm(fs, now_us);

	sweep_report(fs);
	fs->pass = conntrack_end(fs->pass);
	fs->rest_till_us = now_us + (rest_us < REST_MAX_US ? rest_us : REST_MAX_US);
	fs->retry_ms = 0;
	if (fs->left == 0)
		fs->rules.gone.n = 0;
	if (r < 0 || fs->left == 0)
		return r;
	return sweep_arm(fs, fs->left < PASSES ? now_us + SECOND_MS * 1000 : 0);
}

static int sweep_fail(struct flow_sweep *fs, const struct error *err)
{
	fs->pass = conntrack_end(fs->pass);
	fs->retry_ms = fs->retry_ms ? 2 * fs->retry_ms : RETRY_FIRST_MS;
	if (fs->retry_ms > RETRY_MAX_MS)
		fs->retry_ms = RETRY_MAX_MS;
	log_warn("UDP flows can't be swept", log_text("error", err->message),
		 log_number("retry_ms", fs->retry_ms));
	fs->left = PASSES;
	fs->rest_till_us = monotonic_us() + fs->retry_ms * 1000;
	return sweep_arm(fs, 0);
}

static int on_step(void *userdata)
{
	struct flow_sweep *fs = userdata;
	struct error err = { 0 };
	int r;

	if (fs->paused || (!fs->pass && fs->left == 0))
		return 0;
	r = sweep_step(fs, &err);
	if (r > 0)
		return loop_defer(fs->step);
	if (r == 0)
		r = sweep_remember(fs, &err);
	return r < 0 ? sweep_fail(fs, &err) : sweep_finish(fs);
}

int flow_sweep_request(struct flow_sweep *fs, bool anyway)
{
	bool changed = anyway || ruleset_flows_changed(fs->ruleset);
	bool begin = changed || (fs->paused && fs->left > 0);

	fs->paused = false;
	if (changed)
		fs->left = PASSES;
	if (fs->pass)
		return loop_defer(fs->step);
	return begin ? sweep_arm(fs, 0) : 0;
}

void flow_sweep_pause(struct flow_sweep *fs)
{
	fs->paused = true;
}

int flow_sweep_open(struct flow_sweep *fs, struct loop *loop, struct ruleset *ruleset,
		    struct tables *tables, struct error *err)
{
	struct error reading = { 0 };
	int r;

	*fs = (struct flow_sweep){ .ruleset = ruleset };
	r = loop_add_timer(loop, on_timer, fs, &fs->timer, err);
	if (r == 0)
		r = loop_add_timer(loop, on_drain, fs, &fs->drain, err);
	if (r == 0)
		r = loop_add_deferred(loop, on_step, fs, &fs->step, err);
	if (r == 0 && tables_read_udp_frontends(tables, &fs->rules.gone, &reading) < 0)
		log_warn("flows of UDP frontends that went meanwhile are not ended",
			 log_text("error", reading.message));
	return r;
}

void flow_sweep_close(struct flow_sweep *fs)
{
	fs->pass = conntrack_end(fs->pass);
	flows_free(&fs->rules.kept);
	flows_free(&fs->rules.gone);
	flows_free(&fs->rules.draining);
	flows_free(&fs->rules.ended);
	drains_free(&fs->drains);
}
