#include <errno.h>
#include <string.h>

#include "object/decode-kinds.h"
#include "object/field.h"

enum {
	AFFINITY_TIMEOUT_DEFAULT_S = 10800,
	AFFINITY_TIMEOUT_MAX_S = 86400,
};

static const struct enum_value types[] = {
	{ "ClusterIP", SERVICE_CLUSTER_IP },
	{ "NodePort", SERVICE_NODE_PORT },
	{ "LoadBalancer", SERVICE_LOAD_BALANCER },
	{ "ExternalName", SERVICE_EXTERNAL_NAME },
	{ NULL, 0 },
};

static const struct enum_value traffic_policies[] = {
	{ "Cluster", POLICY_CLUSTER },
	{ "Local", POLICY_LOCAL },
	{ NULL, 0 },
};

static const struct enum_value affinities[] = {
	{ "None", false },
	{ "ClientIP", true },
	{ NULL, 0 },
};

static const struct enum_value ip_modes[] = {
	{ "VIP", false },
	{ "Proxy", true },
	{ NULL, 0 },
};

bool service_label_is_kept(const char *key)
{
	return strcmp(key, "service.kubernetes.io/service-proxy-name") == 0 ||
	       strcmp(key, "service.kubernetes.io/headless") == 0;
}

static bool port_read(const struct field *item, void *ret)
{
	struct service_port *p = ret;

	p->name = field_name(field_member(item, "name"));
	p->protocol = field_protocol(field_member(item, "protocol"));
	p->port = field_port(field_member(item, "port"));
	p->node_port = field_optional_port(field_member(item, "nodePort"));
	p->app_protocol = field_string(field_member(item, "appProtocol"));
	return true;
}

/* The service port @item must share neither name nor port nor node port with @other, number @j. */
static void port_compare(const struct field *item, const struct service_port *p,
			 const struct service_port *other, size_t j)
{
	if (strcmp(p->name, other->name) == 0)
		field_refuse(field_member(item, "name"), -EINVAL,
			     "\"%.64s\" is the name of ports[%zu] too", p->name, j);
	if (p->protocol != other->protocol)
		return;
	if (p->port == other->port)
		field_refuse(field_member(item, "port"), -EINVAL, "%s %u is that of ports[%zu] too",
			     protocol_name(p->protocol), p->port, j);
	if (p->node_port != 0 && p->node_port == other->node_port)
		field_refuse(field_member(item, "nodePort"), -EINVAL,
			     "%s %u is that of ports[%zu] too", protocol_name(p->protocol),
			     p->node_port, j);
}

static void ports_decode(const struct field *spec, struct service *s)
{
	struct field list = field_member(spec, "ports");

	s->ports = field_list(list, SERVICE_MAX_PORTS, sizeof(*s->ports), port_read, &s->n_ports);
	for (size_t i = 1; i < s->n_ports; i++) {
		struct field item = field_item(&list, i);

		for (size_t j = 0; j < i && !spec->decoder->error; j++)
			port_compare(&item, &s->ports[i], &s->ports[j], j);
	}
}

static void cluster_ip_add(struct service *s, struct field f)
{
	const char *text = field_text(f);
	struct addr addr;

	if (text && strcmp(text, "None") == 0)
		return;
	addr = field_addr(f);
	if (!addr.family)
		return;
	if (s->n_cluster_ips > 0 && s->cluster_ips[0].family == addr.family)
		field_refuse(f, -EINVAL, "\"%s\" is a second address of its family", text);
	else if (s->n_cluster_ips < ARRAY_SIZE(s->cluster_ips))
		s->cluster_ips[s->n_cluster_ips++] = addr;
	else
		field_refuse(f, -EINVAL, "\"%s\" is a third address", text);
}

static void cluster_ips_decode(const struct field *spec, struct service *s)
{
	struct field list = field_member(spec, "clusterIPs");
	size_t n = field_count(list, SERVICE_MAX_ADDRESSES);

	for (size_t i = 0; i < n; i++)
		cluster_ip_add(s, field_item(&list, i));
	if (n == 0)
		cluster_ip_add(s, field_member(spec, "clusterIP"));
	s->headless = s->n_cluster_ips == 0;
}

static bool ingress_read(const struct field *item, void *ret)
{
	struct load_balancer_ip *ip = ret;

	ip->addr = field_addr(field_member(item, "ip"));
	ip->proxy_mode = field_enum(field_member(item, "ipMode"), ip_modes, false);
	return ip->addr.family != 0;
}

static void load_balancer_decode(const struct field *root, const struct field *spec,
				 struct service *s)
{
	struct field status = field_member(root, "status");
	struct field load_balancer = field_member(&status, "loadBalancer");
	struct field ranges = field_member(spec, "loadBalancerSourceRanges");

	s->load_balancer_ips = field_list(field_member(&load_balancer, "ingress"),
					  SERVICE_MAX_ADDRESSES, sizeof(*s->load_balancer_ips),
					  ingress_read, &s->n_load_balancer_ips);
	/* One that can't be read does not cost the Service: what is left of them still says who may. */
	s->source_ranges = field_list(ranges, SERVICE_MAX_ADDRESSES, sizeof(*s->source_ranges),
				      field_read_valid_prefix, &s->n_source_ranges);
	s->n_bad_source_ranges = field_count(ranges, SERVICE_MAX_ADDRESSES) - s->n_source_ranges;
	s->load_balancer_class = field_string(field_member(spec, "loadBalancerClass"));
	s->health_check_node_port = field_optional_port(field_member(spec, "healthCheckNodePort"));
}

static void affinity_decode(const struct field *spec, struct service *s)
{
	struct field config = field_member(spec, "sessionAffinityConfig");
	struct field client_ip = field_member(&config, "clientIP");
	struct field timeout = field_member(&client_ip, "timeoutSeconds");

	s->affinity = field_enum(field_member(spec, "sessionAffinity"), affinities, false);
	s->affinity_timeout_s = (uint32_t)field_clamped(timeout, 1, AFFINITY_TIMEOUT_MAX_S,
							AFFINITY_TIMEOUT_DEFAULT_S);
}

static void selector_decode(const struct field *spec, struct service *s)
{
	static const struct map_limits limits = { .max_items = SELECTOR_MAX_REQUIREMENTS };
	struct key_values selector = field_key_values(field_member(spec, "selector"), &limits);

	s->selector = selector.items;
	s->n_selector = selector.n;
}

void service_decode(const struct field *root, struct object *o)
{
	struct service *s = (struct service *)o;
	struct field spec = field_member(root, "spec");

	field_require(spec);
	s->type = (enum service_type)field_enum(field_member(&spec, "type"), types,
						SERVICE_CLUSTER_IP);
	cluster_ips_decode(&spec, s);
	ports_decode(&spec, s);
	s->external_ips = field_list(field_member(&spec, "externalIPs"), SERVICE_MAX_ADDRESSES,
				     sizeof(*s->external_ips), field_read_addr, &s->n_external_ips);
	load_balancer_decode(root, &spec, s);
	selector_decode(&spec, s);
	s->external_policy = (enum traffic_policy)field_enum(
		field_member(&spec, "externalTrafficPolicy"), traffic_policies, POLICY_CLUSTER);
	s->internal_policy = (enum traffic_policy)field_enum(
		field_member(&spec, "internalTrafficPolicy"), traffic_policies, POLICY_CLUSTER);
	affinity_decode(&spec, s);
	s->publish_not_ready = field_bool(field_member(&spec, "publishNotReadyAddresses"), false);
}
