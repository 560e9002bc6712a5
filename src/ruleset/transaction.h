/* transaction.h - a change of the tables as data: what ruleset makes and kernel sends.
 *
 * Changes are noted in the order in which they happen; transaction_settle() leaves their net effect,
 * at most one deletion and one addition of a key, which is what the kernel is sent: deletions first.
 */
#ifndef KUBE_NFT_RULESET_TRANSACTION_H
#define KUBE_NFT_RULESET_TRANSACTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "ruleset/bindings.h"
#include "ruleset/definition.h"
#include "ruleset/element.h"

struct arena;

struct change {
	struct element element; /* of a deletion the key counts, and what the element's data was */
	struct counter counter; /* what an addition begins with; the kernel module puts it in */
	uint32_t order;         /* when it was noted, until the transaction is settled */
	bool add;
	bool ahead; /* the kernel module has sent it already, before the others */
};

struct definition_change {
	struct definition definition;
	uint32_t order; /* as above */
};

/* The comments of additions are the ruleset's blocks' own. A block that is replaced while the transaction
 * is being made leaves its comments here, so that they live as long as what points at them. */
struct transaction {
	struct change *changes;
	size_t n_changes, cap_changes;
	struct dispatch *chains; /* that the additions go to; made first where they are missing */
	size_t n_chains, cap_chains;
	/* Sets and chains that are to be as this, made where they are missing. Those that nobody
	 * wants any more are not told of: tables_sweep(). */
	struct definition_change *definitions;
	size_t n_definitions, cap_definitions;
	struct arena **comments; /* owned */
	size_t n_comments, cap_comments;
	struct bindings
		bindings; /* of clients: that may stay, in a whole; that go, in a difference */
	int error;        /* sticks: 0 or -ENOMEM */
};

void transaction_add(struct transaction *tx, const struct element *e);
void transaction_delete(struct transaction *tx, const struct element *e);
void transaction_add_binding(struct transaction *tx, const struct binding *b);
void transaction_need_chain(struct transaction *tx, const struct dispatch *d);
void transaction_define(struct transaction *tx, const struct definition *d);
/* Take @comments, freed when the transaction is reset. */
void transaction_keep(struct transaction *tx, struct arena *comments);
/* Sort by set, family and key, keep the net effect. 0 or the error that stuck. */
int transaction_settle(struct transaction *tx);
bool transaction_is_empty(const struct transaction *tx);
/* Whether something that policies allowed before might not be allowed behind it. */
bool transaction_may_revoke(const struct transaction *tx, uint8_t family);
/* The changes of the set of @e, which need be no more than its name, in a settled transaction. */
const struct change *transaction_set(const struct transaction *tx, const struct element *e,
				     size_t *ret_n);
/* Forget the content, keep the memory. */
void transaction_reset(struct transaction *tx);
void transaction_free(struct transaction *tx);

#define _cleanup_transaction_ _cleanup_(transaction_free)

#endif
