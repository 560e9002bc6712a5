/* What changes when one block takes the place of another. */
#include "ruleset/block.h"
#include "ruleset/transaction.h"
#include "ruleset/uses.h"

static void element_appears(const struct element *e, struct transaction *tx)
{
	struct dispatch d[ELEMENT_MAX_CHAINS];
	size_t n = element_chains(e, d);

	if (set_layout(e->set)->shared)
		return; /* uses_take() has said so if it is new */
	for (size_t i = 0; i < n; i++)
		transaction_need_chain(tx, &d[i]);
	transaction_add(tx, e);
}

static void element_disappears(const struct element *e, struct transaction *tx)
{
	if (!set_layout(e->set)->shared)
		transaction_delete(tx, e);
}

/* Both are sorted: one walk finds what went, what came and what changed. */
static void compare_elements(const struct block *old, const struct block *new,
			     struct transaction *tx)
{
	size_t n_old = old ? old->n : 0, n_new = new ? new->n : 0, i = 0, j = 0;

	while (i < n_old || j < n_new) {
		int c = i == n_old ? 1 :
			j == n_new ? -1 :
				     element_cmp(&old->elements[i], &new->elements[j]);

		if (c == 0 && element_same_value(&old->elements[i], &new->elements[j])) {
			i++;
			j++;
			continue;
		}
		if (c <= 0)
			element_disappears(&old->elements[i++], tx);
		if (c >= 0)
			element_appears(&new->elements[j++], tx);
	}
}

/* What went is left to be swept: a chain can't go together with the last element that goes to it. */
static void compare_definitions(const struct block *old, const struct block *new,
				struct transaction *tx)
{
	for (size_t i = 0; new &&i < new->n_definitions; i++) {
		const struct definition *d = &new->definitions[i];
		const struct definition *before = block_find_definition(old, d);

		if (!before || !definition_same(before, d))
			transaction_define(tx, d);
	}
}

/* What clients may have no more. */
static void compare_bindings(const struct block *old, const struct block *new,
			     struct transaction *tx)
{
	for (size_t i = 0; old && i < old->bindings.n; i++)
		if (!new || !bindings_have(&new->bindings, &old->bindings.items[i]))
			transaction_add_binding(tx, &old->bindings.items[i]);
}

void block_compare(const struct block *old, const struct block *new, struct transaction *tx)
{
	compare_definitions(old, new, tx);
	compare_elements(old, new, tx);
	compare_bindings(old, new, tx);
}
