/* changes.h - the objects of one kind that changed since a model last looked, and what they were then.
 * Private to src/store.
 */
#ifndef KUBE_NFT_STORE_CHANGES_H
#define KUBE_NFT_STORE_CHANGES_H

#include <stdbool.h>

#include "base/table.h"

struct object;

struct changed {
	struct object *before;    /* owned; NULL: there was none */
	const struct object *key; /* @before, or what there is now */
	struct changed *next;     /* of the spare ones */
};

/* Whoever was reserved for can be noted without memory: for an object that goes, there may be none. */
struct changes {
	bool watched; /* else nothing is noted */
	struct table table;
	struct changed *spare; /* one for each object that is not noted */
};

void changes_init(struct changes *c);
void changes_free(struct changes *c);

/* Before @o, which is @new or takes the place of another, comes among @n objects. 0 or -ENOMEM. */
int changes_reserve(struct changes *c, const struct object *o, bool new, size_t n);
/* @before (NULL: there was none) has become @now (NULL: it is gone). True when @before is kept here. */
bool changes_note(struct changes *c, struct object *before, const struct object *now);
/* All, sorted by namespace and name, in an array for the caller to free. 0 or -ENOMEM. */
int changes_sorted(const struct changes *c, struct changed ***ret);
/* The model has seen @one, whose object is there yet or not. */
void changes_forget(struct changes *c, struct changed *one, bool there);

#endif
