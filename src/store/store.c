#include "store/store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/table.h"
#include "store/changes.h"
#include "store/services.h"

struct store {
	struct table objects[KIND_COUNT];
	struct changes changes[KIND_COUNT];
	struct services services;
	bool nodes_changed;
};

static uint64_t object_hash(const void *item)
{
	const struct object *o = item;

	return table_hash_texts(o->namespace, o->name);
}

static bool object_equal(const void *a, const void *b)
{
	return object_cmp(a, b) == 0;
}

static const struct table_type object_type = { .hash = object_hash, .equal = object_equal };

static struct object object_probe(enum object_kind kind, const char *namespace, const char *name)
{
	return (struct object){ .kind = kind, .namespace = namespace, .name = name };
}

int store_new(struct store **ret)
{
	struct store *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	for (size_t kind = 0; kind < KIND_COUNT; kind++) {
		s->objects[kind].type = &object_type;
		changes_init(&s->changes[kind]);
	}
	services_init(&s->services);
	*ret = s;
	return 0;
}

struct store *store_free(struct store *s)
{
	if (!s)
		return NULL;
	services_free(&s->services);
	for (size_t kind = 0; kind < KIND_COUNT; kind++) {
		struct object *o;
		size_t position = 0;

		while ((o = table_next(&s->objects[kind], &position)))
			object_free(o);
		table_free(&s->objects[kind]);
		changes_free(&s->changes[kind]);
	}
	free(s);
	return NULL;
}

/* The name of the Service that @o is or belongs to; NULL when it has to do with none. */
static const char *object_service(const struct object *o)
{
	if (o->kind == KIND_SERVICE)
		return o->name;
	if (o->kind == KIND_ENDPOINT_SLICE)
		return ((const struct endpoint_slice *)o)->service;
	return NULL;
}

/* Take the memory that linking @o will need. @ret is NULL when it has to do with no Service. */
static int store_prepare(struct store *s, const struct object *o, struct service_entry **ret)
{
	const char *service = object_service(o);
	int r;

	*ret = NULL;
	r = table_reserve(&s->objects[o->kind]);
	if (r < 0 || !service)
		return r;
	r = services_need(&s->services, o->namespace, service, ret);
	if (r < 0 || o->kind == KIND_SERVICE)
		return r;
	r = service_entry_reserve(*ret);
	if (r < 0)
		services_release(&s->services, *ret);
	return r;
}

static void store_link(struct store *s, const struct object *o, struct service_entry *e)
{
	if (o->kind == KIND_SERVICE)
		e->defined = true;
	else
		service_entry_add(e, (const struct endpoint_slice *)o);
	services_mark(&s->services, e);
}

static void store_unlink(struct store *s, const struct object *o, struct service_entry *e)
{
	if (o->kind == KIND_SERVICE)
		e->defined = false;
	else
		service_entry_remove(e, (const struct endpoint_slice *)o);
	services_mark(&s->services, e);
}

/* @o, which the tables hold no longer (NULL: there was none), has become @now (NULL: it is gone). */
static void store_drop(struct store *s, struct object *o, const struct object *now)
{
	const struct object *any = o ? o : now;
	const char *service = o ? object_service(o) : NULL;
	struct changes *c = &s->changes[any->kind];

	if (service)
		store_unlink(s, o, services_find(&s->services, o->namespace, service));
	if (!c->watched || !changes_note(c, o, now))
		object_free(o);
}

static int store_reserve_change(struct store *s, const struct object *o)
{
	const struct table *objects = &s->objects[o->kind];

	if (!s->changes[o->kind].watched)
		return 0;
	return changes_reserve(&s->changes[o->kind], o, !table_find(objects, o), objects->n + 1);
}

int store_apply(struct store *s, struct object *o)
{
	struct service_entry *e = NULL;
	int r;

	r = store_reserve_change(s, o);
	if (r == 0)
		r = store_prepare(s, o, &e);
	if (r < 0) {
		object_free(o);
		return r;
	}
	store_drop(s, table_put(&s->objects[o->kind], o), o);
	if (e)
		store_link(s, o, e);
	if (o->kind == KIND_NODE)
		s->nodes_changed = true;
	return 0;
}

void store_remove(struct store *s, enum object_kind kind, const char *namespace, const char *name)
{
	struct object probe = object_probe(kind, namespace, name);
	struct object *o = table_take(&s->objects[kind], &probe);

	if (!o)
		return;
	if (kind == KIND_NODE)
		s->nodes_changed = true;
	store_drop(s, o, NULL);
}

void store_watch(struct store *s, enum object_kind kind)
{
	s->changes[kind].watched = true;
}

int store_changed(struct store *s, enum object_kind kind,
		  int (*visit)(const struct object *before, const struct object *now,
			       void *userdata),
		  void *userdata)
{
	_cleanup_free_ struct changed **all = NULL;
	struct changes *c = &s->changes[kind];
	size_t n = c->table.n;
	int r = 0;

	if (n == 0)
		return 0;
	r = changes_sorted(c, &all);
	for (size_t i = 0; r == 0 && i < n; i++) {
		const struct object *now = table_find(&s->objects[kind], all[i]->key);

		r = visit(all[i]->before, now, userdata);
		if (r == 0)
			changes_forget(c, all[i], now);
	}
	return r;
}

const struct object *store_get(const struct store *s, enum object_kind kind, const char *namespace,
			       const char *name)
{
	struct object probe = object_probe(kind, namespace, name);

	return table_find(&s->objects[kind], &probe);
}

size_t store_count(const struct store *s, enum object_kind kind)
{
	return s->objects[kind].n;
}

static int object_pointer_cmp(const void *a, const void *b)
{
	const struct object *const *x = a, *const *y = b;

	return object_cmp(*x, *y);
}

int store_each(const struct store *s, enum object_kind kind,
	       int (*visit)(const struct object *o, void *userdata), void *userdata)
{
	_cleanup_free_ const struct object **sorted = NULL;
	size_t n = store_count(s, kind), position = 0;
	int r;

	if (!n)
		return 0;
	sorted = calloc(n, sizeof(sorted[0]));
	if (!sorted)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		sorted[i] = table_next(&s->objects[kind], &position);
	array_sort(sorted, n, sizeof(sorted[0]), object_pointer_cmp);

	for (size_t i = 0; i < n; i++) {
		r = visit(sorted[i], userdata);
		if (r < 0)
			return r;
	}
	return 0;
}

const struct endpoint_slice *const *store_slices(const struct store *s, const char *namespace,
						 const char *service, size_t *ret_n)
{
	const struct service_entry *e = services_find(&s->services, namespace, service);

	*ret_n = e ? e->n_slices : 0;
	return e ? e->slices : NULL;
}

int store_changed_services(struct store *s,
			   int (*visit)(const char *namespace, const char *name, void *userdata),
			   void *userdata)
{
	return services_drain(&s->services, visit, userdata);
}

int store_mark_service(struct store *s, const char *namespace, const char *name)
{
	struct service_entry *e;
	int r;

	r = services_need(&s->services, namespace, name, &e);
	if (r < 0)
		return r;
	services_mark(&s->services, e);
	return 0;
}

int store_mark_services(struct store *s)
{
	services_mark_all(&s->services);
	return 0;
}

bool store_nodes_changed(struct store *s)
{
	bool changed = s->nodes_changed;

	s->nodes_changed = false;
	return changed;
}
