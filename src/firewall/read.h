/* read.h - what the kernel of this network namespace tells of network policy, at one moment. */
#ifndef KUBE_NFT_FIREWALL_READ_H
#define KUBE_NFT_FIREWALL_READ_H

struct error;
struct firewall;
struct firewall_filter;

/* Read the tables of both families, whichever are there, between two equal generations; nothing is
 * changed. -ENOENT: there is no table. -EPERM: CAP_NET_ADMIN is missing. -EINTR: somebody changes
 * nftables all the time. */
int firewall_read(const struct firewall_filter *want, struct firewall **ret, struct error *err);

#endif
