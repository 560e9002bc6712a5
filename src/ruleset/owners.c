#include "ruleset/owners.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "ruleset/block.h"

static uint64_t owner_hash(const void *item)
{
	const struct owner *o = item;

	return hash_bytes(o->name, strlen(o->name));
}

static bool owner_equal(const void *a, const void *b)
{
	const struct owner *x = a, *y = b;

	return strcmp(x->name, y->name) == 0;
}

void owners_init(struct owners *os)
{
	static const struct table_type type = { owner_hash, owner_equal };

	os->by_name.type = &type;
}

static void owner_free(struct owner *o)
{
	block_free(o->block);
	block_free(o->before);
	free(o);
}

void owners_free(struct owners *os)
{
	size_t position = 0;
	struct owner *o;

	while ((o = table_next(&os->by_name, &position)))
		owner_free(o);
	table_free(&os->by_name);
}

struct owner *owners_find(const struct owners *os, const char *name)
{
	const struct owner probe = { .name = name };

	return table_find(&os->by_name, &probe);
}

int owners_add(struct owners *os, const char *name, struct owner **ret)
{
	size_t size = strlen(name) + 1;
	struct owner *o;

	if (table_reserve(&os->by_name) < 0)
		return -ENOMEM;
	o = calloc(1, sizeof(*o) + size);
	if (!o)
		return -ENOMEM;
	o->name = memcpy(o + 1, name, size);
	table_put(&os->by_name, o);
	*ret = o;
	return 0;
}

void owners_remove(struct owners *os, struct owner *o)
{
	table_take(&os->by_name, o);
	owner_free(o);
}

void owners_mark_changed(struct owners *os, struct owner *o, struct block *before)
{
	o->changed = true;
	o->before = before;
	o->next_changed = os->changed;
	os->changed = o;
}

void owners_mark_reverted(struct owners *os, struct owner *o, bool reverted)
{
	struct owner **link = &os->reverted;

	if (o->reverted == reverted)
		return;
	o->reverted = reverted;
	if (reverted) {
		o->next_reverted = os->reverted;
		os->reverted = o;
		return;
	}
	while (*link != o)
		link = &(*link)->next_reverted;
	*link = o->next_reverted;
}
