/* affinity.h - the affinity maps, which the packets fill: kept over a replacement of the table, and
 * rid of endpoints that are gone. */
#ifndef KUBE_NFT_KERNEL_AFFINITY_H
#define KUBE_NFT_KERNEL_AFFINITY_H

#include <stdint.h>

#include "base/buf.h"

struct error;
struct netlink;
struct transaction;

enum affinity_limit {
	AFFINITY_MAPS = 3, /* IPv4 endpoints, IPv6 endpoints, IPv6 ports */
};

struct affinity_map {
	const char *name;
	uint8_t family;
};
const struct affinity_map *affinity_map(unsigned i);

/* Append the elements of map @i of table @table as they are, to be sent again by batch_raw_elements()
 * together with @whole (settled). Left out are bindings to what @whole does not have, and what is not
 * of our form. A table without the map has none. */
int affinity_read(struct netlink *nl, unsigned i, const char *table,
		  const struct transaction *whole, struct buf *ret, struct error *err);

/* Delete the bindings to what @tx (settled) took away: frontends without affinity, frontends whose
 * policy became Local, and endpoints that their frontend has no more. Does nothing when @tx took
 * nothing of the kind. */
int affinity_purge(struct netlink *nl, uint8_t family, const char *table,
		   const struct transaction *tx, struct error *err);

#endif
