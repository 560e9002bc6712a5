/* service-frontends.c - the frontends that a Service holds, as elements of its block. */
#include "proxy/internal.h"

#include <errno.h>
#include <stdio.h>

#include "base/addrs.h"
#include "base/cleanup.h"
#include "proxy/elements.h"
#include "proxy/scheduler.h"
#include "ruleset/block.h"

/* One Service while its block is made. */
struct service_build {
	struct proxy *proxy;
	const struct service_state *state;
	const struct service *service;
	struct block *block;
	struct frontend_facts facts;
	bool maglev;
	bool has_frontends;
	bool uses_cluster, uses_local; /* lists of the service port */
};

/* Whether the Service has what @f claims, and not another one. */
static bool claim_is_held(const struct claim *c, const struct service_build *sb,
			  const struct frontend *f)
{
	return c->holder == sb->state && c->holder_index == f->index;
}

/* The same; a user can act on it when another one has. */
static bool frontend_is_held(struct service_build *sb, const struct frontend *f)
{
	const struct claim *c = claims_find(&sb->proxy->claims, f);
	char text[ADDR_TEXT_MAX];

	if (claim_is_held(c, sb, f))
		return true;
	problems_add(&sb->proxy->problems, "AddressConflict",
		     "%s port %u %s belongs to Service %s/%s", addr_format(&f->addr, text), f->port,
		     protocol_name((enum protocol)f->protocol), c->holder->namespace,
		     c->holder->name);
	return false;
}

static const char *service_port_comment(const struct service_build *sb,
					const struct service_port *port)
{
	const struct object *o = &sb->service->object;
	char text[3 * OBJECT_MAX_NAME + 3];

	snprintf(text, sizeof(text), "%s/%s%s%s", o->namespace, o->name, port->name[0] ? ":" : "",
		 port->name);
	return block_comment(sb->block, text);
}

static bool addr_is_in_ranges(const struct addr *a, const struct proxy_config *config)
{
	for (size_t i = 0; i < config->n_cluster_ranges; i++)
		if (prefix_contains(&config->cluster_ranges[i], a))
			return true;
	return false;
}

/* Who may connect, and what the address does where it is no frontend. A node's address is never closed:
 * that would cut off the node. */
static int frontend_build_address(struct service_build *sb, const struct frontend *f,
				  const char *comment)
{
	const struct proxy *p = sb->proxy;
	const struct node_addrs *nodes = &p->nodes->all;
	const struct source_ranges *sources = &p->source_ranges[family_index(f->addr.family)];

	if (f->load_balancer && sources->guarded &&
	    elements_add_guard(sb->block, f, sources, comment) < 0)
		return -ENOMEM;
	if (!p->config.address_firewall || f->kind == FRONTEND_NODE_PORT ||
	    addrs_contain(nodes->items, nodes->n, &f->addr))
		return 0;
	return elements_add_service_addr(sb->block, &f->addr);
}

static int frontend_build(struct service_build *sb, const struct frontend *f,
			  const struct port_facts *port)
{
	const struct endpoints *endpoints = &sb->proxy->endpoints;
	const struct endpoint_lists *lists = &endpoints->lists;
	struct frontend_verdicts v;

	if (!frontend_is_held(sb, f))
		return 0;
	if (frontend_build_address(sb, f, port->comment) < 0)
		return -ENOMEM;
	if ((f->protocol == PROTOCOL_UDP || sb->proxy->config.graceful_termination) &&
	    elements_add_flows(sb->block, f, &endpoints->known, port->comment) < 0)
		return -ENOMEM;
	sb->facts.kind = f->kind;
	sb->facts.in_range = addr_is_in_ranges(&f->addr, &sb->proxy->config);
	v = frontend_verdicts(&sb->facts, lists);
	sb->has_frontends = true;
	sb->uses_cluster |= v.targets == &lists->cluster;
	sb->uses_local |= v.targets == &lists->local || v.local_targets == &lists->local;
	return elements_add_frontend(sb->block, f, &v, port);
}

/* What the @n frontends of a service port have in common. None may be held: then nothing of it counts. */
static int port_facts_read(struct service_build *sb, const struct frontend *frontends, size_t n,
			   struct port_facts *ret)
{
	const struct service *service = sb->service;
	uint16_t targets[DISPATCH_MAX_TARGETS];
	size_t own = 0;

	while (own + 1 < n && !claim_is_held(claims_find(&sb->proxy->claims, &frontends[own]), sb,
					     &frontends[own]))
		own++;
	if (!endpoints_target_ports(&sb->proxy->endpoints.lists, targets) && service->affinity)
		problems_add(&sb->proxy->problems, "AffinityIncomplete",
			     "endpoints of port %u have more than %d different ports: clients "
			     "stay with those of the lowest ones only",
			     service->ports[frontends->index].port, DISPATCH_MAX_TARGETS);
	*ret = (struct port_facts){
		.comment = service_port_comment(sb, &service->ports[frontends->index]),
		.own = &frontends[own],
		.targets = targets_number(targets),
		.affinity_timeout_s = service->affinity_timeout_s,
	};
	return ret->comment ? 0 : -ENOMEM;
}

/* What goes with the lists that the frontends of a service port use. */
static int lists_build(struct service_build *sb, const struct port_facts *port)
{
	const struct endpoint_lists *lists = &sb->proxy->endpoints.lists;
	const struct {
		bool used;
		const struct target_list *list;
		enum verdict learn;
	} both[] = {
		{ sb->uses_cluster, &lists->cluster, VERDICT_LEARN },
		{ sb->uses_local, &lists->local, VERDICT_LOCAL_LEARN },
	};
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(both); i++) {
		if (!both[i].used)
			continue;
		r = elements_add_hairpins(sb->block, port->own->addr.family, both[i].list);
		if (r == 0 && sb->facts.affinity)
			r = elements_add_bindings(sb->block, port, both[i].learn, both[i].list);
	}
	return r;
}

/* Add the @n frontends of one service port in one family. */
static int frontends_build(struct service_build *sb, const struct frontend *frontends, size_t n)
{
	const struct service_port *port = &sb->service->ports[frontends->index];
	uint8_t family = frontends->addr.family;
	struct proxy *p = sb->proxy;
	struct port_facts facts;
	int r;

	r = endpoints_choose(&p->endpoints, port, family, sb->maglev, &p->problems);
	if (r == 0)
		r = port_facts_read(sb, frontends, n, &facts);
	if (r < 0)
		return r;

	sb->facts.pods_known = p->nodes->pods[family_index(family)].n > 0;
	sb->uses_cluster = false;
	sb->uses_local = false;
	for (size_t i = 0; i < n; i++) {
		r = frontend_build(sb, &frontends[i], &facts);
		if (r < 0)
			return r;
	}
	return lists_build(sb, &facts);
}

/* How many frontends from @first on are of one service port and family. */
static size_t frontends_alike(const struct frontends *f, size_t first)
{
	size_t i = first + 1;

	while (i < f->n && f->items[i].index == f->items[first].index &&
	       f->items[i].addr.family == f->items[first].addr.family)
		i++;
	return i - first;
}

int service_build_frontends(struct proxy *p, const struct service_state *st,
			    const struct service *service, const struct scheduler *scheduler,
			    struct block *block, bool *ret_any)
{
	struct service_build sb = {
		.proxy = p,
		.state = st,
		.service = service,
		.block = block,
		.facts = {
			.policy = service_policy_of(service),
			.affinity = service->affinity,
			.scheduler = scheduler->verdict,
			.masquerade_all = p->config.masquerade_all,
		},
		.maglev = scheduler->maglev,
	};
	int r;

	for (size_t i = 0, n; i < p->frontends.n; i += n) {
		n = frontends_alike(&p->frontends, i);
		r = frontends_build(&sb, &p->frontends.items[i], n);
		if (r < 0)
			return r;
	}
	*ret_any = sb.has_frontends;
	return 0;
}
