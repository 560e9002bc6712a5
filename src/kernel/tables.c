#include "kernel/tables.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "kernel/affinity.h"
#include "kernel/batch.h"
#include "kernel/netlink.h"
#include "kernel/read-back.h"
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
	t->by_key_from = READ_BACK_BY_KEY_FROM;
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

static void put_deletion(struct batch *b, const struct definition *d)
{
	if (definition_is_chain(d))
		batch_delete_chain(b, d->family, d->name);
	else
		batch_delete_set(b, d->family, d->name);
}

int tables_sweep(struct tables *t, const struct ruleset *rs, struct error *err)
{
	_cleanup_free_ const struct definition **definitions = NULL;
	_cleanup_free_ struct dispatch *chains = NULL;
	_cleanup_batch_ struct batch b = { 0 };
	char name[CHAIN_NAME_MAX_BYTES];
	size_t n_definitions, n_chains;
	int r;

	r = chains_unused(&t->chains, rs, &chains, &n_chains);
	if (r == 0)
		r = present_unused(&t->policy, rs, &definitions, &n_definitions);
	if (r < 0)
		return error_set(err, r, "out of memory");
	if (n_chains + n_definitions == 0)
		return 0;
	batch_begin(&b, TABLE_NAME, 0);
	for (size_t i = 0; i < n_chains; i++)
		batch_delete_chain(&b, chains[i].family, dispatch_name(&chains[i], name));
	for (size_t i = 0; i < n_definitions; i++)
		put_deletion(&b, definitions[i]);
	batch_end(&b);
	r = batch_commit(&b, t->nl, NULL, err);
	if (r < 0)
		return error_wrap(err, r, "delete unused chains");
	for (size_t i = 0; i < n_chains; i++)
		chains_remove(&t->chains, &chains[i]);
	for (size_t i = 0; i < n_definitions; i++)
		present_forget(&t->policy, definitions[i]);
	tables_note_generation(t);
	return 0;
}
