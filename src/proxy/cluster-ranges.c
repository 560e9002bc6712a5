#include "proxy/cluster-ranges.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/ranges.h"
#include "proxy/claims.h"
#include "ruleset/ruleset.h"

int cluster_ranges_init(struct cluster_ranges *cr, const struct proxy_config *config)
{
	*cr = (struct cluster_ranges){
		.n_live = calloc(config->n_cluster_ranges + 1, sizeof(*cr->n_live)),
	};
	return cr->n_live ? 0 : -ENOMEM;
}

void cluster_ranges_count(struct cluster_ranges *cr, const struct proxy_config *config,
			  const struct addr *cluster_ip, bool appeared)
{
	for (size_t i = 0; i < config->n_cluster_ranges; i++) {
		if (!prefix_contains(&config->cluster_ranges[i], cluster_ip))
			continue;
		cr->stale |= cr->n_live[i] == (appeared ? 0 : 1); /* the first one, or the last */
		cr->n_live[i] += appeared ? 1 : -1UL;
	}
}

static bool prefix_meets_range(const struct prefix *p, const struct addr_range *other)
{
	struct addr_range r = prefix_range(p);

	return addr_cmp(&r.first, &other->last) <= 0 && addr_cmp(&other->first, &r.last) <= 0;
}

static bool prefix_is_free(const struct prefix *p, const struct neighbours *others)
{
	const struct nodes *nodes = others->nodes;
	const struct ranges *pods = &nodes->pods[family_index(p->addr.family)];

	for (size_t i = 0; i < pods->n; i++)
		if (prefix_meets_range(p, &pods->items[i]))
			return false;
	for (size_t i = 0; i < nodes->all.n; i++)
		if (prefix_contains(p, &nodes->all.items[i]))
			return false;
	for (size_t i = 0; i < others->n_local_addrs; i++)
		if (prefix_contains(p, &others->local_addrs[i]) &&
		    !claims_have_addr(others->claims, &others->local_addrs[i]))
			return false;
	return true;
}

static int ranges_add_family(struct block *b, uint8_t family, const struct prefix *ours, size_t n)
{
	_cleanup_ranges_ struct ranges merged = { 0 };
	int r = ranges_of_prefixes(&merged, ours, n, family);

	return r < 0 ? r : block_add_ranges(b, SET_CLUSTER_RANGES, family, &merged);
}

static int ranges_build(const struct cluster_ranges *cr, const struct proxy_config *config,
			const struct neighbours *others, struct block *b)
{
	_cleanup_free_ struct prefix *ours = calloc(config->n_cluster_ranges + 1, sizeof(*ours));
	size_t n = 0;
	int r = 0;

	if (!ours)
		return -ENOMEM;
	for (size_t i = 0; config->address_firewall && i < config->n_cluster_ranges; i++)
		if (cr->n_live[i] > 0 && prefix_is_free(&config->cluster_ranges[i], others))
			ours[n++] = config->cluster_ranges[i];
	if (config->ipv4)
		r = ranges_add_family(b, AF_INET, ours, n);
	if (r == 0 && config->ipv6)
		r = ranges_add_family(b, AF_INET6, ours, n);
	return r;
}

int cluster_ranges_render(struct cluster_ranges *cr, const struct proxy_config *config,
			  const struct neighbours *others, struct ruleset *rs,
			  struct transaction *tx, struct error *err)
{
	_cleanup_(block_freep) struct block *block = NULL;
	int r;

	if (!cr->stale)
		return 0;
	r = block_new(config->n_cluster_ranges, &block);
	if (r == 0)
		r = ranges_build(cr, config, others, block);
	if (r == 0)
		r = ruleset_replace(rs, "cluster-ranges", TAKE_PTR(block), tx, err);
	cr->stale = r < 0;
	return r;
}

void cluster_ranges_free(struct cluster_ranges *cr)
{
	free(cr->n_live);
}
