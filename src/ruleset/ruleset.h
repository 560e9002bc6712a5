/* ruleset.h - everything that this node wants in its tables, by owner, and the differences.
 *
 * A model gives the elements of one owner ("service default/web") as a block (block.h); the ruleset keeps it, and writes what changed into the pending transaction. Cost follows the block, not the
 * ruleset. Elements of shared sets (hairpin) are counted: they are there while any owner wants them.
 * Dispatch chains (lb-3) are counted the same way and made when the first element goes to them.
 * Sets and chains of network policy are part of blocks, each of one block only; who refers to them
 * sees to it that they are there.
 * Pure memory: no clock, no I/O.
 */
#ifndef KUBE_NFT_RULESET_RULESET_H
#define KUBE_NFT_RULESET_RULESET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "ruleset/block.h"
#include "ruleset/definition.h"
#include "ruleset/element.h"
#include "ruleset/flows.h"
#include "ruleset/transaction.h"

struct error;
struct ruleset;

int ruleset_new(struct ruleset **ret);
struct ruleset *ruleset_free(struct ruleset *rs); /* NULL is fine; returns NULL */
DEFINE_CLEANUP(struct ruleset, ruleset_free);

/* @owner's elements are now those of @b, which is taken (an error frees it and changes nothing);
 * NULL: none. The elements are sorted here. Writes the difference to @tx, which may be NULL
 * when the whole will be sent anyway. -EEXIST: two elements of the block have one key. -ENOMEM. */
int ruleset_replace(struct ruleset *rs, const char *owner, struct block *b, struct transaction *tx,
		    struct error *err);

/* The kernel has taken all that was replaced until now. */
void ruleset_accept(struct ruleset *rs);
/* The kernel refuses elements of @owner: it gets back what it had when all was accepted last, but for
 * keys that others have now; nothing when it had nothing then, or when that was refused, too. It
 * yields to others until its next ruleset_replace(). @ret_kept: whether it has any elements. -ENOMEM
 * changes nothing. */
int ruleset_revert(struct ruleset *rs, const char *owner, bool *ret_kept);

/* All elements, settled, as additions of the empty @tx, all definitions, and all dispatch chains in use.
 * 0, -ENOMEM. */
int ruleset_whole(const struct ruleset *rs, struct transaction *tx);

/* Whether somebody has defined the set or chain of this kind, family and name. */
bool ruleset_defines(const struct ruleset *rs, const struct definition *d);
/* Whether any element goes to this dispatch chain. */
bool ruleset_uses_chain(const struct ruleset *rs, const struct dispatch *d);

/* Who wants the element with this key: an owner's name, or NULL. Walks everything; for errors. */
const char *ruleset_owner(const struct ruleset *rs, const struct element *e);

/* The same of a set or chain. */
const char *ruleset_definer(const struct ruleset *rs, const struct definition *d);

/* Whether a call of ruleset_replace() changed flows since they were last taken. */
bool ruleset_flows_changed(const struct ruleset *rs);
/* Those that may go on replace what is in @kept; frontends that lost their owner since they were last
 * taken are added to @gone. Both are settled. 0, or -ENOMEM with @kept as it was. */
int ruleset_take_flows(struct ruleset *rs, struct flows *kept, struct flows *gone);

/* How many elements there are. */
size_t ruleset_count(const struct ruleset *rs);

#endif
