/* address-safety.h - which addresses a Service may have outside, and which endpoints are no endpoints.
 *
 * Whoever may write a Service may name any address in it (CVE-2020-8554); these checks keep such
 * addresses to what the node's administrator allowed.
 */
#ifndef KUBE_NFT_PROXY_ADDRESS_SAFETY_H
#define KUBE_NFT_PROXY_ADDRESS_SAFETY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/addr.h"

/* What --strict-external-ip-validation reads for one type of address. */
struct address_rules {
	bool strict;
	const struct prefix *cluster_ranges;
	size_t n_cluster_ranges;
	const struct prefix *allowed_ranges; /* of this type */
	size_t n_allowed_ranges;
	const struct addr *node_addrs; /* of all Nodes, sorted */
	size_t n_node_addrs;
};

/* Why an external or load-balancer address is refused, as the end of a sentence; NULL: it is fine. */
const char *external_addr_problem(const struct addr *a, const struct address_rules *rules);
/* Why an endpoint's address is skipped; NULL: it is fine. */
const char *endpoint_addr_problem(const struct addr *a);

#endif
