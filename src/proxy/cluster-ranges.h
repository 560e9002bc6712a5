/* cluster-ranges.h - the ranges of cluster IPs in which an address that no Service has is nobody's.
 *
 * What the flag says is not always what the cluster has, and to drop what is for somebody else would cut
 * it off. So a range counts only while it holds a cluster IP and nothing that is known to be another's.
 */
#ifndef KUBE_NFT_PROXY_CLUSTER_RANGES_H
#define KUBE_NFT_PROXY_CLUSTER_RANGES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/addr.h"
#include "proxy/nodes.h"
#include "proxy/proxy.h"

struct claims;
struct error;
struct ruleset;
struct transaction;

struct cluster_ranges {
	size_t *n_live; /* cluster IPs in each of the configured ranges; owned */
	bool stale;     /* since it was rendered */
};

/* Who else lives where. */
struct neighbours {
	const struct nodes *nodes;
	const struct addr *local_addrs; /* this host's */
	size_t n_local_addrs;
	struct claims *claims; /* a cluster IP on an interface of the host is no neighbour */
};

int cluster_ranges_init(struct cluster_ranges *cr,
			const struct proxy_config *config); /* 0, -ENOMEM */
/* A cluster IP appeared, or went. */
void cluster_ranges_count(struct cluster_ranges *cr, const struct proxy_config *config,
			  const struct addr *cluster_ip, bool appeared);
/* Bring the block "cluster-ranges" up to date if it is stale. -ENOMEM: it stays so. */
int cluster_ranges_render(struct cluster_ranges *cr, const struct proxy_config *config,
			  const struct neighbours *others, struct ruleset *rs,
			  struct transaction *tx, struct error *err);
void cluster_ranges_free(struct cluster_ranges *cr);

#endif
