#include "kernel/carry.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "kernel/counted.h"
#include "ruleset/transaction.h"

/* Additions in the order of meaning_cmp(). */
struct additions {
	struct change **items;
	size_t n;
};

/* Slots are no part of it. */
static int meaning_cmp(const struct element *a, const struct element *b)
{
	int c;

	if (a->set != b->set)
		return a->set < b->set ? -1 : 1;
	if (a->family != b->family)
		return a->family < b->family ? -1 : 1;
	c = memcmp(a->addr, b->addr, sizeof(a->addr));
	if (c)
		return c;
	if (a->protocol != b->protocol)
		return a->protocol < b->protocol ? -1 : 1;
	if (a->port != b->port)
		return a->port < b->port ? -1 : 1;
	if (!set_layout(a->set)->target)
		return 0;
	c = memcmp(a->other, b->other, sizeof(a->other));
	if (c)
		return c;
	return a->target_port == b->target_port ? 0 : a->target_port < b->target_port ? -1 : 1;
}

static int addition_cmp(const void *a, const void *b)
{
	return meaning_cmp(&(*(struct change *const *)a)->element,
			   &(*(struct change *const *)b)->element);
}

static int addition_cmp_element(const void *e, const void *item)
{
	return meaning_cmp(e, &(*(struct change *const *)item)->element);
}

/* @family 0: of both. */
static int additions_new(const struct transaction *tx, uint8_t family, struct additions *ret)
{
	struct additions a = { 0 };

	a.items = malloc((tx->n_changes + 1) * sizeof(a.items[0]));
	if (!a.items)
		return -ENOMEM;
	for (size_t i = 0; i < tx->n_changes; i++) {
		struct change *c = &tx->changes[i];

		if (family && c->element.family != family)
			continue;
		c->counter = (struct counter){ 0 }; /* of an earlier attempt */
		if (c->add && set_layout(c->element.set)->counter)
			a.items[a.n++] = c;
	}
	array_sort(a.items, a.n, sizeof(a.items[0]), addition_cmp);
	*ret = a;
	return 0;
}

static struct change *additions_find(const struct additions *a, const struct element *e)
{
	struct change **found = array_find(e, a->items, a->n, sizeof(a->items[0]),
					   addition_cmp_element);

	return found ? *found : NULL;
}

/* In local-services, those who were sent on unchanged are no connections. */
static bool is_dispatch(const struct element *e)
{
	return e->verdict >= VERDICT_FIRST_DISPATCH;
}

static bool same_text(const char *a, const char *b)
{
	return strcmp(a ? a : "", b ? b : "") == 0;
}

static void counts_carry(const struct counted_list *old, const struct additions *a)
{
	for (size_t i = 0; i < old->n; i++) {
		const struct counted *c = &old->items[i];
		struct change *begins = additions_find(a, &c->element);

		if (!begins || is_dispatch(&begins->element) != is_dispatch(&c->element) ||
		    !same_text(begins->element.comment, c->element.comment))
			continue;
		begins->counter.packets += c->counter.packets;
		begins->counter.bytes += c->counter.bytes;
	}
}

/* The deletions that mean the same as any addition. */
static int keys_find(const struct transaction *tx, const struct additions *a, struct element **ret,
		     size_t *ret_n)
{
	struct element *keys = NULL;
	size_t n = 0, capacity = 0;

	for (size_t i = 0; i < tx->n_changes; i++) {
		const struct change *c = &tx->changes[i];

		if (c->add || !set_layout(c->element.set)->counter ||
		    !additions_find(a, &c->element))
			continue;
		if (ARRAY_RESERVE(keys, n, capacity) < 0) {
			free(keys);
			return -ENOMEM;
		}
		keys[n++] = c->element;
	}
	*ret = keys;
	*ret_n = n;
	return 0;
}

static int look_up_and_carry(struct netlink *nl, const char *table, const struct element *keys,
			     size_t n, const struct additions *a)
{
	_cleanup_counted_ struct counted_list old;
	int r = counted_new(&old);

	if (r == 0)
		r = counted_look_up(&old, nl, table, keys, n, NULL);
	if (r == 0)
		counts_carry(&old, a);
	return r;
}

static bool deletes_anything(const struct transaction *tx)
{
	for (size_t i = 0; i < tx->n_changes; i++)
		if (!tx->changes[i].add && set_layout(tx->changes[i].element.set)->counter)
			return true;
	return false;
}

/* What is not read is not carried; for that, nothing is given up. */
static int only_enomem(int r)
{
	return r == -ENOMEM ? r : 0;
}

int carry_difference(struct netlink *nl, const char *table, const struct transaction *tx)
{
	struct additions a = { 0 };
	struct element *keys = NULL;
	size_t n = 0;
	int r;

	if (!deletes_anything(tx))
		return 0;
	r = additions_new(tx, 0, &a);
	if (r == 0)
		r = keys_find(tx, &a, &keys, &n);
	if (r == 0 && n > 0)
		r = look_up_and_carry(nl, table, keys, n, &a);
	free(keys);
	free(a.items);
	return only_enomem(r);
}

static void counted_drop_unused(struct counted_list *l)
{
	size_t kept = 0;

	for (size_t i = 0; i < l->n; i++)
		if (l->items[i].counter.packets > 0)
			l->items[kept++] = l->items[i];
	l->n = kept;
}

/* No endpoint has counted more than its frontend. */
static int read_used(struct counted_list *l, struct netlink *nl, uint8_t family, const char *table)
{
	static const enum set_id sets[] = { SET_SERVICES, SET_LOCAL_SERVICES, SET_NO_ENDPOINTS,
					    SET_AFFINITY_SERVICES, SET_LOCAL_AFFINITY_SERVICES };
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(sets); i++)
		r = counted_dump(l, nl, family, table, sets[i], NULL);
	if (r < 0)
		return r;
	counted_drop_unused(l);
	return counted_look_up_rows(l, nl, table, NULL);
}

int carry_whole(struct netlink *nl, uint8_t family, const char *table,
		const struct transaction *whole)
{
	_cleanup_counted_ struct counted_list old;
	struct additions a = { 0 };
	int r = counted_new(&old);

	if (r == 0)
		r = read_used(&old, nl, family, table);
	if (r == 0 && old.n > 0) {
		r = additions_new(whole, family, &a);
		if (r == 0)
			counts_carry(&old, &a);
		free(a.items);
	}
	return only_enomem(r);
}
