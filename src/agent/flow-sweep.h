/* flow-sweep.h - UDP flows that go where they no longer may, ended behind the sync that changed it; with
 * --ipvs-graceful-termination, TCP and SCTP connections to an endpoint that left, ended some time later.
 *
 * What decides is the ruleset as it is, so whatever was missed is caught up with by the next sweep, and
 * the start of an agent makes one (which gives connections all their time again). A sweep is cut into steps that run when nothing else is to be done.
 */
#ifndef KUBE_NFT_AGENT_FLOW_SWEEP_H
#define KUBE_NFT_AGENT_FLOW_SWEEP_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/drains.h"
#include "kernel/conntrack.h"

struct error;
struct loop;
struct loop_source;
struct ruleset;
struct tables;

struct flow_sweep {
	struct ruleset *ruleset;
	struct conntrack_rules rules;
	struct drains drains;
	uint64_t drain_ms;         /* how long a connection goes on; set behind flow_sweep_open() */
	struct conntrack *pass;    /* NULL: none is under way */
	struct loop_source *timer; /* to begin one */
	struct loop_source *drain; /* the time of some connections is over */
	struct loop_source *step;
	unsigned left;         /* passes to come, the one under way not counted */
	bool paused;           /* see flow_sweep_pause() */
	uint64_t began_us;     /* the last one */
	uint64_t rest_till_us; /* before that, none begins */
	uint64_t retry_ms;     /* 0: the last one did not fail */
};

/* Before the first commit: what frontends there were is read from the tables. @fs must stay where it
 * is, and be closed before the loop. */
int flow_sweep_open(struct flow_sweep *fs, struct loop *loop, struct ruleset *ruleset,
		    struct tables *tables, struct error *err);
void flow_sweep_close(struct flow_sweep *fs);

/* The ruleset is committed. Nothing is done when that changed nothing for UDP flows, unless @anyway:
 * the tables were other than the ruleset before. 0 or a negative errno. */
int flow_sweep_request(struct flow_sweep *fs, bool anyway);
/* The ruleset may not be what the kernel has: not a step until flow_sweep_request() comes. */
void flow_sweep_pause(struct flow_sweep *fs);

#endif
