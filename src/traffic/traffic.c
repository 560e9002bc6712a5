#include "traffic/traffic.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/array.h"
#include "kernel/conntrack-entry.h"
#include "kernel/counted.h"
#include "object/object.h"
#include "traffic/route.h"

#define COMPARE(a, b)                              \
	do {                                       \
		if ((a) != (b))                    \
			return (a) < (b) ? -1 : 1; \
	} while (0)

static int frontend_key_cmp(const struct element *a, const struct element *b)
{
	int c;

	COMPARE(a->family, b->family);
	c = memcmp(a->addr, b->addr, sizeof(a->addr));
	if (c)
		return c;
	COMPARE(a->protocol, b->protocol);
	COMPARE(a->port, b->port);
	return 0;
}

static int target_cmp(const struct element *a, const struct element *b)
{
	int c = memcmp(a->other, b->other, sizeof(a->other));

	if (c)
		return c;
	COMPARE(a->target_port, b->target_port);
	return 0;
}

static bool is_row(const struct element *e)
{
	return set_layout(e->set)->target;
}

/* All of a frontend's elements together: by set, then, behind all others, its rows by endpoint. */
static int counted_cmp(const void *x, const void *y)
{
	const struct element *a = &((const struct counted *)x)->element;
	const struct element *b = &((const struct counted *)y)->element;
	int c = frontend_key_cmp(a, b);

	if (c)
		return c;
	COMPARE(is_row(a), is_row(b));
	if (!is_row(a)) {
		COMPARE(a->set, b->set);
		return memcmp(a->other, b->other, sizeof(a->other));
	}
	c = target_cmp(a, b);
	if (c)
		return c;
	COMPARE(a->set, b->set);
	COMPARE(a->slot, b->slot);
	return 0;
}

static int hairpin_cmp(const void *x, const void *y)
{
	const struct element *a = &((const struct counted *)x)->element;
	const struct element *b = &((const struct counted *)y)->element;

	COMPARE(a->family, b->family);
	return memcmp(a->addr, b->addr, sizeof(a->addr));
}

static struct addr addr_from(uint8_t family, const uint8_t bytes[static 16])
{
	struct addr a = { .family = family };

	memcpy(a.bytes, bytes, sizeof(a.bytes));
	return a;
}

static bool is_here(const struct counted_list *hairpins, const struct element *row)
{
	struct counted key = { .element = { .family = row->family } };

	memcpy(key.element.addr, row->other, sizeof(key.element.addr));
	return array_find(&key, hairpins->items, hairpins->n, sizeof(key), hairpin_cmp);
}

static void frontend_take_verdict(struct traffic_frontend *f, const struct counted *c,
				  struct traffic_route *nobody)
{
	struct traffic_route route = route_of(&c->element);

	switch (c->element.set) {
	case SET_SERVICES:
		f->inside = route;
		f->connections += c->counter.packets;
		break;
	case SET_LOCAL_SERVICES:
		f->differs = true;
		f->outside = route;
		/* Else it is left to no-endpoints, which counts it. */
		if (route.verdict == TRAFFIC_BALANCED)
			f->connections += c->counter.packets;
		break;
	case SET_NO_ENDPOINTS:
		*nobody = route;
		f->unserved += c->counter.packets;
		break;
	case SET_AFFINITY_SERVICES:
		f->inside = route;
		break;
	case SET_LOCAL_AFFINITY_SERVICES:
		f->outside = route;
		break;
	case SET_AFFINITY_TIMEOUTS:
		f->affinity_s = c->element.number;
		break;
	case SET_GUARDED_FRONTENDS:
		f->guarded = true;
		break;
	case SET_SOURCE_RANGES:
		f->sources[f->n_sources++] = (struct prefix){
			.addr = addr_from(c->element.family, c->element.other),
			.len = (uint8_t)c->element.slot,
		};
		break;
	default:
		break;
	}
}

static size_t count_set(const struct counted *c, size_t n, enum set_id set)
{
	size_t count = 0;

	for (size_t i = 0; i < n; i++)
		count += c[i].element.set == set;
	return count;
}

/* @c, the first of a frontend's elements: those @n that are no rows. */
static int frontend_take_verdicts(struct traffic_frontend *f, const struct counted *c, size_t n,
				  struct arena *arena)
{
	struct traffic_route nobody = { 0 };

	f->sources = arena_array(arena, count_set(c, n, SET_SOURCE_RANGES), sizeof(*f->sources));
	if (!f->sources)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		frontend_take_verdict(f, &c[i], &nobody);
	if (f->inside.verdict != TRAFFIC_BALANCED)
		f->inside = nobody;
	if (!f->differs)
		f->outside = f->inside;
	else if (f->outside.verdict != TRAFFIC_BALANCED)
		f->outside = nobody;
	return 0;
}

static void endpoint_take_row(struct traffic_frontend *f, struct traffic_endpoint *e,
			      const struct counted *row)
{
	bool local = row->element.set == SET_LOCAL_ENDPOINTS;
	bool inside = !local, outside = local || !f->differs;

	route_count_once(&f->inside, inside && e->inside);
	route_count_once(&f->outside, outside && e->outside);
	e->inside |= inside;
	e->outside |= outside;
	e->connections += row->counter.packets;
}

/* Rows of one endpoint, in whichever slots and maps, lie side by side. */
static int frontend_take_rows(struct traffic_frontend *f, const struct counted *rows, size_t n,
			      const struct counted_list *hairpins, struct arena *arena)
{
	f->endpoints = arena_array(arena, n, sizeof(*f->endpoints));
	if (!f->endpoints)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		const struct element *e = &rows[i].element;

		if (i == 0 || target_cmp(e, &rows[i - 1].element) != 0)
			f->endpoints[f->n_endpoints++] = (struct traffic_endpoint){
				.addr = addr_from(e->family, e->other),
				.port = e->target_port,
				.here = is_here(hairpins, e),
			};
		endpoint_take_row(f, &f->endpoints[f->n_endpoints - 1], &rows[i]);
	}
	return 0;
}

/* One frontend from its @n elements. */
static int frontend_build(struct traffic *t, const struct counted *c, size_t n,
			  const struct counted_list *hairpins)
{
	struct traffic_frontend *f = &t->frontends[t->n];
	const struct element *e = &c->element;
	size_t n_verdicts = 0;
	int r;

	*f = (struct traffic_frontend){
		.addr = addr_from(e->family, e->addr),
		.port = e->port,
		.protocol = e->protocol,
	};
	r = traffic_name_parse(e->comment, t->arena, &f->service);
	while (n_verdicts < n && !is_row(&c[n_verdicts].element))
		n_verdicts++;
	if (r == 0)
		r = frontend_take_verdicts(f, c, n_verdicts, t->arena);
	if (r == 0)
		r = frontend_take_rows(f, c + n_verdicts, n - n_verdicts, hairpins, t->arena);
	t->n += r == 0;
	return r;
}

static size_t frontend_elements(const struct counted_list *l, size_t first)
{
	size_t i = first + 1;

	while (i < l->n && frontend_key_cmp(&l->items[first].element, &l->items[i].element) == 0)
		i++;
	return i - first;
}

static int frontend_cmp(const struct traffic_frontend *a, const struct traffic_frontend *b)
{
	int c = addr_cmp(&a->addr, &b->addr);

	if (c)
		return c;
	COMPARE(a->protocol, b->protocol);
	COMPARE(a->port, b->port);
	return 0;
}

static int frontend_cmp_by_name(const void *x, const void *y)
{
	const struct traffic_frontend *a = x, *b = y;
	int c = traffic_name_cmp(&a->service, &b->service);

	return c ? c : frontend_cmp(a, b);
}

static int frontend_cmp_by_key(const void *x, const void *y)
{
	return frontend_cmp(*(struct traffic_frontend *const *)x,
			    *(struct traffic_frontend *const *)y);
}

static bool protocol_is_known(uint8_t protocol)
{
	return protocol == PROTOCOL_TCP || protocol == PROTOCOL_UDP || protocol == PROTOCOL_SCTP;
}

static int frontends_build(struct traffic *t, const struct counted_list *elements,
			   const struct counted_list *hairpins)
{
	size_t n = 0;
	int r = 0;

	for (size_t i = 0; i < elements->n; i += frontend_elements(elements, i))
		n++;
	t->frontends = arena_array(t->arena, n, sizeof(*t->frontends));
	t->by_key = arena_array(t->arena, n, sizeof(struct traffic_frontend *));
	if (!t->frontends || !t->by_key)
		return -ENOMEM;
	for (size_t i = 0, k; r == 0 && i < elements->n; i += k) {
		k = frontend_elements(elements, i);
		if (protocol_is_known(elements->items[i].element.protocol))
			r = frontend_build(t, &elements->items[i], k, hairpins);
		else
			t->strange += k;
	}
	return r;
}

int traffic_build(struct counted_list *elements, struct counted_list *hairpins,
		  struct traffic **ret)
{
	_cleanup_(traffic_freep) struct traffic *t = calloc(1, sizeof(*t));
	int r;

	if (!t)
		return -ENOMEM;
	t->arena = arena_new(65536);
	if (!t->arena)
		return -ENOMEM;
	array_sort(elements->items, elements->n, sizeof(*elements->items), counted_cmp);
	array_sort(hairpins->items, hairpins->n, sizeof(*hairpins->items), hairpin_cmp);
	t->strange = elements->strange + hairpins->strange;
	r = frontends_build(t, elements, hairpins);
	if (r < 0)
		return r;

	array_sort(t->frontends, t->n, sizeof(*t->frontends), frontend_cmp_by_name);
	for (size_t i = 0; i < t->n; i++)
		t->by_key[i] = &t->frontends[i];
	array_sort(t->by_key, t->n, sizeof(struct traffic_frontend *), frontend_cmp_by_key);
	*ret = TAKE_PTR(t);
	return 0;
}

struct traffic *traffic_free(struct traffic *t)
{
	if (!t)
		return NULL;
	arena_free(t->arena);
	free(t);
	return NULL;
}

static int endpoint_cmp(const void *x, const void *y)
{
	const struct traffic_endpoint *a = x, *b = y;
	int c = addr_cmp(&a->addr, &b->addr);

	if (c)
		return c;
	COMPARE(a->port, b->port);
	return 0;
}

static void flows_count(struct traffic_flows *f, const struct conntrack_entry *entry)
{
	f->n++;
	counter_add(&f->in, &entry->in);
	counter_add(&f->out, &entry->out);
}

void traffic_add_flow(struct traffic *t, const struct conntrack_entry *entry)
{
	uint8_t family = (uint8_t)entry->flow.family;
	struct traffic_frontend key = {
		.addr = addr_from(family, entry->flow.addr),
		.port = entry->flow.port,
		.protocol = entry->protocol,
	};
	struct traffic_endpoint target = {
		.addr = addr_from(family, entry->flow.target),
		.port = entry->flow.target_port,
	}, *endpoint;
	struct traffic_frontend *probe = &key, **found;

	found = array_find(&probe, t->by_key, t->n, sizeof(struct traffic_frontend *),
			   frontend_cmp_by_key);
	if (!entry->translated || !found)
		return;
	flows_count(&(*found)->flows, entry);
	endpoint = array_find(&target, (*found)->endpoints, (*found)->n_endpoints, sizeof(target),
			      endpoint_cmp);
	if (endpoint)
		flows_count(&endpoint->flows, entry);
}
