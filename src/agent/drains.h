/* drains.h - connections to endpoints that left, and until when each of them may go on.
 *
 * Known are pairs of frontend and endpoint between which a pass over connection tracking has found
 * connections. Pure memory.
 */
#ifndef KUBE_NFT_AGENT_DRAINS_H
#define KUBE_NFT_AGENT_DRAINS_H

#include <stddef.h>
#include <stdint.h>

#include "ruleset/flows.h"

struct drain {
	struct flow flow;
	uint64_t end_us; /* monotonic */
};

struct drains {
	struct drain *items; /* owned, sorted by flow */
	size_t n;
};

/* Those of @found (settled) and no others: one that is new has until @end_us, the others as long as they
 * had. 0, or -ENOMEM with nothing changed. */
int drains_update(struct drains *d, const struct flows *found, uint64_t end_us);
/* Put all of them into @all, and those whose time is over at @now_us into @ended; both are emptied first.
 * 0 or -ENOMEM. */
int drains_list(const struct drains *d, uint64_t now_us, struct flows *all, struct flows *ended);
/* When the first of them ends; UINT64_MAX: there is none. */
uint64_t drains_next(const struct drains *d);
void drains_free(struct drains *d);

#endif
