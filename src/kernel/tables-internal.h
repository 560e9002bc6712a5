/* tables-internal.h - what tables.c, replace.c and reconcile.c share. */
#ifndef KUBE_NFT_KERNEL_TABLES_INTERNAL_H
#define KUBE_NFT_KERNEL_TABLES_INTERNAL_H

#include "base/buf.h"
#include "kernel/chains.h"
#include "kernel/present.h"
#include "kernel/tables.h"
#include "ruleset/template.h"

struct batch;

#define N_FAMILIES 2 /* IPv4, IPv6: in this order everywhere */

struct tables {
	struct netlink *nl;
	struct skeleton *skeletons[N_FAMILIES]; /* NULL: the family is off */
	struct chains chains;                   /* dispatch chains that the kernel has */
	struct present policy;                  /* sets and chains that the kernel has */
	uint32_t generation;                    /* after our last commit; 0: unknown */
	size_t n_whole;                         /* elements at the last comparison */
	size_t by_key_from;                     /* READ_BACK_BY_KEY_FROM, but in tests */
	const char *making;                     /* the table, during a replacement */
	struct buf bindings[N_FAMILIES];        /* of clients, the same */
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

/* Write the dispatch chains that @tx needs, and the sets, chains and rules of network policy, where they are
 * missing. The messages of the latter are about the numbers behind those of the changes. */
void tables_put_missing_chains(struct tables *t, const struct transaction *tx, struct batch *b);
void tables_put_definitions(struct tables *t, const struct transaction *tx, struct batch *b);
/* What was committed is there now. */
int tables_note_made(struct tables *t, const struct transaction *tx);
void tables_count_commit(const struct transaction *tx, const struct batch *b, struct commit *ret);

/* Whether the kernel looked at a transaction and said no. */
bool tables_is_refusal(int r);
/* A refused batch changed nothing, so it may be sent again with an element a message (@put): then the
 * kernel's answer names the element, or the definition. */
typedef void (*put_fn)(struct tables *t, const struct transaction *tx, size_t per_message,
		       struct batch *b);
void tables_find_culprit(struct tables *t, const struct transaction *tx, put_fn put,
			 struct commit *ret);

#define INTERIM_TABLE TABLE_NAME "-interim"

/* What packets meet of a table. */
enum table_presence {
	TABLE_ABSENT,
	TABLE_DORMANT,
	TABLE_AWAKE,
};
int tables_presence(struct tables *t, uint8_t family, const char *table, enum table_presence *ret,
		    struct error *err);

#endif
