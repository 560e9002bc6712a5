/* conntrack-entry.h - one entry of connection tracking, as a dump has it.
 *
 * Source: linux/netfilter/nfnetlink_conntrack.h.
 */
#ifndef KUBE_NFT_KERNEL_CONNTRACK_ENTRY_H
#define KUBE_NFT_KERNEL_CONNTRACK_ENTRY_H

#include <stdbool.h>
#include <stdint.h>

#include "ruleset/flows.h"

struct nlattr;
struct nlmsghdr;

struct conntrack_counter {
	uint64_t packets, bytes;
};

struct conntrack_entry {
	struct flow
		flow; /* to the address that the client sent to, and where its replies come from */
	uint8_t protocol; /* enum protocol, or any other that has ports */
	bool translated;  /* its destination was */
	bool counted;     /* accounting was on when it began; else both counters are zero */
	struct conntrack_counter in, out; /* from the client, to it */
	const struct nlattr *id;          /* in the message; NULL: it has none */
};

/* False when the entry has no ports, or can't be read. @nlh has a struct nfgenmsg. */
bool conntrack_entry_read(const struct nlmsghdr *nlh, struct conntrack_entry *ret);

#endif
