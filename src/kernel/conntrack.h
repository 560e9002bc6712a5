/* conntrack.h - one pass over the kernel's connection tracking: UDP flows that no longer go where they
 * should are deleted, so that their next packet is a new one for the rules. Connections of other protocols
 * are told first, and deleted by a later pass that is told that their time is over.
 *
 * A pass begins when the rules are committed: what is deleted earlier comes back as it was. Entries are
 * deleted by their id, so that one that came in the place of another is left alone.
 * Source: ctnetlink, linux/netfilter/nfnetlink_conntrack.h.
 */
#ifndef KUBE_NFT_KERNEL_CONNTRACK_H
#define KUBE_NFT_KERNEL_CONNTRACK_H

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "ruleset/flows.h"

struct conntrack;
struct error;

/* What decides. All settled. Protocols of which there is nothing here are not looked at. */
struct conntrack_rules {
	struct flows kept; /* every frontend, and the endpoints of each that flows may go on to */
	struct flows gone; /* frontends that may be no more */
	struct flows draining; /* what an earlier pass found to be CONNTRACK_DRAIN */
	struct flows ended;    /* those of them that are to end now */
};

enum conntrack_verdict { CONNTRACK_KEEP, CONNTRACK_DRAIN, CONNTRACK_END };

struct conntrack_counts {
	size_t seen;    /* entries; where the kernel can choose, only of protocols in question */
	size_t deleted; /* all of them */
	size_t ended;   /* those that were not of UDP */
};

enum conntrack_limit {
	/* A step ends behind the read, of some 200 entries, that reaches either. */
	CONNTRACK_STEP_READS = 16,
	CONNTRACK_STEP_US = 2000,
};

/* What is to become of @flow. Its target is where its replies come from, which is its frontend when it was
 * not translated; @translated: its destination was, by whatever rule. What was sent to an address that
 * is no frontend any more was ours only if it was translated; so was a TCP or SCTP connection, since a
 * server of the host's own may have a frontend's port. */
enum conntrack_verdict conntrack_judge(const struct conntrack_rules *rules, const struct flow *flow,
				       bool translated);

int conntrack_begin(struct conntrack **ret, struct error *err);
/* Judge some more entries by @rules, which may be others each time. 1: call it again; 0: the end. After
 * an error the pass is over, and another one is needed. */
int conntrack_step(struct conntrack *ct, const struct conntrack_rules *rules, struct error *err);
const struct conntrack_counts *conntrack_counts(const struct conntrack *ct);
/* What the pass has found to be CONNTRACK_DRAIN, settled. Valid until the next step. */
const struct flows *conntrack_draining(const struct conntrack *ct);
struct conntrack *conntrack_end(struct conntrack *ct); /* NULL is fine; returns NULL */
DEFINE_CLEANUP(struct conntrack, conntrack_end);

#endif
