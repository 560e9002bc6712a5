/* source-ranges.h - who may connect to the load-balancer addresses of a Service, by its
 * spec.loadBalancerSourceRanges.
 *
 * Only ever narrower: ranges of which none can be used let nobody in.
 */
#ifndef KUBE_NFT_PROXY_SOURCE_RANGES_H
#define KUBE_NFT_PROXY_SOURCE_RANGES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/addr.h"
#include "object/object.h"
#include "object/problems.h"
#include "proxy/frontends.h"
#include "proxy/nodes.h"

/* Of one family. */
struct source_ranges {
	struct prefix *items; /* owned; none is inside another */
	size_t n, capacity;
	bool guarded; /* only they may; else everybody */
};

/* Read those of @s, whose frontends are @f, for both families. What is not used, and what lets nobody
 * in, is told to @problems. -ENOMEM. */
int source_ranges_read(struct source_ranges ret[static FAMILY_COUNT], const struct service *s,
		       const struct frontends *f, const struct frontend_site *site,
		       struct problems *problems);
/* How many there can be at most for one frontend of @s. */
size_t source_ranges_max(const struct service *s, const struct frontends *f);
void source_ranges_free(struct source_ranges *sr);

#endif
