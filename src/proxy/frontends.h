/* frontends.h - the addresses and ports on which a Service wants to be reached on this node. */
#ifndef KUBE_NFT_PROXY_FRONTENDS_H
#define KUBE_NFT_PROXY_FRONTENDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "object/object.h"
#include "object/problems.h"
#include "proxy/proxy.h"

/* Of one Service: ports times addresses. */
#define SERVICE_MAX_FRONTENDS 65536

/* Who gets a contested frontend: the lower kind. */
enum frontend_kind { FRONTEND_CLUSTER_IP, FRONTEND_EXTERNAL, FRONTEND_NODE_PORT };

/* Address, protocol and port are its identity. */
struct frontend {
	struct addr addr;
	uint8_t protocol;
	uint8_t kind;
	uint16_t port;      /* host order */
	uint16_t index;     /* of the service port in its Service */
	bool load_balancer; /* its address is one of the load balancer's */
};

struct frontends {
	struct frontend *items; /* owned; by service port, then family */
	size_t n, capacity;
	struct addr *externals; /* owned; accepted external and load-balancer addresses, sorted */
	size_t n_externals, cap_externals;
	struct addr *
		load_balancers; /* owned; those of @externals that are the load balancer's, sorted */
	size_t n_load_balancers, cap_load_balancers;
	uint32_t n_refused;
};

/* What the node adds to the Service. */
struct frontend_site {
	const struct proxy_config *config;
	const struct addr *node_port_addrs; /* of both families, no two alike */
	size_t n_node_port_addrs;
	const struct addr *own_addrs; /* the Node object's, sorted */
	size_t n_own_addrs;
	const struct addr *node_addrs; /* of all Nodes, sorted */
	size_t n_node_addrs;
};

/* The policies that are in force, annotations applied. */
struct service_policy {
	bool external_local;
	bool internal_local;
};

/* Whether this proxy serves @s at all. */
bool service_in_scope(const struct service *s);
struct service_policy service_policy_of(const struct service *s);

/* The frontends that @s wants, no two alike in one service port; replaces those in @f. Addresses that
 * are refused are told to @problems (may be NULL). -E2BIG: more than SERVICE_MAX_FRONTENDS.
 * -ENOMEM. */
int frontends_read(struct frontends *f, const struct service *s, const struct frontend_site *site,
		   struct problems *problems);
int frontends_add(struct frontends *f, const struct frontend *frontend);
/* Take back the external address @a, its frontends included. */
void frontends_refuse(struct frontends *f, const struct addr *a);
/* Where a load balancer asks for @s: a port of the node, on all of its addresses of @family. False when
 * nobody is to ask. */
bool frontend_of_health_check(const struct service *s, uint8_t family,
			      const struct proxy_config *config, struct frontend *ret);
void frontends_free(struct frontends *f);

#endif
