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

/* Without @slots the slots are the targets in their order. */
struct target_list {
	struct target *items; /* owned */
	size_t n, capacity;
	uint16_t *slots; /* owned; of each slot the number of its target */
	size_t n_slots;  /* 0: none */
};

enum slots_limit {
	/* A prime number, which must never change. Of 50 targets one that goes takes 1.8 % of the
	 * others' slots along, and 2.6 % at worst; a list of more targets than slots has no table. */
	MAGLEV_SLOTS = 6553,
};

uint64_t target_hash(const uint8_t addr[static 16], uint16_t port);
/* By hash, then address, then port. */
int target_cmp(const struct target *a, const struct target *b);

/* Put the @n different targets of @sorted, sorted by target_cmp(), into @ret in the order of their
 * slots. @scratch has room for 2 * @n numbers. */
void slots_assign(const struct target *sorted, size_t n, uint32_t *scratch, struct target *ret);

/* Into @ret, of MAGLEV_SLOTS numbers, who of the @n targets of @sorted, of which there is at least one, has
 * each slot: as good as equally many each, and when one comes or goes hardly a slot changes hands
 * between others. @scratch has room for 2 * @n numbers. Source: Eisenbud et al., Maglev (NSDI 2016),
 * section 3.4. */
void maglev_assign(const struct target *sorted, size_t n, uint32_t *scratch,
		   uint16_t ret[static MAGLEV_SLOTS]);

/* How many slots there are, and who has one of them. */
size_t targets_slots(const struct target_list *list);
const struct target *targets_at(const struct target_list *list, size_t slot);

#endif
