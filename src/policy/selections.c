#include "policy/selections.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/hash.h"
#include "base/mix.h"
#include "policy/selection.h"

struct bucket {
	uint64_t key;
	struct selection **items;
	size_t n, capacity;
};

static uint64_t bucket_hash(const void *item)
{
	return ((const struct bucket *)item)->key;
}

static bool bucket_equal(const void *a, const void *b)
{
	const struct bucket *x = a, *y = b;

	return x->key == y->key;
}

static uint64_t selection_hash(const void *item)
{
	const struct selection *s = item;

	return hash_bytes(s->id.bytes, sizeof(s->id.bytes));
}

static bool selection_equal(const void *a, const void *b)
{
	const struct selection *x = a, *y = b;

	return content_id_cmp(&x->id, &y->id) == 0;
}

void selections_init(struct policies *p)
{
	static const struct table_type bucket_type = { bucket_hash, bucket_equal };
	static const struct table_type selection_type = { selection_hash, selection_equal };

	p->buckets.type = &bucket_type;
	p->selections.type = &selection_type;
}

void selections_close(struct policies *p)
{
	struct selection *s;
	struct bucket *b;
	size_t position = 0;

	while ((b = table_next(&p->buckets, &position))) {
		free(b->items);
		free(b);
	}
	table_free(&p->buckets);
	position = 0;
	while ((s = table_next(&p->selections, &position)))
		selection_free(s);
	table_free(&p->selections);
}

enum axis { AXIS_ANY, AXIS_POD_LABEL, AXIS_NAMESPACE_LABEL };

/* Different places may share a key: then pods are compared with a few more. @value NULL: whatever it is. */
static uint64_t bucket_key(bool local, const char *namespace, enum axis axis, const char *key,
			   const char *value)
{
	uint64_t hash = table_hash_texts(namespace ? namespace : "", key);

	hash = mix64(hash ^ (uint64_t)axis << 1 ^ local);
	return value ? mix64(hash ^ hash_bytes(value, strlen(value))) : hash;
}

/* The first requirement that asks for something to be there. */
static const struct selector_requirement *requirement_positive(const struct selector *s)
{
	for (size_t i = 0; s && i < s->n; i++)
		if (s->requirements[i].op == SELECTOR_IN ||
		    s->requirements[i].op == SELECTOR_EXISTS)
			return &s->requirements[i];
	return NULL;
}

static int buckets_choose(struct selection *s)
{
	const struct selection_spec *spec = &s->spec;
	const struct selector_requirement *r = requirement_positive(spec->pods);
	enum axis axis = r ? AXIS_POD_LABEL : AXIS_NAMESPACE_LABEL;
	size_t n;

	if (!r && !spec->namespace)
		r = requirement_positive(spec->namespaces);
	n = r && r->op == SELECTOR_IN ? r->n_values : 1;
	s->buckets = calloc(n + 1, sizeof(*s->buckets));
	if (!s->buckets)
		return -ENOMEM;
	s->n_buckets = n;
	for (size_t i = 0; i < n; i++)
		s->buckets[i] = bucket_key(spec->local, spec->namespace, r ? axis : AXIS_ANY,
					   r ? r->key : "",
					   r && r->op == SELECTOR_IN ? r->values[i] : NULL);
	return 0;
}

static struct bucket *bucket_find(const struct policies *p, uint64_t key)
{
	const struct bucket probe = { .key = key };

	return table_find(&p->buckets, &probe);
}

static int bucket_add(struct policies *p, uint64_t key, struct selection *s)
{
	struct bucket *b = bucket_find(p, key);

	if (!b) {
		if (table_reserve(&p->buckets) < 0)
			return -ENOMEM;
		b = calloc(1, sizeof(*b));
		if (!b)
			return -ENOMEM;
		b->key = key;
		table_put(&p->buckets, b);
	}
	if (ARRAY_RESERVE(b->items, b->n, b->capacity) < 0)
		return -ENOMEM;
	b->items[b->n++] = s;
	return 0;
}

static void bucket_drop(struct policies *p, uint64_t key, const struct selection *s)
{
	struct bucket *b = bucket_find(p, key);
	size_t i = 0;

	while (b && i < b->n && b->items[i] != s)
		i++;
	if (!b || i == b->n)
		return;
	b->items[i] = b->items[--b->n];
	if (b->n > 0)
		return;
	table_take(&p->buckets, b);
	free(b->items);
	free(b);
}

void selections_take_out(struct policies *p, struct selection *s)
{
	for (size_t i = 0; i < s->n_buckets; i++)
		bucket_drop(p, s->buckets[i], s);
}

int selections_file(struct policies *p, struct selection *s)
{
	int r = buckets_choose(s);

	for (size_t i = 0; r == 0 && i < s->n_buckets; i++)
		r = bucket_add(p, s->buckets[i], s);
	if (r < 0)
		selections_take_out(p, s);
	return r;
}

struct gathering {
	const struct policies *p;
	const struct pod_state *pod;
	struct selection **items;
	size_t n, cap;
};

static void gather_bucket(struct gathering *g, uint64_t key)
{
	const struct bucket *b = bucket_find(g->p, key);

	for (size_t i = 0; b && i < b->n; i++) {
		if (!selection_has(b->items[i], g->pod))
			continue;
		if (g->n < g->cap)
			g->items[g->n] = b->items[i];
		g->n++;
	}
}

static void gather_labels(struct gathering *g, bool local, const char *namespace, enum axis axis,
			  const struct key_values *labels)
{
	for (size_t i = 0; i < labels->n; i++) {
		const struct key_value *l = &labels->items[i];

		gather_bucket(g, bucket_key(local, namespace, axis, l->key, l->value));
		gather_bucket(g, bucket_key(local, namespace, axis, l->key, NULL));
	}
}

size_t selections_of_pod(const struct policies *p, const struct pod_state *pod,
			 struct selection **ret, size_t cap)
{
	struct gathering g = { .p = p, .pod = pod, .items = ret, .cap = cap };

	if (!pod->counts)
		return 0;
	for (int local = 0; local <= (pod->local ? 1 : 0); local++) {
		const char *const scopes[] = { pod->namespace->name, NULL };

		for (size_t i = 0; i < ARRAY_SIZE(scopes); i++) {
			gather_labels(&g, local, scopes[i], AXIS_POD_LABEL,
				      &pod->object->object.labels);
			gather_bucket(&g, bucket_key(local, scopes[i], AXIS_ANY, "", NULL));
		}
		gather_labels(&g, local, NULL, AXIS_NAMESPACE_LABEL, &pod->namespace->labels);
	}
	return g.n;
}
