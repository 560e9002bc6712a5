/* options.h - kube-router's 79 flags, parsed and validated, and our own few.
 *
 * Source: kube-router 2.11's documented flags. A flag whose part is not built yet is refused with
 * that reason when it asks for the part. What main does with the results:
 *
 *     options_parse()            -EINVAL: exit 2, other errors: exit 1
 *     help, version              print, exit 0
 *     options_nothing_enabled()  say so, exit 0
 *     options_check_built()      error: exit 1
 */
#ifndef KUBE_NFT_AGENT_OPTIONS_H
#define KUBE_NFT_AGENT_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/cleanup.h"

struct error;

struct text_list {
	char **items;
	size_t n, capacity;
};

struct prefix_list {
	struct prefix *items;
	size_t n, capacity;
};

struct addr_list {
	struct addr *items;
	size_t n, capacity;
};

struct number_list {
	uint32_t *items;
	size_t n, capacity;
};

struct port_range {
	uint16_t first, last; /* both inside */
};

/* One field for every flag, named as the flag, durations in milliseconds. */
struct options {
	/* general */
	char *manifests; /* --manifests, ours: the directory; NULL: none */
	char *kubeconfig, *master, *hostname_override;
	bool run_router, run_firewall, run_service_proxy, run_loadbalancer;
	bool enable_ipv4, enable_ipv6;
	uint64_t cache_sync_timeout_ms;
	bool cleanup_config;
	unsigned verbosity; /* -v */
	bool version, help;
	bool enable_pprof;
	/* health, metrics */
	char *health_addr;
	uint16_t health_port;
	char *metrics_addr, *metrics_path;
	uint16_t metrics_port;
	/* service proxy */
	uint64_t ipvs_sync_period_ms;
	bool ipvs_graceful_termination;
	uint64_t ipvs_graceful_period_ms;
	bool ipvs_permit_all;
	struct prefix_list excluded_cidrs;
	bool masquerade_all, hairpin_mode, nodeport_bindon_all_ip;
	char *runtime_endpoint;
	struct prefix_list service_cluster_ip_range, service_external_ip_range;
	bool strict_external_ip_validation;
	struct port_range service_node_port_range;
	uint64_t service_tcp_timeout_ms, service_tcpfin_timeout_ms, service_udp_timeout_ms;
	/* network policy */
	uint64_t iptables_sync_period_ms;
	bool netpol_default_deny, use_nftables_for_netpol;
	/* routing */
	bool enable_cni, auto_mtu, enable_overlay;
	char *overlay_type, *overlay_encap;
	uint16_t overlay_encap_port;
	bool enable_pod_egress, override_nexthop;
	uint64_t routes_sync_period_ms, injected_routes_sync_period_ms;
	bool disable_source_dest_check;
	/* BGP */
	uint32_t cluster_asn;
	bool nodes_full_mesh, enable_ibgp;
	uint32_t bgp_port;
	char *router_id;
	uint64_t bgp_holdtime_ms;
	bool bgp_graceful_restart;
	uint64_t bgp_graceful_restart_time_ms, bgp_graceful_restart_deferral_time_ms;
	bool advertise_cluster_ip, advertise_external_ip, advertise_loadbalancer_ip;
	bool advertise_pod_cidr;
	struct addr_list peer_router_ips;
	struct number_list peer_router_asns, peer_router_ports;
	struct text_list peer_router_passwords; /* secrets: never printed */
	char *peer_router_passwords_file;
	uint8_t peer_router_multihop_ttl;
	bool enable_bfd;
	uint32_t bfd_port, bfd_detection_multiplier;
	uint32_t bfd_desired_min_tx_interval_ms, bfd_required_min_rx_interval_ms;
	char *gobgp_admin_address;
	uint16_t gobgp_admin_port;
	/* load balancer */
	struct prefix_list loadbalancer_ip_range;
	bool loadbalancer_default_class;
	uint64_t loadbalancer_sync_period_ms;
	/* kube-nft services, kube-nft policies, ours */
	bool json;
	char *namespace, *service, *pod; /* NULL: all */

	const char *command; /* set before options_parse(): the command word; NULL: the agent */
	uint64_t given[2];   /* bit set: rows of the flag table that the command line named */
	const char *stray;   /* borrowed from argv: its first argument that is no flag, which
	                    * options_parse() refuses; else NULL */
};

/* Nothing set; ready for options_parse() and for options_free(). */
void options_init(struct options *o);
void options_free(struct options *o);

/* Parse @argv (argv[0] is skipped) into @o, which comes from options_init() and must be released by
 * options_free() in any case; pointers into @argv are kept. Flags that are not given get their
 * defaults. With --help or --version the rules are not checked.
 * -EINVAL: an unknown flag, or a value that can't be read. -EDOM: a value, or a combination, that
 * breaks a rule. -ENOMEM. The sentence names flag and value (never a password) and what is
 * allowed. */
int options_parse(struct options *o, int argc, char **argv, struct error *err);

/* Whether the command line itself named the flag (without dashes). False for unknown names. */
bool options_given(const struct options *o, const char *name);

/* Whether router, firewall and service proxy are all switched off. */
bool options_nothing_enabled(const struct options *o);

/* Refuse what is asked for and not built yet, and say how to go on. Not called for --help,
 * --version or commands. -EOPNOTSUPP with a sentence. @notice is told of defaults that would need it but do
 * no harm (health port). */
int options_check_built(const struct options *o,
			void (*notice)(const char *flag, const char *reason), struct error *err);

/* The node's name: --hostname-override, else NODE_NAME, else the host name. Into @ret (malloc). */
int options_node_name(const struct options *o, char **ret, struct error *err);

/* The usage text, all flags with their defaults, to standard output. */
void options_usage(void);

#endif
