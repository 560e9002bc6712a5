/* read.h - what the kernel of this network namespace tells of Services, at one moment. */
#ifndef KUBE_NFT_TRAFFIC_READ_H
#define KUBE_NFT_TRAFFIC_READ_H

struct error;
struct traffic;

/* Which Services. NULL: all. */
struct traffic_filter {
	const char *namespace, *name;
};

/* Read the tables of both families, whichever are there, between two equal generations, and then
 * connection tracking. Costs about 4 us an endpoint and 1 us a tracked connection.
 * -ENOENT: there is no table. -EPERM: CAP_NET_ADMIN is missing. -EINTR: somebody changes nftables all
 * the time. */
int traffic_read(const struct traffic_filter *want, struct traffic **ret, struct error *err);

#endif
