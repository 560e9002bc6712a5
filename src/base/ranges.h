/* ranges.h - sets of addresses of one family as ranges: union and difference. */
#ifndef KUBE_NFT_BASE_RANGES_H
#define KUBE_NFT_BASE_RANGES_H

#include <stddef.h>

#include "base/addr.h"
#include "base/cleanup.h"

struct ranges {
	struct addr_range *items; /* owned */
	size_t n, capacity;
};

int ranges_add(struct ranges *r, const struct addr_range *one); /* 0 or -ENOMEM */
/* Sort, join what overlaps or touches: equal sets of addresses become equal ranges. */
void ranges_settle(struct ranges *r);
/* Append to @ret what of @whole is in none of the settled @holes. 0 or -ENOMEM. */
int ranges_add_without(struct ranges *ret, const struct addr_range *whole,
		       const struct ranges *holes);
void ranges_free(struct ranges *r);
#define _cleanup_ranges_ _cleanup_(ranges_free)

#endif
