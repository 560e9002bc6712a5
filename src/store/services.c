#include "store/services.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"

static uint64_t entry_hash(const void *item)
{
	const struct service_entry *e = item;

	return table_hash_texts(e->namespace, e->name);
}

static int entry_cmp(const struct service_entry *a, const struct service_entry *b)
{
	int c = strcmp(a->namespace, b->namespace);

	return c ? c : strcmp(a->name, b->name);
}

static bool entry_equal(const void *a, const void *b)
{
	return entry_cmp(a, b) == 0;
}

static const struct table_type entry_type = { .hash = entry_hash, .equal = entry_equal };

static struct service_entry *entry_new(const char *namespace, const char *name)
{
	size_t namespace_size = strlen(namespace) + 1, name_size = strlen(name) + 1;
	struct service_entry *e = calloc(1, sizeof(*e) + namespace_size + name_size);

	if (!e)
		return NULL;
	e->namespace = memcpy(e->key, namespace, namespace_size);
	e->name = memcpy(e->key + namespace_size, name, name_size);
	return e;
}

static void entry_free(struct service_entry *e)
{
	free(e->slices);
	free(e);
}

void services_init(struct services *s)
{
	*s = (struct services){ .entries.type = &entry_type };
}

void services_free(struct services *s)
{
	struct service_entry *e;
	size_t position = 0;

	while ((e = table_next(&s->entries, &position)))
		entry_free(e);
	table_free(&s->entries);
	free(s->changed);
}

struct service_entry *services_find(const struct services *s, const char *namespace,
				    const char *name)
{
	const struct service_entry probe = { .namespace = namespace, .name = name };

	return table_find(&s->entries, &probe);
}

int services_need(struct services *s, const char *namespace, const char *name,
		  struct service_entry **ret)
{
	struct service_entry *e = services_find(s, namespace, name);

	if (!e) {
		/* Two an entry: during a walk, what was told is still listed while it is marked
		 * for the next walk. */
		size_t room = (s->entries.n + 1) * 2;

		if (table_reserve(&s->entries) < 0 ||
		    array_grow((void **)&s->changed, &s->changed_capacity, room,
			       sizeof(s->changed[0])) < 0)
			return -ENOMEM;
		e = entry_new(namespace, name);
		if (!e)
			return -ENOMEM;
		table_put(&s->entries, e);
	}
	*ret = e;
	return 0;
}

void services_release(struct services *s, struct service_entry *e)
{
	if (e->defined || e->changed || e->n_slices)
		return;
	table_take(&s->entries, e);
	entry_free(e);
}

void services_mark(struct services *s, struct service_entry *e)
{
	if (e->changed)
		return;
	e->changed = true;
	s->changed[s->n_changed++] = e;
}

void services_mark_all(struct services *s)
{
	struct service_entry *e;
	size_t position = 0;

	while ((e = table_next(&s->entries, &position)))
		services_mark(s, e);
}

static int changed_cmp(const void *a, const void *b)
{
	struct service_entry *const *x = a, *const *y = b;

	return entry_cmp(*x, *y);
}

int services_drain(struct services *s,
		   int (*visit)(const char *namespace, const char *name, void *userdata),
		   void *userdata)
{
	size_t n = s->n_changed, done = 0;
	int r = 0;

	if (!n)
		return 0;
	array_sort(s->changed, n, sizeof(s->changed[0]), changed_cmp);
	while (done < n) {
		struct service_entry *e = s->changed[done];

		e->changed = false; /* before the visit, which may mark it for the next walk */
		r = visit(e->namespace, e->name, userdata);
		if (r < 0) {
			done += e->changed;
			e->changed = true;
			break;
		}
		services_release(s, e);
		done++;
	}
	s->n_changed -= done;
	memmove(s->changed, s->changed + done, s->n_changed * sizeof(s->changed[0]));
	return r;
}

int service_entry_reserve(struct service_entry *e)
{
	return ARRAY_RESERVE(e->slices, e->n_slices, e->slices_capacity);
}

/* The index of the first slice whose name does not sort before @name. */
static size_t slice_position(const struct service_entry *e, const char *name)
{
	size_t low = 0, high = e->n_slices;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(e->slices[middle]->object.name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

void service_entry_add(struct service_entry *e, const struct endpoint_slice *slice)
{
	size_t i = slice_position(e, slice->object.name);

	memmove(e->slices + i + 1, e->slices + i, (e->n_slices - i) * sizeof(e->slices[0]));
	e->slices[i] = slice;
	e->n_slices++;
}

void service_entry_remove(struct service_entry *e, const struct endpoint_slice *slice)
{
	size_t i = slice_position(e, slice->object.name);

	e->n_slices--;
	memmove(e->slices + i, e->slices + i + 1, (e->n_slices - i) * sizeof(e->slices[0]));
}
