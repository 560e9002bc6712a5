/* tables-internal.h - what tables.c and reconcile.c share. */
#ifndef KUBE_NFT_KERNEL_TABLES_INTERNAL_H
#define KUBE_NFT_KERNEL_TABLES_INTERNAL_H

#include "base/buf.h"
#include "kernel/affinity.h"
#include "kernel/present.h"
#include "kernel/tables.h"

#define N_FAMILIES 2 /* IPv4, IPv6: in this order everywhere */

struct tables {
	struct netlink *nl;
	struct skeleton *skeletons[N_FAMILIES]; /* NULL: the family is off */
	struct dispatch *present;               /* dispatch chains that the kernel has */
	size_t n_present, cap_present;
	struct present policy;              /* sets and chains that the kernel has */
	uint32_t generation;                /* after our last commit; 0: unknown */
	size_t n_whole;                     /* elements at the last comparison */
	struct buf bindings[AFFINITY_MAPS]; /* their elements during a replacement */
	char why[256];                      /* of tables_reconcile() */
};

struct skeleton *tables_skeleton(const struct tables *t, uint8_t family);
int tables_note_chain(struct tables *t, const struct dispatch *d);
void tables_forget_chains(struct tables *t);

/* Remember where our last commit left the generation. */
void tables_note_generation(struct tables *t);

/* Whether nothing but elements goes to this chain. */
static inline bool dispatch_is_direct(const struct dispatch *d)
{
	return d->verdict != VERDICT_AFFINITY_LB && d->verdict != VERDICT_AFFINITY_LOCAL_LB;
}

/* As tables_commit(), but only when the generation is @generation (0: whatever it is). */
int tables_commit_at(struct tables *t, const struct transaction *tx, uint32_t generation,
		     struct commit *ret, struct error *err);

#endif
