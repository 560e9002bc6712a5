#include "store/changes.h"

#include <errno.h>
#include <stdlib.h>

#include "base/array.h"
#include "object/object.h"

static uint64_t changed_hash(const void *item)
{
	const struct changed *c = item;

	return table_hash_texts(c->key->namespace, c->key->name);
}

static bool changed_equal(const void *a, const void *b)
{
	const struct changed *x = a, *y = b;

	return object_cmp(x->key, y->key) == 0;
}

void changes_init(struct changes *c)
{
	static const struct table_type type = { changed_hash, changed_equal };

	*c = (struct changes){ .table.type = &type };
}

void changes_free(struct changes *c)
{
	size_t position = 0;
	struct changed *one;

	while ((one = table_next(&c->table, &position))) {
		object_free(one->before);
		free(one);
	}
	table_free(&c->table);
	while ((one = c->spare)) {
		c->spare = one->next;
		free(one);
	}
}

static void changes_spare(struct changes *c, struct changed *one)
{
	*one = (struct changed){ .next = c->spare };
	c->spare = one;
}

static struct changed *changes_find(const struct changes *c, const struct object *key)
{
	const struct changed probe = { .key = key };

	return table_find(&c->table, &probe);
}

int changes_reserve(struct changes *c, const struct object *o, bool new, size_t n)
{
	struct changed *one;

	if (table_reserve_many(&c->table, n) < 0)
		return -ENOMEM;
	if (!new || changes_find(c, o))
		return 0;
	one = malloc(sizeof(*one));
	if (!one)
		return -ENOMEM;
	changes_spare(c, one);
	return 0;
}

bool changes_note(struct changes *c, struct object *before, const struct object *now)
{
	struct changed *one = changes_find(c, before ? before : now);

	if (!one) {
		one = c->spare;
		c->spare = one->next;
		*one = (struct changed){ .before = before, .key = before ? before : now };
		table_put(&c->table, one);
		return before;
	}
	if (one->before)
		return false; /* what the model has seen is older */
	if (now)
		one->key = now;
	else
		free(table_take(&c->table, one)); /* it came and went unseen */
	return false;
}

static int changed_pointer_cmp(const void *a, const void *b)
{
	struct changed *const *x = a, *const *y = b;

	return object_cmp((*x)->key, (*y)->key);
}

int changes_sorted(const struct changes *c, struct changed ***ret)
{
	struct changed **all = calloc(c->table.n + 1, sizeof(*all));
	size_t position = 0;

	if (!all)
		return -ENOMEM;
	for (size_t i = 0; i < c->table.n; i++)
		all[i] = table_next(&c->table, &position);
	array_sort(all, c->table.n, sizeof(*all), changed_pointer_cmp);
	*ret = all;
	return 0;
}

void changes_forget(struct changes *c, struct changed *one, bool there)
{
	struct object *before = one->before;

	table_take(&c->table, one);
	if (there)
		changes_spare(c, one);
	else
		free(one);
	object_free(before);
}
