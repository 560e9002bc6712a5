#include "policy/claims.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/hash.h"
#include "policy/pods.h"

struct claim_on_addr {
	struct addr addr;
	struct pod_state *holder;
	struct pod_state **pods; /* who claim it */
	size_t n, capacity;
};

static uint64_t claim_hash(const void *item)
{
	const struct claim_on_addr *c = item;

	return hash_bytes(&c->addr, sizeof(c->addr));
}

static bool claim_equal(const void *a, const void *b)
{
	const struct claim_on_addr *x = a, *y = b;

	return addr_equal(&x->addr, &y->addr);
}

void claims_of_pods_init(struct policies *p)
{
	static const struct table_type type = { claim_hash, claim_equal };

	p->claims.type = &type;
}

static void claim_free(struct claim_on_addr *c)
{
	free(c->pods);
	free(c);
}

void claims_of_pods_close(struct policies *p)
{
	struct claim_on_addr *c;
	size_t position = 0;

	while ((c = table_next(&p->claims, &position)))
		claim_free(c);
	table_free(&p->claims);
}

static struct claim_on_addr *claim_find(const struct policies *p, const struct addr *a)
{
	const struct claim_on_addr probe = { .addr = *a };

	return table_find(&p->claims, &probe);
}

int claims_reserve(struct policies *p, const struct addr *a)
{
	struct claim_on_addr *c = claim_find(p, a);

	if (!c) {
		if (table_reserve(&p->claims) < 0)
			return -ENOMEM;
		c = calloc(1, sizeof(*c));
		if (!c)
			return -ENOMEM;
		c->addr = *a;
		table_put(&p->claims, c);
	}
	return ARRAY_RESERVE(c->pods, c->n, c->capacity);
}

/* Whether @a has a better claim: it is not on its way out, it runs, it is younger; then by name. */
static bool pod_precedes(const struct pod_state *a, const struct pod_state *b)
{
	const struct object *x = &a->object->object, *y = &b->object->object;
	bool runs_a = a->object->phase == POD_RUNNING, runs_b = b->object->phase == POD_RUNNING;
	int c;

	if (x->deleting != y->deleting)
		return y->deleting;
	if (runs_a != runs_b)
		return runs_a;
	if (x->created != y->created)
		return x->created > y->created;
	c = strcmp(a->namespace->name, b->namespace->name);
	return c ? c < 0 : strcmp(a->name, b->name) < 0;
}

static void claim_settle(struct policies *p, struct claim_on_addr *c)
{
	struct pod_state *holder = NULL;

	for (size_t i = 0; i < c->n; i++)
		if (c->pods[i]->counts && (!holder || pod_precedes(c->pods[i], holder)))
			holder = c->pods[i];
	if (holder == c->holder)
		return;
	if (c->holder) {
		c->holder->loses = true;
		queue_add(&p->render, &c->holder->render);
	}
	if (holder)
		queue_add(&p->render, &holder->render);
	c->holder = holder;
}

void claims_add(struct policies *p, const struct addr *a, struct pod_state *pod)
{
	struct claim_on_addr *c = claim_find(p, a);

	c->pods[c->n++] = pod;
	claim_settle(p, c);
}

void claims_drop(struct policies *p, const struct addr *a, struct pod_state *pod)
{
	struct claim_on_addr *c = claim_find(p, a);
	size_t i = 0;

	while (i < c->n && c->pods[i] != pod)
		i++;
	if (i < c->n)
		c->pods[i] = c->pods[--c->n];
	claim_settle(p, c);
	if (c->n == 0)
		claim_free(table_take(&p->claims, c));
}

bool pod_owns(const struct policies *p, const struct pod_state *pod, size_t i)
{
	const struct claim_on_addr *c = claim_find(p, &pod->addrs[i]);

	return c && c->holder == pod;
}
