/* conntrack-entry.h - one entry of connection tracking, as a dump has it.
 *
 * Source: linux/netfilter/nfnetlink_conntrack.h.
 */
#ifndef KUBE_NFT_KERNEL_CONNTRACK_ENTRY_H
#define KUBE_NFT_KERNEL_CONNTRACK_ENTRY_H

#include <stdbool.h>
#include <stdint.h>

#include "kernel/netlink.h"
#include "ruleset/element.h"
#include "ruleset/flows.h"

struct nlattr;
struct nlmsghdr;

struct conntrack_entry {
	struct flow
		flow; /* to the address that the client sent to, and where its replies come from */
	uint8_t protocol; /* enum protocol, or any other that has ports */
	bool translated;  /* its destination was */
	struct counter in,
		out; /* from the client, to it; zero when accounting was off as it began */
	const struct nlattr *id; /* in the message; NULL: it has none */
};

/* False when the entry has no ports, or can't be read. @nlh has a struct nfgenmsg. */
bool conntrack_entry_read(const struct nlmsghdr *nlh, struct conntrack_entry *ret);

/* Hand each entry of @family whose destination was translated to @fn; before Linux 5.17, and so where
 * the kernel can't choose, all of them. */
int conntrack_read_translated(struct netlink *nl, uint8_t family, netlink_fn fn, void *userdata,
			      struct error *err);

#endif
