/* ranges.h - sets of addresses of one family as ranges: union and difference. */
#ifndef KUBE_NFT_BASE_RANGES_H
#define KUBE_NFT_BASE_RANGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/cleanup.h"

struct ranges {
	struct addr_range *items; /* owned; settled: sorted, disjoint, not adjacent */
	size_t n, capacity;
};

int ranges_add(struct ranges *r, const struct addr_range *one); /* 0 or -ENOMEM */
/* Have in @r, settled, the addresses of those of the @n prefixes that are of @family. 0 or -ENOMEM. */
int ranges_of_prefixes(struct ranges *r, const struct prefix *prefixes, size_t n, uint8_t family);
/* Sort, join what overlaps or touches: equal sets of addresses become equal ranges. */
void ranges_settle(struct ranges *r);
/* Append to @ret what of @whole is in none of the settled @holes. 0 or -ENOMEM. */
int ranges_add_without(struct ranges *ret, const struct addr_range *whole,
		       const struct ranges *holes);
/* Both settled. */
bool ranges_equal(const struct ranges *a, const struct ranges *b);
void ranges_free(struct ranges *r);
#define _cleanup_ranges_ _cleanup_(ranges_free)

#endif
