/* service.c - what a Service should have in the ruleset: its block, from what it holds. */
#include "proxy/internal.h"

#include <errno.h>
#include <stdio.h>

#include "base/addrs.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "proxy/elements.h"
#include "proxy/scheduler.h"
#include "ruleset/ruleset.h"
#include "store/store.h"

enum { OWNER_MAX_BYTES = sizeof("service /") + 2 * OBJECT_MAX_NAME };

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

/* About how many elements the Service has: blocks live long, so they should not be much too large. */
static size_t elements_expected(const struct proxy *p, const struct service *service, bool maglev)
{
	size_t n = p->endpoints.n_local * service->n_ports;

	for (size_t i = 0; i < p->frontends.n; i++) {
		uint8_t family = p->frontends.items[i].addr.family;
		size_t n_endpoints = p->endpoints.n_by_family[family_index(family)];

		n += 3 + 2 * (size_t)service->affinity;
		n += maglev && n_endpoints ? MAGLEV_SLOTS : n_endpoints;
		if (p->frontends.items[i].load_balancer)
			n += 1 + p->source_ranges[family_index(family)].n;
	}
	return n;
}

/* An address may be another Service's cluster IP, which is known when all have claimed theirs. */
static void service_refuse_cluster_ips(struct proxy *p)
{
	struct frontends *f = &p->frontends;
	char text[ADDR_TEXT_MAX];

	for (size_t i = f->n_externals; i-- > 0;) {
		if (!claims_have_addr(&p->claims, &f->externals[i]))
			continue;
		problems_add(&p->problems, "ExternalAddressRefused",
			     "external address %s is the cluster IP of a Service",
			     addr_format(&f->externals[i], text));
		frontends_refuse(f, &f->externals[i]);
	}
}

static int service_read(struct proxy *p, const struct service_state *st,
			const struct service *service, const struct store *s)
{
	const struct vantage here = { .node = p->config.node, .zone = p->nodes->zone };
	struct frontend_site site = proxy_site(p);
	const struct endpoint_slice *const *slices;
	size_t n_slices;
	int r;

	r = frontends_read(&p->frontends, service, &site, &p->problems);
	if (r < 0)
		return r;
	service_refuse_cluster_ips(p);
	r = source_ranges_read(p->source_ranges, service, &p->frontends, &site, &p->problems);
	if (r < 0)
		return r;
	slices = store_slices(s, st->namespace, st->name, &n_slices);
	return endpoints_read(&p->endpoints, slices, n_slices, &here, &p->claims, &p->problems);
}

/* Whether the Service has this health check port; only one Service can. */
static bool health_check_is_held(struct proxy *p, const struct service_state *st,
				 const struct frontend *f)
{
	const struct service_state *holder = claims_find(&p->claims, f)->holder;

	if (holder == st)
		return true;
	problems_add(&p->problems, "FailedToStartServiceHealthcheck",
		     "health check port %u belongs to Service %s/%s", f->port, holder->namespace,
		     holder->name);
	return false;
}

static int service_build_health_checks(struct proxy *p, const struct service_state *st,
				       const struct service *service,
				       struct service_health_checks *ret)
{
	uint32_t n_local[FAMILY_COUNT];
	struct frontend f;
	int r = endpoints_count_local(&p->endpoints, n_local);

	ret->n = 0;
	for (size_t i = 0; r == 0 && i < FAMILY_COUNT; i++)
		if (frontend_of_health_check(service, family_at(i), &p->config, &f) &&
		    health_check_is_held(p, st, &f))
			ret->items[ret->n++] = (struct health_check_port){
				.namespace = st->namespace,
				.name = st->name,
				.family = family_at(i),
				.port = f.port,
				.local_endpoints = n_local[i],
			};
	return r;
}

static int service_build(struct proxy *p, const struct service_state *st,
			 const struct service *service, const struct store *s,
			 struct service_counts *ret_counts, struct block **ret)
{
	const struct scheduler scheduler = scheduler_of(service, &p->problems);
	_cleanup_(block_freep) struct block *block = NULL;
	struct service_build sb = {
		.proxy = p,
		.state = st,
		.service = service,
		.facts = {
			.policy = service_policy_of(service),
			.affinity = service->affinity,
			.scheduler = scheduler.verdict,
			.masquerade_all = p->config.masquerade_all,
		},
		.maglev = scheduler.maglev,
	};
	int r;

	r = service_read(p, st, service, s);
	if (r < 0)
		return r;
	r = block_new(elements_expected(p, service, scheduler.maglev), &block);
	if (r < 0)
		return r;

	sb.block = block;
	for (size_t i = 0, n; i < p->frontends.n; i += n) {
		n = frontends_alike(&p->frontends, i);
		r = frontends_build(&sb, &p->frontends.items[i], n);
		if (r < 0)
			return r;
	}
	*ret_counts = (struct service_counts){
		.service_ports = sb.has_frontends ? (uint32_t)service->n_ports : 0,
		.refused_addrs = p->frontends.n_refused,
		.skipped_endpoints = p->endpoints.n_skipped,
	};
	*ret = TAKE_PTR(block);
	return 0;
}

static void service_count(struct proxy *p, struct service_state *st,
			  const struct service_counts *counts)
{
	struct proxy_stats *stats = &p->stats;

	stats->services += (counts->service_ports > 0) - (size_t)(st->counts.service_ports > 0);
	stats->service_ports += counts->service_ports - (size_t)st->counts.service_ports;
	stats->refused_addrs += counts->refused_addrs - (size_t)st->counts.refused_addrs;
	stats->skipped_endpoints += counts->skipped_endpoints -
				    (size_t)st->counts.skipped_endpoints;
	st->counts = *counts;
}

/* The owner of its block in the ruleset. */
static const char *service_owner(const struct service_state *st, char text[static OWNER_MAX_BYTES])
{
	snprintf(text, OWNER_MAX_BYTES, "service %s/%s", st->namespace, st->name);
	return text;
}

int service_withdraw(const struct service_state *st, struct ruleset *rs, struct transaction *tx)
{
	char owner[OWNER_MAX_BYTES];

	return ruleset_replace(rs, service_owner(st, owner), NULL, tx, NULL);
}

/* Put a new block in the place of the old one. */
static int service_replace(struct proxy *p, struct service_state *st, const struct store *s,
			   struct ruleset *rs, struct transaction *tx)
{
	const struct service *service = service_get(st, s);
	struct service_health_checks health_checks = { .n = 0 };
	_cleanup_(block_freep) struct block *block = NULL;
	struct service_counts counts = { 0 };
	char owner[OWNER_MAX_BYTES];
	struct error error = { 0 };
	int r = health_checks_reserve(&p->health_checks);

	if (r == 0 && service && !st->too_big) {
		r = service_build(p, st, service, s, &counts, &block);
		if (r == 0)
			r = service_build_health_checks(p, st, service, &health_checks);
	}
	if (r < 0)
		return r;
	r = ruleset_replace(rs, service_owner(st, owner), TAKE_PTR(block), tx, &error);
	if (r == -ENOMEM)
		return r;
	if (r < 0) {
		problems_add(&p->problems, "ServiceNotRendered", "not rendered: %s", error.message);
		return 0;
	}
	service_count(p, st, &counts);
	health_checks_replace(&p->health_checks, st->namespace, st->name, &health_checks);
	return 0;
}

int service_render(struct proxy *p, struct service_state *st, const struct store *s,
		   struct ruleset *rs, struct transaction *tx)
{
	const struct service *service = service_get(st, s);
	int r = 0;

	problems_begin(&p->problems, service ? &service->object : NULL, &st->problems);
	if (st->too_big)
		problems_add(&p->problems, "ServiceTooLarge",
			     "not rendered: more than %d frontends or %d elements",
			     SERVICE_MAX_FRONTENDS, SERVICE_MAX_ELEMENTS);
	if (!st->too_big || st->loses)
		r = service_replace(p, st, s, rs, tx);
	if (r < 0)
		return r;
	return problems_end(&p->problems, &st->problems);
}
