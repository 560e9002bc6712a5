#include "ruleset/ruleset.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/error.h"
#include "base/hash.h"
#include "ruleset/uses.h"

struct owner {
	const char *name; /* behind the struct */
	struct block *block;
};

struct ruleset {
	struct table owners; /* of struct owner, by name */
	struct uses uses;
	size_t n_owned; /* elements of all blocks that are not shared */
};

static uint64_t owner_hash(const void *item)
{
	const struct owner *o = item;

	return hash_bytes(o->name, strlen(o->name));
}

static bool owner_equal(const void *a, const void *b)
{
	const struct owner *x = a, *y = b;

	return strcmp(x->name, y->name) == 0;
}

int ruleset_new(struct ruleset **ret)
{
	static const struct table_type owner_type = { owner_hash, owner_equal };
	struct ruleset *rs = calloc(1, sizeof(*rs));

	if (!rs)
		return -ENOMEM;
	rs->owners.type = &owner_type;
	uses_init(&rs->uses);
	*ret = rs;
	return 0;
}

static void owner_free(struct owner *o)
{
	block_free(o->block);
	free(o);
}

struct ruleset *ruleset_free(struct ruleset *rs)
{
	size_t position = 0;
	struct owner *o;

	if (!rs)
		return NULL;
	while ((o = table_next(&rs->owners, &position)))
		owner_free(o);
	table_free(&rs->owners);
	uses_free(&rs->uses);
	free(rs);
	return NULL;
}

static struct owner *owner_find(const struct ruleset *rs, const char *name)
{
	const struct owner probe = { .name = name };

	return table_find(&rs->owners, &probe);
}

static int owner_add(struct ruleset *rs, const char *name, struct owner **ret)
{
	size_t size = strlen(name) + 1;
	struct owner *o;

	if (table_reserve(&rs->owners) < 0)
		return -ENOMEM;
	o = calloc(1, sizeof(*o) + size);
	if (!o)
		return -ENOMEM;
	o->name = memcpy(o + 1, name, size);
	table_put(&rs->owners, o);
	*ret = o;
	return 0;
}

static void owner_remove(struct ruleset *rs, struct owner *o)
{
	table_take(&rs->owners, o);
	owner_free(o);
}

static int element_cmp_qsort(const void *a, const void *b)
{
	return element_cmp(a, b);
}

/* Sort, and drop the repetitions of shared elements; any other repetition is an error. */
static int block_settle(struct block *b, const char *owner, struct error *err)
{
	size_t n = 0;

	array_sort(b->elements, b->n, sizeof(b->elements[0]), element_cmp_qsort);
	for (size_t i = 0; i < b->n; i++) {
		if (n > 0 && element_cmp(&b->elements[n - 1], &b->elements[i]) == 0) {
			if (!set_layout(b->elements[i].set)->shared)
				return error_set(err, -EEXIST,
						 "%s: two elements with one key in %s", owner,
						 set_name(b->elements[i].set));
			continue;
		}
		b->elements[n++] = b->elements[i];
	}
	b->n = n;
	return 0;
}

static int block_take_uses(struct ruleset *rs, const struct block *b, struct transaction *tx)
{
	for (size_t i = 0; i < b->n; i++) {
		if (uses_take(&rs->uses, &b->elements[i], tx) < 0) {
			while (i-- > 0)
				uses_drop(&rs->uses, &b->elements[i], tx);
			return -ENOMEM;
		}
	}
	return 0;
}

static void element_appears(const struct element *e, struct transaction *tx)
{
	struct dispatch d[2];
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
static void blocks_compare(const struct block *old, const struct block *new, struct transaction *tx)
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

static size_t block_count_owned(const struct block *b)
{
	size_t n = 0;

	for (size_t i = 0; b && i < b->n; i++)
		n += !set_layout(b->elements[i].set)->shared;
	return n;
}

static void block_drop(struct ruleset *rs, struct block *b, struct transaction *tx)
{
	if (!b)
		return;
	for (size_t i = 0; i < b->n; i++)
		uses_drop(&rs->uses, &b->elements[i], tx);
	rs->n_owned -= block_count_owned(b);
	if (tx)
		transaction_keep(tx, TAKE_PTR(b->arena));
	block_free(b);
}

int ruleset_replace(struct ruleset *rs, const char *owner, struct block *b, struct transaction *tx,
		    struct error *err)
{
	_cleanup_(block_freep) struct block *new = b;
	struct owner *o = owner_find(rs, owner);
	struct block *old = o ? o->block : NULL;
	int r;

	if (new) {
		r = block_settle(new, owner, err);
		if (r < 0)
			return r;
		if (!o && owner_add(rs, owner, &o) < 0)
			return error_set(err, -ENOMEM, "%s: out of memory", owner);
		if (block_take_uses(rs, new, tx) < 0) {
			if (!old)
				owner_remove(rs, o);
			return error_set(err, -ENOMEM, "%s: out of memory", owner);
		}
		rs->n_owned += block_count_owned(new);
	}

	if (tx)
		blocks_compare(old, new, tx);
	if (o)
		o->block = TAKE_PTR(new);
	block_drop(rs, old, tx);
	if (o && !o->block)
		owner_remove(rs, o);
	return 0;
}

int ruleset_whole(const struct ruleset *rs, struct transaction *tx)
{
	const struct shared_use *s;
	const struct owner *o;
	size_t position = 0;

	while ((o = table_next(&rs->owners, &position)))
		for (size_t i = 0; i < o->block->n; i++)
			element_appears(&o->block->elements[i], tx);
	position = 0;
	while ((s = table_next(&rs->uses.shared, &position)))
		transaction_add(tx, &s->element);
	return transaction_settle(tx);
}

bool ruleset_uses_chain(const struct ruleset *rs, const struct dispatch *d)
{
	return uses_has_chain(&rs->uses, d);
}

const char *ruleset_owner(const struct ruleset *rs, const struct element *e)
{
	const struct owner *o;
	size_t position = 0;

	while ((o = table_next(&rs->owners, &position)))
		if (array_find(e, o->block->elements, o->block->n, sizeof(*e), element_cmp_qsort))
			return o->name;
	return NULL;
}

size_t ruleset_count(const struct ruleset *rs)
{
	return rs->n_owned + rs->uses.shared.n;
}
