#include "kernel/tables.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "base/array.h"
#include "base/error.h"
#include "kernel/affinity.h"
#include "kernel/batch.h"
#include "kernel/carry.h"
#include "kernel/netlink.h"
#include "kernel/skeleton.h"
#include "kernel/tables-internal.h"
#include "ruleset/ruleset.h"
#include "ruleset/template.h"

#define COMPILE_ATTEMPTS 10

static const uint8_t families[N_FAMILIES] = { AF_INET, AF_INET6 };

struct tables *tables_close(struct tables *t)
{
	if (!t)
		return NULL;
	free(t->present);
	present_forget_all(&t->policy);
	for (size_t f = 0; f < N_FAMILIES; f++)
		skeleton_free(t->skeletons[f]);
	netlink_close(t->nl);
	free(t);
	return NULL;
}

/* Another writer may disturb the reading, or flush the ruleset under our hands. */
static int compile(struct netlink *nl, uint8_t family, struct skeleton **ret, struct error *err)
{
	int r = -EINTR;

	for (int i = 0; i < COMPILE_ATTEMPTS && (r == -EINTR || r == -ENOENT); i++)
		r = skeleton_compile(nl, family, ret, err);
	return r;
}

int tables_open(bool ipv4, bool ipv6, struct tables **ret, struct error *err)
{
	_cleanup_(tables_closep) struct tables *t = calloc(1, sizeof(*t));
	const bool on[N_FAMILIES] = { ipv4, ipv6 };
	int r;

	if (!t)
		return error_set(err, -ENOMEM, "out of memory");
	present_init(&t->policy);
	r = netlink_open(&t->nl, err);
	for (size_t f = 0; r == 0 && f < N_FAMILIES; f++)
		if (on[f])
			r = compile(t->nl, families[f], &t->skeletons[f], err);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(t);
	return 0;
}

uint32_t tables_port(const struct tables *t)
{
	return netlink_port(t->nl);
}

static bool chain_is_present(const struct tables *t, const struct dispatch *d)
{
	for (size_t i = 0; i < t->n_present; i++)
		if (dispatch_cmp(&t->present[i], d) == 0)
			return true;
	return false;
}

int tables_note_chain(struct tables *t, const struct dispatch *d)
{
	if (chain_is_present(t, d))
		return 0;
	if (ARRAY_RESERVE(t->present, t->n_present, t->cap_present) < 0)
		return -ENOMEM;
	t->present[t->n_present++] = *d;
	return 0;
}

void tables_forget_chains(struct tables *t)
{
	t->n_present = 0;
	present_forget_all(&t->policy);
}

struct skeleton *tables_skeleton(const struct tables *t, uint8_t family)
{
	return t->skeletons[family == AF_INET ? 0 : 1];
}

void tables_note_generation(struct tables *t)
{
	if (netlink_generation(t->nl, &t->generation, NULL) < 0)
		t->generation = 0;
}

bool tables_worth_checking(struct tables *t)
{
	uint32_t now;

	return t->n_whole <= TABLES_MAX_READ_BACK &&
	       (netlink_generation(t->nl, &now, NULL) < 0 || now != t->generation);
}

/* The dispatch chains that @tx needs and that are not there. */
static void put_missing_chains(struct tables *t, const struct transaction *tx, struct batch *b)
{
	for (size_t i = 0; i < tx->n_chains; i++)
		if (!chain_is_present(t, &tx->chains[i]))
			skeleton_put_dispatch(tables_skeleton(t, tx->chains[i].family),
					      &tx->chains[i], b);
}

/* What the messages are about: changes by their index, and behind them the definitions. Sets and
 * chains come first, since rules refer to them. A chain that is there gets its rules anew. */
static void put_definitions(struct tables *t, const struct transaction *tx, struct batch *b)
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

static int note_made(struct tables *t, const struct transaction *tx)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < tx->n_chains; i++)
		r = tables_note_chain(t, &tx->chains[i]);
	for (size_t i = 0; r == 0 && i < tx->n_definitions; i++)
		r = present_note(&t->policy, &tx->definitions[i].definition);
	return r;
}

static void put_difference(struct tables *t, const struct transaction *tx, uint32_t generation,
			   size_t per_message, struct batch *b)
{
	batch_begin(b, TABLE_NAME, generation);
	put_missing_chains(t, tx, b);
	put_definitions(t, tx, b);
	batch_changes(b, tx->changes, tx->n_changes, false, per_message);
	batch_changes(b, tx->changes, tx->n_changes, true, per_message);
	batch_end(b);
}

static void commit_count(const struct transaction *tx, const struct batch *b, struct commit *ret)
{
	*ret = (struct commit){ .bytes = batch_size(b) };
	for (size_t i = 0; i < tx->n_changes; i++)
		*(tx->changes[i].add ? &ret->added : &ret->deleted) += 1;
}

/* A refused batch changed nothing, so it may be sent again with an element a message: then the
 * kernel's answer names the element. */
static void commit_find_culprit(struct tables *t, const struct transaction *tx,
				void (*put)(struct tables *t, const struct transaction *tx,
					    size_t per_message, struct batch *b),
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

/* Whether the kernel looked at the transaction and said no. */
static bool is_refusal(int r)
{
	return r != -EIO && r != -ENOMEM && r != -ERESTART && r != -EPERM;
}

static int purge_affinity(struct tables *t, const struct transaction *tx, struct error *err)
{
	int r = 0;

	for (size_t f = 0; r == 0 && f < N_FAMILIES; f++)
		if (t->skeletons[f])
			r = affinity_purge(t->nl, families[f], TABLE_NAME, tx, err);
	return r;
}

int tables_commit_at(struct tables *t, const struct transaction *tx, uint32_t generation,
		     struct commit *ret, struct error *err)
{
	_cleanup_batch_ struct batch b = { 0 };
	int r = carry_difference(t->nl, TABLE_NAME, tx);

	*ret = (struct commit){ 0 };
	if (r < 0)
		return error_set(err, r, "out of memory");
	put_difference(t, tx, generation, 0, &b);
	commit_count(tx, &b, ret);
	r = batch_commit(&b, t->nl, NULL, err);
	if (r < 0) {
		if (is_refusal(r))
			commit_find_culprit(t, tx, put_difference_slowly, ret);
		return r;
	}
	r = note_made(t, tx);
	if (r < 0)
		return error_set(err, r, "out of memory");
	if (tx->affinity)
		r = purge_affinity(t, tx, err);
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

static void put_whole(struct tables *t, const struct transaction *whole, size_t per_message,
		      struct batch *b)
{
	char comment[TEMPLATE_COMMENT_MAX];

	template_comment(comment);
	batch_begin(b, TABLE_NAME, 0);
	for (size_t f = 0; f < N_FAMILIES; f++) {
		/* Adding it first makes the deletion right whether it is there or not. */
		batch_add_table(b, families[f], NULL);
		batch_delete_table(b, families[f]);
		if (!t->skeletons[f])
			continue;
		batch_add_table(b, families[f], comment);
		skeleton_put(t->skeletons[f], b);
	}
	tables_forget_chains(t);
	put_missing_chains(t, whole, b);
	put_definitions(t, whole, b);
	batch_changes(b, whole->changes, whole->n_changes, true, per_message);
	for (unsigned i = 0; i < AFFINITY_MAPS; i++)
		batch_raw_elements(b, affinity_map(i)->family, affinity_map(i)->name,
				   &t->bindings[i], true);
	batch_end(b);
}

static int read_bindings(struct tables *t, const struct transaction *whole, struct error *err)
{
	int r = 0;

	for (unsigned i = 0; r == 0 && i < AFFINITY_MAPS; i++) {
		buf_reset(&t->bindings[i]);
		if (tables_skeleton(t, affinity_map(i)->family))
			r = affinity_read(t->nl, i, TABLE_NAME, whole, &t->bindings[i], err);
	}
	return r;
}

static int carry_counts(struct tables *t, const struct transaction *whole, struct error *err)
{
	int r = 0;

	for (size_t f = 0; r == 0 && f < N_FAMILIES; f++)
		if (t->skeletons[f])
			r = carry_whole(t->nl, families[f], TABLE_NAME, whole);
	return r < 0 ? error_set(err, r, "out of memory") : 0;
}

static void free_bindings(struct tables *t)
{
	for (unsigned i = 0; i < AFFINITY_MAPS; i++)
		buf_free(&t->bindings[i]);
}

static int replace(struct tables *t, const struct transaction *whole, struct commit *ret,
		   struct error *err)
{
	_cleanup_batch_ struct batch b = { 0 };
	int r;

	put_whole(t, whole, 0, &b);
	commit_count(whole, &b, ret);
	r = batch_commit(&b, t->nl, NULL, err);
	if (r < 0) {
		batch_free(&b);
		if (is_refusal(r))
			commit_find_culprit(t, whole, put_whole, ret);
		return r;
	}
	tables_forget_chains(t);
	r = note_made(t, whole);
	return r < 0 ? error_set(err, r, "out of memory") : 0;
}

int tables_replace(struct tables *t, const struct transaction *whole, struct commit *ret,
		   struct error *err)
{
	int r;

	*ret = (struct commit){ 0 };
	r = read_bindings(t, whole, err);
	if (r == 0)
		r = carry_counts(t, whole, err);
	if (r == 0)
		r = replace(t, whole, ret, err);
	free_bindings(t);
	return r;
}

/* Those that look up the affinity first: they jump to the others. */
static size_t put_unused_chains(const struct tables *t, const struct ruleset *rs, struct batch *b)
{
	char name[CHAIN_NAME_MAX_BYTES];
	size_t n = 0;

	for (int direct = 0; direct <= 1; direct++)
		for (size_t i = 0; i < t->n_present; i++) {
			const struct dispatch *d = &t->present[i];

			if (dispatch_is_direct(d) != direct || ruleset_uses_chain(rs, d))
				continue;
			batch_delete_chain(b, d->family,
					   verdict_chain_name(d->verdict, d->number, name));
			n++;
		}
	return n;
}

/* The later kinds first: they refer to the earlier ones. */
static size_t put_unused_definitions(const struct tables *t, const struct ruleset *rs,
				     struct batch *b)
{
	const struct definition *d;
	size_t n = 0;

	for (unsigned kind = DEFINITION_COUNT; kind-- > 0;) {
		size_t position = 0;

		while ((d = present_next(&t->policy, kind, &position))) {
			if (ruleset_defines(rs, d))
				continue;
			if (definition_is_chain(d))
				batch_delete_chain(b, d->family, d->name);
			else
				batch_delete_set(b, d->family, d->name);
			n++;
		}
	}
	return n;
}

static void forget_unused(struct tables *t, const struct ruleset *rs)
{
	const struct definition *d;
	size_t kept = 0;

	for (size_t i = 0; i < t->n_present; i++)
		if (ruleset_uses_chain(rs, &t->present[i]))
			t->present[kept++] = t->present[i];
	t->n_present = kept;
	for (unsigned kind = 0; kind < DEFINITION_COUNT; kind++) {
		size_t position = 0;

		while ((d = present_next(&t->policy, kind, &position)))
			if (!ruleset_defines(rs, d)) {
				present_forget(&t->policy, d);
				position = 0; /* the table has moved items */
			}
	}
}

int tables_sweep(struct tables *t, const struct ruleset *rs, struct error *err)
{
	_cleanup_batch_ struct batch b = { 0 };
	size_t n;
	int r;

	batch_begin(&b, TABLE_NAME, 0);
	n = put_unused_chains(t, rs, &b);
	n += put_unused_definitions(t, rs, &b);
	batch_end(&b);
	if (n == 0)
		return 0;
	r = batch_commit(&b, t->nl, NULL, err);
	if (r < 0)
		return error_wrap(err, r, "delete unused chains");
	forget_unused(t, rs);
	tables_note_generation(t);
	return 0;
}
