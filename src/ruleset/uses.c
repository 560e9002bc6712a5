#include "ruleset/uses.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

size_t element_chains(const struct element *e, struct dispatch ret[static ELEMENT_MAX_CHAINS])
{
	if (!set_layout(e->set)->verdict || e->verdict < VERDICT_FIRST_DISPATCH)
		return 0;
	ret[0] = element_dispatch(e);
	return 1 + dispatch_behind(&ret[0], ret + 1);
}

static void shared_key(const struct element *e, struct element *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->set = e->set;
	ret->family = e->family;
	memcpy(ret->addr, e->addr, sizeof(ret->addr));
	memcpy(ret->other, e->other, sizeof(ret->other));
}

static uint64_t shared_hash(const void *item)
{
	const struct shared_use *s = item;

	return hash_bytes(s->element.addr, sizeof(s->element.addr));
}

static bool shared_equal(const void *a, const void *b)
{
	const struct shared_use *x = a, *y = b;

	return element_cmp(&x->element, &y->element) == 0;
}

static uint64_t chain_hash(const void *item)
{
	return dispatch_hash(&((const struct chain_use *)item)->dispatch);
}

static bool chain_equal(const void *a, const void *b)
{
	const struct chain_use *x = a, *y = b;

	return dispatch_cmp(&x->dispatch, &y->dispatch) == 0;
}

void uses_init(struct uses *u)
{
	static const struct table_type shared_type = { shared_hash, shared_equal };
	static const struct table_type chain_type = { chain_hash, chain_equal };

	*u = (struct uses){ .shared = { .type = &shared_type }, .chains = { .type = &chain_type } };
}

/* The item of @t that equals @probe of @size bytes, a copy of it when there was none; NULL when memory
 * is short. */
static void *use_find_or_add(struct table *t, const void *probe, size_t size)
{
	void *use = table_find(t, probe);

	if (use)
		return use;
	if (table_reserve(t) < 0)
		return NULL;
	use = malloc(size);
	if (!use)
		return NULL;
	memcpy(use, probe, size);
	table_put(t, use);
	return use;
}

static int shared_take(struct uses *u, const struct element *e, struct transaction *tx)
{
	struct shared_use probe = { .n = 0 }, *s;

	shared_key(e, &probe.element);
	s = use_find_or_add(&u->shared, &probe, sizeof(probe));
	if (!s)
		return -ENOMEM;
	if (s->n++ == 0 && tx)
		transaction_add(tx, &s->element);
	return 0;
}

static void shared_drop(struct uses *u, const struct element *e, struct transaction *tx)
{
	struct shared_use probe = { .n = 0 }, *s;

	shared_key(e, &probe.element);
	s = table_find(&u->shared, &probe);
	if (!s || --s->n > 0)
		return;
	if (tx)
		transaction_delete(tx, &s->element);
	free(table_take(&u->shared, s));
}

static int chain_take(struct uses *u, const struct dispatch *d)
{
	const struct chain_use probe = { .dispatch = *d };
	struct chain_use *c = use_find_or_add(&u->chains, &probe, sizeof(probe));

	if (!c)
		return -ENOMEM;
	c->n++;
	return 0;
}

static void chain_drop(struct uses *u, const struct dispatch *d)
{
	const struct chain_use probe = { .dispatch = *d };
	struct chain_use *c = table_find(&u->chains, &probe);

	if (c && --c->n == 0)
		free(table_take(&u->chains, c));
}

int uses_take(struct uses *u, const struct element *e, struct transaction *tx)
{
	struct dispatch d[ELEMENT_MAX_CHAINS];
	size_t n;

	if (set_layout(e->set)->shared)
		return shared_take(u, e, tx);

	n = element_chains(e, d);
	for (size_t i = 0; i < n; i++) {
		if (chain_take(u, &d[i]) < 0) {
			while (i-- > 0)
				chain_drop(u, &d[i]);
			return -ENOMEM;
		}
	}
	return 0;
}

void uses_drop(struct uses *u, const struct element *e, struct transaction *tx)
{
	struct dispatch d[ELEMENT_MAX_CHAINS];
	size_t n;

	if (set_layout(e->set)->shared) {
		shared_drop(u, e, tx);
		return;
	}
	n = element_chains(e, d);
	for (size_t i = 0; i < n; i++)
		chain_drop(u, &d[i]);
}

bool uses_has_chain(const struct uses *u, const struct dispatch *d)
{
	const struct chain_use probe = { .dispatch = *d };

	return table_find(&u->chains, &probe);
}

void uses_free(struct uses *u)
{
	table_free_items(&u->shared);
	table_free_items(&u->chains);
}
