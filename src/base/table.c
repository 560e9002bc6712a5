#include "base/table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

enum { TABLE_MIN_CAPACITY = 16 };

static size_t slot_home(const struct table *t, const void *item)
{
	return t->type->hash(item) & (t->capacity - 1);
}

static size_t slot_after(const struct table *t, size_t slot)
{
	return (slot + 1) & (t->capacity - 1);
}

/* Where the item that equals @probe is, or the free slot where it would go. */
static size_t slot_find(const struct table *t, const void *probe)
{
	size_t slot = slot_home(t, probe);

	while (t->slots[slot] && !t->type->equal(t->slots[slot], probe))
		slot = slot_after(t, slot);
	return slot;
}

int table_reserve_many(struct table *t, size_t n)
{
	struct table grown = { .type = t->type, .n = t->n, .capacity = t->capacity };
	size_t position = 0;
	void *item;

	if (t->n + n <= t->capacity / 4 * 3)
		return 0;
	while (t->n + n > grown.capacity / 4 * 3)
		grown.capacity = grown.capacity ? grown.capacity * 2 : TABLE_MIN_CAPACITY;
	grown.slots = calloc(grown.capacity, sizeof(grown.slots[0]));
	if (!grown.slots)
		return -ENOMEM;

	while ((item = table_next(t, &position)))
		grown.slots[slot_find(&grown, item)] = item;
	free(t->slots);
	*t = grown;
	return 0;
}

int table_reserve(struct table *t)
{
	return table_reserve_many(t, 1);
}

void *table_put(struct table *t, void *item)
{
	size_t slot = slot_find(t, item);
	void *old = t->slots[slot];

	t->slots[slot] = item;
	if (!old)
		t->n++;
	return old;
}

void *table_find(const struct table *t, const void *probe)
{
	return t->n ? t->slots[slot_find(t, probe)] : NULL;
}

/* Whether an item whose search starts at @home still finds slot @to when it moves there from @from:
 * @home must not lie behind @to on the way to @from. */
static bool slot_may_move(const struct table *t, size_t home, size_t from, size_t to)
{
	size_t mask = t->capacity - 1;

	return ((from - home) & mask) >= ((from - to) & mask);
}

void *table_take(struct table *t, const void *probe)
{
	size_t hole, slot;
	void *item;

	if (!t->n)
		return NULL;
	hole = slot_find(t, probe);
	item = t->slots[hole];
	if (!item)
		return NULL;

	for (slot = slot_after(t, hole); t->slots[slot]; slot = slot_after(t, slot)) {
		if (!slot_may_move(t, slot_home(t, t->slots[slot]), slot, hole))
			continue;
		t->slots[hole] = t->slots[slot];
		hole = slot;
	}
	t->slots[hole] = NULL;
	t->n--;
	return item;
}

void *table_next(const struct table *t, size_t *position)
{
	while (*position < t->capacity) {
		void *item = t->slots[(*position)++];

		if (item)
			return item;
	}
	return NULL;
}

void table_free(struct table *t)
{
	free(t->slots);
	*t = (struct table){ .type = t->type };
}

void table_free_items(struct table *t)
{
	size_t position = 0;
	void *item;

	while ((item = table_next(t, &position)))
		free(item);
	table_free(t);
}

uint64_t table_hash_texts(const char *a, const char *b)
{
	/* The factor keeps (a, b) and (b, a) apart. */
	return hash_bytes(a, strlen(a)) * 31 + hash_bytes(b, strlen(b));
}
