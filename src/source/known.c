#include "source/known.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

static uint64_t known_key_hash(const void *item)
{
	const struct known *k = item;

	return table_hash_texts(k->namespace, k->name);
}

static bool known_key_equal(const void *a, const void *b)
{
	const struct known *x = a, *y = b;

	return strcmp(x->namespace, y->namespace) == 0 && strcmp(x->name, y->name) == 0;
}

const struct table_type known_type = { .hash = known_key_hash, .equal = known_key_equal };

struct known *known_find(const struct table *t, const char *namespace, const char *name)
{
	const struct known probe = { .namespace = namespace, .name = name };

	return table_find(t, &probe);
}

struct known *known_need(struct table *t, const char *namespace, const char *name)
{
	size_t namespace_size = strlen(namespace) + 1, name_size = strlen(name) + 1;
	struct known *k = known_find(t, namespace, name);

	if (k)
		return k;
	k = calloc(1, sizeof(*k) + namespace_size + name_size);
	if (!k || table_reserve(t) < 0) {
		free(k);
		return NULL;
	}
	k->namespace = memcpy(k->text, namespace, namespace_size);
	k->name = memcpy(k->text + namespace_size, name, name_size);
	table_put(t, k);
	return k;
}

void known_drop(struct table *t, struct known *k)
{
	table_take(t, k);
	free(k);
}

struct known *known_sweep(struct table *t, uint32_t list)
{
	struct known *gone = NULL, *k;
	size_t position = 0;

	/* Chained first: the table must not change while it is walked. */
	while ((k = table_next(t, &position))) {
		if (k->list == list)
			continue;
		k->next = gone;
		gone = k;
	}
	for (k = gone; k; k = k->next)
		table_take(t, k);
	return gone;
}

void known_free(struct table *t)
{
	table_free_items(t);
}

uint64_t known_hash(const char *text)
{
	return text && *text ? hash_bytes(text, strlen(text)) : 0;
}
