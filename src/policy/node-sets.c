#include "policy/node-sets.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/ranges.h"
#include "object/pod-networks.h"
#include "policy/internal.h"
#include "ruleset/ruleset.h"
#include "store/store.h"

static int add_ranges(struct block *b, enum set_id set, const struct prefix *prefixes, size_t n,
		      uint8_t family)
{
	_cleanup_ranges_ struct ranges ranges = { 0 };
	int r = ranges_of_prefixes(&ranges, prefixes, n, family);

	return r < 0 ? r : block_add_ranges(b, set, family, &ranges);
}

static int add_node_ports(const struct policies *p, struct block *b, uint8_t family)
{
	static const enum protocol protocols[] = { PROTOCOL_TCP, PROTOCOL_UDP, PROTOCOL_SCTP };

	for (size_t i = 0; i < ARRAY_SIZE(protocols); i++) {
		struct element *e = block_add(b);

		if (!e)
			return -ENOMEM;
		e->set = SET_EXEMPT_PORTS;
		e->family = family;
		e->protocol = (uint8_t)protocols[i];
		e->port = p->config.node_ports_first;
		e->target_port = p->config.node_ports_last;
	}
	return 0;
}

static int exempt_render(struct policies *p)
{
	_cleanup_(block_freep) struct block *b = NULL;
	uint8_t family;
	int r = block_new(0, &b);

	for (size_t i = 0; r == 0 && policies_family(p, i, &family); i++) {
		r = add_ranges(b, SET_EXEMPT_CIDRS, p->config.exempt, p->config.n_exempt, family);
		if (r == 0)
			r = add_node_ports(p, b, family);
	}
	return r < 0 ? r : ruleset_replace(p->ruleset, "exempt", TAKE_PTR(b), p->tx, p->err);
}

static int read_pod_cidrs(const struct policies *p, const struct store *s, struct prefixes *ret)
{
	const struct object *node = store_get(s, KIND_NODE, "", p->config.node);

	return node ? prefixes_add_node(ret, (const struct node *)node) : 0;
}

bool policies_know_pod_cidrs(const struct policies *p, const struct store *s)
{
	_cleanup_prefixes_ struct prefixes cidrs = { 0 };

	return read_pod_cidrs(p, s, &cidrs) == 0 && cidrs.n > 0;
}

/* Networks that are not told of any more stay denied: what is not known is not let through. */
static int pod_cidrs_render(struct policies *p, const struct store *s)
{
	_cleanup_prefixes_ struct prefixes cidrs = { 0 };
	_cleanup_(block_freep) struct block *b = NULL;
	uint8_t family;
	int r = read_pod_cidrs(p, s, &cidrs);

	if (r < 0 || cidrs.n == 0 ||
	    (cidrs.n == p->pod_cidrs.n &&
	     memcmp(cidrs.items, p->pod_cidrs.items, cidrs.n * sizeof(cidrs.items[0])) == 0))
		return r;
	r = block_new(cidrs.n, &b);
	for (size_t i = 0; r == 0 && policies_family(p, i, &family); i++)
		r = add_ranges(b, SET_LOCAL_POD_CIDRS, cidrs.items, cidrs.n, family);
	if (r == 0)
		r = ruleset_replace(p->ruleset, "local-pod-cidrs", TAKE_PTR(b), p->tx, p->err);
	if (r < 0)
		return r;
	prefixes_free(&p->pod_cidrs);
	p->pod_cidrs = cidrs;
	cidrs = (struct prefixes){ 0 };
	return 0;
}

int node_sets_render(struct policies *p, const struct store *s)
{
	int r = p->started ? 0 : exempt_render(p);

	if (r < 0)
		return r;
	p->started = true;
	return p->config.default_deny ? pod_cidrs_render(p, s) : 0;
}
