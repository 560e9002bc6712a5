#include "proxy/frontends.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/addrs.h"
#include "base/array.h"
#include "proxy/address-safety.h"

bool service_in_scope(const struct service *s)
{
	const struct key_values *labels = &s->object.labels;
	const char *proxy = key_values_get(labels, "service.kubernetes.io/service-proxy-name");

	return s->type != SERVICE_EXTERNAL_NAME && !s->headless &&
	       (!proxy || strcmp(proxy, "kube-router") == 0) &&
	       !key_values_get(labels, "service.kubernetes.io/headless");
}

struct service_policy service_policy_of(const struct service *s)
{
	const char *local = key_values_get(&s->object.annotations, "kube-router.io/service.local");

	if (local && strcmp(local, "true") == 0)
		return (struct service_policy){ .external_local = true };
	return (struct service_policy){
		.external_local = s->external_policy == POLICY_LOCAL,
		.internal_local = s->internal_policy == POLICY_LOCAL,
	};
}

int frontends_add(struct frontends *f, const struct frontend *frontend)
{
	int r;

	if (f->n == SERVICE_MAX_FRONTENDS)
		return -E2BIG;
	r = ARRAY_RESERVE(f->items, f->n, f->capacity);
	if (r < 0)
		return r;
	f->items[f->n++] = *frontend;
	return 0;
}

static bool family_enabled(const struct proxy_config *config, uint8_t family)
{
	return family == AF_INET ? config->ipv4 : config->ipv6;
}

/* The cluster IP of one family, or NULL: the families of a Service are those of its cluster IPs. */
static const struct addr *service_cluster_ip(const struct service *s, uint8_t family)
{
	for (size_t i = 0; i < s->n_cluster_ips; i++)
		if (s->cluster_ips[i].family == family)
			return &s->cluster_ips[i];
	return NULL;
}

/* @ret_accepted: whether it is one of @f->externals now. */
static int externals_add(struct frontends *f, const struct service *s, const struct addr *a,
			 const struct address_rules *rules, struct problems *problems,
			 bool *ret_accepted)
{
	const struct addr *cluster_ip = service_cluster_ip(s, a->family);
	char text[ADDR_TEXT_MAX];
	const char *problem;
	int r;

	*ret_accepted = false;
	if (!cluster_ip || addr_equal(cluster_ip, a))
		return 0;
	problem = external_addr_problem(a, rules);
	if (problem) {
		f->n_refused++;
		problems_add(problems, "ExternalAddressRefused", "external address %s %s",
			     addr_format(a, text), problem);
		return 0;
	}
	r = ARRAY_RESERVE(f->externals, f->n_externals, f->cap_externals);
	if (r < 0)
		return r;
	f->externals[f->n_externals++] = *a;
	*ret_accepted = true;
	return 0;
}

static int load_balancers_add(struct frontends *f, const struct service *s, const struct addr *a,
			      const struct address_rules *rules, struct problems *problems)
{
	bool accepted;
	int r;

	r = externals_add(f, s, a, rules, problems, &accepted);
	if (r < 0 || !accepted)
		return r;
	r = ARRAY_RESERVE(f->load_balancers, f->n_load_balancers, f->cap_load_balancers);
	if (r == 0)
		f->load_balancers[f->n_load_balancers++] = *a;
	return r;
}

static int externals_read(struct frontends *f, const struct service *s,
			  const struct frontend_site *site, struct problems *problems)
{
	const struct proxy_config *config = site->config;
	bool skip = key_values_get(&s->object.annotations, "kube-router.io/service.skiplbips");
	struct address_rules rules = {
		.strict = config->strict_addresses,
		.cluster_ranges = config->cluster_ranges,
		.n_cluster_ranges = config->n_cluster_ranges,
		.allowed_ranges = config->external_ranges,
		.n_allowed_ranges = config->n_external_ranges,
		.node_addrs = site->node_addrs,
		.n_node_addrs = site->n_node_addrs,
	};
	bool accepted;
	int r = 0;

	for (size_t i = 0; r == 0 && i < s->n_external_ips; i++)
		r = externals_add(f, s, &s->external_ips[i], &rules, problems, &accepted);

	rules.allowed_ranges = config->load_balancer_ranges;
	rules.n_allowed_ranges = config->n_load_balancer_ranges;
	for (size_t i = 0; r == 0 && !skip && i < s->n_load_balancer_ips; i++)
		if (!s->load_balancer_ips[i].proxy_mode)
			r = load_balancers_add(f, s, &s->load_balancer_ips[i].addr, &rules,
					       problems);

	f->n_externals = addrs_unique(f->externals, f->n_externals);
	f->n_load_balancers = addrs_unique(f->load_balancers, f->n_load_balancers);
	return r;
}

/* Whether one of the frontends from @first on is that of @wanted. */
static bool frontends_have(const struct frontends *f, size_t first, const struct frontend *wanted)
{
	for (size_t i = first; i < f->n; i++)
		if (f->items[i].port == wanted->port &&
		    addr_equal(&f->items[i].addr, &wanted->addr))
			return true;
	return false;
}

/* Add @base on those of the addresses that are of @family. @first: where the frontends of this
 * service port begin; a NodePort may equal the port that it has on an explicit address. */
static int frontends_add_on(struct frontends *f, size_t first, const struct frontend *base,
			    uint8_t family, const struct addr *addrs, size_t n)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++) {
		struct frontend one = *base;

		one.addr = addrs[i];
		if (one.addr.family != family)
			continue;
		if (one.kind == FRONTEND_NODE_PORT && frontends_have(f, first, &one))
			continue;
		one.load_balancer = one.kind == FRONTEND_EXTERNAL &&
				    addrs_contain(f->load_balancers, f->n_load_balancers,
						  &one.addr);
		r = frontends_add(f, &one);
	}
	return r;
}

/* All frontends of one service port and the family of one cluster IP. */
static int frontends_add_family(struct frontends *f, const struct service *s, uint16_t index,
				const struct addr *cluster_ip, const struct frontend_site *site)
{
	const struct service_port *port = &s->ports[index];
	struct frontend one = {
		.protocol = (uint8_t)port->protocol,
		.kind = FRONTEND_CLUSTER_IP,
		.port = port->port,
		.index = index,
	};
	size_t first = f->n;
	int r;

	r = frontends_add_on(f, first, &one, cluster_ip->family, cluster_ip, 1);
	if (r < 0)
		return r;

	one.kind = FRONTEND_EXTERNAL;
	r = frontends_add_on(f, first, &one, cluster_ip->family, f->externals, f->n_externals);
	if (r < 0 || port->node_port == 0)
		return r;

	one.kind = FRONTEND_NODE_PORT;
	one.port = port->node_port;
	return frontends_add_on(f, first, &one, cluster_ip->family, site->node_port_addrs,
				site->n_node_port_addrs);
}

int frontends_read(struct frontends *f, const struct service *s, const struct frontend_site *site,
		   struct problems *problems)
{
	int r;

	f->n = 0;
	f->n_externals = 0;
	f->n_load_balancers = 0;
	f->n_refused = 0;
	r = externals_read(f, s, site, problems);

	for (size_t port = 0; port < s->n_ports; port++)
		for (size_t i = 0; r == 0 && i < s->n_cluster_ips; i++)
			if (family_enabled(site->config, s->cluster_ips[i].family))
				r = frontends_add_family(f, s, (uint16_t)port, &s->cluster_ips[i],
							 site);
	return r;
}

static size_t addrs_remove(struct addr *addrs, size_t n, const struct addr *a)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++)
		if (!addr_equal(&addrs[i], a))
			addrs[kept++] = addrs[i];
	return kept;
}

void frontends_refuse(struct frontends *f, const struct addr *a)
{
	const struct addr refused = *a; /* it may be one of those that move */
	size_t kept = 0;

	for (size_t i = 0; i < f->n; i++)
		if (f->items[i].kind != FRONTEND_EXTERNAL ||
		    !addr_equal(&f->items[i].addr, &refused))
			f->items[kept++] = f->items[i];
	f->n = kept;
	f->n_externals = addrs_remove(f->externals, f->n_externals, &refused);
	f->n_load_balancers = addrs_remove(f->load_balancers, f->n_load_balancers, &refused);
	f->n_refused++;
}

bool frontend_of_health_check(const struct service *s, uint8_t family,
			      const struct proxy_config *config, struct frontend *ret)
{
	if (s->type != SERVICE_LOAD_BALANCER || s->external_policy != POLICY_LOCAL ||
	    s->health_check_node_port == 0)
		return false;
	if (!family_enabled(config, family) || !service_cluster_ip(s, family))
		return false;
	*ret = (struct frontend){
		.addr = { .family = family },
		.protocol = PROTOCOL_TCP,
		.kind = FRONTEND_NODE_PORT,
		.port = s->health_check_node_port,
	};
	return true;
}

void frontends_free(struct frontends *f)
{
	free(f->items);
	free(f->externals);
	free(f->load_balancers);
	*f = (struct frontends){ 0 };
}
