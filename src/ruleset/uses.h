/* uses.h - how many elements of all blocks want a shared element or a dispatch chain. */
#ifndef KUBE_NFT_RULESET_USES_H
#define KUBE_NFT_RULESET_USES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/table.h"
#include "ruleset/element.h"
#include "ruleset/transaction.h"

struct ruleset;

struct shared_use {
	struct element element; /* the key; all else is zero */
	size_t n;
};

struct chain_use {
	struct dispatch dispatch;
	size_t n;
};

struct uses {
	struct table shared; /* of struct shared_use, by element */
	struct table chains; /* of struct chain_use, by dispatch */
};

void uses_init(struct uses *u);

/* Count what @e uses. The first use of a shared element is written into @tx (may be NULL).
 * 0, or -ENOMEM with nothing counted. */
int uses_take(struct uses *u, const struct element *e, struct transaction *tx);
/* The reverse, which can't fail. */
void uses_drop(struct uses *u, const struct element *e, struct transaction *tx);
void uses_free(struct uses *u);

bool uses_has_chain(const struct uses *u, const struct dispatch *d);

/* The chains that @e goes to, and those behind it. */
enum { ELEMENT_MAX_CHAINS = 3 };
size_t element_chains(const struct element *e, struct dispatch ret[static ELEMENT_MAX_CHAINS]);

#endif
