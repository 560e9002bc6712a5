#include "ruleset/transaction.h"

#include <errno.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/array.h"

static void transaction_note(struct transaction *tx, const struct element *e, bool add)
{
	if (tx->error < 0)
		return;
	if (tx->n_changes == UINT32_MAX) {
		tx->error = -ENOMEM;
		return;
	}
	tx->error = ARRAY_RESERVE(tx->changes, tx->n_changes, tx->cap_changes);
	if (tx->error < 0)
		return;
	tx->changes[tx->n_changes] = (struct change){
		.element = *e,
		.order = (uint32_t)tx->n_changes,
		.add = add,
	};
	tx->n_changes++;
}

void transaction_add(struct transaction *tx, const struct element *e)
{
	transaction_note(tx, e, true);
}

void transaction_delete(struct transaction *tx, const struct element *e)
{
	transaction_note(tx, e, false);
	if (tx->error == 0)
		tx->changes[tx->n_changes - 1].element.comment = NULL; /* its block may go */
}

void transaction_add_binding(struct transaction *tx, const struct binding *b)
{
	if (tx->error == 0)
		tx->error = bindings_add(&tx->bindings, b);
}

void transaction_need_chain(struct transaction *tx, const struct dispatch *d)
{
	if (tx->error < 0)
		return;
	tx->error = ARRAY_RESERVE(tx->chains, tx->n_chains, tx->cap_chains);
	if (tx->error < 0)
		return;
	tx->chains[tx->n_chains++] = *d;
}

void transaction_define(struct transaction *tx, const struct definition *d)
{
	if (tx->error == 0)
		tx->error = ARRAY_RESERVE(tx->definitions, tx->n_definitions, tx->cap_definitions);
	if (tx->error < 0)
		return;
	tx->definitions[tx->n_definitions] = (struct definition_change){
		.definition = *d,
		.order = (uint32_t)tx->n_definitions,
	};
	tx->n_definitions++;
}

void transaction_keep(struct transaction *tx, struct arena *comments)
{
	if (tx->error == 0)
		tx->error = ARRAY_RESERVE(tx->comments, tx->n_comments, tx->cap_comments);
	if (tx->error == 0)
		tx->comments[tx->n_comments++] = comments;
	else
		arena_free(comments); /* a transaction with an error is never sent */
}

static int dispatch_cmp_qsort(const void *a, const void *b)
{
	return dispatch_cmp(a, b);
}

/* Changes of one key stay in the order in which they were noted. */
static int change_cmp(const void *a, const void *b)
{
	const struct change *x = a, *y = b;
	int c = element_cmp(&x->element, &y->element);

	return c ? c : x->order < y->order ? -1 : 1;
}

/* The net effect of the changes @from to @to of one key, oldest first, into @ret, which may be where
 * they are. A first deletion means that the kernel has the key, a last addition that it is wanted. */
static size_t changes_net(const struct change *from, const struct change *to, struct change *ret)
{
	const struct change first = *from, last = to[-1];
	size_t n = 0;

	if (!first.add)
		ret[n++] = first;
	if (last.add)
		ret[n++] = last;
	return n;
}

static void changes_settle(struct transaction *tx)
{
	struct change *all = tx->changes;
	size_t n = 0;

	array_sort(all, tx->n_changes, sizeof(*all), change_cmp);
	for (size_t i = 0, j; i < tx->n_changes; i = j) {
		for (j = i + 1; j < tx->n_changes; j++)
			if (element_cmp(&all[i].element, &all[j].element) != 0)
				break;
		n += changes_net(all + i, all + j, all + n);
	}
	tx->n_changes = n;
}

static void chains_settle(struct transaction *tx)
{
	size_t n = 0;

	array_sort(tx->chains, tx->n_chains, sizeof(*tx->chains), dispatch_cmp_qsort);
	for (size_t i = 0; i < tx->n_chains; i++)
		if (n == 0 || dispatch_cmp(&tx->chains[n - 1], &tx->chains[i]) != 0)
			tx->chains[n++] = tx->chains[i];
	tx->n_chains = n;
}

static int definition_change_cmp(const void *a, const void *b)
{
	const struct definition_change *x = a, *y = b;
	int c = definition_cmp(&x->definition, &y->definition);

	return c ? c : x->order < y->order ? -1 : 1;
}

/* The last word on each counts. */
static void definitions_settle(struct transaction *tx)
{
	struct definition_change *all = tx->definitions;
	size_t n = 0;

	array_sort(all, tx->n_definitions, sizeof(*all), definition_change_cmp);
	for (size_t i = 0; i < tx->n_definitions; i++) {
		if (n > 0 && definition_cmp(&all[n - 1].definition, &all[i].definition) == 0)
			n--;
		all[n++] = all[i];
	}
	tx->n_definitions = n;
}

int transaction_settle(struct transaction *tx)
{
	if (tx->error == 0 && tx->n_changes > 0)
		changes_settle(tx);
	if (tx->error == 0 && tx->n_chains > 0)
		chains_settle(tx);
	if (tx->error == 0 && tx->n_definitions > 0)
		definitions_settle(tx);
	if (tx->error == 0)
		bindings_settle(&tx->bindings);
	return tx->error;
}

bool transaction_is_empty(const struct transaction *tx)
{
	return tx->n_changes == 0 && tx->n_definitions == 0;
}

/* What is new or added to a set or a map of network policy can't take anything away: policies only allow,
 * and nothing is remembered of who has none yet. Sets of ranges and ports never change. */
bool transaction_may_revoke(const struct transaction *tx, uint8_t family)
{
	for (size_t i = 0; i < tx->n_definitions; i++) {
		const struct definition *d = &tx->definitions[i].definition;

		if (d->family == family && definition_is_chain(d))
			return true;
	}
	for (size_t i = tx->n_changes; i-- > 0;) {
		const struct change *c = &tx->changes[i];

		if (!c->add && c->element.family == family && c->element.set >= SET_EGRESS_PODS)
			return true;
	}
	return false;
}

/* Where in the order of sets @e's begins (@behind false) or ends. */
static size_t set_border(const struct transaction *tx, const struct element *e, bool behind)
{
	size_t low = 0, high = tx->n_changes;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int c = element_set_cmp(&tx->changes[middle].element, e);

		if (c < 0 || (c == 0 && behind))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const struct change *transaction_set(const struct transaction *tx, const struct element *e,
				     size_t *ret_n)
{
	size_t first = set_border(tx, e, false);

	*ret_n = set_border(tx, e, true) - first;
	return tx->changes ? tx->changes + first : NULL;
}

void transaction_reset(struct transaction *tx)
{
	while (tx->n_comments > 0)
		arena_free(tx->comments[--tx->n_comments]);
	tx->n_changes = 0;
	tx->n_chains = 0;
	tx->n_definitions = 0;
	tx->bindings.n = 0;
	tx->error = 0;
}

void transaction_free(struct transaction *tx)
{
	transaction_reset(tx);
	free(tx->changes);
	free(tx->chains);
	free(tx->definitions);
	free(tx->comments);
	bindings_free(&tx->bindings);
	*tx = (struct transaction){ 0 };
}
