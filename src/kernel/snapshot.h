/* snapshot.h - reading much of nftables as it is at one moment, beside those who change it. */
#ifndef KUBE_NFT_KERNEL_SNAPSHOT_H
#define KUBE_NFT_KERNEL_SNAPSHOT_H

struct error;
struct netlink;

/* Reads into @userdata. Called again when somebody committed meanwhile: it must begin anew. */
typedef int (*snapshot_fn)(struct netlink *nl, void *userdata, struct error *err);

/* Call @fn until it has read between two equal generations. -EINTR: somebody commits all the time. Other
 * errors are @fn's. */
int snapshot_read(struct netlink *nl, snapshot_fn fn, void *userdata, struct error *err);

#endif
