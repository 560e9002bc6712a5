#include "kernel/tables.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

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
	chains_free(&t->chains);
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
	chains_init(&t->chains);
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

void tables_forget_chains(struct tables *t)
{
	chains_free(&t->chains);
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
		if (!chains_have(&t->chains, &tx->chains[i]))
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
		r = chains_add(&t->chains, &tx->chains[i]);
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

static int forget_bindings(struct tables *t, const struct transaction *tx, struct error *err)
{
	int r = 0;

	for (size_t f = 0; r == 0 && f < N_FAMILIES; f++)
		if (t->skeletons[f])
			r = affinity_forget(t->nl, families[f], TABLE_NAME, &tx->bindings, err);
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
	for (size_t f = 0; f < N_FAMILIES; f++)
		batch_raw_elements(b, families[f], AFFINITY_MAP, &t->bindings[f], true);
	batch_end(b);
}

static int read_bindings(struct tables *t, const struct transaction *whole, struct error *err)
{
	size_t n = 0;
	int r = 0;

	for (size_t f = 0; r == 0 && f < N_FAMILIES; f++) {
		buf_reset(&t->bindings[f]);
		if (t->skeletons[f])
			r = affinity_read(t->nl, families[f], TABLE_NAME, &whole->bindings,
					  &t->bindings[f], &n, err);
	}
	for (size_t f = 0; f < N_FAMILIES; f++)
		if (whole->n_chains > 0 && n > TABLES_MAX_CARRIED / whole->n_chains)
			buf_reset(&t->bindings[f]);
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
	for (size_t f = 0; f < N_FAMILIES; f++)
		buf_free(&t->bindings[f]);
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
	r = note_made(t, whole); /* put_whole() took all others for gone */
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

int tables_count_affinity(struct tables *t, size_t *ret_bindings, uint64_t *ret_refused,
			  struct error *err)
{
	uint64_t refused, all_refused = 0;
	size_t bindings, all_bindings = 0;

	for (size_t f = 0; f < N_FAMILIES; f++) {
		int r;

		if (!t->skeletons[f])
			continue;
		r = affinity_count(t->nl, families[f], TABLE_NAME, ret_bindings ? &bindings : NULL,
				   ret_refused ? &refused : NULL, err);
		if (r < 0)
			return r;
		all_bindings += ret_bindings ? bindings : 0;
		all_refused += ret_refused ? refused : 0;
	}
	if (ret_bindings)
		*ret_bindings = all_bindings;
	if (ret_refused)
		*ret_refused = all_refused;
	return 0;
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

static void forget_unused_definitions(struct tables *t, const struct ruleset *rs)
{
	const struct definition *d;

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
	_cleanup_free_ struct dispatch *unused = NULL;
	_cleanup_batch_ struct batch b = { 0 };
	char name[CHAIN_NAME_MAX_BYTES];
	size_t n_unused, n_definitions;
	int r;

	r = chains_unused(&t->chains, rs, &unused, &n_unused);
	if (r < 0)
		return error_set(err, r, "out of memory");
	batch_begin(&b, TABLE_NAME, 0);
	for (size_t i = 0; i < n_unused; i++)
		batch_delete_chain(&b, unused[i].family, dispatch_name(&unused[i], name));
	n_definitions = put_unused_definitions(t, rs, &b);
	batch_end(&b);
	if (n_unused + n_definitions == 0)
		return 0;
	r = batch_commit(&b, t->nl, NULL, err);
	if (r < 0)
		return error_wrap(err, r, "delete unused chains");
	for (size_t i = 0; i < n_unused; i++)
		chains_remove(&t->chains, &unused[i]);
	forget_unused_definitions(t, rs);
	tables_note_generation(t);
	return 0;
}
