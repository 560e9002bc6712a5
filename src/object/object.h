/* object.h - the Kubernetes objects that the agent reads, as small typed structs.
 *
 * Only what the agent uses is kept. An object is one arena: made by a decoder (object/decode.h),
 * read-only from then on, dropped whole by object_free(). Pointers inside are valid as long as the
 * object. A missing string is NULL, a missing list is empty.
 * Source: Kubernetes API reference v1.37 (core/v1, discovery.k8s.io/v1, networking.k8s.io/v1).
 */
#ifndef KUBE_NFT_OBJECT_OBJECT_H
#define KUBE_NFT_OBJECT_OBJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/cleanup.h"

struct arena;

enum object_kind {
	KIND_SERVICE,
	KIND_ENDPOINT_SLICE,
	KIND_POD,
	KIND_NODE,
	KIND_NAMESPACE,
	KIND_NETWORK_POLICY,
	KIND_COUNT,
};

/* What an API object can grow, and where we stop. Bigger objects are refused by name and field. */
enum object_limit {
	/* One document. etcd stops at 1.5 MiB, which JSON makes six times as long where it is escapes.
	 * As long as a document are its labels, of which none may be left out, and its annotations. */
	OBJECT_MAX_BYTES = 10 * 1024 * 1024,
	OBJECT_MAX_DEPTH = 64,                    /* nesting of JSON or YAML */
	OBJECT_MAX_NAME = 253,                    /* RFC 1123 subdomain */
	OBJECT_MAX_ANNOTATION_BYTES = 256 * 1024, /* all together, as the API server limits them */
	SERVICE_MAX_PORTS = 1000,
	SERVICE_MAX_ADDRESSES = 256, /* external IPs, load-balancer IPs, source ranges: each */
	SLICE_MAX_ENDPOINTS = 1000,  /* the API's own limit */
	SLICE_MAX_PORTS = 1000,
	ENDPOINT_MAX_ADDRESSES = 100, /* the API's own limit */
	ENDPOINT_MAX_HINTS = 64,
	POD_MAX_ADDRESSES = 16,
	POD_MAX_PORTS = 1024, /* with names; the others are left out */
	NODE_MAX_ADDRESSES = 64,
	NODE_MAX_POD_CIDRS = 16,
	NODE_MAX_TAINTS = 256,
	POLICY_MAX_RULES = 1024,   /* each direction */
	POLICY_MAX_PEERS = 1024,   /* each rule */
	POLICY_MAX_PORTS = 1024,   /* each rule */
	POLICY_MAX_EXCEPTS = 1024, /* each ipBlock */
	SELECTOR_MAX_REQUIREMENTS = 256,
	SELECTOR_MAX_VALUES = 1024, /* each requirement */
};

struct key_value {
	const char *key;
	const char *value; /* "" when empty, never NULL */
};

/* Sorted by key, keys unique. */
struct key_values {
	const struct key_value *items;
	size_t n;
};

/* The value of @key, or NULL. */
const char *key_values_get(const struct key_values *kv, const char *key);
bool key_values_same(const struct key_values *a, const struct key_values *b);

/* Labels are kept whole where selectors may read them: of a Service or an EndpointSlice there are only those that
 * say what it is. Of annotations there are kube-router.io/... and endpoints.kubernetes.io/last-change-trigger-time. */
struct object {
	enum object_kind kind;
	struct arena *arena;   /* owns everything below and this struct itself */
	const char *namespace; /* "" for Node and Namespace */
	const char *name;
	const char *uid;              /* may be NULL */
	const char *resource_version; /* may be NULL */
	int64_t created; /* metadata.creationTimestamp, seconds since the epoch; 0 if none */
	bool deleting;   /* metadata.deletionTimestamp is set */
	struct key_values labels;
	struct key_values annotations;
};

enum protocol { PROTOCOL_TCP = 6, PROTOCOL_UDP = 17, PROTOCOL_SCTP = 132 }; /* IANA numbers */

/* "TCP", "UDP" or "SCTP". */
const char *protocol_name(enum protocol p);

enum service_type {
	SERVICE_CLUSTER_IP,
	SERVICE_NODE_PORT,
	SERVICE_LOAD_BALANCER,
	SERVICE_EXTERNAL_NAME
};
enum traffic_policy { POLICY_CLUSTER, POLICY_LOCAL };

struct service_port {
	const char *name; /* "" when unnamed */
	enum protocol protocol;
	uint16_t port;            /* host order, 1..65535 */
	uint16_t node_port;       /* host order, 0: none */
	const char *app_protocol; /* may be NULL */
};

/* status.loadBalancer.ingress[] with an IP; host names are left out. */
struct load_balancer_ip {
	struct addr addr;
	bool proxy_mode; /* ipMode: Proxy, not to be captured */
};

struct service {
	struct object object;
	enum service_type type;
	bool headless;              /* clusterIP is empty or None */
	struct addr cluster_ips[2]; /* at most one a family; @n_cluster_ips are set */
	size_t n_cluster_ips;
	const struct service_port *ports;
	size_t n_ports;
	const struct addr *external_ips;
	size_t n_external_ips;
	const struct load_balancer_ip *load_balancer_ips;
	size_t n_load_balancer_ips;
	const struct prefix *source_ranges; /* spec.loadBalancerSourceRanges */
	size_t n_source_ranges;
	size_t n_bad_source_ranges;       /* which are no ranges: left out, but not as if absent */
	const struct key_value *selector; /* spec.selector, sorted */
	size_t n_selector;
	const char *load_balancer_class; /* may be NULL */
	enum traffic_policy external_policy;
	enum traffic_policy internal_policy;
	bool affinity;                   /* sessionAffinity: ClientIP */
	uint32_t affinity_timeout_s;     /* 1..86400, 10800 by default */
	uint16_t health_check_node_port; /* host order, 0: none */
	bool publish_not_ready;
};

struct endpoint {
	struct addr addr; /* the first of addresses[]; the others are for nobody */
	bool ready;       /* nil: true */
	bool serving;     /* nil: as ready */
	bool terminating; /* nil: false */
	uint8_t n_zone_hints, n_node_hints;
	const char *node;              /* nodeName, may be NULL */
	const char *zone;              /* may be NULL */
	const char *const *zone_hints; /* hints.forZones[].name */
	const char *const *node_hints; /* hints.forNodes[].name */
};

struct endpoint_port {
	const char *name; /* "" when unnamed */
	enum protocol protocol;
	uint16_t port; /* host order; 0 when the slice says nil ("all ports"): not usable */
};

struct endpoint_slice {
	struct object object;
	const char *service; /* label kubernetes.io/service-name; NULL: belongs to none */
	uint8_t family;      /* AF_INET, AF_INET6; 0: FQDN */
	const struct endpoint *endpoints;
	size_t n_endpoints;
	const struct endpoint_port *ports;
	size_t n_ports;
};

enum pod_phase { POD_PENDING, POD_RUNNING, POD_SUCCEEDED, POD_FAILED, POD_UNKNOWN };

struct container_port {
	const char *name;
	enum protocol protocol;
	uint16_t port;
};

struct pod {
	struct object object;
	const char *node; /* spec.nodeName, may be NULL */
	bool host_network;
	enum pod_phase phase;
	const struct addr *addrs; /* status.podIPs, else podIP */
	size_t n_addrs;
	const struct container_port *
		ports; /* that have a name: of containers, and of init containers that restart Always */
	size_t n_ports;
};

enum node_addr_type { NODE_ADDR_INTERNAL, NODE_ADDR_EXTERNAL };

/* Only InternalIP and ExternalIP are kept. */
struct node_addr {
	enum node_addr_type type;
	struct addr addr;
};

struct node {
	struct object object;
	const struct node_addr *addrs; /* in the order of status.addresses */
	size_t n_addrs;
	const struct prefix
		*pod_cidrs; /* spec.podCIDRs, else podCIDR; annotations are not applied */
	size_t n_pod_cidrs;
	const char *zone;          /* label topology.kubernetes.io/zone, may be NULL */
	const char *provider_id;   /* may be NULL */
	const char *const *taints; /* keys of spec.taints[] */
	size_t n_taints;
};

struct namespace_object {
	struct object object;
	bool terminating; /* status.phase: Terminating */
};

enum selector_operator { SELECTOR_IN, SELECTOR_NOT_IN, SELECTOR_EXISTS, SELECTOR_DOES_NOT_EXIST };

struct selector_requirement {
	const char *key;
	enum selector_operator op;
	const char *const *values; /* sorted, unique; none for EXISTS and DOES_NOT_EXIST */
	size_t n_values;
};

/* All requirements must hold; none: selects everything. matchLabels are IN with one value. */
struct selector {
	const struct selector_requirement *requirements; /* sorted by key, then operator */
	size_t n;
};

/* Whether @labels satisfy @s. NOT_IN and DOES_NOT_EXIST hold for a key that is absent. */
bool selector_matches(const struct selector *s, const struct key_values *labels);

enum policy_port_kind { POLICY_PORT_ANY, POLICY_PORT_NUMBER, POLICY_PORT_NAME };

struct policy_port {
	enum protocol protocol;
	enum policy_port_kind kind;
	uint16_t port;     /* NUMBER */
	uint16_t end_port; /* NUMBER: last of the range, = port when there is no range */
	const char *name;  /* NAME */
};

/* Either an ipBlock, or selectors: a NULL selector was absent. */
struct policy_peer {
	bool is_block;
	struct prefix block;
	const struct prefix *excepts;
	size_t n_excepts;
	const struct selector *pods;
	const struct selector *namespaces;
};

struct policy_rule {
	const struct policy_peer *peers; /* none: everybody */
	size_t n_peers;
	const struct policy_port *ports; /* none: every port */
	size_t n_ports;
};

struct network_policy {
	struct object object;
	/* Why its rules can't be read; NULL: they can. Then it has none, so that it allows nothing to
	 * the pods that it selects: all of its namespace when not even the selector can be read. */
	const char *problem;
	struct selector pods;
	bool ingress; /* policyTypes, with the default applied */
	bool egress;
	const struct policy_rule *ingress_rules;
	size_t n_ingress_rules;
	const struct policy_rule *egress_rules;
	size_t n_egress_rules;
};

/* NULL is fine. Returns NULL. */
struct object *object_free(struct object *o);
DEFINE_CLEANUP(struct object, object_free);

/* "Service", "EndpointSlice", ... */
const char *kind_name(enum object_kind kind);
/* "v1", "discovery.k8s.io/v1", ... */
const char *kind_api_version(enum object_kind kind);
bool kind_is_namespaced(enum object_kind kind);

/* Which object, when it is not there itself. Strings are borrowed. */
struct object_id {
	enum object_kind kind;
	const char *namespace;
	const char *name;
};

/* The one whose metadata says @namespace, which may be NULL or "". */
struct object_id object_id(enum object_kind kind, const char *namespace, const char *name);

/* By kind, namespace, name. */
int object_cmp(const struct object *a, const struct object *b);

#endif
