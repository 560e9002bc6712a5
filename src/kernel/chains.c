#include "kernel/chains.h"

#include <errno.h>
#include <stdlib.h>

#include "base/array.h"
#include "ruleset/ruleset.h"

static uint64_t chain_hash(const void *item)
{
	return dispatch_hash(item);
}

static bool chain_equal(const void *a, const void *b)
{
	return dispatch_cmp(a, b) == 0;
}

void chains_init(struct chains *c)
{
	static const struct table_type type = { chain_hash, chain_equal };

	*c = (struct chains){ .table.type = &type };
}

bool chains_have(const struct chains *c, const struct dispatch *d)
{
	return table_find(&c->table, d);
}

int chains_add(struct chains *c, const struct dispatch *d)
{
	struct dispatch *copy;

	if (chains_have(c, d))
		return 0;
	if (table_reserve(&c->table) < 0)
		return -ENOMEM;
	copy = malloc(sizeof(*copy));
	if (!copy)
		return -ENOMEM;
	*copy = *d;
	table_put(&c->table, copy);
	return 0;
}

void chains_remove(struct chains *c, const struct dispatch *d)
{
	free(table_take(&c->table, d));
}

static size_t behind_count(const struct dispatch *d)
{
	struct dispatch behind[2];

	return dispatch_behind(d, behind);
}

static int chain_cmp_qsort(const void *a, const void *b)
{
	size_t n_a = behind_count(a), n_b = behind_count(b);

	return n_a != n_b ? (n_a < n_b) - (n_a > n_b) : dispatch_cmp(a, b);
}

int chains_unused(const struct chains *c, const struct ruleset *rs, struct dispatch **ret,
		  size_t *ret_n)
{
	struct dispatch *unused = calloc(c->table.n + 1, sizeof(*unused));
	const struct dispatch *d;
	size_t position = 0, n = 0;

	if (!unused)
		return -ENOMEM;
	while ((d = table_next(&c->table, &position)))
		if (!ruleset_uses_chain(rs, d))
			unused[n++] = *d;
	array_sort(unused, n, sizeof(*unused), chain_cmp_qsort);
	*ret = unused;
	*ret_n = n;
	return 0;
}

void chains_free(struct chains *c)
{
	table_free_items(&c->table);
}
