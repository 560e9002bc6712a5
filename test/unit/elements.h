/* elements.h - elements made of two numbers, and a strict copy of what the kernel would have.
 *
 * Memory may be short in block_of() only; everything else fails the test then.
 */
#ifndef KUBE_NFT_TEST_ELEMENTS_H
#define KUBE_NFT_TEST_ELEMENTS_H

#include <stddef.h>

#include "ruleset/element.h"
#include "ruleset/ruleset.h"
#include "ruleset/transaction.h"

enum { N_VALUES = 6 };

/* An element of @set that a model could make. Other @key (below 65536), other key; other @value (below
 * N_VALUES), other data or comment, in sets that have any. */
struct element element_make(enum set_id set, uint8_t family, unsigned key, unsigned value);
/* Whether elements of this set have data or a comment. */
bool set_has_values(enum set_id set);

/* A block of these elements, their comments made safe. NULL when memory is short. */
struct block *block_of(const struct element *elements, size_t n);

/* "ip services 10.96.0.10 . tcp . 80 : goto lb-2". Valid until the fourth call from this one on. */
const char *element_text(const struct element *e);

/* The elements of all tables, sorted; each with a comment of its own. */
struct copy {
	struct element *elements;
	size_t n, capacity;
};

/* Do what settled @tx says. Fails the test when it deletes what is not there or adds what is. */
void copy_commit(struct copy *c, const struct transaction *tx);
const struct element *copy_find(const struct copy *c, const struct element *key);
/* Fails the test, naming the first difference, unless settled @whole adds exactly these elements. */
void assert_copy_equals(const struct copy *c, const struct transaction *whole);
void copy_free(struct copy *c);

#endif
