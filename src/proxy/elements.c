#include "proxy/elements.h"

#include <errno.h>
#include <string.h>

#include "base/cleanup.h"

static struct element *element_add(struct block *b, enum set_id set, uint8_t family,
				   const uint8_t addr[static 16])
{
	struct element *e = block_add(b);

	if (!e)
		return NULL;
	e->set = (uint8_t)set;
	e->family = family;
	memcpy(e->addr, addr, sizeof(e->addr));
	return e;
}

static struct element *frontend_element_add(struct block *b, enum set_id set,
					    const struct frontend *f, const char *comment)
{
	struct element *e = element_add(b, set, f->addr.family, f->addr.bytes);

	if (!e)
		return NULL;
	e->protocol = f->protocol;
	e->port = f->port;
	e->comment = comment;
	return e;
}

static int rows_add(struct block *b, enum set_id set, const struct frontend *f,
		    const struct target_list *targets, const char *comment)
{
	for (size_t slot = 0; targets && slot < targets->n; slot++) {
		struct element *e = frontend_element_add(b, set, f, comment);

		if (!e)
			return -ENOMEM;
		memcpy(e->other, targets->items[slot].addr, sizeof(e->other));
		e->target_port = targets->items[slot].port;
		e->slot = (uint32_t)slot;
	}
	return 0;
}

static uint32_t targets_count(const struct target_list *targets)
{
	return targets ? (uint32_t)targets->n : 0;
}

int elements_add_frontend(struct block *b, const struct frontend *f,
			  const struct frontend_verdicts *v, uint32_t affinity_timeout_s,
			  const char *comment)
{
	const struct {
		enum set_id set;
		enum verdict verdict;
		uint32_t number;
	} verdicts[FRONTEND_MAX_VERDICTS] = {
		{ SET_SERVICES, v->services, targets_count(v->targets) },
		{ SET_LOCAL_SERVICES, v->local_services, targets_count(v->local_targets) },
		{ SET_NO_ENDPOINTS, v->no_endpoints, 0 },
		{ SET_AFFINITY_SERVICES, v->affinity, affinity_timeout_s },
		{ SET_MASQUERADE_SERVICES, v->masquerade, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(verdicts); i++) {
		struct element *e;

		if (verdicts[i].verdict == VERDICT_NONE)
			continue;
		e = frontend_element_add(b, verdicts[i].set, f, comment);
		if (!e)
			return -ENOMEM;
		e->verdict = (uint8_t)verdicts[i].verdict;
		e->number = verdicts[i].number;
	}
	if (rows_add(b, SET_ENDPOINTS, f, v->targets, comment) < 0)
		return -ENOMEM;
	return rows_add(b, SET_LOCAL_ENDPOINTS, f, v->local_targets, comment);
}

/* Whether it is chosen at present, by readiness, policy or topology, does not matter. A connection has an
 * end, for which a pod that terminates is given time. */
static bool target_keeps_flows(const struct target *target, uint8_t protocol)
{
	unsigned flags = ENDPOINT_READY | ENDPOINT_DRAINING;

	if (protocol != PROTOCOL_UDP)
		flags |= ENDPOINT_TERMINATING;
	return target->flags & flags;
}

/* The kernel stops UDP flows that are not among these; the agent ends them. */
static int flow_element_add(struct block *b, enum set_id set, const struct frontend *f,
			    const struct target *target, const char *comment)
{
	struct element *e;

	if (f->protocol != PROTOCOL_UDP)
		return 0;
	e = frontend_element_add(b, set, f, comment);
	if (!e)
		return -ENOMEM;
	if (target) {
		memcpy(e->other, target->addr, sizeof(e->other));
		e->target_port = target->port;
	}
	return 0;
}

int elements_add_flows(struct block *b, const struct frontend *f, const struct target_list *known,
		       const char *comment)
{
	struct flow flow = { .family = f->addr.family, .protocol = f->protocol, .port = f->port };
	int r = flow_element_add(b, SET_UDP_SERVICES, f, NULL, comment);

	memcpy(flow.addr, f->addr.bytes, sizeof(flow.addr));
	if (r == 0)
		r = flows_add(&b->flows, &flow);
	for (size_t i = 0; r == 0 && i < known->n; i++) {
		const struct target *target = &known->items[i];

		if (!target_keeps_flows(target, f->protocol))
			continue;
		memcpy(flow.target, target->addr, sizeof(flow.target));
		flow.target_port = target->port;
		r = flow_element_add(b, SET_UDP_FLOWS, f, target, comment);
		if (r == 0)
			r = flows_add(&b->flows, &flow);
	}
	return r;
}

int elements_add_hairpins(struct block *b, uint8_t family, const struct target_list *targets)
{
	for (size_t i = 0; targets && i < targets->n; i++) {
		const struct target *target = &targets->items[i];
		struct element *e;

		if (!(target->flags & ENDPOINT_LOCAL))
			continue;
		e = element_add(b, SET_HAIRPIN, family, target->addr);
		if (!e)
			return -ENOMEM;
		memcpy(e->other, target->addr, sizeof(e->other));
	}
	return 0;
}

int elements_add_guard(struct block *b, const struct frontend *f,
		       const struct source_ranges *sources, const char *comment)
{
	if (!frontend_element_add(b, SET_GUARDED_FRONTENDS, f, comment))
		return -ENOMEM;
	for (size_t i = 0; i < sources->n; i++) {
		struct element *e = frontend_element_add(b, SET_SOURCE_RANGES, f, comment);

		if (!e)
			return -ENOMEM;
		memcpy(e->other, sources->items[i].addr.bytes, sizeof(e->other));
		e->slot = sources->items[i].len;
	}
	return 0;
}

int elements_add_service_addr(struct block *b, const struct addr *a)
{
	return element_add(b, SET_SERVICE_ADDRESSES, a->family, a->bytes) ? 0 : -ENOMEM;
}

int elements_add_ranges(struct block *b, enum set_id set, uint8_t family,
			const struct addr_range *ranges, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct element *e = element_add(b, set, family, ranges[i].first.bytes);

		if (!e)
			return -ENOMEM;
		memcpy(e->other, ranges[i].last.bytes, sizeof(e->other));
	}
	return 0;
}
