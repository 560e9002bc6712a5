/* transaction.h - a change of the tables as data: what ruleset makes and kernel sends. */
#ifndef KUBE_NFT_RULESET_TRANSACTION_H
#define KUBE_NFT_RULESET_TRANSACTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ruleset/element.h"

/* A dispatch chain, "lb-3" of one family. */
struct dispatch {
	uint8_t family;
	uint8_t verdict; /* enum verdict, from VERDICT_FIRST_DISPATCH on */
	uint32_t number;
};

/* Elements are copied; their comments stay with the ruleset's blocks, and those of deleted elements
 * are not kept (a deletion needs the key only). */
struct transaction {
	struct dispatch *new_chains; /* made before the elements */
	size_t n_new_chains, cap_new_chains;
	struct dispatch *old_chains; /* without use from now on; deleted by a later commit */
	size_t n_old_chains, cap_old_chains;
	struct element *deletions;
	size_t n_deletions, cap_deletions;
	struct element *additions;
	size_t n_additions, cap_additions;
	int error; /* sticks: 0 or -ENOMEM */
};

void transaction_add(struct transaction *tx, const struct element *e);
void transaction_delete(struct transaction *tx, const struct element *e);
void transaction_new_chain(struct transaction *tx, const struct dispatch *d);
void transaction_old_chain(struct transaction *tx, const struct dispatch *d);
bool transaction_is_empty(const struct transaction *tx); /* old chains do not count */
/* Forget the content, keep the memory. */
void transaction_reset(struct transaction *tx);
void transaction_free(struct transaction *tx);

#endif
