#include "ruleset/ruleset.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/hash.h"
#include "ruleset/owners.h"
#include "ruleset/uses.h"

struct ruleset {
	struct owners owners;
	struct table definitions; /* of struct definition, in the blocks, by family and name */
	struct uses uses;
	size_t n_owned;     /* elements of all blocks that are not shared */
	struct flows gone;  /* frontends of blocks that were replaced, until they are taken */
	bool flows_changed; /* since they were taken */
};

static uint64_t definition_hash(const void *item)
{
	const struct definition *d = item;

	return hash_bytes(d->name, strlen(d->name)) + d->family;
}

static bool definition_equal(const void *a, const void *b)
{
	return definition_cmp(a, b) == 0;
}

int ruleset_new(struct ruleset **ret)
{
	static const struct table_type type = { definition_hash, definition_equal };
	struct ruleset *rs = calloc(1, sizeof(*rs));

	if (!rs)
		return -ENOMEM;
	owners_init(&rs->owners);
	rs->definitions.type = &type;
	uses_init(&rs->uses);
	*ret = rs;
	return 0;
}

struct ruleset *ruleset_free(struct ruleset *rs)
{
	if (!rs)
		return NULL;
	owners_free(&rs->owners);
	table_free(&rs->definitions);
	uses_free(&rs->uses);
	flows_free(&rs->gone);
	free(rs);
	return NULL;
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

static const struct flows no_flows;

/* A frontend that goes may come to another owner: who takes the flows will see. */
static int note_flows(struct ruleset *rs, const struct block *old, const struct block *new)
{
	const struct flows *before = old ? &old->flows : &no_flows;
	const struct flows *now = new ? &new->flows : &no_flows;
	int r = 0;

	if (flows_equal(before, now))
		return 0;
	for (size_t i = 0; r == 0 && i < before->n; i++)
		if (flow_is_frontend(&before->items[i]) && !flows_have(now, &before->items[i]))
			r = flows_add(&rs->gone, &before->items[i]);
	rs->flows_changed = true;
	return r;
}

static void block_drop_uses(struct ruleset *rs, const struct block *b, struct transaction *tx)
{
	for (size_t i = 0; b && i < b->n; i++)
		uses_drop(&rs->uses, &b->elements[i], tx);
	rs->n_owned -= block_count_owned(b);
}

/* A frontend's flows are those of whoever has it. */
static void flows_yield(struct flows *f, const struct flows *to)
{
	size_t n = 0;

	for (size_t i = 0; i < f->n; i++) {
		struct flow frontend = flow_frontend(&f->items[i]);

		if (!flows_have(to, &frontend))
			f->items[n++] = f->items[i];
	}
	f->n = n;
}

/* Take out of @b what @to has a right to. @rs, if not NULL, has counted @b. */
static void block_yield(struct block *b, const struct block *to, struct ruleset *rs,
			struct transaction *tx)
{
	size_t n = 0;

	for (size_t i = 0; i < b->n; i++) {
		const struct element *e = &b->elements[i];

		if (set_layout(e->set)->shared || !block_has(to, e)) {
			b->elements[n++] = *e;
			continue;
		}
		if (rs) {
			uses_drop(&rs->uses, e, tx);
			rs->n_owned--;
		}
		if (tx)
			transaction_delete(tx, e);
	}
	b->n = n;
	flows_yield(&b->flows, to ? &to->flows : &no_flows);
}

/* Each is in one block only, but for the moment in which one takes the place of another. */
static void ruleset_undefine(struct ruleset *rs, const struct block *b)
{
	for (size_t i = 0; b && i < b->n_definitions; i++)
		if (table_find(&rs->definitions, &b->definitions[i]) == &b->definitions[i])
			table_take(&rs->definitions, &b->definitions[i]);
}

/* There is room. */
static void ruleset_define(struct ruleset *rs, struct block *b)
{
	for (size_t i = 0; b && i < b->n_definitions; i++)
		table_put(&rs->definitions, &b->definitions[i]);
}

/* @new (settled, its uses counted; may be NULL) in the place of what @o has. */
static void owner_set(struct ruleset *rs, struct owner *o, struct block *new,
		      struct transaction *tx)
{
	struct block *old = o->block;

	block_drop_uses(rs, old, tx);
	ruleset_undefine(rs, old);
	ruleset_define(rs, new);
	o->block = new;
	if (!o->changed) {
		owners_mark_changed(&rs->owners, o, old);
		return;
	}
	if (tx && old)
		transaction_keep(tx, TAKE_PTR(old->arena));
	block_free(old);
}

static int ruleset_count_block(struct ruleset *rs, const struct block *b, struct transaction *tx)
{
	int r = b ? table_reserve_many(&rs->definitions, b->n_definitions) : 0;

	if (r == 0 && b)
		r = block_take_uses(rs, b, tx);
	if (r == 0)
		rs->n_owned += block_count_owned(b);
	return r;
}

int ruleset_replace(struct ruleset *rs, const char *owner, struct block *b, struct transaction *tx,
		    struct error *err)
{
	_cleanup_(block_freep) struct block *new = b;
	struct owner *o = owners_find(&rs->owners, owner);
	int r;

	if (new) {
		r = block_settle(new, owner, err);
		if (r < 0)
			return r;
	}
	if (note_flows(rs, o ? o->block : NULL, new) < 0)
		return error_set(err, -ENOMEM, "%s: out of memory", owner);
	if (new) {
		if (!o && owners_add(&rs->owners, owner, &o) < 0)
			return error_set(err, -ENOMEM, "%s: out of memory", owner);
	}
	if (!o)
		return 0;
	if (ruleset_count_block(rs, new, tx) < 0) {
		if (!o->block && !o->changed)
			owners_remove(&rs->owners, o);
		return error_set(err, -ENOMEM, "%s: out of memory", owner);
	}

	owners_mark_reverted(&rs->owners, o, false);
	for (struct owner *other = rs->owners.reverted; new &&other; other = other->next_reverted)
		block_yield(other->block, new, rs, tx);
	if (tx)
		block_compare(o->block, new, tx);
	owner_set(rs, o, TAKE_PTR(new), tx);
	return 0;
}

void ruleset_accept(struct ruleset *rs)
{
	struct owner *o;

	while ((o = rs->owners.changed)) {
		rs->owners.changed = o->next_changed;
		o->changed = false;
		o->before = block_free(o->before);
		if (!o->block)
			owners_remove(&rs->owners, o);
	}
}

int ruleset_revert(struct ruleset *rs, const char *owner, bool *ret_kept)
{
	struct owner *o = owners_find(&rs->owners, owner), *other;
	_cleanup_(block_freep) struct block *before = NULL;
	size_t position = 0;

	*ret_kept = false;
	if (!o)
		return 0;
	before = TAKE_PTR(o->before);
	while (before && (other = table_next(&rs->owners.by_name, &position)))
		if (other != o)
			block_yield(before, other->block, NULL, NULL);
	if (note_flows(rs, o->block, before) < 0 || ruleset_count_block(rs, before, NULL) < 0) {
		o->before = TAKE_PTR(before);
		return -ENOMEM;
	}
	if (!o->changed)
		owners_mark_changed(&rs->owners, o, NULL);
	*ret_kept = before && before->n > 0;
	owner_set(rs, o, TAKE_PTR(before), NULL);
	owners_mark_reverted(&rs->owners, o, o->block);
	return 0;
}

int ruleset_whole(const struct ruleset *rs, struct transaction *tx)
{
	const struct shared_use *s;
	const struct owner *o;
	size_t position = 0;

	while ((o = table_next(&rs->owners.by_name, &position))) {
		block_compare(NULL, o->block, tx);
		for (size_t i = 0; o->block && i < o->block->bindings.n; i++)
			transaction_add_binding(tx, &o->block->bindings.items[i]);
	}
	position = 0;
	while ((s = table_next(&rs->uses.shared, &position)))
		transaction_add(tx, &s->element);
	return transaction_settle(tx);
}

bool ruleset_defines(const struct ruleset *rs, const struct definition *d)
{
	return table_find(&rs->definitions, d);
}

bool ruleset_uses_chain(const struct ruleset *rs, const struct dispatch *d)
{
	return uses_has_chain(&rs->uses, d);
}

const char *ruleset_owner(const struct ruleset *rs, const struct element *e)
{
	const struct owner *o;
	size_t position = 0;

	while ((o = table_next(&rs->owners.by_name, &position)))
		if (block_has(o->block, e))
			return o->name;
	return NULL;
}

const char *ruleset_definer(const struct ruleset *rs, const struct definition *d)
{
	const struct owner *o;
	size_t position = 0;

	while ((o = table_next(&rs->owners.by_name, &position)))
		if (block_find_definition(o->block, d))
			return o->name;
	return NULL;
}

bool ruleset_flows_changed(const struct ruleset *rs)
{
	return rs->flows_changed;
}

int ruleset_take_flows(struct ruleset *rs, struct flows *kept, struct flows *gone)
{
	_cleanup_flows_ struct flows all = { 0 };
	const struct owner *o;
	size_t position = 0;
	int r = 0;

	while (r == 0 && (o = table_next(&rs->owners.by_name, &position)))
		if (o->block)
			r = flows_append(&all, &o->block->flows);
	if (r == 0)
		r = flows_append(gone, &rs->gone);
	if (r < 0)
		return r;
	flows_free(&rs->gone);
	rs->flows_changed = false;
	flows_settle(gone);
	flows_settle(&all);
	flows_free(kept);
	*kept = all;
	all = (struct flows){ 0 };
	return 0;
}

size_t ruleset_count(const struct ruleset *rs)
{
	return rs->n_owned + rs->uses.shared.n;
}
