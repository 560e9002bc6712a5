/* block.h - what one owner wants in the tables: made by a model, then kept by the ruleset.
 *
 * A model adds elements and definitions in any order; the ruleset settles the block, after which it does not
 * change any more, but for what it yields.
 */
#ifndef KUBE_NFT_RULESET_BLOCK_H
#define KUBE_NFT_RULESET_BLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "ruleset/bindings.h"
#include "ruleset/definition.h"
#include "ruleset/element.h"
#include "ruleset/flows.h"

struct arena;
struct error;
struct ranges;
struct transaction;

struct block {
	struct arena *arena;      /* holds the comments; owned */
	struct element *elements; /* owned, malloc */
	size_t n;
	size_t capacity;
	struct definition *definitions; /* owned, malloc */
	size_t n_definitions, cap_definitions;
	struct flows flows;       /* that may go on */
	struct bindings bindings; /* that clients may have */
};

int block_new(size_t n_hint, struct block **ret);
struct block *block_free(struct block *b); /* NULL is fine; returns NULL */
DEFINE_CLEANUP(struct block, block_free);
/* The next element to be filled, zeroed; NULL when memory is short. Valid until the next call. */
struct element *block_add(struct block *b);
/* An element for each of the ranges, which are settled and of @family. 0 or -ENOMEM. */
int block_add_ranges(struct block *b, enum set_id set, uint8_t family, const struct ranges *r);
/* The next set or chain to be described, zeroed; as block_add(). */
struct definition *block_define(struct block *b);
/* A comment made safe by comment_from(), kept in the block. NULL when memory is short. */
const char *block_comment(struct block *b, const char *text);

/* Sort everything, and drop the repetitions of shared elements. -EEXIST: two other elements have one key. */
int block_settle(struct block *b, const char *owner, struct error *err);
/* Below, blocks are settled, or NULL. */
bool block_has(const struct block *b, const struct element *e);
/* What @b has with the kind, family and name of @d, or NULL. */
const struct definition *block_find_definition(const struct block *b, const struct definition *d);
/* How many elements are not shared. */
size_t block_count_owned(const struct block *b);
/* Write into @tx what changes when @new takes the place of @old, but for shared elements: those are counted by
 * uses.h. */
void block_compare(const struct block *old, const struct block *new, struct transaction *tx);

#endif
