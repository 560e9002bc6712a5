#include "proxy/address-safety.h"

#include "base/addrs.h"
#include "base/cleanup.h"

static const struct {
	bool (*holds)(const struct addr *a);
	const char *problem;
} kinds[] = {
	{ addr_is_unspecified, "is an unspecified address" },
	{ addr_is_loopback, "is a loopback address" },
	{ addr_is_link_local, "is a link-local address" },
	{ addr_is_multicast, "is a multicast address" },
	{ addr_is_broadcast, "is the broadcast address" },
};

const char *endpoint_addr_problem(const struct addr *a)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (kinds[i].holds(a))
			return kinds[i].problem;
	return NULL;
}

static bool prefixes_contain(const struct prefix *prefixes, size_t n, const struct addr *a)
{
	for (size_t i = 0; i < n; i++)
		if (prefix_contains(&prefixes[i], a))
			return true;
	return false;
}

const char *external_addr_problem(const struct addr *a, const struct address_rules *rules)
{
	const char *problem = endpoint_addr_problem(a);

	if (problem || !rules->strict)
		return problem;
	if (rules->n_allowed_ranges == 0)
		return "is refused: no range is configured for its type";
	if (prefixes_contain(rules->cluster_ranges, rules->n_cluster_ranges, a))
		return "is inside a range of cluster IPs";
	if (!prefixes_contain(rules->allowed_ranges, rules->n_allowed_ranges, a))
		return "is outside the ranges configured for its type";
	if (addrs_contain(rules->node_addrs, rules->n_node_addrs, a))
		return "is an address of a node";
	return NULL;
}
