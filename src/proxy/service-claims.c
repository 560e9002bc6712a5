/* service-claims.c - what a Service wants: the frontends that it claims, whoever gets them. */
#include "proxy/internal.h"

#include <errno.h>

#include "proxy/elements.h"
#include "proxy/scheduler.h"
#include "store/store.h"

const struct service *service_get(const struct service_state *st, const struct store *s)
{
	const struct object *o = store_get(s, KIND_SERVICE, st->namespace, st->name);
	const struct service *service = (const struct service *)o;

	return o && service_in_scope(service) ? service : NULL;
}

bool service_is_gone(const struct service_state *st, const struct store *s)
{
	return !service_get(st, s);
}

struct frontend_site proxy_site(const struct proxy *p)
{
	struct frontend_site site = {
		.config = &p->config,
		.node_port_addrs = p->nodes->primary,
		.n_node_port_addrs = FAMILY_COUNT,
		.own_addrs = p->nodes->own.items,
		.n_own_addrs = p->nodes->own.n,
		.node_addrs = p->nodes->all.items,
		.n_node_addrs = p->nodes->all.n,
	};

	if (p->config.node_port_all && p->n_local_addrs > 0) {
		site.node_port_addrs = p->local_addrs;
		site.n_node_port_addrs = p->n_local_addrs;
	} else if (p->config.node_port_all) {
		site.node_port_addrs = p->nodes->own.items;
		site.n_node_port_addrs = p->nodes->own.n;
	}
	return site;
}

/* Whether the block can't get bigger than allowed, whatever the endpoints' state. Decided before
 * anything is claimed, so that claims and blocks always tell the same. */
static bool service_fits(const struct frontends *f, const struct service_state *st,
			 const struct service *service, const struct store *s)
{
	size_t n_slots = scheduler_of(service, NULL).maglev ? MAGLEV_SLOTS : 0;
	size_t n_slices, n_endpoints[FAMILY_COUNT] = { 0 }, n = 0;
	const struct endpoint_slice *const *slices = store_slices(s, st->namespace, st->name,
								  &n_slices);

	for (size_t i = 0; i < n_slices; i++)
		n_endpoints[family_index(slices[i]->family)] += slices[i]->n_endpoints;
	for (size_t i = 0; i < f->n; i++) {
		size_t n_known = n_endpoints[family_index(f->items[i].addr.family)];

		n += FRONTEND_MAX_ELEMENTS + 2 * (n_known > n_slots ? n_known : n_slots);
		if (f->items[i].protocol == PROTOCOL_UDP)
			n += n_known;
		if (f->items[i].load_balancer)
			n += source_ranges_max(service, f);
	}
	return n <= SERVICE_MAX_ELEMENTS;
}

/* What is claimed besides the frontends. */
static int frontends_add_others(struct frontends *f, const struct service *service,
				const struct proxy_config *config)
{
	struct frontend one;
	int r = 0;

	for (size_t i = 0; r == 0 && i < service->n_cluster_ips; i++) {
		one = frontend_whole_addr(&service->cluster_ips[i]);
		r = frontends_add(f, &one);
	}
	for (size_t i = 0; r == 0 && i < FAMILY_COUNT; i++)
		if (frontend_of_health_check(service, family_at(i), config, &one))
			r = frontends_add(f, &one);
	return r;
}

static int frontends_claim(struct proxy *p, struct service_state *st, const struct service *service,
			   const struct store *s)
{
	struct frontend_site site = proxy_site(p);
	struct frontends *f = &p->frontends;
	int r;

	r = frontends_read(f, service, &site, NULL);
	if (r == 0 && !service_fits(f, st, service, s))
		r = -E2BIG;
	if (r == 0)
		r = frontends_add_others(f, service, &p->config);
	if (r < 0)
		return r;
	st->created = service->object.created;
	st->external = service->n_external_ips + service->n_load_balancer_ips > 0;
	return claims_update(&p->claims, st, f->items, f->n);
}

int service_claim(struct proxy *p, struct service_state *st, const struct store *s)
{
	const struct service *service = service_get(st, s);
	int r;

	r = service ? frontends_claim(p, st, service, s) : claims_update(&p->claims, st, NULL, 0);
	st->too_big = r == -E2BIG;
	return r == -E2BIG ? 0 : r;
}
