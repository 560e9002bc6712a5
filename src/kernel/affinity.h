/* affinity.h - the map affinity of a table, which the packets fill: rid of endpoints that are gone, kept
 * over a replacement of the table, counted. */
#ifndef KUBE_NFT_KERNEL_AFFINITY_H
#define KUBE_NFT_KERNEL_AFFINITY_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

struct bindings;
struct error;
struct netlink;

#define AFFINITY_MAP "affinity"

/* Delete what any client has of @gone (settled). */
int affinity_forget(struct netlink *nl, uint8_t family, const char *table,
		    const struct bindings *gone, struct error *err);
/* Delete what is not of @kept (settled). */
int affinity_retain(struct netlink *nl, uint8_t family, const char *table,
		    const struct bindings *kept, struct error *err);
/* Append the elements that are of @kept (settled) as they are, to be sent again by
 * batch_raw_elements(), and add their number to @ret_n. A table without the map, or with one of another
 * form, has none. */
int affinity_read(struct netlink *nl, uint8_t family, const char *table,
		  const struct bindings *kept, struct buf *ret, size_t *ret_n, struct error *err);

/* How many elements there are, and how many could not be made because the map was full. Counting walks
 * the map (a second for a full one), the other does not; NULL leaves it out. */
int affinity_count(struct netlink *nl, uint8_t family, const char *table, size_t *ret_bindings,
		   uint64_t *ret_refused, struct error *err);

#endif
