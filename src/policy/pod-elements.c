#include "policy/pod-elements.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "policy/combinations.h"
#include "policy/internal.h"
#include "policy/pods.h"
#include "ruleset/ruleset.h"

enum { OWNER_BYTES = sizeof("pod /") + 2 * OBJECT_MAX_NAME };

static struct element *pod_element(struct block *b, enum set_id set, const struct addr *a,
				   const char *comment)
{
	struct element *e = block_add(b);

	if (!e)
		return NULL;
	e->set = (uint8_t)set;
	e->family = a->family;
	memcpy(e->addr, a->bytes, sizeof(e->addr));
	e->comment = comment;
	return e;
}

static int add_verdicts(struct block *b, const struct pod_state *pod, const struct addr *a,
			const char *comment)
{
	static const enum set_id maps[DIRECTIONS] = { SET_INGRESS_PODS, SET_EGRESS_PODS };

	for (enum direction d = INGRESS; d < DIRECTIONS; d++) {
		const struct combination *c = pod->combinations[d];
		struct element *e;

		if (!c)
			continue;
		e = pod_element(b, maps[d], a, comment);
		if (!e)
			return -ENOMEM;
		e->verdict = VERDICT_POLICIES;
		e->id = c->id;
	}
	return 0;
}

static bool port_is_named(const struct container_port *port, const struct selection_spec *spec)
{
	for (size_t i = 0; i < spec->n_names; i++)
		if (port->protocol == spec->names[i].protocol &&
		    strcmp(port->name, spec->names[i].name) == 0)
			return true;
	return false;
}

/* Whether one of the elements from @first on has this port: two containers may have the same. */
static bool port_is_added(const struct block *b, size_t first, const struct container_port *port)
{
	for (size_t i = first; i < b->n; i++)
		if (b->elements[i].port == port->port && b->elements[i].protocol == port->protocol)
			return true;
	return false;
}

static int add_named_ports(struct block *b, const struct pod_state *pod, const struct selection *s,
			   const struct addr *a, const char *comment)
{
	const struct pod *object = pod->object;
	size_t first = b->n;

	for (size_t i = 0; i < object->n_ports; i++) {
		const struct container_port *port = &object->ports[i];
		struct element *e;

		if (!port_is_named(port, &s->spec) || port_is_added(b, first, port))
			continue;
		e = pod_element(b, SET_NAMED_PORTS, a, comment);
		if (!e)
			return -ENOMEM;
		e->id = s->id;
		e->protocol = (uint8_t)port->protocol;
		e->port = port->port;
	}
	return 0;
}

static int add_memberships(struct block *b, const struct pod_state *pod, const struct addr *a,
			   const char *comment)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < pod->n_selections; i++) {
		const struct selection *s = pod->selections[i];
		struct element *e;

		if (s->spec.kind == SELECTION_NAMED_PORTS)
			r = add_named_ports(b, pod, s, a, comment);
		if (s->spec.kind != SELECTION_PODS)
			continue;
		e = pod_element(b, SET_PODS, a, comment);
		if (!e)
			return -ENOMEM;
		e->id = s->id;
	}
	return r;
}

static int add_addr(const struct policies *p, struct block *b, const struct pod_state *pod,
		    const struct addr *a, const char *comment)
{
	int r = add_memberships(b, pod, a, comment);

	if (r == 0 && pod->local)
		r = add_verdicts(b, pod, a, comment);
	if (r == 0 && pod->local && p->config.default_deny)
		r = pod_element(b, SET_LOCAL_PODS, a, comment) ? 0 : -ENOMEM;
	return r;
}

static bool family_is_on(const struct policies *p, uint8_t family)
{
	return family == AF_INET ? p->config.ipv4 : p->config.ipv6;
}

static int pod_build(const struct policies *p, const struct pod_state *pod, const char *name,
		     struct block **ret)
{
	_cleanup_(block_freep) struct block *b = NULL;
	const char *comment;
	int r = block_new(0, &b);

	comment = r == 0 ? block_comment(b, name) : NULL;
	if (!comment)
		return -ENOMEM;
	for (size_t i = 0; r == 0 && i < pod->n_addrs; i++)
		if (family_is_on(p, pod->addrs[i].family) && pod_owns(p, pod, i))
			r = add_addr(p, b, pod, &pod->addrs[i], comment);
	if (r == 0 && b->n > 0)
		*ret = TAKE_PTR(b);
	return r;
}

static const char *pod_owner(const struct pod_state *pod, char text[static OWNER_BYTES])
{
	snprintf(text, OWNER_BYTES, "pod %s/%s", pod->namespace->name, pod->name);
	return text;
}

static void pod_count(struct policies *p, const struct pod_state *pod, int sign)
{
	if (pod->combinations[INGRESS] || pod->combinations[EGRESS])
		p->stats.pods += (size_t)sign;
}

static int pod_render(struct policies *p, struct pod_state *pod)
{
	struct block *block = NULL;
	char owner[OWNER_BYTES];
	bool empty;
	int r = 0;

	if (pod->judged_anew) {
		pod_count(p, pod, -1);
		r = combinations_assign(p, pod);
		pod_count(p, pod, 1);
	}
	if (r == 0)
		r = pod_build(p, pod, strchr(pod_owner(pod, owner), ' ') + 1, &block);
	empty = !block;
	if (r == 0 && (pod->rendered || block))
		r = ruleset_replace(p->ruleset, owner, block, p->tx, p->err);
	if (r < 0)
		return r;
	pod->judged_anew = false;
	pod->loses = false;
	pod->rendered = !empty;
	return 0;
}

/* In the transaction an address must leave one pod before it comes to another. */
static int pods_withdraw(struct policies *p)
{
	char owner[OWNER_BYTES];
	int r = 0;

	for (struct queue_link *l = queue_first(&p->render); r == 0 && l; l = l->next) {
		const struct pod_state *pod = CONTAINER_OF(l, struct pod_state, render);

		if (pod->loses && pod->rendered)
			r = ruleset_replace(p->ruleset, pod_owner(pod, owner), NULL, p->tx, p->err);
	}
	return r;
}

int pods_render(struct policies *p)
{
	struct queue_link *l;
	int r = pods_withdraw(p);

	while (r == 0 && (l = queue_first(&p->render))) {
		struct pod_state *pod = CONTAINER_OF(l, struct pod_state, render);

		r = pod_render(p, pod);
		if (r < 0)
			break;
		queue_drop_first(&p->render);
		if (!pod->object)
			pod_forget(p, pod);
	}
	return r;
}
