#include "ruleset/uses.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

size_t element_chains(const struct element *e, struct dispatch ret[static 2])
{
	size_t n = 0;

	if (!set_layout(e->set)->verdict || e->verdict < VERDICT_FIRST_DISPATCH)
		return 0;

	/* Hashed and compared as bytes, so no padding may hold anything. */
	memset(ret, 0, 2 * sizeof(*ret));
	ret[n].family = e->family;
	ret[n].verdict = e->verdict;
	ret[n++].number = e->number;
	if (e->verdict == VERDICT_AFFINITY_LB || e->verdict == VERDICT_AFFINITY_LOCAL_LB) {
		ret[n] = ret[0];
		ret[n].verdict = VERDICT_LB;
		if (e->verdict == VERDICT_AFFINITY_LOCAL_LB)
			ret[n].verdict = VERDICT_LOCAL_LB;
		n++;
	}
	return n;
}

static void shared_key(const struct element *e, struct element *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->set = e->set;
	ret->family = e->family;
	memcpy(ret->addr, e->addr, sizeof(ret->addr));
	memcpy(ret->other, e->other, sizeof(ret->other));
}

static int shared_take(struct uses *u, const struct element *e, struct transaction *tx)
{
	struct shared_use *s;
	struct element key;

	shared_key(e, &key);
	HASH_FIND(hh, u->shared, &key, sizeof(key), s);
	if (!s) {
		s = calloc(1, sizeof(*s));
		if (!s)
			return -ENOMEM;
		s->element = key;
		HASH_ADD(hh, u->shared, element, sizeof(s->element), s);
		if (!s->hh.tbl) {
			free(s);
			return -ENOMEM;
		}
	}
	if (s->n++ == 0 && tx)
		transaction_add(tx, &key);
	return 0;
}

static void shared_drop(struct uses *u, const struct element *e, struct transaction *tx)
{
	struct shared_use *s;
	struct element key;

	shared_key(e, &key);
	HASH_FIND(hh, u->shared, &key, sizeof(key), s);
	if (!s || --s->n > 0)
		return;
	if (tx)
		transaction_delete(tx, &key);
	HASH_DEL(u->shared, s);
	free(s);
}

static int chain_take(struct uses *u, const struct dispatch *d)
{
	struct chain_use *c;

	HASH_FIND(hh, u->chains, d, sizeof(*d), c);
	if (!c) {
		c = calloc(1, sizeof(*c));
		if (!c)
			return -ENOMEM;
		c->dispatch = *d;
		HASH_ADD(hh, u->chains, dispatch, sizeof(c->dispatch), c);
		if (!c->hh.tbl) {
			free(c);
			return -ENOMEM;
		}
	}
	c->n++;
	return 0;
}

static void chain_drop(struct uses *u, const struct dispatch *d)
{
	struct chain_use *c;

	HASH_FIND(hh, u->chains, d, sizeof(*d), c);
	if (!c || --c->n > 0)
		return;
	HASH_DEL(u->chains, c);
	free(c);
}

int uses_take(struct uses *u, const struct element *e, struct transaction *tx)
{
	struct dispatch d[2];
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
	struct dispatch d[2];
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
	struct dispatch key;
	struct chain_use *c;

	memset(&key, 0, sizeof(key));
	key.family = d->family;
	key.verdict = d->verdict;
	key.number = d->number;
	HASH_FIND(hh, u->chains, &key, sizeof(key), c);
	return c;
}

void uses_free(struct uses *u)
{
	struct shared_use *s, *s_next;
	struct chain_use *c, *c_next;

	HASH_ITER(hh, u->shared, s, s_next) {
		HASH_DEL(u->shared, s);
		free(s);
	}
	HASH_ITER(hh, u->chains, c, c_next) {
		HASH_DEL(u->chains, c);
		free(c);
	}
}
