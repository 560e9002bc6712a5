/* options-table.c - the rows; how to read one is in options-table.h. */
#include "agent/options-table.h"

#include <string.h>

#include "agent/options.h"
#include "base/cleanup.h"

#define FIELD(field_) (((struct options *)0)->field_)

/* clang-format off */
/* The type of the field says what kind of value the flag takes. */
#define FLAG(name_, field_, preset_)                               \
	.name = (name_), .preset = (preset_),                      \
	.offset = offsetof(struct options, field_),                \
	.kind = _Generic(FIELD(field_),                            \
			 bool: FLAG_BOOL,                          \
			 uint8_t: FLAG_U8,                         \
			 uint16_t: FLAG_U16,                       \
			 uint32_t: FLAG_U32,                       \
			 uint64_t: FLAG_DURATION,                  \
			 char *: FLAG_TEXT,                        \
			 struct port_range: FLAG_PORT_RANGE,       \
			 struct text_list: FLAG_TEXT_LIST,         \
			 struct prefix_list: FLAG_PREFIX_LIST,     \
			 struct addr_list: FLAG_ADDR_LIST,         \
			 struct number_list: FLAG_NUMBER_LIST)

const struct flag flags[] = {
	{ .heading = "General",
	  FLAG("manifests", manifests, NULL), .word = "DIR", .ours = true,
	  .help = "follow a directory of manifests, not the API server" },
	{ FLAG("kubeconfig", kubeconfig, NULL), .word = "FILE",
	  .help = "access to the API server; without it: in-cluster" },
	{ FLAG("master", master, NULL), .word = "URL",
	  .help = "API server, instead of the one configured" },
	{ FLAG("hostname-override", hostname_override, NULL), .word = "NODE",
	  .help = "this node's name; else NODE_NAME, else host name" },
	{ FLAG("run-router", run_router, "true"),
	  .help = "routing; not in this version, pass false" },
	{ FLAG("run-firewall", run_firewall, "true"),
	  .help = "network policy" },
	{ FLAG("run-service-proxy", run_service_proxy, "true"),
	  .help = "service proxy" },
	{ FLAG("run-loadbalancer", run_loadbalancer, NULL),
	  .help = "address allocator; not in this version" },
	{ FLAG("enable-ipv4", enable_ipv4, "true"),
	  .help = "serve IPv4" },
	{ FLAG("enable-ipv6", enable_ipv6, NULL),
	  .help = "serve IPv6" },
	{ FLAG("cache-sync-timeout", cache_sync_timeout_ms, "1m"),
	  .help = "warn after this long without the API server" },
	{ FLAG("cleanup-config", cleanup_config, NULL),
	  .help = "remove kernel state; not in this version" },
	{ FLAG("v", verbosity, "0"), .letter = 'v',
	  .help = "log verbosity" },
	{ FLAG("version", version, NULL), .letter = 'V',
	  .help = "print the version" },
	{ FLAG("help", help, NULL), .letter = 'h',
	  .help = "print this text" },
	{ FLAG("enable-pprof", enable_pprof, NULL),
	  .help = "Go profiler; refused, there is no Go here" },

	{ .heading = "Health and metrics (not in this version)",
	  FLAG("health-addr", health_addr, NULL), .word = "ADDRESS",
	  .help = "listen here; empty: everywhere" },
	{ FLAG("health-port", health_port, "20244"), .word = "PORT",
	  .help = "HTTP health; 0: none" },
	{ FLAG("metrics-addr", metrics_addr, NULL), .word = "ADDRESS",
	  .help = "listen here; empty: everywhere" },
	{ FLAG("metrics-path", metrics_path, "/metrics"), .word = "PATH",
	  .help = "HTTP path" },
	{ FLAG("metrics-port", metrics_port, "0"), .word = "PORT",
	  .help = "HTTP metrics; 0 and 65535: none" },

	{ .heading = "Service proxy",
	  FLAG("ipvs-sync-period", ipvs_sync_period_ms, "5m"),
	  .help = "compare with the kernel's table this often" },
	{ FLAG("ipvs-graceful-termination", ipvs_graceful_termination, NULL),
	  .help = "end connections to endpoints that left" },
	{ FLAG("ipvs-graceful-period", ipvs_graceful_period_ms, "30s"),
	  .help = "how long those go on" },
	{ FLAG("ipvs-permit-all", ipvs_permit_all, "true"),
	  .help = "refuse other ports of Services' addresses" },
	{ FLAG("excluded-cidrs", excluded_cidrs, NULL),
	  .help = "no effect, foreign state is never touched" },
	{ FLAG("masquerade-all", masquerade_all, NULL),
	  .help = "hide pods too behind the node's address" },
	{ FLAG("hairpin-mode", hairpin_mode, NULL),
	  .help = "no effect, hairpin always works" },
	{ FLAG("nodeport-bindon-all-ip", nodeport_bindon_all_ip, NULL),
	  .help = "NodePorts on all addresses of the node" },
	{ FLAG("runtime-endpoint", runtime_endpoint, NULL), .word = "unix://PATH",
	  .help = "direct server return; not in this version" },
	{ FLAG("service-cluster-ip-range", service_cluster_ip_range, "10.96.0.0/12"),
	  .help = "ClusterIPs: one range or two" },
	{ FLAG("service-external-ip-range", service_external_ip_range, NULL),
	  .help = "external IPs that Services may claim" },
	{ FLAG("strict-external-ip-validation", strict_external_ip_validation, "true"),
	  .help = "refuse addresses outside the ranges" },
	{ FLAG("service-node-port-range", service_node_port_range, "30000-32767"),
	  .help = "node ports, for network policy" },
	{ FLAG("service-tcp-timeout", service_tcp_timeout_ms, "0s"),
	  .help = "IPVS timeout; only 0 is taken" },
	{ FLAG("service-tcpfin-timeout", service_tcpfin_timeout_ms, "0s"),
	  .help = "IPVS timeout; only 0 is taken" },
	{ FLAG("service-udp-timeout", service_udp_timeout_ms, "0s"),
	  .help = "IPVS timeout; only 0 is taken" },

	{ .heading = "Network policy",
	  FLAG("iptables-sync-period", iptables_sync_period_ms, "5m"),
	  .help = "no effect, changes are followed as they come" },
	{ FLAG("netpol-default-deny", netpol_default_deny, NULL),
	  .help = "pods that are not known yet reach their node only" },
	{ FLAG("use-nftables-for-netpol", use_nftables_for_netpol, NULL),
	  .help = "no effect, there is no other way" },

	{ .heading = "Routing (not in this version)",
	  FLAG("enable-cni", enable_cni, "true"),
	  .help = "manage the CNI file" },
	{ FLAG("auto-mtu", auto_mtu, "true"),
	  .help = "set the pod bridge's MTU" },
	{ FLAG("enable-overlay", enable_overlay, "true"),
	  .help = "allow tunnels" },
	{ FLAG("overlay-type", overlay_type, "subnet"), .word = "TYPE",
	  .help = "subnet: only between subnets; full: always" },
	{ FLAG("overlay-encap", overlay_encap, "ipip"), .word = "TYPE",
	  .help = "ipip or fou" },
	{ FLAG("overlay-encap-port", overlay_encap_port, "5555"), .word = "PORT",
	  .help = "UDP port of fou, from 1024" },
	{ FLAG("enable-pod-egress", enable_pod_egress, "true"),
	  .help = "masquerade pods that leave the cluster" },
	{ FLAG("override-nexthop", override_nexthop, NULL),
	  .help = "next hop self for external peers" },
	{ FLAG("routes-sync-period", routes_sync_period_ms, "5m"),
	  .help = "sync routes this often" },
	{ FLAG("injected-routes-sync-period", injected_routes_sync_period_ms, "1m"),
	  .help = "sync learned routes this often" },
	{ FLAG("disable-source-dest-check", disable_source_dest_check, "true"),
	  .help = "clear the AWS instance attribute" },

	{ .heading = "BGP (not in this version)",
	  FLAG("cluster-asn", cluster_asn, "0"), .word = "ASN",
	  .help = "AS of all nodes; 0: 64512" },
	{ FLAG("nodes-full-mesh", nodes_full_mesh, "true"),
	  .help = "all nodes peer with each other" },
	{ FLAG("enable-ibgp", enable_ibgp, "true"),
	  .help = "sessions between nodes" },
	{ FLAG("bgp-port", bgp_port, "179"), .word = "PORT",
	  .help = "port of this node and of node peers" },
	{ FLAG("router-id", router_id, NULL), .word = "ID",
	  .help = "IPv4 address, or \"generate\"; empty: node's" },
	{ FLAG("bgp-holdtime", bgp_holdtime_ms, "1m30s"),
	  .help = "from 3s to 65536s" },
	{ FLAG("bgp-graceful-restart", bgp_graceful_restart, NULL),
	  .help = "RFC 4724" },
	{ FLAG("bgp-graceful-restart-time", bgp_graceful_restart_time_ms, "1m30s"),
	  .help = "up to 4095s" },
	{ FLAG("bgp-graceful-restart-deferral-time", bgp_graceful_restart_deferral_time_ms, "6m"),
	  .help = "up to 18h" },
	{ FLAG("advertise-cluster-ip", advertise_cluster_ip, NULL),
	  .help = "announce ClusterIPs" },
	{ FLAG("advertise-external-ip", advertise_external_ip, NULL),
	  .help = "announce external IPs" },
	{ FLAG("advertise-loadbalancer-ip", advertise_loadbalancer_ip, NULL),
	  .help = "announce load balancer IPs" },
	{ FLAG("advertise-pod-cidr", advertise_pod_cidr, "true"),
	  .help = "announce pod networks to external peers" },
	{ FLAG("peer-router-ips", peer_router_ips, NULL),
	  .help = "external peers" },
	{ FLAG("peer-router-asns", peer_router_asns, NULL), .word = "ASN,...",
	  .help = "one for each peer" },
	{ FLAG("peer-router-ports", peer_router_ports, NULL), .word = "PORT,...",
	  .help = "none, or one for each peer" },
	{ FLAG("peer-router-passwords", peer_router_passwords, NULL), .word = "BASE64,...",
	  .secret = true, .help = "none, or one for each peer" },
	{ FLAG("peer-router-passwords-file", peer_router_passwords_file, NULL), .word = "FILE",
	  .help = "the same list, in a file" },
	{ FLAG("peer-router-multihop-ttl", peer_router_multihop_ttl, "0"), .word = "TTL",
	  .help = "for peers that are not neighbours" },
	{ FLAG("enable-bfd", enable_bfd, NULL),
	  .help = "BFD for external peers" },
	{ FLAG("bfd-port", bfd_port, "3784"), .word = "PORT",
	  .help = "UDP port of BFD" },
	{ FLAG("bfd-detection-multiplier", bfd_detection_multiplier, "3"),
	  .help = "from 1 to 255" },
	{ FLAG("bfd-desired-min-tx-interval", bfd_desired_min_tx_interval_ms, "1000"), .word = "MS",
	  .help = "milliseconds" },
	{ FLAG("bfd-required-min-rx-interval", bfd_required_min_rx_interval_ms, "1000"), .word = "MS",
	  .help = "milliseconds" },
	{ FLAG("gobgp-admin-address", gobgp_admin_address, "127.0.0.1"), .word = "ADDRESS",
	  .help = "no effect, there is no GoBGP" },
	{ FLAG("gobgp-admin-port", gobgp_admin_port, "50051"), .word = "PORT",
	  .help = "no effect, there is no GoBGP" },

	{ .heading = "Load balancer addresses",
	  FLAG("loadbalancer-ip-range", loadbalancer_ip_range, NULL),
	  .help = "load balancer IPs that Services may have" },
	{ FLAG("loadbalancer-default-class", loadbalancer_default_class, "true"),
	  .help = "for the allocator; no effect yet" },
	{ FLAG("loadbalancer-sync-period", loadbalancer_sync_period_ms, "1m"),
	  .help = "for the allocator; no effect yet" },

	{ .heading = "kube-nft services, kube-nft policies",
	  FLAG("namespace", namespace, NULL), .word = "NAMESPACE", .letter = 'n', .ours = true,
	  .commands = { "services", "policies" }, .help = "only what is in this namespace" },
	{ FLAG("service", service, NULL), .word = "NAME", .ours = true,
	  .commands = { "services" }, .help = "only Services of this name" },
	{ FLAG("pod", pod, NULL), .word = "NAME", .ours = true,
	  .commands = { "policies" }, .help = "only pods of this name, and their policies" },
	{ FLAG("json", json, NULL), .ours = true,
	  .commands = { "services", "policies" }, .help = "print JSON, not a table" },
};
/* clang-format on */

const size_t n_flags = ARRAY_SIZE(flags);
_Static_assert(ARRAY_SIZE(flags) <= 8 * sizeof(FIELD(given)), "options.given holds a bit a row");

const struct flag *flag_find(const char *name, size_t len)
{
	for (const struct flag *f = flags; f < flags + n_flags; f++)
		if (strlen(f->name) == len && memcmp(f->name, name, len) == 0)
			return f;
	return NULL;
}

const struct flag *flag_by_letter(char letter)
{
	for (const struct flag *f = flags; f < flags + n_flags; f++)
		if (f->letter && f->letter == letter)
			return f;
	return NULL;
}
