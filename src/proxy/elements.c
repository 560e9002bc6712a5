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
	size_t n = targets ? targets_slots(targets) : 0;

	for (size_t slot = 0; slot < n; slot++) {
		struct element *e = frontend_element_add(b, set, f, comment);
		const struct target *target = targets_at(targets, slot);

		if (!e)
			return -ENOMEM;
		memcpy(e->other, target->addr, sizeof(e->other));
		e->target_port = target->port;
		e->slot = (uint32_t)slot;
	}
	return 0;
}

static uint32_t slots_count(const struct target_list *targets)
{
	return targets ? (uint32_t)targets_slots(targets) : 0;
}

/* The chain of verdict @v and @number, if it is one of a service port: of this one. */
static struct dispatch port_dispatch(const struct port_facts *port, enum verdict v, uint32_t number)
{
	struct dispatch d = {
		.family = port->own->addr.family,
		.verdict = (uint8_t)v,
		.number = number,
	};

	if (v >= VERDICT_FIRST_OWN) {
		d.protocol = port->own->protocol;
		d.port = port->own->port;
		memcpy(d.addr, port->own->addr.bytes, sizeof(d.addr));
	}
	return d;
}

int elements_add_frontend(struct block *b, const struct frontend *f,
			  const struct frontend_verdicts *v, const struct port_facts *port)
{
	const struct {
		enum set_id set;
		enum verdict verdict;
		uint32_t number;
	} verdicts[] = {
		{ v->recall ? SET_AFFINITY_SERVICES : SET_SERVICES, v->services,
		  slots_count(v->targets) },
		{ v->local_recall ? SET_LOCAL_AFFINITY_SERVICES : SET_LOCAL_SERVICES,
		  v->local_services, slots_count(v->local_targets) },
		{ SET_SERVICES, v->recall, port->targets },
		{ SET_LOCAL_SERVICES, v->local_recall, port->targets },
		{ SET_NO_ENDPOINTS, v->no_endpoints, 0 },
		{ SET_AFFINITY_TIMEOUTS, v->learn, port->affinity_timeout_s },
		{ SET_MASQUERADE_SERVICES, v->masquerade, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(verdicts); i++) {
		struct dispatch d = port_dispatch(port, verdicts[i].verdict, verdicts[i].number);
		struct element *e;

		if (verdicts[i].verdict == VERDICT_NONE)
			continue;
		e = frontend_element_add(b, verdicts[i].set, f, port->comment);
		if (!e)
			return -ENOMEM;
		element_set_dispatch(e, &d);
	}
	if (rows_add(b, SET_ENDPOINTS, f, v->targets, port->comment) < 0)
		return -ENOMEM;
	return rows_add(b, SET_LOCAL_ENDPOINTS, f, v->local_targets, port->comment);
}

int elements_add_bindings(struct block *b, const struct port_facts *port, enum verdict learn,
			  const struct target_list *targets)
{
	const struct dispatch d = port_dispatch(port, learn, 0);
	int r = 0;

	for (size_t i = 0; r == 0 && i < targets->n; i++) {
		struct binding one = { .family = d.family };

		memcpy(one.addr, targets->items[i].addr, sizeof(one.addr));
		binding_words(&d, targets->items[i].port, one.words);
		r = bindings_add(&b->bindings, &one);
	}
	return r;
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
