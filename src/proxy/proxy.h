/* proxy.h - Services and EndpointSlices -> what this node's tables should hold for them.
 *
 * Reads the store, writes blocks of elements into the ruleset: one block a Service (owner
 * "service NAMESPACE/NAME"), one for the pod networks (owner "pod-cidrs"), one for the ranges of
 * cluster IPs (owner "cluster-ranges"). Only what changed is computed again. Pure: no clock, no I/O; the same store gives the same elements in any order of
 * events.
 * Source: Service semantics follow KEP-3866, KEP-1669, KEP-2433, KEP-3015; the elements are
 * described in docs/ruleset.md.
 */
#ifndef KUBE_NFT_PROXY_PROXY_H
#define KUBE_NFT_PROXY_PROXY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/cleanup.h"
#include "object/problems.h"

struct error;
struct proxy;
struct ruleset;
struct store;
struct transaction;

/* What the flags and the node say. Arrays are borrowed and must outlive the proxy. */
struct proxy_config {
	const char *node;                    /* Node object's name */
	bool ipv4, ipv6;                     /* --enable-ipv4, --enable-ipv6 */
	bool masquerade_all;                 /* --masquerade-all */
	bool node_port_all;                  /* --nodeport-bindon-all-ip */
	bool address_firewall;               /* --ipvs-permit-all */
	bool graceful_termination;           /* --ipvs-graceful-termination */
	bool strict_addresses;               /* --strict-external-ip-validation */
	const struct prefix *cluster_ranges; /* --service-cluster-ip-range */
	size_t n_cluster_ranges;
	const struct prefix *external_ranges; /* --service-external-ip-range */
	size_t n_external_ranges;
	const struct prefix *load_balancer_ranges; /* --loadbalancer-ip-range */
	size_t n_load_balancer_ranges;
};

int proxy_new(const struct proxy_config *config, problem_report_fn report, void *userdata,
	      struct proxy **ret);
struct proxy *proxy_free(struct proxy *p); /* NULL is fine; returns NULL */
DEFINE_CLEANUP(struct proxy, proxy_free);

/* The addresses of this host's interfaces, loopback ones left out (rtnetlink). Replaces those told
 * before; marks what depends on them. With none told, the Node object's addresses serve. 0, -ENOMEM. */
int proxy_set_local_addrs(struct proxy *p, struct store *s, const struct addr *addrs, size_t n);

/* Bring @rs to what @s says, computing the Services that changed. @tx as in ruleset_replace().
 * A Service that can't be rendered keeps its previous block, is reported, and costs nobody else.
 * @ret_computed (may be NULL): how many Services were looked at. -ENOMEM: what was not done stays
 * marked in @s; @tx is then incomplete and must not be committed. */
int proxy_sync(struct proxy *p, struct store *s, struct ruleset *rs, struct transaction *tx,
	       size_t *ret_computed, struct error *err);

/* Where a load balancer asks whether this node has endpoints of a Service (healthCheckNodePort), in one
 * family. Two Services never have the same. */
struct health_check_port {
	const char *namespace; /* both borrowed from the proxy */
	const char *name;
	uint8_t family; /* AF_INET, AF_INET6 */
	uint16_t port;  /* host order */
	uint32_t
		local_endpoints; /* ready ones on this node; those that only terminate do not count */
};

/* All that this node should have, as of the last proxy_sync(), sorted by namespace, name and family.
 * Valid until the next. */
const struct health_check_port *proxy_health_check_ports(const struct proxy *p, size_t *ret_n);

struct proxy_stats {
	size_t services; /* Services with at least one frontend here */
	size_t service_ports;
	size_t refused_addrs;     /* external addresses refused by validation */
	size_t contested;         /* frontends claimed by more than one service port */
	size_t skipped_endpoints; /* loopback, link-local, ... */
};
struct proxy_stats proxy_stats(const struct proxy *p);

#endif
