#include "agent/affinity-watch.h"

#include <stddef.h>

#include "base/error.h"
#include "base/log.h"
#include "base/loop.h"
#include "kernel/tables.h"
#include "ruleset/bindings.h"

/* One small request; who is refused waits for no answer of ours. */
#define WATCH_MS 10000

static void watch_tell(struct affinity_watch *w, uint64_t refused)
{
	/* Counters begin at 0 again when the tables are replaced. */
	uint64_t before = refused < w->refused ? 0 : w->refused;
	bool full = refused > before;

	if (full && !w->full)
		log_warn("more clients than session affinity can remember, the others go without",
			 log_number("refused", refused - before),
			 log_number("limit", BINDINGS_MAX));
	if (!full && w->full)
		log_info("session affinity remembers all clients again");
	w->full = full;
	w->refused = refused;
}

static int on_watch(void *userdata)
{
	struct affinity_watch *w = userdata;
	uint64_t refused;

	/* Who has taken our tables away has a notification sent to us. */
	if (tables_count_affinity(w->tables, NULL, &refused, NULL) == 0)
		watch_tell(w, refused);
	return loop_timer_arm(w->timer, WATCH_MS);
}

int affinity_watch_open(struct affinity_watch *w, struct loop *loop, struct tables *tables,
			struct error *err)
{
	int r;

	*w = (struct affinity_watch){ .tables = tables };
	r = loop_add_timer(loop, on_watch, w, &w->timer, err);
	if (r == 0)
		r = loop_timer_arm(w->timer, WATCH_MS);
	return r < 0 ? error_wrap(err, r, "watch session affinity") : 0;
}
