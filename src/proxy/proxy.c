#include "proxy/proxy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/addrs.h"
#include "base/array.h"
#include "base/error.h"
#include "base/ranges.h"
#include "proxy/elements.h"
#include "proxy/internal.h"
#include "ruleset/ruleset.h"
#include "store/store.h"

int proxy_new(const struct proxy_config *config, problem_report_fn report, void *userdata,
	      struct proxy **ret)
{
	_cleanup_(proxy_freep) struct proxy *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	p->config = *config;
	p->problems.report = report;
	p->problems.userdata = userdata;
	p->nodes_stale = true;
	states_init(&p->states);
	claims_init(&p->claims);
	p->nodes = calloc(1, sizeof(*p->nodes));
	if (!p->nodes || cluster_ranges_init(&p->cluster_ranges, config) < 0)
		return -ENOMEM;

	*ret = TAKE_PTR(p);
	return 0;
}

struct proxy *proxy_free(struct proxy *p)
{
	if (!p)
		return NULL;
	nodes_free(p->nodes);
	free(p->local_addrs);
	states_free(&p->states);
	claims_free(&p->claims);
	cluster_ranges_free(&p->cluster_ranges);
	free(p->moved_ips);
	health_checks_free(&p->health_checks);
	frontends_free(&p->frontends);
	for (size_t i = 0; i < FAMILY_COUNT; i++)
		source_ranges_free(&p->source_ranges[i]);
	endpoints_free(&p->endpoints);
	free(p);
	return NULL;
}

int proxy_set_local_addrs(struct proxy *p, struct store *s, const struct addr *addrs, size_t n)
{
	_cleanup_free_ struct addr *kept = NULL;
	size_t n_kept = 0;
	int r;

	kept = calloc(n + 1, sizeof(*kept));
	if (!kept)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		if (!addr_is_loopback(&addrs[i]) && !addr_is_link_local(&addrs[i]))
			kept[n_kept++] = addrs[i];
	n_kept = addrs_unique(kept, n_kept);
	if (addrs_same(kept, n_kept, p->local_addrs, p->n_local_addrs))
		return 0;

	if (p->config.node_port_all) {
		r = store_mark_services(s);
		if (r < 0)
			return r;
	}
	free(p->local_addrs);
	p->local_addrs = TAKE_PTR(kept);
	p->n_local_addrs = n_kept;
	p->cluster_ranges.stale = true;
	return 0;
}

/* Of cluster IPs, clients that are no pods are hidden, where pods can be told from others. */
static int masquerade_ranges_build(const struct proxy_config *config, uint8_t family,
				   struct block *b)
{
	_cleanup_ranges_ struct ranges merged = { 0 };
	int r = ranges_of_prefixes(&merged, config->cluster_ranges, config->n_cluster_ranges,
				   family);

	return r < 0 ? r : block_add_ranges(b, SET_MASQUERADE_RANGES, family, &merged);
}

static int pod_cidrs_render(const struct proxy_config *config, const struct nodes *n,
			    struct ruleset *rs, struct transaction *tx, struct error *err)
{
	_cleanup_(block_freep) struct block *block = NULL;
	int r;

	r = block_new(n->pods[FAMILY_IPV4].n + n->pods[FAMILY_IPV6].n, &block);
	for (size_t i = 0; r == 0 && i < FAMILY_COUNT; i++) {
		r = block_add_ranges(block, SET_POD_CIDRS, family_at(i), &n->pods[i]);
		if (r == 0 && n->pods[i].n > 0 && !config->masquerade_all)
			r = masquerade_ranges_build(config, family_at(i), block);
	}
	if (r < 0)
		return r;
	return ruleset_replace(rs, "pod-cidrs", TAKE_PTR(block), tx, err);
}

/* An address of a node is no Service's: who has external addresses must be looked at again. */
static void proxy_queue_external(struct proxy *p)
{
	struct service_state *st;
	size_t position = 0;

	while ((st = table_next(&p->states.table, &position)))
		if (st->external)
			states_queue(&p->states, st);
}

/* Nodes report their health every few seconds: most of what they say changes nothing here. */
static int proxy_sync_nodes(struct proxy *p, struct store *s, struct ruleset *rs,
			    struct transaction *tx, struct error *err)
{
	_cleanup_(nodes_freep) struct nodes *nodes = NULL;
	int r;

	p->nodes_stale |= store_nodes_changed(s);
	if (!p->nodes_stale)
		return 0;
	r = nodes_read(s, &p->config, &nodes);
	if (r < 0)
		return r;
	if (!nodes_same_pods(nodes, p->nodes)) {
		r = pod_cidrs_render(&p->config, nodes, rs, tx, err);
		if (r < 0)
			return r;
		p->cluster_ranges.stale = true;
	}
	if (!nodes_same_view(nodes, p->nodes)) {
		r = store_mark_services(s);
		if (r < 0)
			return r;
	}
	if (!nodes_same_addrs(nodes, p->nodes)) {
		proxy_queue_external(p);
		p->cluster_ranges.stale = true;
	}
	nodes_free(p->nodes);
	p->nodes = TAKE_PTR(nodes);
	p->nodes_stale = false;
	return 0;
}

static int proxy_queue_changed(const char *namespace, const char *name, void *userdata)
{
	struct proxy *p = userdata;
	struct service_state *st;
	int r;

	r = states_get(&p->states, namespace, name, &st);
	if (r == 0)
		states_queue(&p->states, st);
	return r;
}

/* Who changed is queued; who loses or gains a frontend by that must be computed too. */
static int proxy_claim_moved(const struct claim *c, struct service_state *from,
			     struct service_state *to, void *userdata)
{
	struct proxy *p = userdata;
	int r;

	if (claim_is_whole_addr(c) && !(from && to) &&
	    claims_asked_for_addr(&p->claims, &c->addr)) {
		r = ARRAY_RESERVE(p->moved_ips, p->n_moved_ips, p->cap_moved_ips);
		if (r < 0)
			return r;
		p->moved_ips[p->n_moved_ips++] = c->addr;
	}
	if (claim_is_whole_addr(c) && !(from && to))
		cluster_ranges_count(&p->cluster_ranges, &p->config, &c->addr, to);
	if (!claim_is_whole_addr(c) && from && to) {
		from->loses = true;
		to->gains = true;
		states_queue(&p->states, from);
		states_queue(&p->states, to);
	}
	return 0;
}

static bool state_has_moved_ip(const struct service_state *st, const struct proxy *p,
			       const struct store *s)
{
	const struct endpoint_slice *const *slices;
	size_t n;

	for (size_t i = 0; i < st->n_claimants; i++)
		if (st->claimants[i].kind == FRONTEND_EXTERNAL &&
		    addrs_contain(p->moved_ips, p->n_moved_ips, &st->claimants[i].claim->addr))
			return true;
	slices = store_slices(s, st->namespace, st->name, &n);
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < slices[i]->n_endpoints; j++)
			if (addrs_contain(p->moved_ips, p->n_moved_ips,
					  &slices[i]->endpoints[j].addr))
				return true;
	return false;
}

/* A cluster IP is no endpoint (endpoints_read()) and no external address: who has it as one must be
 * computed. The walk is long, but cluster IPs seldom share a network with either. */
static void proxy_queue_by_moved_ips(struct proxy *p, const struct store *s)
{
	struct service_state *st;
	size_t position = 0;

	if (p->n_moved_ips == 0)
		return;
	p->n_moved_ips = addrs_unique(p->moved_ips, p->n_moved_ips);
	while ((st = table_next(&p->states.table, &position)))
		if (!st->queued && state_has_moved_ip(st, p, s))
			states_queue(&p->states, st);
	p->n_moved_ips = 0;
}

/* Settle who has which frontend, and with that, who is to be computed. */
static int proxy_settle(struct proxy *p, struct store *s)
{
	int r;

	r = store_changed_services(s, proxy_queue_changed, p);
	if (r < 0)
		return r;
	for (struct service_state *st = p->states.queue; st; st = st->next) {
		r = service_claim(p, st, s);
		if (r < 0)
			return r;
	}
	r = claims_settle(&p->claims, proxy_claim_moved, p);
	if (r < 0)
		return r;
	proxy_queue_by_moved_ips(p, s);
	return 0;
}

/* Render the Services of the queue, or only those who lose frontends and gain none. */
static int proxy_render_queue(struct proxy *p, bool only_losers, struct store *s,
			      struct ruleset *rs, struct transaction *tx, size_t *computed)
{
	struct service_state **link = &p->states.queue, *st;
	int r;

	while ((st = *link)) {
		if (only_losers && (!st->loses || st->gains)) {
			link = &st->next;
			continue;
		}
		r = service_render(p, st, s, rs, tx);
		if (r < 0)
			return r;
		states_unqueue(&p->states, link);
		if (service_is_gone(st, s))
			states_forget(&p->states, st);
		(*computed)++;
	}
	return 0;
}

/* In @tx a frontend must leave one block before it enters another. So the losers go first; who loses
 * and gains might wait for another such one, and is taken out before all. */
static int proxy_render(struct proxy *p, struct store *s, struct ruleset *rs,
			struct transaction *tx, size_t *computed)
{
	int r;

	for (struct service_state *st = p->states.queue; st; st = st->next) {
		if (!st->loses || !st->gains)
			continue;
		r = service_withdraw(st, rs, tx);
		if (r < 0)
			return r;
	}
	r = proxy_render_queue(p, true, s, rs, tx, computed);
	if (r < 0)
		return r;
	return proxy_render_queue(p, false, s, rs, tx, computed);
}

static int proxy_render_ranges(struct proxy *p, struct ruleset *rs, struct transaction *tx,
			       struct error *err)
{
	const struct neighbours others = {
		.nodes = p->nodes,
		.local_addrs = p->local_addrs,
		.n_local_addrs = p->n_local_addrs,
		.claims = &p->claims,
	};

	return cluster_ranges_render(&p->cluster_ranges, &p->config, &others, rs, tx, err);
}

/* When memory is short, whatever was left undone is still queued, touched or stale here: the next
 * sync goes on with it. */
int proxy_sync(struct proxy *p, struct store *s, struct ruleset *rs, struct transaction *tx,
	       size_t *ret_computed, struct error *err)
{
	size_t computed = 0;
	int r;

	r = proxy_sync_nodes(p, s, rs, tx, err);
	if (r == 0)
		r = proxy_settle(p, s);
	if (r == 0)
		r = proxy_render_ranges(p, rs, tx, err);
	if (r == 0)
		r = proxy_render(p, s, rs, tx, &computed);
	if (r < 0)
		return error_wrap(err, r, "services");
	if (ret_computed)
		*ret_computed = computed;
	return 0;
}

const struct health_check_port *proxy_health_check_ports(const struct proxy *p, size_t *ret_n)
{
	*ret_n = p->health_checks.n;
	return p->health_checks.items;
}

struct proxy_stats proxy_stats(const struct proxy *p)
{
	struct proxy_stats stats = p->stats;

	stats.contested = p->claims.n_contested;
	return stats;
}
