/* sync.h - bringing the kernel's tables to what the store says: when, how, and what if it fails. */
#ifndef KUBE_NFT_AGENT_SYNC_H
#define KUBE_NFT_AGENT_SYNC_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/flow-sweep.h"
#include "ruleset/transaction.h"

struct error;
struct loop;
struct loop_source;
struct node_state;
struct tables;

struct sync {
	struct node_state *node;
	struct tables *tables;
	struct loop_source *deferred; /* the sync itself, behind all input */
	struct loop_source *retry;    /* after a failure */
	struct loop_source *next;     /* what came too soon after the last one */
	struct loop_source *sweep;    /* of chains without use, and of memory */
	struct loop_source *period;   /* compare with the kernel though nothing happened */
	uint64_t period_ms;
	uint64_t rest_till_us;
	uint64_t retry_ms;
	uint64_t
		failing_since_us; /* all attempts since then have failed; 0: the last one did not */
	bool compare; /* the kernel's tables may be other than we think: read them back */
	bool foreign; /* because of somebody else */
	bool first;   /* nothing was committed yet */
	bool sweep_armed;
	bool repaired; /* the tables were not as the ruleset, which may have let flows astray */
	struct flow_sweep flows;
	struct transaction tx;
	/* The kernel has what the proxy computed. An error makes the sync fail, to be tried again. May be
	 * NULL; set behind sync_open(). */
	int (*committed)(void *userdata, struct error *err);
	void *userdata;
};

/* Wire the timers. @s must stay where it is. */
int sync_open(struct sync *s, struct loop *loop, struct node_state *node, struct tables *tables,
	      uint64_t period_ms, struct error *err);
void sync_close(struct sync *s);

/* Something changed: sync when the input is drained, but not too soon after the last one. */
int sync_request(struct sync *s);
/* The kernel's tables may have been changed by somebody else. */
int sync_request_compare(struct sync *s);
/* False when all attempts of the last minute have failed. Packets go by the rules of before then. */
bool sync_is_healthy(const struct sync *s);
/* Sync now. The start does this once, and fails when it fails. */
int sync_now(struct sync *s, struct error *err);

#endif
