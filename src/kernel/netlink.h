/* netlink.h - one nfnetlink socket: transactions that answer once, and dumps.
 *
 * The kernel handles a batch while it is being sent, so its answer lies in the socket when sending is
 * done: nothing here waits for long. Source: nfnetlink, linux/netfilter/nfnetlink.h.
 */
#ifndef KUBE_NFT_KERNEL_NETLINK_H
#define KUBE_NFT_KERNEL_NETLINK_H

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"

struct error;
struct netlink;
struct nlmsghdr;

int netlink_open(struct netlink **ret, struct error *err);
struct netlink *netlink_close(struct netlink *nl); /* NULL is fine; returns NULL */
DEFINE_CLEANUP(struct netlink, netlink_close);

/* The port number that the kernel puts into notifications of what this socket did. */
uint32_t netlink_port(const struct netlink *nl);
/* A number that no earlier message of this socket had; @n numbers from it on are the caller's. */
uint32_t netlink_sequence(struct netlink *nl, uint32_t n);

/* Send a batch whose message @ack_sequence asks for an acknowledgement. 0 when it was committed; the
 * kernel's error, with @ret_failed (may be NULL) the sequence of the first message at fault, when
 * nothing was changed; -EIO when no answer came: what happened is unknown and must be looked up. */
int netlink_commit(struct netlink *nl, const void *batch, size_t len, uint32_t ack_sequence,
		   uint32_t *ret_failed, struct error *err);

/* Send request @nlh and hand each message of the answer to @fn, until its end or a negative result.
 * -EINTR: the dump was disturbed, try again. */
typedef int (*netlink_fn)(const struct nlmsghdr *nlh, void *userdata);
int netlink_dump(struct netlink *nl, struct nlmsghdr *nlh, netlink_fn fn, void *userdata,
		 struct error *err);
/* The same in pieces. Each netlink_dump_more() hands on what one read brought, some 30 kB.
 * 1: call it again; 0: the end; after an error this socket is only good for closing. */
int netlink_dump_begin(struct netlink *nl, struct nlmsghdr *nlh, struct error *err);
int netlink_dump_more(struct netlink *nl, netlink_fn fn, void *userdata, struct error *err);

/* Send messages that the kernel handles one by one, and hand each answer to @fn. */
int netlink_request(struct netlink *nl, const void *messages, size_t len, netlink_fn fn,
		    void *userdata, struct error *err);

/* The generation of this network namespace's nftables. */
int netlink_generation(struct netlink *nl, uint32_t *ret, struct error *err);

#endif
