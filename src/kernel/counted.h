/* counted.h - elements read back with what they have counted.
 *
 * For those who look at the tables; the agent's comparison reads without counters (dump.h).
 */
#ifndef KUBE_NFT_KERNEL_COUNTED_H
#define KUBE_NFT_KERNEL_COUNTED_H

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "ruleset/element.h"

struct arena;
struct error;
struct netlink;

struct counted {
	struct element element; /* its comment lives as long as the list */
	struct counter counter;
};

struct counted_list {
	struct counted *items;
	size_t n, capacity;
	size_t strange; /* elements that can't be ours, left out */
	struct arena *comments;
};

int counted_new(struct counted_list *ret); /* 0 or -ENOMEM */
void counted_free(struct counted_list *l);
#define _cleanup_counted_ _cleanup_(counted_free)

/* Append all elements of one set, in no order; intervals are not joined. -ENOENT: there is no such
 * table or set. -EINTR: disturbed, try again. */
int counted_dump(struct counted_list *l, struct netlink *nl, uint8_t family, const char *table,
		 enum set_id set, struct error *err);
/* Append those that are there of the elements with these keys. */
int counted_look_up(struct counted_list *l, struct netlink *nl, const char *table,
		    const struct element *keys, size_t n, struct error *err);
/* Append the rows of the lists that @l's verdicts choose from, those that are there. */
int counted_look_up_rows(struct counted_list *l, struct netlink *nl, const char *table,
			 struct error *err);

#endif
