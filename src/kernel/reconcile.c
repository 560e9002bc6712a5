/* Reading the tables back, comparing them with what is wanted, sending what is missing. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "kernel/affinity.h"
#include "kernel/dump.h"
#include "kernel/netlink.h"
#include "kernel/read-back.h"
#include "kernel/skeleton-internal.h"
#include "kernel/tables-internal.h"
#include "ruleset/flows.h"
#include "ruleset/template.h"

/* Another writer may disturb a reading; each attempt takes as long as one dump. */
#define RECONCILE_ATTEMPTS 20

static const uint8_t families[N_FAMILIES] = { AF_INET, AF_INET6 };

struct reading {
	struct tables *t;
	const struct transaction *whole;
	struct dump found;
	struct transaction
		tx;   /* what is to be sent; until the elements are compared, definitions */
	bool replace; /* more than elements is amiss */
	size_t strange;
	int error;
};

static void note_present(const struct dispatch *d, void *userdata)
{
	struct reading *rd = userdata;

	if (rd->error == 0)
		rd->error = chains_add(&rd->t->chains, d);
}

static void note_definition(const struct definition *d, void *userdata)
{
	struct reading *rd = userdata;

	if (rd->error == 0)
		rd->error = present_note(&rd->t->policy, d);
}

static void amiss(struct reading *rd, uint8_t family, const char *what)
{
	if (rd->replace)
		return; /* the first reason is told */
	rd->replace = true;
	snprintf(rd->t->why, sizeof(rd->t->why), "table %s " TABLE_NAME ": %s",
		 family == AF_INET ? "ip" : "ip6", what);
}

/* A chain that differs is written anew; a set can't be, but with the whole table. */
static void compare_definitions(struct reading *rd, size_t f, const struct skeleton *found)
{
	skeleton_each_definition(found, note_definition, rd);
	for (size_t i = 0; i < rd->whole->n_definitions; i++) {
		const struct definition *d = &rd->whole->definitions[i].definition;

		if (d->family != families[f] ||
		    skeleton_has_definition(rd->t->skeletons[f], found, d))
			continue;
		if (present_has(&rd->t->policy, d) && !definition_is_chain(d))
			amiss(rd, families[f], "has a set of another kind");
		transaction_define(&rd->tx, d);
	}
}

/* Compare all but the elements. */
static int read_skeleton(struct reading *rd, size_t f, struct error *err)
{
	_cleanup_(skeleton_freep) struct skeleton *found = NULL;
	struct skeleton *want = rd->t->skeletons[f];
	char comment[TEMPLATE_COMMENT_MAX];
	enum table_presence interim;
	const char *difference;
	int r;

	r = tables_presence(rd->t, families[f], INTERIM_TABLE, &interim, err);
	if (r < 0)
		return r;
	if (interim != TABLE_ABSENT)
		amiss(rd, families[f], "was being replaced");
	r = skeleton_read(rd->t->nl, families[f], TABLE_NAME, &found, err);
	if (r == -ENOENT) {
		if (want)
			amiss(rd, families[f], "is not there");
		return 0;
	}
	if (r < 0)
		return r;
	if (!want)
		amiss(rd, families[f], "is there, though the family is off");
	else if (strcmp(found->comment, template_comment(comment)) != 0)
		amiss(rd, families[f], "has another skeleton");
	else if (!skeleton_matches(want, found, note_present, rd, &difference))
		amiss(rd, families[f], difference);
	else
		compare_definitions(rd, f, found);
	return rd->error;
}

static int read_tables(struct reading *rd, struct error *err)
{
	int r = 0;

	tables_forget_chains(rd->t);
	for (size_t f = 0; r == 0 && f < N_FAMILIES; f++) {
		r = read_skeleton(rd, f, err);
		if (r == 0 && !rd->replace && rd->t->skeletons[f] &&
		    rd->t->n_whole <= TABLES_MAX_READ_BACK)
			r = read_back(rd->t, f, rd->whole, &rd->found, &rd->strange, err);
	}
	if (r == 0 && !rd->replace && rd->t->n_whole > TABLES_MAX_READ_BACK)
		amiss(rd, AF_INET, "has too many elements to be read back");
	if (r == 0 && rd->strange > 0)
		amiss(rd, AF_INET, "holds elements that are not ours");
	dump_settle(&rd->found);
	return r;
}

/* What must be sent so that the dump becomes @whole. */
static int difference(const struct dump *found, const struct transaction *whole,
		      struct transaction *ret)
{
	size_t i = 0, j = 0;

	while (i < found->n || j < whole->n_changes) {
		const struct element *old = i < found->n ? &found->elements[i] : NULL;
		const struct element *new = j < whole->n_changes ? &whole->changes[j].element :
								   NULL;
		int c = !old ? 1 : !new ? -1 : element_cmp(old, new);

		if (c == 0 && element_same_value(old, new)) {
			i++;
			j++;
			continue;
		}
		if (c <= 0) {
			transaction_delete(ret, old);
			i++;
		}
		if (c >= 0) {
			transaction_add(ret, new);
			j++;
		}
	}
	for (size_t k = 0; k < whole->n_chains; k++)
		transaction_need_chain(ret, &whole->chains[k]);
	return transaction_settle(ret);
}

static int send_difference(struct reading *rd, const struct transaction *whole, uint32_t generation,
			   enum tables_state *ret_state, struct commit *ret, struct error *err)
{
	struct transaction *tx = &rd->tx;
	int r = difference(&rd->found, whole, tx);

	if (r < 0)
		return error_set(err, r, "out of memory");
	if (transaction_is_empty(tx)) {
		*ret_state = TABLES_EQUAL;
		return 0;
	}
	snprintf(rd->t->why, sizeof(rd->t->why), "%zu elements differ, %zu sets and chains",
		 tx->n_changes, tx->n_definitions);
	*ret_state = TABLES_ADOPTED;
	r = tables_commit_at(rd->t, tx, generation, ret, err);
	/* It goes with the transaction; the caller sends the whole, which names it again. */
	ret->culprit = NULL;
	ret->refused = NULL;
	return r;
}

/* Whose the elements are that went, and what a killed agent left undone, is not known: what may stay,
 * is. */
static int retain_bindings(struct tables *t, const struct transaction *whole, struct error *err)
{
	int r = 0;

	for (size_t f = 0; r == 0 && f < N_FAMILIES; f++)
		if (t->skeletons[f])
			r = affinity_retain(t->nl, families[f], TABLE_NAME, &whole->bindings, err);
	return r;
}

/* -EINTR or -ERESTART: somebody else committed meanwhile. */
static int reconcile_once(struct reading *rd, const struct transaction *whole,
			  enum tables_state *ret_state, struct commit *ret, struct error *err)
{
	uint32_t before, after;
	int r;

	r = netlink_generation(rd->t->nl, &before, err);
	if (r == 0)
		r = read_tables(rd, err);
	if (r == 0)
		r = netlink_generation(rd->t->nl, &after, err);
	if (r < 0)
		return r == -ENOENT ? -EINTR : r; /* a set went away while it was read */
	if (before != after)
		return error_set(err, -EINTR, "somebody else keeps changing nftables");
	if (!rd->replace) {
		r = send_difference(rd, whole, before, ret_state, ret, err);
		return r == 0 ? retain_bindings(rd->t, whole, err) : r;
	}
	*ret_state = TABLES_REPLACED;
	return tables_replace(rd->t, whole, ret, err);
}

static int read_udp_frontends(struct tables *t, uint8_t family, struct flows *ret,
			      struct error *err)
{
	const struct element in = { .set = SET_UDP_SERVICES, .family = family };
	_cleanup_dump_ struct dump found;
	size_t strange = 0;
	int r = dump_new(&found);

	if (r == 0)
		r = dump_set(&found, t->nl, TABLE_NAME, &in, &strange, err);
	for (size_t i = 0; r == 0 && i < found.n; i++) {
		const struct element *e = &found.elements[i];
		struct flow frontend = { .family = e->family,
					 .protocol = e->protocol,
					 .port = e->port };

		memcpy(frontend.addr, e->addr, sizeof(frontend.addr));
		r = flows_add(ret, &frontend);
	}
	return r;
}

int tables_read_udp_frontends(struct tables *t, struct flows *ret, struct error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < N_FAMILIES; i++) {
		int attempts = RECONCILE_ATTEMPTS;

		do
			r = read_udp_frontends(t, families[i], ret, err);
		while (r == -EINTR && --attempts > 0);
		r = r == -ENOENT ? 0 : r;
	}
	flows_settle(ret);
	return r;
}

int tables_reconcile(struct tables *t, const struct transaction *whole,
		     enum tables_state *ret_state, const char **ret_why, struct commit *ret,
		     struct error *err)
{
	int r = -EINTR;

	t->why[0] = '\0';
	t->n_whole = whole->n_changes;
	*ret_why = t->why;
	*ret = (struct commit){ 0 };
	for (int i = 0; i < RECONCILE_ATTEMPTS && (r == -EINTR || r == -ERESTART); i++) {
		struct reading rd = { .t = t, .whole = whole };

		if (dump_new(&rd.found) < 0)
			return error_set(err, -ENOMEM, "out of memory");
		r = reconcile_once(&rd, whole, ret_state, ret, err);
		dump_free(&rd.found);
		transaction_free(&rd.tx);
	}
	tables_note_generation(t);
	return r;
}
