#include "agent/conntrack-watch.h"

#include "base/error.h"
#include "base/log.h"
#include "base/loop.h"
#include "kernel/netlink.h"

/* Two small requests; who is dropped waits for no answer of ours. */
#define WATCH_MS 10000

bool conntrack_was_full(const struct conntrack_stats *before, const struct conntrack_stats *now)
{
	bool nearly = now->limit == 0 || now->entries >= now->limit - now->limit / 10;

	/* Counters of 32 bits begin anew behind their largest. */
	return now->evicted != before->evicted || (now->dropped != before->dropped && nearly);
}

static void watch_tell(struct conntrack_watch *w, const struct conntrack_stats *now)
{
	bool full = conntrack_was_full(&w->stats, now);

	if (full && !w->full) {
		log_warn("connection tracking is full, connections are dropped",
			 log_number("entries", now->entries), log_number("limit", now->limit),
			 log_number("dropped", now->dropped - w->stats.dropped),
			 log_number("evicted", now->evicted - w->stats.evicted),
			 log_text("remedy", "a higher net.netfilter.nf_conntrack_max"));
		if (w->filled)
			w->filled(now, w->userdata);
	}
	if (!full && w->full)
		log_info("connection tracking has room again", log_number("entries", now->entries),
			 log_number("limit", now->limit));
	w->full = full;
	w->stats = *now;
}

static int on_watch(void *userdata)
{
	struct conntrack_watch *w = userdata;
	struct conntrack_stats now;

	/* What could not be read is read the next time. */
	if (conntrack_stats_read(w->nl, &now, NULL) == 0)
		watch_tell(w, &now);
	return loop_timer_arm(w->timer, WATCH_MS);
}

int conntrack_watch_open(struct conntrack_watch *w, struct loop *loop, struct error *err)
{
	int r;

	*w = (struct conntrack_watch){ 0 };
	r = netlink_open(&w->nl, err);
	if (r == 0)
		r = loop_add_timer(loop, on_watch, w, &w->timer, err);
	/* What was counted before is not news. A kernel that does not tell yet may do so later. */
	if (r == 0)
		(void)conntrack_stats_read(w->nl, &w->stats, NULL);
	if (r == 0)
		r = loop_timer_arm(w->timer, WATCH_MS);
	return r < 0 ? error_wrap(err, r, "watch connection tracking") : 0;
}

void conntrack_watch_close(struct conntrack_watch *w)
{
	w->nl = netlink_close(w->nl);
}
