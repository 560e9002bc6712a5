/* conntrack-stats.h - how full the kernel's connection tracking is.
 *
 * Source: ctnetlink, linux/netfilter/nfnetlink_conntrack.h.
 */
#ifndef KUBE_NFT_KERNEL_CONNTRACK_STATS_H
#define KUBE_NFT_KERNEL_CONNTRACK_STATS_H

#include <stdint.h>

struct error;
struct netlink;

struct conntrack_stats {
	uint32_t entries; /* of this network namespace */
	uint32_t limit;   /* nf_conntrack_max; 0: not known, as before Linux 4.18 */
	uint32_t dropped; /* packets, since the namespace is there; mostly for want of room */
	uint32_t evicted; /* connections that were given up for new ones; never open ones */
};

int conntrack_stats_read(struct netlink *nl, struct conntrack_stats *ret, struct error *err);

#endif
