/* options.h - kube-router's 79 flags, parsed and validated, and our own few.
 *
 * Source: kube-router 2.11's documented flags. A flag whose part is not built yet is refused with
 * that reason when it asks for the part.
 */
#ifndef KUBE_NFT_AGENT_OPTIONS_H
#define KUBE_NFT_AGENT_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/cleanup.h"

struct error;

struct text_list { char **items; size_t n; };
struct prefix_list { struct prefix *items; size_t n; };
struct addr_list { struct addr *items; size_t n; };
struct number_list { uint32_t *items; size_t n; };

/* One field for every flag, named as the flag, durations in milliseconds. */
struct options {
	/* general */
	char *manifests;            /* --manifests, ours: the directory; NULL: none */
	char *run_dir;              /* --run-dir, ours: lock file; default /run/kube-nft */
	char *kubeconfig, *master, *hostname_override;
	bool run_router, run_firewall, run_service_proxy, run_loadbalancer;
	bool enable_ipv4, enable_ipv6;
	uint64_t cache_sync_timeout_ms;
	bool cleanup_config;
	unsigned verbosity;         /* -v */
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
	uint16_t node_port_first, node_port_last; /* --service-node-port-range */
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
	bool advertise_cluster_ip, advertise_external_ip, advertise_loadbalancer_ip, advertise_pod_cidr;
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
};

/* Parse @argv (argv[0] is skipped) into @o, which holds only defaults before and must be released by
 * options_free() in any case. Every flag's own rules and the rules between flags are checked.
 * -EINVAL with a sentence that names the flag and the value (never a password). */
int options_parse(struct options *o, int argc, char **argv, struct error *err);

/* Refuse what is asked for and not built yet, and say how to go on. Not called for --help, --version
 * or commands. -EOPNOTSUPP with a sentence. @notice is told of defaults that would need it but do
 * no harm (health port). */
int options_check_built(const struct options *o, void (*notice)(const char *flag, const char *reason),
			struct error *err);

/* The node's name: --hostname-override, else NODE_NAME, else the host name. Into @ret (malloc). */
int options_node_name(const struct options *o, char **ret, struct error *err);

/* The usage text, all flags with their defaults. */
void options_usage(void);

void options_init(struct options *o); /* defaults; -ENOMEM can't happen: no list has a default but
                                       * --service-cluster-ip-range, filled by options_parse() */
void options_free(struct options *o);

#endif
