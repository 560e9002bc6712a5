#include "proxy/nodes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/addrs.h"
#include "base/array.h"
#include "object/object.h"
#include "object/pod-networks.h"
#include "proxy/proxy.h"
#include "store/store.h"

static int prefixes_add_each(const struct object *o, void *userdata)
{
	return prefixes_add_node(userdata, (const struct node *)o);
}

static int nodes_read_pods(struct nodes *n, const struct store *s,
			   const struct proxy_config *config)
{
	_cleanup_prefixes_ struct prefixes all = { 0 };
	int r;

	r = store_each(s, KIND_NODE, prefixes_add_each, &all);
	if (r == 0 && config->ipv4)
		r = ranges_of_prefixes(&n->pods[FAMILY_IPV4], all.items, all.n, AF_INET);
	if (r == 0 && config->ipv6)
		r = ranges_of_prefixes(&n->pods[FAMILY_IPV6], all.items, all.n, AF_INET6);
	return r;
}

/* The first InternalIP of a family is its primary address, else the first ExternalIP. */
static void primary_consider(struct nodes *n, const struct node *self, enum node_addr_type type)
{
	for (size_t i = 0; i < self->n_addrs; i++) {
		struct addr *primary = &n->primary[family_index(self->addrs[i].addr.family)];

		if (self->addrs[i].type == type && primary->family == 0)
			*primary = self->addrs[i].addr;
	}
}

static int node_addrs_add(const struct object *o, void *userdata)
{
	const struct node *node = (const struct node *)o;
	struct node_addrs *all = userdata;

	for (size_t i = 0; i < node->n_addrs; i++) {
		if (ARRAY_RESERVE(all->items, all->n, all->capacity) < 0)
			return -ENOMEM;
		all->items[all->n++] = node->addrs[i].addr;
	}
	return 0;
}

static int nodes_read_addrs(struct nodes *n, const struct store *s)
{
	int r = store_each(s, KIND_NODE, node_addrs_add, &n->all);

	if (r == 0 && n->all.n > 0)
		n->all.n = addrs_unique(n->all.items, n->all.n);
	return r;
}

static int nodes_read_self(struct nodes *n, const struct node *self)
{
	int r;

	primary_consider(n, self, NODE_ADDR_INTERNAL);
	primary_consider(n, self, NODE_ADDR_EXTERNAL);

	r = node_addrs_add(&self->object, &n->own);
	if (r < 0)
		return r;
	n->own.n = addrs_unique(n->own.items, n->own.n);

	if (self->zone) {
		n->zone = strdup(self->zone);
		if (!n->zone)
			return -ENOMEM;
	}
	return 0;
}

int nodes_read(const struct store *s, const struct proxy_config *config, struct nodes **ret)
{
	_cleanup_(nodes_freep) struct nodes *n = calloc(1, sizeof(*n));
	const struct object *self = store_get(s, KIND_NODE, "", config->node);
	int r;

	if (!n)
		return -ENOMEM;
	if (self) {
		r = nodes_read_self(n, (const struct node *)self);
		if (r < 0)
			return r;
	}
	r = nodes_read_pods(n, s, config);
	if (r == 0)
		r = nodes_read_addrs(n, s);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(n);
	return 0;
}

struct nodes *nodes_free(struct nodes *n)
{
	if (!n)
		return NULL;
	free(n->own.items);
	free(n->all.items);
	free(n->zone);
	for (size_t i = 0; i < FAMILY_COUNT; i++)
		ranges_free(&n->pods[i]);
	free(n);
	return NULL;
}

bool nodes_same_pods(const struct nodes *a, const struct nodes *b)
{
	for (size_t i = 0; i < FAMILY_COUNT; i++)
		if (!ranges_equal(&a->pods[i], &b->pods[i]))
			return false;
	return true;
}

static bool zones_same(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

bool nodes_same_view(const struct nodes *a, const struct nodes *b)
{
	for (size_t i = 0; i < FAMILY_COUNT; i++)
		if (!addr_equal(&a->primary[i], &b->primary[i]) ||
		    (a->pods[i].n > 0) != (b->pods[i].n > 0))
			return false;
	return addrs_same(a->own.items, a->own.n, b->own.items, b->own.n) &&
	       zones_same(a->zone, b->zone);
}

bool nodes_same_addrs(const struct nodes *a, const struct nodes *b)
{
	return addrs_same(a->all.items, a->all.n, b->all.items, b->all.n);
}
