/* tables-internal.h - what tables.c and reconcile.c share. */
#ifndef KUBE_NFT_KERNEL_TABLES_INTERNAL_H
#define KUBE_NFT_KERNEL_TABLES_INTERNAL_H

#include "base/buf.h"
#include "kernel/chains.h"
#include "kernel/present.h"
#include "kernel/tables.h"

#define N_FAMILIES 2 /* IPv4, IPv6: in this order everywhere */

struct tables {
	struct netlink *nl;
	struct skeleton *skeletons[N_FAMILIES]; /* NULL: the family is off */
	struct chains chains;                   /* dispatch chains that the kernel has */
	struct present policy;                  /* sets and chains that the kernel has */
	uint32_t generation;                    /* after our last commit; 0: unknown */
	size_t n_whole;                         /* elements at the last comparison */
	struct buf bindings[N_FAMILIES];        /* of clients, during a replacement */
	char why[256];                          /* of tables_reconcile() */
};

struct skeleton *tables_skeleton(const struct tables *t, uint8_t family);
/* Nothing is known of what the kernel has. */
void tables_forget_chains(struct tables *t);

/* Remember where our last commit left the generation. */
void tables_note_generation(struct tables *t);

/* As tables_commit(), but only when the generation is @generation (0: whatever it is). */
int tables_commit_at(struct tables *t, const struct transaction *tx, uint32_t generation,
		     struct commit *ret, struct error *err);

#endif
