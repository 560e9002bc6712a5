#include "kernel/counted.h"

#include <errno.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/array.h"
#include "base/error.h"
#include "kernel/dump.h"
#include "kernel/element-codec.h"
#include "kernel/lookup.h"

int counted_new(struct counted_list *ret)
{
	*ret = (struct counted_list){ .comments = arena_new(4096) };
	return ret->comments ? 0 : -ENOMEM;
}

void counted_free(struct counted_list *l)
{
	free(l->items);
	arena_free(l->comments);
	*l = (struct counted_list){ 0 };
}

struct walk {
	struct counted_list *l;
	const struct element *keys; /* of a lookup */
	enum set_id set;            /* of a dump */
	uint8_t family;
};

static int counted_add(struct counted_list *l, const struct nlattr *attr, enum set_id set,
		       uint8_t family)
{
	struct counted one;
	int r = element_get(attr, set, family, l->comments, &one.element);

	if (r < 0)
		return r;
	if (r != ELEMENT_READ) {
		l->strange += r == ELEMENT_READ_OTHER;
		return 0;
	}
	one.counter = element_get_counter(attr);
	if (ARRAY_RESERVE(l->items, l->n, l->capacity) < 0)
		return -ENOMEM;
	l->items[l->n++] = one;
	return 0;
}

static int dumped(const struct nlattr *attr, void *userdata)
{
	const struct walk *w = userdata;

	return counted_add(w->l, attr, w->set, w->family);
}

static int looked_up(size_t i, const struct nlattr *attr, void *userdata)
{
	const struct walk *w = userdata;

	return counted_add(w->l, attr, w->keys[i].set, w->keys[i].family);
}

static int counted_cmp(const void *a, const void *b)
{
	const struct counted *x = a, *y = b;

	return element_cmp(&x->element, &y->element);
}

int counted_dump(struct counted_list *l, struct netlink *nl, uint8_t family, const char *table,
		 enum set_id set, struct error *err)
{
	struct walk w = { .l = l, .set = set, .family = family };
	size_t first = l->n;
	int r = dump_attrs(nl, family, table, set_name(set), dumped, &w, err);

	/* Some may have been told twice, see dump_settle(). */
	if (r == 0 && l->n > first)
		l->n = first +
		       array_unique(l->items + first, l->n - first, sizeof(*l->items), counted_cmp);
	return r;
}

int counted_look_up(struct counted_list *l, struct netlink *nl, const char *table,
		    const struct element *keys, size_t n, struct error *err)
{
	struct walk w = { .l = l, .keys = keys };

	return lookup_elements(nl, table, keys, n, looked_up, &w, err);
}

/* The slots of a frontend's list, as its verdict counts them. */
static int rows_expect(const struct element *e, struct element **keys, size_t *n, size_t *capacity)
{
	bool all = e->set == SET_SERVICES || e->set == SET_AFFINITY_SERVICES;
	struct element key = *e;

	key.set = all ? SET_ENDPOINTS : SET_LOCAL_ENDPOINTS;
	if (!verdict_is_choice(e->verdict) || e->number > DISPATCH_MAX_ENDPOINTS)
		return 0;
	for (key.slot = 0; key.slot < e->number; key.slot++) {
		if (array_grow((void **)keys, capacity, *n + 1, sizeof(key)) < 0)
			return -ENOMEM;
		(*keys)[(*n)++] = key;
	}
	return 0;
}

int counted_look_up_rows(struct counted_list *l, struct netlink *nl, const char *table,
			 struct error *err)
{
	struct element *keys = NULL;
	size_t n = 0, capacity = 0;
	int r = 0;

	for (size_t i = 0; r == 0 && i < l->n; i++)
		r = rows_expect(&l->items[i].element, &keys, &n, &capacity);
	if (r == 0)
		r = counted_look_up(l, nl, table, keys, n, err);
	else
		error_set(err, r, "out of memory");
	free(keys);
	return r;
}
