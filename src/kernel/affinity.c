#include "kernel/affinity.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "kernel/batch.h"
#include "kernel/dump.h"
#include "kernel/element-codec.h"
#include "kernel/netlink.h"
#include "ruleset/transaction.h"

#define PURGE_ATTEMPTS 5

/* @ret_key: what a deletion names. @ret: frontend and target, no client. */
static bool binding_get(const struct nlattr *attr, uint8_t family, struct element *ret_key,
			struct element *ret)
{
	if (element_get(attr, SET_AFFINITY, family, NULL, ret_key) != ELEMENT_READ ||
	    !element_get_target(attr, family, ret))
		return false;
	memcpy(ret->addr, ret_key->addr, sizeof(ret->addr));
	ret->protocol = ret_key->protocol;
	ret->port = ret_key->port;
	return true;
}

static int frontend_cmp(const struct element *a, const struct element *b)
{
	int c = memcmp(a->addr, b->addr, sizeof(a->addr));

	if (c)
		return c;
	if (a->protocol != b->protocol)
		return a->protocol < b->protocol ? -1 : 1;
	return a->port == b->port ? 0 : a->port < b->port ? -1 : 1;
}

static bool is_addition_of(const struct change *c, const struct element *row)
{
	return c->add && c->element.target_port == row->target_port &&
	       memcmp(c->element.other, row->other, sizeof(row->other)) == 0;
}

static bool is_beside(const struct change *c, const struct element *row)
{
	return c->element.set == row->set && c->element.family == row->family &&
	       frontend_cmp(&c->element, row) == 0;
}

static int change_cmp(const void *key, const void *item)
{
	return element_cmp(key, &((const struct change *)item)->element);
}

static const struct change *whole_find(const struct transaction *whole, const struct element *e)
{
	return array_find(e, whole->changes, whole->n_changes, sizeof(*whole->changes), change_cmp);
}

/* Whether @whole remembers the clients of the binding's frontend and has its target in the list of
 * all endpoints or, as it is not known which clients are outside, in that of this node's. */
static bool binding_is_wanted(const struct transaction *whole, const struct element *binding)
{
	const struct change *end = whole->changes + whole->n_changes, *c;
	struct element probe = *binding;

	memset(probe.other, 0, sizeof(probe.other));
	probe.set = SET_AFFINITY_SERVICES;
	if (!whole_find(whole, &probe))
		return false;
	probe.set = SET_LOCAL_SERVICES;
	probe.set = whole_find(whole, &probe) ? SET_LOCAL_ENDPOINTS : SET_ENDPOINTS;
	for (c = whole_find(whole, &probe); c && c < end && is_beside(c, &probe); c++)
		if (is_addition_of(c, binding))
			return true;
	return false;
}

struct bindings {
	uint8_t family;
	const struct transaction *whole;
	struct buf *out;
};

/* A map of another release, or somebody's own of that name, may hold what ours does not take. */
static int binding_append(const struct nlattr *attr, void *userdata)
{
	struct bindings *b = userdata;
	struct element key, binding;

	if (binding_get(attr, b->family, &key, &binding) && binding_is_wanted(b->whole, &binding))
		buf_append(b->out, attr, (size_t)MNL_ALIGN(mnl_attr_get_len(attr)));
	return buf_error(b->out);
}

int affinity_read(struct netlink *nl, uint8_t family, const char *table,
		  const struct transaction *whole, struct buf *ret, struct error *err)
{
	struct bindings b = { .family = family, .whole = whole, .out = ret };
	struct error ignored = { 0 };
	int r = dump_attrs(nl, family, table, set_name(SET_AFFINITY), binding_append, &b, &ignored);

	if (r == -ENOENT)
		return 0;
	return r < 0 ? error_set(err, r, "read map affinity: %s", ignored.message) : 0;
}

/* What a transaction took away, in one order: frontends all of whose bindings go (no target) and
 * targets that their frontend has no more. */
struct purge {
	uint8_t family;
	struct element *gone;
	size_t n_gone, cap_gone;
	struct change *found; /* deletions of bindings */
	size_t n_found, cap_found;
};

static int gone_cmp(const void *a, const void *b)
{
	const struct element *x = a, *y = b;
	int c = frontend_cmp(x, y);

	if (c == 0)
		c = memcmp(x->other, y->other, sizeof(x->other));
	if (c == 0 && x->target_port != y->target_port)
		c = x->target_port < y->target_port ? -1 : 1;
	return c;
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

static int purge_collect(struct purge *p, const struct transaction *tx)
{
	for (size_t i = 0; i < tx->n_changes; i++) {
		const struct element *e = &tx->changes[i].element;

		if (e->family != p->family || (!row_goes(tx, i) && !becomes_local(tx, i)))
			continue;
		if (ARRAY_RESERVE(p->gone, p->n_gone, p->cap_gone) < 0)
			return -ENOMEM;
		p->gone[p->n_gone++] = *e;
	}
	array_sort(p->gone, p->n_gone, sizeof(*p->gone), gone_cmp);
	return 0;
}

static bool binding_is_stale(const struct purge *p, struct element *binding)
{
	struct element frontend = *binding;

	memset(frontend.other, 0, sizeof(frontend.other));
	frontend.target_port = 0;
	return array_find(binding, p->gone, p->n_gone, sizeof(*p->gone), gone_cmp) ||
	       array_find(&frontend, p->gone, p->n_gone, sizeof(*p->gone), gone_cmp);
}

static int purge_binding(const struct nlattr *attr, void *userdata)
{
	struct purge *p = userdata;
	struct element key, binding;

	if (!binding_get(attr, p->family, &key, &binding) || !binding_is_stale(p, &binding))
		return 0;
	if (ARRAY_RESERVE(p->found, p->n_found, p->cap_found) < 0)
		return -ENOMEM;
	p->found[p->n_found++] = (struct change){ .element = key };
	return 0;
}

/* 1: sent; 0: nothing to do. -ENOENT: a binding ran out meanwhile, which voids the transaction. */
static int purge_once(struct netlink *nl, const char *table, struct purge *p, struct error *err)
{
	_cleanup_batch_ struct batch b = { 0 };
	int r;

	p->n_found = 0;
	r = dump_attrs(nl, p->family, table, set_name(SET_AFFINITY), purge_binding, p, err);
	if (r < 0 || p->n_found == 0)
		return r;
	batch_begin(&b, table, 0);
	batch_changes(&b, p->found, p->n_found, false, 0);
	batch_end(&b);
	r = batch_commit(&b, nl, NULL, err);
	return r < 0 ? r : 1;
}

int affinity_purge(struct netlink *nl, uint8_t family, const char *table,
		   const struct transaction *tx, struct error *err)
{
	struct purge p = { .family = family };
	int r = purge_collect(&p, tx);

	if (r == 0 && p.n_gone > 0) {
		r = -ENOENT;
		for (int i = 0; i < PURGE_ATTEMPTS && (r == -ENOENT || r == -EINTR); i++)
			r = purge_once(nl, table, &p, err);
	}
	free(p.gone);
	free(p.found);
	return r < 0 ? error_wrap(err, r, "forget bindings to endpoints that are gone") : 0;
}
