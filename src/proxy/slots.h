/* slots.h - which endpoint stands in which slot of a frontend's list.
 *
 * The kernel picks a random slot; a row of the endpoints map says who stands there. The order is a
 * function of the set of endpoints alone, so that every node and every restart agrees, and one
 * endpoint more or less among n moves only about log n rows.
 */
#ifndef KUBE_NFT_PROXY_SLOTS_H
#define KUBE_NFT_PROXY_SLOTS_H

#include <stddef.h>
#include <stdint.h>

/* An address and port that connections go to, with its hash. */
struct target {
	uint64_t hash;    /* target_hash() */
	uint8_t addr[16]; /* network order */
	uint16_t port;    /* host order */
	uint16_t flags;   /* enum endpoint_flag */
};

struct target_list {
	struct target *items; /* owned */
	size_t n, capacity;
};

uint64_t target_hash(const uint8_t addr[static 16], uint16_t port);
/* By hash, then address, then port. */
int target_cmp(const struct target *a, const struct target *b);

/* Put the @n different targets of @sorted, sorted by target_cmp(), into @ret in the order of their
 * slots. @scratch has room for 2 * @n numbers. */
void slots_assign(const struct target *sorted, size_t n, uint32_t *scratch, struct target *ret);

#endif
