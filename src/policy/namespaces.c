#include "policy/namespaces.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/array.h"
#include "base/hash.h"

#define NAME_LABEL "kubernetes.io/metadata.name"

static uint64_t namespace_hash(const void *item)
{
	const struct namespace_state *ns = item;

	return hash_bytes(ns->name, strlen(ns->name));
}

static bool namespace_equal(const void *a, const void *b)
{
	const struct namespace_state *x = a, *y = b;

	return strcmp(x->name, y->name) == 0;
}

void namespaces_init(struct policies *p)
{
	static const struct table_type type = { namespace_hash, namespace_equal };

	p->namespaces.type = &type;
}

static void namespace_free(struct namespace_state *ns)
{
	arena_free(ns->labels_arena);
	free(ns);
}

void namespaces_close(struct policies *p)
{
	struct namespace_state *ns;
	size_t position = 0;

	while ((ns = table_next(&p->namespaces, &position)))
		namespace_free(ns);
	table_free(&p->namespaces);
}

struct namespace_state *namespace_find(const struct policies *p, const char *name)
{
	const struct namespace_state probe = { .name = name };

	return table_find(&p->namespaces, &probe);
}

static int label_cmp(const void *a, const void *b)
{
	const struct key_value *x = a, *y = b;

	return strcmp(x->key, y->key);
}

/* The API server gives every namespace the label with its name; manifests may lack it. */
static int namespace_set_labels(struct namespace_state *ns, const struct key_values *labels)
{
	size_t n = labels ? labels->n : 0, k = 0;
	_cleanup_(arena_freep) struct arena *arena = arena_new(256);
	struct key_value *items = arena ? arena_array(arena, n + 1, sizeof(*items)) : NULL;

	if (!items)
		return -ENOMEM;
	items[k++] = (struct key_value){ .key = NAME_LABEL, .value = ns->name };
	for (size_t i = 0; i < n; i++) {
		if (strcmp(labels->items[i].key, NAME_LABEL) == 0)
			continue;
		items[k].key = arena_strdup(arena, labels->items[i].key);
		items[k].value = arena_strdup(arena, labels->items[i].value);
		if (!items[k].key || !items[k].value)
			return -ENOMEM;
		k++;
	}
	array_sort(items, k, sizeof(*items), label_cmp);
	arena_free(ns->labels_arena);
	ns->labels_arena = TAKE_PTR(arena);
	ns->labels = (struct key_values){ .items = items, .n = k };
	return 0;
}

int namespace_get(struct policies *p, const char *name, struct namespace_state **ret)
{
	size_t size = strlen(name) + 1;
	struct namespace_state *ns = namespace_find(p, name);

	if (ns) {
		*ret = ns;
		return 0;
	}
	if (table_reserve(&p->namespaces) < 0)
		return -ENOMEM;
	ns = calloc(1, sizeof(*ns) + size);
	if (!ns)
		return -ENOMEM;
	ns->name = memcpy(ns->text, name, size);
	if (namespace_set_labels(ns, NULL) < 0) {
		free(ns);
		return -ENOMEM;
	}
	table_put(&p->namespaces, ns);
	*ret = ns;
	return 0;
}

static void namespace_evaluate(struct policies *p, struct namespace_state *ns)
{
	for (size_t local = 0; local < 2; local++)
		for (struct pod_state *pod = ns->pods[local]; pod; pod = pod->next)
			queue_add(&p->evaluate, &pod->evaluate);
}

/* Its policies may be held because it is ending. */
static void namespace_settle(struct policies *p, const struct namespace_state *ns)
{
	for (struct pod_state *pod = ns->pods[1]; pod; pod = pod->next)
		for (size_t i = 0; i < pod->n_selections; i++)
			if (pod->selections[i]->policy)
				queue_add(&p->settle, &pod->selections[i]->policy->settle);
}

void namespace_forget(struct policies *p, struct namespace_state *ns)
{
	if (ns->known || ns->pods[0] || ns->pods[1])
		return;
	table_take(&p->namespaces, ns);
	namespace_free(ns);
}

int namespaces_changed(const struct object *before, const struct object *now, void *policies)
{
	const struct namespace_object *object = (const void *)now;
	struct policies *p = policies;
	struct namespace_state *ns;

	if (namespace_get(p, now ? now->name : before->name, &ns) < 0)
		return -ENOMEM;
	ns->known = now;
	ns->ending = !now || object->terminating || now->deleting;
	if (now) {
		struct key_values old = ns->labels;
		struct arena *keep = TAKE_PTR(ns->labels_arena);

		if (namespace_set_labels(ns, &now->labels) < 0) {
			ns->labels_arena = keep;
			return -ENOMEM;
		}
		if (!key_values_same(&old, &ns->labels))
			namespace_evaluate(p, ns);
		arena_free(keep);
	}
	namespace_settle(p, ns);
	namespace_forget(p, ns);
	return 0;
}
