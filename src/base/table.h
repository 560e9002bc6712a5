/* table.h - a hash table of pointers to items that somebody else owns.
 *
 * An item carries its own key; a probe is any item with the key filled in. Open addressing, one
 * pointer a slot: 8 to 16 bytes an item. Only table_reserve() takes memory, so a caller who reserves
 * first can change several tables without a way to fail in between.
 */
#ifndef KUBE_NFT_BASE_TABLE_H
#define KUBE_NFT_BASE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct table_type {
	uint64_t (*hash)(const void *item);
	bool (*equal)(const void *a, const void *b);
};

/* Born as { .type = ... }. */
struct table {
	const struct table_type *type;
	void **slots;
	size_t n;
	size_t capacity; /* 0 or a power of two, never more than three quarters full */
};

/* Room for one more item. 0 or -ENOMEM. */
int table_reserve(struct table *t);
/* For @n more. */
int table_reserve_many(struct table *t, size_t n);
/* Put @item in the place of the one that equals it, which is returned, or NULL when there was none;
 * only then a call of table_reserve() must have come before. */
void *table_put(struct table *t, void *item);
/* The item that equals @probe, or NULL. */
void *table_find(const struct table *t, const void *probe);
/* As table_find(), and the table forgets it. */
void *table_take(struct table *t, const void *probe);
/* Walk in no particular order: @position starts at 0; NULL at the end. The table must not change
 * meanwhile. */
void *table_next(const struct table *t, size_t *position);
/* Forget all items and give the memory back. */
void table_free(struct table *t);
/* The same, and free() each item. */
void table_free_items(struct table *t);

/* For keys made of two texts, such as namespace and name. */
uint64_t table_hash_texts(const char *a, const char *b);

#endif
