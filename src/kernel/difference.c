/* Changing the tables by what differs. */
#include <arpa/inet.h>
#include <errno.h>

#include "base/error.h"
#include "kernel/affinity.h"
#include "kernel/batch.h"
#include "kernel/carry.h"
#include "kernel/skeleton.h"
#include "kernel/tables-internal.h"

static const uint8_t families[N_FAMILIES] = { AF_INET, AF_INET6 };

void tables_put_missing_chains(struct tables *t, const struct transaction *tx, struct batch *b)
{
	for (size_t i = 0; i < tx->n_chains; i++)
		if (!chains_have(&t->chains, &tx->chains[i]))
			skeleton_put_dispatch(tables_skeleton(t, tx->chains[i].family),
					      &tx->chains[i], b);
}

/* Sets and chains come first, since rules refer to them. */
void tables_put_definitions(struct tables *t, const struct transaction *tx, struct batch *b)
{
	for (size_t i = 0; i < tx->n_definitions; i++) {
		const struct definition *d = &tx->definitions[i].definition;

		batch_about(b, tx->n_changes + i);
		if (!present_has(&t->policy, d))
			skeleton_put_definition(tables_skeleton(t, d->family), d, b);
		else if (definition_is_chain(d))
			batch_flush_chain(b, d->family, d->name);
	}
	for (size_t i = 0; i < tx->n_definitions; i++) {
		const struct definition *d = &tx->definitions[i].definition;

		batch_about(b, tx->n_changes + i);
		skeleton_put_rules(tables_skeleton(t, d->family), d, b);
	}
	batch_about_nothing(b);
}

int tables_note_made(struct tables *t, const struct transaction *tx)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < tx->n_chains; i++)
		r = chains_add(&t->chains, &tx->chains[i]);
	for (size_t i = 0; r == 0 && i < tx->n_definitions; i++)
		r = present_note(&t->policy, &tx->definitions[i].definition);
	return r;
}

static void put_difference(struct tables *t, const struct transaction *tx, uint32_t generation,
			   size_t per_message, struct batch *b)
{
	batch_begin(b, TABLE_NAME, generation);
	for (size_t f = 0; f < N_FAMILIES; f++)
		if (t->skeletons[f] && transaction_may_revoke(tx, families[f]))
			skeleton_put_forgetting(t->skeletons[f], b);
	tables_put_missing_chains(t, tx, b);
	tables_put_definitions(t, tx, b);
	batch_changes(b, tx->changes, tx->n_changes, false, per_message);
	batch_changes(b, tx->changes, tx->n_changes, true, per_message);
	batch_end(b);
}

void tables_count_commit(const struct transaction *tx, const struct batch *b, struct commit *ret)
{
	*ret = (struct commit){ .bytes = batch_size(b) };
	for (size_t i = 0; i < tx->n_changes; i++)
		*(tx->changes[i].add ? &ret->added : &ret->deleted) += 1;
}

void tables_find_culprit(struct tables *t, const struct transaction *tx, put_fn put,
			 struct commit *ret)
{
	_cleanup_batch_ struct batch b = { 0 };
	size_t subject = SIZE_MAX;

	put(t, tx, 1, &b);
	if (batch_commit(&b, t->nl, &subject, NULL) == 0)
		return;
	if (subject < tx->n_changes)
		ret->culprit = &tx->changes[subject].element;
	else if (subject - tx->n_changes < tx->n_definitions)
		ret->refused = &tx->definitions[subject - tx->n_changes].definition;
}

static void put_difference_slowly(struct tables *t, const struct transaction *tx,
				  size_t per_message, struct batch *b)
{
	put_difference(t, tx, 0, per_message, b);
}

bool tables_is_refusal(int r)
{
	return r != -EIO && r != -ENOMEM && r != -ERESTART && r != -EPERM;
}

static int forget_bindings(struct tables *t, const struct transaction *tx, struct error *err)
{
	int r = 0;

	for (size_t f = 0; r == 0 && f < N_FAMILIES; f++)
		if (t->skeletons[f])
			r = affinity_forget(t->nl, families[f], TABLE_NAME, &tx->bindings, err);
	return r;
}

/* The next definition from @i on of a set that is not there. */
static const struct definition *next_new_set(const struct tables *t, const struct transaction *tx,
					     size_t *i)
{
	while (*i < tx->n_definitions) {
		const struct definition *d = &tx->definitions[(*i)++].definition;

		if (!definition_is_chain(d) && !present_has(&t->policy, d))
			return d;
	}
	return NULL;
}

/* The changes of the set @d. */
static struct change *changes_of(const struct transaction *tx, const struct definition *d,
				 size_t *ret_n)
{
	struct element in = { .set = (uint8_t)definition_set(d->kind), .family = d->family };
	const struct change *first;

	*ret_n = 0;
	if (!definition_id(d, &in.id))
		return NULL;
	first = transaction_set(tx, &in, ret_n);
	return *ret_n > 0 ? tx->changes + (first - tx->changes) : NULL;
}

static void put_new_sets(struct tables *t, const struct transaction *tx, uint32_t generation,
			 struct batch *b)
{
	const struct definition *d;
	size_t i = 0, n;

	batch_begin(b, TABLE_NAME, generation);
	while ((d = next_new_set(t, tx, &i))) {
		const struct change *elements = changes_of(tx, d, &n);

		skeleton_put_definition(tables_skeleton(t, d->family), d, b);
		batch_changes(b, elements, n, true, 0);
	}
	batch_end(b);
}

static int note_new_sets(struct tables *t, const struct transaction *tx)
{
	const struct definition *d;
	size_t i = 0, n;
	int r = 0;

	while (r == 0 && (d = next_new_set(t, tx, &i))) {
		struct change *elements = changes_of(tx, d, &n);

		for (size_t j = 0; j < n; j++)
			elements[j].ahead = true;
		r = present_note(&t->policy, d);
	}
	return r;
}

/* New sets go ahead, since rules that are committed with them could find them empty: see replace.c. By
 * themselves they do nothing, so what follows may fail. */
static int commit_new_sets(struct tables *t, const struct transaction *tx, uint32_t *generation,
			   struct error *err)
{
	_cleanup_batch_ struct batch b = { 0 };
	size_t first = 0;
	int r;

	if (!next_new_set(t, tx, &first))
		return 0;
	put_new_sets(t, tx, *generation, &b);
	r = batch_commit(&b, t->nl, NULL, err);
	if (r < 0)
		return r;
	r = note_new_sets(t, tx);
	if (r < 0)
		return error_set(err, r, "out of memory");
	*generation += *generation > 0; /* ours was the next one */
	return 0;
}

static int commit_rest(struct tables *t, const struct transaction *tx, uint32_t generation,
		       struct commit *ret, struct error *err)
{
	_cleanup_batch_ struct batch b = { 0 };

	put_difference(t, tx, generation, 0, &b);
	tables_count_commit(tx, &b, ret);
	return batch_commit(&b, t->nl, NULL, err);
}

int tables_commit_at(struct tables *t, const struct transaction *tx, uint32_t generation,
		     struct commit *ret, struct error *err)
{
	int r = carry_difference(t->nl, TABLE_NAME, tx);

	*ret = (struct commit){ 0 };
	if (r < 0)
		return error_set(err, r, "out of memory");
	r = commit_new_sets(t, tx, &generation, err);
	if (r == 0)
		r = commit_rest(t, tx, generation, ret, err);
	if (r < 0) {
		if (tables_is_refusal(r))
			tables_find_culprit(t, tx, put_difference_slowly, ret);
		return r;
	}
	r = tables_note_made(t, tx);
	if (r < 0)
		return error_set(err, r, "out of memory");
	r = forget_bindings(t, tx, err);
	tables_note_generation(t);
	return r;
}

int tables_commit(struct tables *t, const struct transaction *tx, struct commit *ret,
		  struct error *err)
{
	*ret = (struct commit){ 0 };
	if (transaction_is_empty(tx))
		return 0;
	return tables_commit_at(t, tx, 0, ret, err);
}
