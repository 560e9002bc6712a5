/* carry.h - what elements have counted goes on when the agent puts others in their place.
 *
 * An element can't be changed, only replaced, and a new one would count from zero. So an addition begins
 * with the count of the deletion that meant the same: the same frontend of the same Service port, or,
 * in a map of endpoints, the same endpoint of it, in whichever slot. Connections that begin between this
 * reading and the commit are not counted: some ten microseconds, or 3 us for each element replaced.
 *
 * Counts are worth no failed commit: what can't be read begins at zero. Both functions return 0 or -ENOMEM.
 */
#ifndef KUBE_NFT_KERNEL_CARRY_H
#define KUBE_NFT_KERNEL_CARRY_H

#include <stdint.h>

struct netlink;
struct transaction;

/* Of settled @tx, whose deletions the kernel's tables @table hold. Asks the kernel only when something is
 * carried. */
int carry_difference(struct netlink *nl, const char *table, const struct transaction *tx);
/* Of settled @whole, which will replace table @table of @family, if there is one. */
int carry_whole(struct netlink *nl, uint8_t family, const char *table,
		const struct transaction *whole);

#endif
