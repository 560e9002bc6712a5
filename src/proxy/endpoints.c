#include "proxy/endpoints.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/addrs.h"
#include "base/array.h"
#include "base/cleanup.h"
#include "proxy/address-safety.h"
#include "proxy/claims.h"

static bool strings_have(const char *const *strings, size_t n, const char *wanted)
{
	for (size_t i = 0; wanted && i < n; i++)
		if (strcmp(strings[i], wanted) == 0)
			return true;
	return false;
}

static uint16_t endpoint_flags(const struct endpoint *one, const struct vantage *here)
{
	unsigned flags = 0;

	if (one->ready)
		flags |= ENDPOINT_READY;
	if (one->serving && one->terminating)
		flags |= ENDPOINT_DRAINING;
	if (one->terminating)
		flags |= ENDPOINT_TERMINATING;
	if (one->node && strcmp(one->node, here->node) == 0)
		flags |= ENDPOINT_LOCAL;
	if (one->n_node_hints > 0)
		flags |= ENDPOINT_NODE_HINT;
	if (strings_have(one->node_hints, one->n_node_hints, here->node))
		flags |= ENDPOINT_HINTS_NODE;
	if (one->n_zone_hints > 0)
		flags |= ENDPOINT_ZONE_HINT;
	if (strings_have(one->zone_hints, one->n_zone_hints, here->zone))
		flags |= ENDPOINT_HINTS_ZONE;
	return (uint16_t)flags;
}

/* Why connections may not be sent there, or NULL. */
static const char *endpoint_problem(const struct addr *a, struct claims *claims)
{
	const char *problem = endpoint_addr_problem(a);

	if (!problem && claims_have_addr(claims, a))
		problem = "is the cluster IP of a Service";
	return problem;
}

static int candidates_add_slice(struct endpoints *e, uint32_t slice, const struct vantage *here,
				struct claims *claims, struct problems *problems)
{
	const struct endpoint_slice *from = e->slices[slice];
	char text[ADDR_TEXT_MAX];

	for (size_t i = 0; i < from->n_endpoints; i++) {
		const struct endpoint *one = &from->endpoints[i];
		const char *problem = endpoint_problem(&one->addr, claims);
		int r;

		if (problem) {
			e->n_skipped++;
			problems_add(problems, "EndpointSkipped", "endpoint %s skipped: it %s",
				     addr_format(&one->addr, text), problem);
			continue;
		}
		r = ARRAY_RESERVE(e->candidates, e->n_candidates, e->cap_candidates);
		if (r < 0)
			return r;
		e->candidates[e->n_candidates++] = (struct candidate){
			.addr = one->addr,
			.flags = endpoint_flags(one, here),
			.slice = slice,
		};
		e->n_by_family[family_index(one->addr.family)]++;
		e->n_local += (e->candidates[e->n_candidates - 1].flags & ENDPOINT_LOCAL) != 0;
	}
	return 0;
}

int endpoints_read(struct endpoints *e, const struct endpoint_slice *const *slices, size_t n,
		   const struct vantage *here, struct claims *claims, struct problems *problems)
{
	int r = 0;

	e->slices = slices;
	e->n_candidates = 0;
	e->n_skipped = 0;
	e->n_local = 0;
	memset(e->n_by_family, 0, sizeof(e->n_by_family));

	for (size_t i = 0; r == 0 && i < n; i++) {
		const struct key_values *labels = &slices[i]->object.labels;

		if (slices[i]->family == 0 ||
		    key_values_get(labels, "service.kubernetes.io/headless"))
			continue;
		r = candidates_add_slice(e, (uint32_t)i, here, claims, problems);
	}
	return r;
}

/* The number that @slice gives to a service port, or 0. Slices are joined by name and protocol: one
 * name may have different numbers in different slices. */
static uint16_t slice_port(const struct endpoint_slice *slice, const struct service_port *port)
{
	for (size_t i = 0; i < slice->n_ports; i++)
		if (slice->ports[i].protocol == port->protocol &&
		    strcmp(slice->ports[i].name, port->name) == 0)
			return slice->ports[i].port;
	return 0;
}

static int targets_reserve(struct target_list *list, size_t n)
{
	return array_grow((void **)&list->items, &list->capacity, n, sizeof(list->items[0]));
}

static int target_cmp_qsort(const void *a, const void *b)
{
	return target_cmp(a, b);
}

/* Copies of one endpoint stand side by side now. While an endpoint moves from one slice to another,
 * both may tell of it: what either says counts, so the order of slices does not matter. */
static void targets_merge_copies(struct target_list *list)
{
	size_t n = 0;

	for (size_t i = 0; i < list->n; i++)
		if (n > 0 && target_cmp(&list->items[n - 1], &list->items[i]) == 0)
			list->items[n - 1].flags |= list->items[i].flags;
		else
			list->items[n++] = list->items[i];
	list->n = n;
}

static int known_read(struct endpoints *e, const struct service_port *port, uint8_t family)
{
	const struct endpoint_slice *slice = NULL;
	struct target_list *known = &e->known;
	uint16_t number = 0;
	int r;

	known->n = 0;
	r = targets_reserve(known, e->n_by_family[family_index(family)]);
	if (r < 0)
		return r;

	for (size_t i = 0; i < e->n_candidates; i++) {
		const struct candidate *one = &e->candidates[i];
		struct target *target = &known->items[known->n];

		if (e->slices[one->slice] != slice) {
			slice = e->slices[one->slice];
			number = slice_port(slice, port);
		}
		if (number == 0 || one->addr.family != family)
			continue;
		memcpy(target->addr, one->addr.bytes, sizeof(target->addr));
		target->port = number;
		target->flags = one->flags;
		target->hash = target_hash(target->addr, number);
		known->n++;
	}
	if (known->n > 1)
		array_sort(known->items, known->n, sizeof(known->items[0]), target_cmp_qsort);
	targets_merge_copies(known);
	return 0;
}

/* The flags that a ready endpoint must have to be used from here. Hints count when every ready
 * endpoint has one and one of them means us (KEP-4444, KEP-2433). */
static uint16_t topology_needs(const struct target_list *known)
{
	unsigned all = ENDPOINT_NODE_HINT | ENDPOINT_ZONE_HINT, any = 0;

	for (size_t i = 0; i < known->n; i++)
		if (known->items[i].flags & ENDPOINT_READY) {
			all &= known->items[i].flags;
			any |= known->items[i].flags;
		}
	if ((all & ENDPOINT_NODE_HINT) && (any & ENDPOINT_HINTS_NODE))
		return ENDPOINT_HINTS_NODE;
	if ((all & ENDPOINT_ZONE_HINT) && (any & ENDPOINT_HINTS_ZONE))
		return ENDPOINT_HINTS_ZONE;
	return 0;
}

/* Those that have all of @flags, in the same order. */
static void targets_choose(struct target_list *chosen, const struct target_list *known,
			   unsigned flags)
{
	chosen->n = 0;
	for (size_t i = 0; i < known->n; i++)
		if ((known->items[i].flags & flags) == flags)
			chosen->items[chosen->n++] = known->items[i];
}

static int list_assign(struct endpoints *e, struct target_list *list, bool maglev)
{
	const struct target_list *chosen = &e->chosen;

	list->n = chosen->n;
	list->n_slots = 0;
	if (!maglev || chosen->n == 0 || chosen->n > MAGLEV_SLOTS) {
		slots_assign(chosen->items, chosen->n, e->scratch, list->items);
		return 0;
	}
	if (!list->slots)
		list->slots = calloc(MAGLEV_SLOTS, sizeof(*list->slots));
	if (!list->slots)
		return -ENOMEM;
	memcpy(list->items, chosen->items, chosen->n * sizeof(*chosen->items));
	maglev_assign(chosen->items, chosen->n, e->scratch, list->slots);
	list->n_slots = MAGLEV_SLOTS;
	return 0;
}

static int list_fill(struct endpoints *e, struct target_list *list, unsigned ready_flags,
		     unsigned draining_flags, bool maglev, struct problems *problems)
{
	struct target_list *chosen = &e->chosen;
	int r;

	r = targets_reserve(chosen, e->known.n);
	if (r < 0)
		return r;
	targets_choose(chosen, &e->known, ENDPOINT_READY | ready_flags);
	if (chosen->n == 0)
		targets_choose(chosen, &e->known, ENDPOINT_DRAINING | draining_flags);
	if (chosen->n > DISPATCH_MAX_ENDPOINTS) {
		problems_add(problems, "TooManyEndpoints",
			     "a port has more than %d endpoints: the others are not used",
			     DISPATCH_MAX_ENDPOINTS);
		chosen->n = DISPATCH_MAX_ENDPOINTS;
	}

	r = targets_reserve(list, chosen->n);
	if (r < 0)
		return r;
	r = array_grow((void **)&e->scratch, &e->cap_scratch, 2 * chosen->n, sizeof(e->scratch[0]));
	if (r < 0)
		return r;
	return list_assign(e, list, maglev);
}

int endpoints_choose(struct endpoints *e, const struct service_port *port, uint8_t family,
		     bool maglev, struct problems *problems)
{
	int r;

	r = known_read(e, port, family);
	if (r < 0)
		return r;
	r = list_fill(e, &e->lists.cluster, topology_needs(&e->known), 0, maglev, problems);
	if (r < 0)
		return r;
	return list_fill(e, &e->lists.local, ENDPOINT_LOCAL, ENDPOINT_LOCAL, maglev, problems);
}

/* Put @port among the ascending ports @ret, whose rest is zero. False: a higher one had no room. */
static bool port_insert(uint16_t port, uint16_t ret[static DISPATCH_MAX_TARGETS])
{
	for (size_t i = 0; i < DISPATCH_MAX_TARGETS && port; i++) {
		uint16_t there = ret[i];

		if (there == port)
			return true;
		if (there == 0 || port < there) {
			ret[i] = port;
			port = there;
		}
	}
	return port == 0;
}

bool endpoints_target_ports(const struct endpoint_lists *lists,
			    uint16_t ret[static DISPATCH_MAX_TARGETS])
{
	const struct target_list *both[] = { &lists->cluster, &lists->local };
	bool all = true;

	memset(ret, 0, DISPATCH_MAX_TARGETS * sizeof(*ret));
	for (size_t l = 0; l < ARRAY_SIZE(both); l++)
		for (size_t i = 0; i < both[l]->n; i++)
			all &= port_insert(both[l]->items[i].port, ret);
	return all;
}

static bool slice_has_port(const struct endpoint_slice *slice)
{
	for (size_t i = 0; i < slice->n_ports; i++)
		if (slice->ports[i].port != 0)
			return true;
	return false;
}

int endpoints_count_local(const struct endpoints *e, uint32_t ret[static FAMILY_COUNT])
{
	const unsigned wanted = ENDPOINT_LOCAL | ENDPOINT_READY;
	_cleanup_free_ struct addr *addrs = calloc(e->n_local + 1, sizeof(*addrs));
	size_t n = 0;

	if (!addrs)
		return -ENOMEM;
	for (size_t i = 0; i < e->n_candidates; i++)
		if ((e->candidates[i].flags & wanted) == wanted &&
		    slice_has_port(e->slices[e->candidates[i].slice]))
			addrs[n++] = e->candidates[i].addr;
	n = addrs_unique(addrs, n);
	memset(ret, 0, FAMILY_COUNT * sizeof(*ret));
	for (size_t i = 0; i < n; i++)
		ret[family_index(addrs[i].family)]++;
	return 0;
}

void endpoints_free(struct endpoints *e)
{
	free(e->candidates);
	free(e->known.items);
	free(e->chosen.items);
	free(e->scratch);
	free(e->lists.cluster.items);
	free(e->lists.cluster.slots);
	free(e->lists.local.items);
	free(e->lists.local.slots);
	*e = (struct endpoints){ 0 };
}
