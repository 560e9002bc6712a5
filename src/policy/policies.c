#include "policy/policies.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "policy/chains.h"
#include "policy/claims.h"
#include "policy/combinations.h"
#include "policy/internal.h"
#include "policy/namespaces.h"
#include "policy/node-sets.h"
#include "policy/pod-elements.h"
#include "policy/pods.h"
#include "policy/references.h"
#include "policy/selection.h"
#include "policy/selections.h"
#include "ruleset/ruleset.h"
#include "store/store.h"

enum { OWNER_BYTES = sizeof("policy /") + 2 * OBJECT_MAX_NAME };

bool policies_family(const struct policies *p, size_t i, uint8_t *ret)
{
	const bool first = i == 0;

	if (p->config.ipv4 && p->config.ipv6)
		*ret = first ? AF_INET : AF_INET6;
	else
		*ret = p->config.ipv4 ? AF_INET : AF_INET6;
	return first || (i == 1 && p->config.ipv4 && p->config.ipv6);
}

static uint64_t policy_hash(const void *item)
{
	const struct policy_state *st = item;

	return table_hash_texts(st->namespace, st->name);
}

static bool policy_equal(const void *a, const void *b)
{
	const struct policy_state *x = a, *y = b;

	return strcmp(x->name, y->name) == 0 && strcmp(x->namespace, y->namespace) == 0;
}

int policies_new(const struct policies_config *config, struct store *s, problem_report_fn report,
		 void *userdata, struct policies **ret)
{
	static const struct table_type policy_type = { policy_hash, policy_equal };
	struct policies *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	p->config = *config;
	p->problems.report = report;
	p->problems.userdata = userdata;
	p->policies.type = &policy_type;
	namespaces_init(p);
	pods_init(p);
	claims_of_pods_init(p);
	selections_init(p);
	references_init(p);
	combinations_init(p);
	queue_init(&p->evaluate);
	queue_init(&p->render);
	queue_init(&p->settle);
	store_watch(s, KIND_POD);
	store_watch(s, KIND_NAMESPACE);
	store_watch(s, KIND_NETWORK_POLICY);
	*ret = p;
	return 0;
}

static void references_free(struct references *refs)
{
	free(refs->selections);
	free(refs->sets);
}

static void policy_free(struct policy_state *st)
{
	selection_free(st->target);
	references_free(&st->references);
	references_free(&st->dropped);
	free(st->problems.hashes);
	free(st);
}

struct policies *policies_free(struct policies *p)
{
	struct policy_state *st;
	size_t position = 0;

	if (!p)
		return NULL;
	while ((st = table_next(&p->policies, &position)))
		policy_free(st);
	table_free(&p->policies);
	combinations_close(p);
	references_close(p);
	selections_close(p);
	claims_of_pods_close(p);
	pods_close(p);
	namespaces_close(p);
	prefixes_free(&p->pod_cidrs);
	free(p);
	return NULL;
}

/* Policies ---------------------------------------------------------------------------------------- */

static int policy_get(struct policies *p, const struct object *o, struct policy_state **ret)
{
	const struct policy_state probe = { .namespace = o->namespace, .name = o->name };
	size_t namespace_size = strlen(o->namespace) + 1, name_size = strlen(o->name) + 1;
	struct policy_state *st = table_find(&p->policies, &probe);

	if (!st) {
		if (table_reserve(&p->policies) < 0)
			return -ENOMEM;
		st = calloc(1, sizeof(*st) + namespace_size + name_size);
		if (!st)
			return -ENOMEM;
		st->namespace = memcpy(st->text, o->namespace, namespace_size);
		st->name = memcpy(st->text + namespace_size, o->name, name_size);
		table_put(&p->policies, st);
	}
	*ret = st;
	return 0;
}

static int policy_drop_target(struct policies *p, struct policy_state *st)
{
	int r = st->target ? selection_each_pod(p, st->target, pod_leaves) : 0;

	if (r < 0 || !st->target)
		return r;
	selections_take_out(p, st->target);
	st->target = selection_free(st->target);
	return 0;
}

static int policy_set_target(struct policies *p, struct policy_state *st)
{
	const struct selection_spec spec = {
		.kind = SELECTION_TARGET,
		.local = true,
		.namespace = st->namespace,
		.pods = &st->object->pods,
	};
	_cleanup_(selection_freep) struct selection *new = NULL;
	int r = selection_new(&spec, &new);

	if (r < 0)
		return r;
	if (!st->target || content_id_cmp(&st->target->id, &new->id) != 0) {
		new->policy = st;
		r = policy_drop_target(p, st);
		if (r == 0)
			r = selections_file(p, new);
		if (r < 0)
			return r;
		st->target = TAKE_PTR(new);
	}
	/* Memory may have ended half way the last time. */
	return selection_each_pod(p, st->target, pod_enters);
}

static int judge_anew(struct policies *p, struct pod_state *pod, struct selection *s)
{
	(void)s;
	pod->judged_anew = true;
	queue_add(&p->render, &pod->render);
	return 0;
}

static int policy_changed(const struct object *before, const struct object *now, void *userdata)
{
	const struct network_policy *object = (const void *)now;
	struct policies *p = userdata;
	struct policy_state *st;

	if (policy_get(p, now ? now : before, &st) < 0)
		return -ENOMEM;
	st->object = object;
	st->changed = true;
	st->refusal[0] = '\0';
	queue_add(&p->settle, &st->settle);
	if (!now)
		return 0;
	if (policy_set_target(p, st) < 0)
		return -ENOMEM;
	if (st->isolates[INGRESS] != object->ingress || st->isolates[EGRESS] != object->egress)
		selection_each_pod(p, st->target, judge_anew);
	st->isolates[INGRESS] = object->ingress;
	st->isolates[EGRESS] = object->egress;
	return 0;
}

/* Its namespace is being deleted, policies first: what is in force holds until the last pod is gone. */
static bool policy_is_held(const struct policies *p, const struct policy_state *st)
{
	const struct namespace_state *ns = namespace_find(p, st->namespace);

	return !st->object && st->active && st->n_pods > 0 && ns && ns->ending;
}

static const char *policy_owner(const struct policy_state *st, char text[static OWNER_BYTES])
{
	snprintf(text, OWNER_BYTES, "policy %s/%s", st->namespace, st->name);
	return text;
}

/* What the old chains refer to goes last, so that what the new ones share with them stays. */
static int policy_replace_chains(struct policies *p, struct policy_state *st, struct block *block)
{
	char owner[OWNER_BYTES];
	int r = ruleset_replace(p->ruleset, policy_owner(st, owner), block, p->tx, p->err);

	return r < 0 ? r : references_drop(p, &st->dropped);
}

/* From here on both lists are to be released; what is shared stays. */
static int policy_retire_references(struct policies *p, struct policy_state *st)
{
	int r = references_drop(p, &st->dropped);

	if (r < 0)
		return r;
	st->dropped = st->references;
	st->references = (struct references){ 0 };
	return 0;
}

static void policy_count_closed(struct policies *p, struct policy_state *st, bool closed)
{
	if (closed && !st->closed)
		p->stats.closed++;
	if (!closed && st->closed)
		p->stats.closed--;
	st->closed = closed;
}

static int policy_build_closed(struct policies *p, struct policy_state *st, const char *reason,
			       const char *why, struct block **ret)
{
	int r = references_drop(p, &st->references);

	if (r < 0)
		return r;
	problems_add(&p->problems, reason, "it closes the pods that it selects: %s", why);
	policy_count_closed(p, st, true);
	return chains_build_closed(p, st, ret);
}

static int policy_build(struct policies *p, struct policy_state *st, struct block **ret)
{
	struct error err = { 0 };
	int r;

	policy_count_closed(p, st, false);
	if (st->object->problem)
		return policy_build_closed(p, st, "PolicyNotUnderstood", st->object->problem, ret);
	if (st->refusal[0])
		return policy_build_closed(p, st, "PolicyNotRendered", st->refusal, ret);
	r = chains_build(p, st, ret, &err);
	if (r != -E2BIG)
		return r;
	return policy_build_closed(p, st, "PolicyTooLarge", err.message, ret);
}

static int policy_activate(struct policies *p, struct policy_state *st)
{
	struct block *block;
	int r = policy_retire_references(p, st);

	if (r < 0)
		return r;
	problems_begin(&p->problems, &st->object->object, &st->problems);
	r = policy_build(p, st, &block);
	if (r == 0)
		r = problems_end(&p->problems, &st->problems);
	if (r == 0)
		r = policy_replace_chains(p, st, block);
	if (r < 0)
		return r;
	p->stats.policies += !st->active;
	st->active = true;
	st->changed = false;
	return 0;
}

static int policy_deactivate(struct policies *p, struct policy_state *st)
{
	int r = policy_retire_references(p, st);

	if (r == 0)
		r = policy_replace_chains(p, st, NULL);
	if (r < 0)
		return r;
	policy_count_closed(p, st, false);
	p->stats.policies -= st->active;
	st->active = false;
	return 0;
}

bool policies_close(struct policies *p, const char *namespace, const char *name, const char *why)
{
	const struct policy_state probe = { .namespace = namespace, .name = name };
	struct policy_state *st = table_find(&p->policies, &probe);

	if (!st || !st->active || st->closed || !st->object)
		return false;
	snprintf(st->refusal, sizeof(st->refusal), "%s", *why ? why : "the kernel refuses it");
	st->changed = true;
	queue_add(&p->settle, &st->settle);
	return true;
}

static int policy_settle(struct policies *p, struct policy_state *st, bool *ret_gone)
{
	int r = 0;

	*ret_gone = false;
	if (policy_is_held(p, st))
		return 0;
	if (!st->object)
		r = policy_drop_target(p, st);
	if (r == 0 && st->object && st->n_pods > 0)
		return st->changed || !st->active ? policy_activate(p, st) : 0;
	if (r == 0 && (st->active || st->dropped.n_selections + st->dropped.n_sets > 0))
		r = policy_deactivate(p, st);
	*ret_gone = r == 0 && !st->object;
	return r;
}

/* A policy that comes into force has its peers enter their sets here. */
static int policies_settle(struct policies *p)
{
	struct queue_link *l;

	while ((l = queue_first(&p->settle))) {
		struct policy_state *st = CONTAINER_OF(l, struct policy_state, settle);
		bool gone;
		int r = policy_settle(p, st, &gone);

		if (r < 0)
			return r;
		queue_drop_first(&p->settle);
		if (gone)
			policy_free(table_take(&p->policies, st));
	}
	return 0;
}

/* Sync -------------------------------------------------------------------------------------------- */

/* Namespaces and pods first, so that the selections of all pods are right when policies come and go. */
static int policies_read(struct policies *p, struct store *s)
{
	int r = store_changed(s, KIND_NAMESPACE, namespaces_changed, p);

	if (r == 0)
		r = store_changed(s, KIND_POD, pods_changed, p);
	if (r == 0)
		r = pods_evaluate(p);
	if (r == 0)
		r = store_changed(s, KIND_NETWORK_POLICY, policy_changed, p);
	return r;
}

/* When memory is short, whatever was left undone is still queued, or changed in the store. */
int policies_sync(struct policies *p, struct store *s, struct ruleset *rs, struct transaction *tx,
		  struct error *err)
{
	int r;

	p->ruleset = rs;
	p->tx = tx;
	p->err = err;
	r = policies_read(p, s);
	if (r == 0)
		r = policies_settle(p);
	if (r == 0)
		r = pods_render(p);
	if (r == 0)
		r = node_sets_render(p, s);
	p->stats.combinations = p->combinations.n;
	return r < 0 ? error_wrap(err, r, "network policies") : 0;
}

struct policies_stats policies_stats(const struct policies *p)
{
	return p->stats;
}
