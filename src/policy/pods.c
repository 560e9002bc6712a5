#include "policy/pods.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/addrs.h"
#include "base/array.h"
#include "policy/claims.h"
#include "policy/namespaces.h"
#include "policy/selections.h"

static uint64_t pod_hash(const void *item)
{
	const struct pod_state *pod = item;

	return table_hash_texts(pod->namespace->name, pod->name);
}

static bool pod_equal(const void *a, const void *b)
{
	const struct pod_state *x = a, *y = b;

	return x->namespace == y->namespace && strcmp(x->name, y->name) == 0;
}

void pods_init(struct policies *p)
{
	static const struct table_type type = { pod_hash, pod_equal };

	p->pods.type = &type;
}

static void pod_free(struct pod_state *pod)
{
	free(pod->addrs);
	free(pod->selections);
	free(pod);
}

void pods_close(struct policies *p)
{
	struct pod_state *pod;
	size_t position = 0;

	while ((pod = table_next(&p->pods, &position)))
		pod_free(pod);
	table_free(&p->pods);
}

static void pod_link(struct pod_state *pod)
{
	struct pod_state **list = &pod->namespace->pods[pod->local];

	pod->next = *list;
	if (pod->next)
		pod->next->link = &pod->next;
	pod->link = list;
	*list = pod;
}

static void pod_unlink(struct pod_state *pod)
{
	*pod->link = pod->next;
	if (pod->next)
		pod->next->link = pod->link;
}

static int pod_get(struct policies *p, const struct object *o, struct pod_state **ret)
{
	size_t size = strlen(o->name) + 1;
	struct namespace_state *ns;
	struct pod_state *pod;

	if (namespace_get(p, o->namespace, &ns) < 0)
		return -ENOMEM;
	const struct pod_state probe = { .namespace = ns, .name = o->name };

	pod = table_find(&p->pods, &probe);
	if (!pod) {
		if (table_reserve(&p->pods) < 0)
			return -ENOMEM;
		pod = calloc(1, sizeof(*pod) + size);
		if (!pod)
			return -ENOMEM;
		pod->namespace = ns;
		pod->name = memcpy(pod->text, o->name, size);
		table_put(&p->pods, pod);
		pod_link(pod);
	}
	*ret = pod;
	return 0;
}

void pod_forget(struct policies *p, struct pod_state *pod)
{
	struct namespace_state *ns = pod->namespace;

	table_take(&p->pods, pod);
	pod_unlink(pod);
	pod_free(pod);
	namespace_forget(p, ns);
}

/* Finished pods keep their address in their status, while it may have gone to others. */
static bool pod_counts(const struct pod *pod)
{
	return !pod->host_network && pod->phase != POD_SUCCEEDED && pod->phase != POD_FAILED &&
	       pod->n_addrs > 0;
}

static bool ports_same(const struct pod *a, const struct pod *b)
{
	if (a->n_ports != b->n_ports)
		return false;
	for (size_t i = 0; i < a->n_ports; i++)
		if (a->ports[i].port != b->ports[i].port ||
		    a->ports[i].protocol != b->ports[i].protocol ||
		    strcmp(a->ports[i].name, b->ports[i].name) != 0)
			return false;
	return true;
}

/* Most of what a pod's status says makes no difference here. */
static bool pod_same(const struct pod *a, const struct pod *b)
{
	const char *node_a = a->node ? a->node : "", *node_b = b->node ? b->node : "";

	return pod_counts(a) == pod_counts(b) && a->phase == b->phase &&
	       a->object.deleting == b->object.deleting && a->object.created == b->object.created &&
	       strcmp(node_a, node_b) == 0 &&
	       addrs_same(a->addrs, a->n_addrs, b->addrs, b->n_addrs) && ports_same(a, b) &&
	       key_values_same(&a->object.labels, &b->object.labels);
}

static int pod_set_addrs(struct policies *p, struct pod_state *pod, const struct pod *object)
{
	size_t n = object && pod_counts(object) ? object->n_addrs : 0;
	_cleanup_free_ struct addr *addrs = calloc(n + 1, sizeof(*addrs));
	int r = 0;

	if (!addrs)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		addrs[i] = object->addrs[i];
	n = addrs_unique(addrs, n);
	for (size_t i = 0; r == 0 && i < n; i++)
		r = claims_reserve(p, &addrs[i]);
	if (r < 0)
		return r;
	pod->object = object;
	pod->counts = n > 0;
	/* First the new claims: what it keeps must not go to another in between. */
	for (size_t i = 0; i < n; i++)
		claims_add(p, &addrs[i], pod);
	for (size_t i = 0; i < pod->n_addrs; i++)
		claims_drop(p, &pod->addrs[i], pod);
	free(pod->addrs);
	pod->addrs = TAKE_PTR(addrs);
	pod->n_addrs = n;
	return 0;
}

int pods_changed(const struct object *before, const struct object *now, void *policies)
{
	const struct pod *object = (const void *)now;
	struct policies *p = policies;
	struct pod_state *pod;
	bool local;

	if (pod_get(p, now ? now : before, &pod) < 0)
		return -ENOMEM;
	if (before && now && pod->object == (const void *)before &&
	    pod_same((const void *)before, object)) {
		pod->object = object;
		return 0;
	}
	if (pod_set_addrs(p, pod, object) < 0)
		return -ENOMEM;
	local = object && object->node && strcmp(object->node, p->config.node) == 0;
	if (local != pod->local) {
		pod_unlink(pod);
		pod->local = local;
		pod_link(pod);
	}
	queue_add(&p->evaluate, &pod->evaluate);
	queue_add(&p->render, &pod->render);
	return 0;
}

/* Selections -------------------------------------------------------------------------------------- */

static size_t pod_find(const struct pod_state *pod, const struct selection *s)
{
	size_t i = 0;

	while (i < pod->n_selections && pod->selections[i] != s)
		i++;
	return i;
}

static void policy_counts_pod(struct policies *p, struct pod_state *pod, const struct selection *s,
			      bool enters)
{
	if (!s->policy)
		return;
	if (enters)
		s->policy->n_pods++;
	else
		s->policy->n_pods--;
	pod->judged_anew = true;
	queue_add(&p->settle, &s->policy->settle);
}

int pod_enters(struct policies *p, struct pod_state *pod, struct selection *s)
{
	if (pod_find(pod, s) < pod->n_selections)
		return 0;
	if (ARRAY_RESERVE(pod->selections, pod->n_selections, pod->cap_selections) < 0)
		return -ENOMEM;
	pod->selections[pod->n_selections++] = s;
	policy_counts_pod(p, pod, s, true);
	queue_add(&p->render, &pod->render);
	return 0;
}

int pod_leaves(struct policies *p, struct pod_state *pod, struct selection *s)
{
	size_t i = pod_find(pod, s);

	if (i == pod->n_selections)
		return 0;
	pod->selections[i] = pod->selections[--pod->n_selections];
	policy_counts_pod(p, pod, s, false);
	queue_add(&p->render, &pod->render);
	return 0;
}

static bool is_among(struct selection *const *items, size_t n, const struct selection *s)
{
	for (size_t i = 0; i < n; i++)
		if (items[i] == s)
			return true;
	return false;
}

static int pod_evaluate(struct policies *p, struct pod_state *pod)
{
	size_t n = selections_of_pod(p, pod, NULL, 0);
	_cleanup_free_ struct selection **now = calloc(n + 1, sizeof(*now));
	int r = 0;

	if (!now)
		return -ENOMEM;
	selections_of_pod(p, pod, now, n);
	for (size_t i = pod->n_selections; i-- > 0;)
		if (!is_among(now, n, pod->selections[i]))
			pod_leaves(p, pod, pod->selections[i]);
	for (size_t i = 0; r == 0 && i < n; i++)
		r = pod_enters(p, pod, now[i]);
	return r;
}

int pods_evaluate(struct policies *p)
{
	struct queue_link *l;

	while ((l = queue_first(&p->evaluate))) {
		if (pod_evaluate(p, CONTAINER_OF(l, struct pod_state, evaluate)) < 0)
			return -ENOMEM;
		queue_drop_first(&p->evaluate);
	}
	return 0;
}
