/* service.c - what a Service should have in the ruleset: its block, from what it holds. */
#include "proxy/internal.h"

#include <errno.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "proxy/scheduler.h"
#include "ruleset/ruleset.h"
#include "store/store.h"

enum { OWNER_MAX_BYTES = sizeof("service /") + 2 * OBJECT_MAX_NAME };

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
	bool has_frontends = false;
	int r;

	r = service_read(p, st, service, s);
	if (r < 0)
		return r;
	r = block_new(elements_expected(p, service, scheduler.maglev), &block);
	if (r == 0)
		r = service_build_frontends(p, st, service, &scheduler, block, &has_frontends);
	if (r < 0)
		return r;

	*ret_counts = (struct service_counts){
		.service_ports = has_frontends ? (uint32_t)service->n_ports : 0,
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
