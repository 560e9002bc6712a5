#include "proxy/claims.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/mix.h"
#include "proxy/state.h"

static uint64_t claim_hash(const void *item)
{
	const struct claim *c = item;

	return mix_addr(c->addr.bytes, (uint32_t)c->port << 8 | c->protocol);
}

static bool claim_equal(const void *a, const void *b)
{
	const struct claim *one = a, *other = b;

	return one->port == other->port && one->protocol == other->protocol &&
	       addr_equal(&one->addr, &other->addr);
}

static const struct table_type claim_type = { .hash = claim_hash, .equal = claim_equal };

void claims_init(struct claims *cs)
{
	*cs = (struct claims){ .table.type = &claim_type };
}

static struct claim claim_probe(const struct frontend *f)
{
	return (struct claim){ .addr = f->addr, .protocol = f->protocol, .port = f->port };
}

static struct claim *claim_find(const struct claims *cs, const struct frontend *f)
{
	struct claim probe = claim_probe(f);

	return table_find(&cs->table, &probe);
}

/* Nearly every endpoint shares no network with any cluster IP: that is told without a search. */
static size_t addr_network(const struct addr *a)
{
	uint8_t network[16] = { 0 };

	memcpy(network, a->bytes, addr_len_bytes(a) / 2);
	return mix_addr(network, 0) % CLAIM_NETWORKS;
}

static void claim_touch(struct claims *cs, struct claim *c)
{
	if (c->touched)
		return;
	c->touched = true;
	c->next_touched = cs->touched;
	cs->touched = c;
}

/* A new claim is touched from the start: should nobody claim it after all, settling drops it. */
static int claim_get(struct claims *cs, const struct frontend *f, struct claim **ret)
{
	struct claim *c = claim_find(cs, f);

	if (!c) {
		if (table_reserve(&cs->table) < 0)
			return -ENOMEM;
		c = malloc(sizeof(*c));
		if (!c)
			return -ENOMEM;
		*c = claim_probe(f);
		table_put(&cs->table, c);
		cs->n_whole[addr_network(&c->addr)] += claim_is_whole_addr(c);
		claim_touch(cs, c);
	}
	*ret = c;
	return 0;
}

static void claimant_link(struct claims *cs, struct claimant *one)
{
	struct claim *c = one->claim;

	one->next = c->claimants;
	if (one->next)
		one->next->previous = one;
	c->claimants = one;
	claim_touch(cs, c);
}

static void claimant_unlink(struct claims *cs, struct claimant *one)
{
	if (one->previous)
		one->previous->next = one->next;
	else
		one->claim->claimants = one->next;
	if (one->next)
		one->next->previous = one->previous;
	claim_touch(cs, one->claim);
}

/* All that can fail is done before anything is linked: the old claims stand until then. */
int claims_update(struct claims *cs, struct service_state *st, const struct frontend *frontends,
		  size_t n)
{
	_cleanup_free_ struct claimant *claimants = NULL;
	int r;

	if (n > 0) {
		claimants = calloc(n, sizeof(*claimants));
		if (!claimants)
			return -ENOMEM;
	}
	for (size_t i = 0; i < n; i++) {
		claimants[i].service = st;
		claimants[i].kind = frontends[i].kind;
		claimants[i].index = frontends[i].index;
		r = claim_get(cs, &frontends[i], &claimants[i].claim);
		if (r < 0)
			return r;
	}

	for (size_t i = 0; i < st->n_claimants; i++)
		claimant_unlink(cs, &st->claimants[i]);
	free(st->claimants);
	st->claimants = TAKE_PTR(claimants);
	st->n_claimants = n;
	for (size_t i = 0; i < n; i++)
		claimant_link(cs, &st->claimants[i]);
	return 0;
}

static bool claimant_goes_first(const struct claimant *a, const struct claimant *b)
{
	const struct service_state *one = a->service, *other = b->service;
	int c;

	if (a->kind != b->kind)
		return a->kind < b->kind;
	if (one->created != other->created)
		return one->created < other->created;
	c = strcmp(one->namespace, other->namespace);
	if (c == 0)
		c = strcmp(one->name, other->name);
	return c ? c < 0 : a->index < b->index;
}

static const struct claimant *claim_best(const struct claim *c)
{
	const struct claimant *best = c->claimants;

	for (const struct claimant *one = best; one; one = one->next)
		if (claimant_goes_first(one, best))
			best = one;
	return best;
}

static void claim_count(struct claims *cs, struct claim *c)
{
	bool contested = !claim_is_whole_addr(c) && c->claimants && c->claimants->next;

	cs->n_contested += contested;
	cs->n_contested -= c->contested;
	c->contested = contested;
}

int claims_settle(struct claims *cs, claims_moved_fn moved, void *userdata)
{
	int r;

	while (cs->touched) {
		struct claim *c = cs->touched;
		const struct claimant *best = claim_best(c);
		struct service_state *holder = best ? best->service : NULL;

		if (holder != c->holder) {
			r = moved(c, c->holder, holder, userdata);
			if (r < 0)
				return r;
		}
		claim_count(cs, c);
		cs->touched = c->next_touched;
		c->touched = false;
		c->holder = holder;
		if (best) {
			c->holder_index = best->index;
		} else {
			cs->n_whole[addr_network(&c->addr)] -= claim_is_whole_addr(c);
			free(table_take(&cs->table, c));
		}
	}
	return 0;
}

const struct claim *claims_find(const struct claims *cs, const struct frontend *f)
{
	return claim_find(cs, f);
}

bool claims_have_addr(struct claims *cs, const struct addr *a)
{
	struct frontend whole = frontend_whole_addr(a);
	size_t network = addr_network(a);

	cs->asked[network] = true;
	return cs->n_whole[network] > 0 && claim_find(cs, &whole);
}

bool claims_asked_for_addr(const struct claims *cs, const struct addr *a)
{
	return cs->asked[addr_network(a)];
}

void claims_free(struct claims *cs)
{
	table_free_items(&cs->table);
}
