#include "kernel/affinity.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_tables.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "kernel/affinity-key.h"
#include "kernel/batch.h"
#include "kernel/dump.h"
#include "kernel/element-codec.h"
#include "kernel/netlink.h"
#include "ruleset/transaction.h"

#define PURGE_ATTEMPTS 5

/* A single field is as long as it is, fields of a concatenation are padded to four bytes. */
enum data_size {
	DATA_IPV4_TARGET = 8,
	DATA_IPV6_ADDR = 16,
	DATA_PORT = 2,
	DATA_MAX = DATA_IPV6_ADDR,
};

static const struct affinity_map maps[AFFINITY_MAPS] = {
	{ "affinity", AF_INET },
	{ "affinity", AF_INET6 },
	{ "affinity-ports", AF_INET6 },
};
#define MAP_IPV4 0
#define MAP_IPV6 1

static const uint16_t data_sizes[AFFINITY_MAPS] = { DATA_IPV4_TARGET, DATA_IPV6_ADDR, DATA_PORT };

const struct affinity_map *affinity_map(unsigned i)
{
	return &maps[i];
}

/* What is remembered of a frontend, as in the map: who the client is does not count. */
struct binding {
	uint8_t frontend[AFFINITY_FRONTEND_BYTES];
	uint8_t data[DATA_MAX]; /* all zero: of a frontend all of whose bindings are meant */
};

static int binding_cmp(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct binding));
}

struct bindings {
	struct binding *items;
	size_t n, capacity;
};

static int bindings_add(struct bindings *s, const struct binding *b)
{
	if (ARRAY_RESERVE(s->items, s->n, s->capacity) < 0)
		return -ENOMEM;
	s->items[s->n++] = *b;
	return 0;
}

static bool bindings_have(const struct bindings *s, const struct binding *b)
{
	return array_find(b, s->items, s->n, sizeof(*b), binding_cmp);
}

/* A map of another release, or somebody's own of that name, may hold what ours does not take. */
static bool binding_get(const struct nlattr *attr, unsigned map, struct binding *ret)
{
	uint16_t key_len = 0, data_len = 0;
	const uint8_t *key = element_get_value(attr, NFTA_SET_ELEM_KEY, &key_len);
	const uint8_t *data = element_get_value(attr, NFTA_SET_ELEM_DATA, &data_len);

	if (!key || !data || key_len != AFFINITY_KEY_BYTES || data_len != data_sizes[map])
		return false;
	*ret = (struct binding){ 0 };
	memcpy(ret->frontend, key + AFFINITY_CLIENT_BYTES, sizeof(ret->frontend));
	memcpy(ret->data, data, data_len);
	return true;
}

/* The binding that clients of @row, an endpoint of a frontend, have. */
static void binding_of_row(const struct element *row, unsigned map, struct binding *ret)
{
	uint16_t port = htons(row->target_port);

	*ret = (struct binding){ 0 };
	affinity_key_frontend(row, ret->frontend);
	if (map == MAP_IPV4) {
		memcpy(ret->data, row->other, 4);
		memcpy(ret->data + 4, &port, sizeof(port));
	} else if (map == MAP_IPV6) {
		memcpy(ret->data, row->other, DATA_IPV6_ADDR);
	} else {
		memcpy(ret->data, &port, sizeof(port));
	}
}

static bool is_addition_of(const struct change *c, const struct element *row)
{
	return c->add && c->element.target_port == row->target_port &&
	       memcmp(c->element.other, row->other, sizeof(row->other)) == 0;
}

static bool is_beside(const struct change *c, const struct element *row)
{
	return c->element.set == row->set && c->element.family == row->family &&
	       c->element.protocol == row->protocol && c->element.port == row->port &&
	       memcmp(c->element.addr, row->addr, sizeof(row->addr)) == 0;
}

static int change_cmp(const void *key, const void *item)
{
	return element_cmp(key, &((const struct change *)item)->element);
}

static const struct change *whole_find(const struct transaction *whole, const struct element *e,
				       enum set_id set)
{
	struct element probe = *e;

	probe.set = (uint8_t)set;
	return array_find(&probe, whole->changes, whole->n_changes, sizeof(*whole->changes),
			  change_cmp);
}

/* All endpoints of the frontend @e or, where it has a list of this node's, only those: it is not known
 * which clients are outside. */
static int wanted_of_frontend(const struct transaction *whole, const struct element *e,
			      unsigned map, struct bindings *ret)
{
	const struct change *end = whole->changes + whole->n_changes;
	bool local = whole_find(whole, e, SET_LOCAL_SERVICES);
	const struct change *first = whole_find(whole, e,
						local ? SET_LOCAL_ENDPOINTS : SET_ENDPOINTS);
	struct binding b;
	int r = 0;

	for (const struct change *c = first; r == 0 && c && c < end; c++) {
		if (!is_beside(c, &first->element))
			break;
		binding_of_row(&c->element, map, &b);
		r = bindings_add(ret, &b);
	}
	return r;
}

static int wanted_collect(const struct transaction *whole, unsigned map, struct bindings *ret)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < whole->n_changes; i++) {
		const struct element *e = &whole->changes[i].element;

		if (e->set == SET_AFFINITY_SERVICES && e->family == maps[map].family)
			r = wanted_of_frontend(whole, e, map, ret);
	}
	array_sort(ret->items, ret->n, sizeof(*ret->items), binding_cmp);
	return r;
}

/* Elements of a map, picked by what they remember. */
struct pick {
	unsigned map;
	struct bindings bindings; /* sorted */
	struct buf *out;
};

static int pick_element(const struct nlattr *attr, void *userdata)
{
	struct pick *p = userdata;
	struct binding b, frontend;

	if (!binding_get(attr, p->map, &b))
		return 0;
	frontend = b;
	memset(frontend.data, 0, sizeof(frontend.data));
	if (bindings_have(&p->bindings, &b) || bindings_have(&p->bindings, &frontend))
		buf_append(p->out, attr, (size_t)MNL_ALIGN(mnl_attr_get_len(attr)));
	return buf_error(p->out);
}

int affinity_read(struct netlink *nl, unsigned i, const char *table,
		  const struct transaction *whole, struct buf *ret, struct error *err)
{
	struct pick p = { .map = i, .out = ret };
	struct error ignored = { 0 };
	int r = wanted_collect(whole, i, &p.bindings);

	if (r == 0 && p.bindings.n > 0)
		r = dump_attrs(nl, maps[i].family, table, maps[i].name, pick_element, &p, &ignored);
	free(p.bindings.items);
	if (r == -ENOENT)
		return 0;
	return r < 0 ? error_set(err, r, "read map %s: %s", maps[i].name, ignored.message) : 0;
}

/* An endpoint that only moved to another slot is deleted in one row and added in another; a timeout
 * that was edited likewise. Rows of a frontend lie side by side. */
static bool row_stays(const struct transaction *tx, size_t i)
{
	const struct element *row = &tx->changes[i].element;

	for (size_t j = i; j-- > 0 && is_beside(&tx->changes[j], row);)
		if (is_addition_of(&tx->changes[j], row))
			return true;
	for (size_t j = i + 1; j < tx->n_changes && is_beside(&tx->changes[j], row); j++)
		if (is_addition_of(&tx->changes[j], row))
			return true;
	return false;
}

/* Clients outside had any endpoint of the frontend, and are to have this node's from now on. */
static bool becomes_local(const struct transaction *tx, size_t i)
{
	const struct change *c = &tx->changes[i];

	return c->add && c->element.set == SET_LOCAL_SERVICES &&
	       (i == 0 || element_cmp(&c[-1].element, &c->element) != 0);
}

static bool row_goes(const struct transaction *tx, size_t i)
{
	const struct change *c = &tx->changes[i];

	return !c->add &&
	       (c->element.set == SET_AFFINITY_SERVICES || set_layout(c->element.set)->slot) &&
	       !row_stays(tx, i);
}

/* What @tx took away: frontends all of whose bindings go (no data) and endpoints that their frontend has no
 * more. */
static int gone_collect(const struct transaction *tx, unsigned map, struct bindings *ret)
{
	struct binding b;
	int r = 0;

	for (size_t i = 0; r == 0 && i < tx->n_changes; i++) {
		const struct element *e = &tx->changes[i].element;

		if (e->family != maps[map].family || (!row_goes(tx, i) && !becomes_local(tx, i)))
			continue;
		binding_of_row(e, map, &b);
		r = bindings_add(ret, &b);
	}
	array_sort(ret->items, ret->n, sizeof(*ret->items), binding_cmp);
	return r;
}

/* -ENOENT: a binding ran out meanwhile, which voids the transaction. */
static int purge_once(struct netlink *nl, const char *table, struct pick *p, struct error *err)
{
	const struct affinity_map *map = &maps[p->map];
	_cleanup_batch_ struct batch b = { 0 };
	int r;

	buf_reset(p->out);
	r = dump_attrs(nl, map->family, table, map->name, pick_element, p, err);
	if (r < 0 || p->out->len == 0)
		return r;
	batch_begin(&b, table, 0);
	batch_raw_elements(&b, map->family, map->name, p->out, false);
	batch_end(&b);
	return batch_commit(&b, nl, NULL, err);
}

/* Of an IPv6 binding the endpoint's address is enough: without it, nobody asks for the port. */
int affinity_purge(struct netlink *nl, uint8_t family, const char *table,
		   const struct transaction *tx, struct error *err)
{
	_cleanup_buf_ struct buf found = { 0 };
	struct pick p = { .map = family == AF_INET ? MAP_IPV4 : MAP_IPV6, .out = &found };
	int r = gone_collect(tx, p.map, &p.bindings);

	if (r == 0 && p.bindings.n > 0) {
		r = -ENOENT;
		for (int i = 0; i < PURGE_ATTEMPTS && (r == -ENOENT || r == -EINTR); i++)
			r = purge_once(nl, table, &p, err);
	}
	free(p.bindings.items);
	return r < 0 ? error_wrap(err, r, "forget bindings to endpoints that are gone") : 0;
}
