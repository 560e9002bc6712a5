#include "kernel/present.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "ruleset/ruleset.h"

struct item {
	struct definition definition;
	char name[];
};

static uint64_t item_hash(const void *item)
{
	const struct definition *d = item;

	return hash_bytes(d->name, strlen(d->name)) + d->family;
}

static bool item_equal(const void *a, const void *b)
{
	return definition_cmp(a, b) == 0;
}

void present_init(struct present *p)
{
	static const struct table_type type = { item_hash, item_equal };

	*p = (struct present){ .definitions.type = &type };
}

bool present_has(const struct present *p, const struct definition *d)
{
	return table_find(&p->definitions, d);
}

int present_note(struct present *p, const struct definition *d)
{
	size_t size = strlen(d->name) + 1;
	struct item *item;

	if (present_has(p, d))
		return 0;
	if (table_reserve(&p->definitions) < 0)
		return -ENOMEM;
	item = calloc(1, sizeof(*item) + size);
	if (!item)
		return -ENOMEM;
	item->definition.kind = d->kind;
	item->definition.family = d->family;
	item->definition.name = memcpy(item->name, d->name, size);
	table_put(&p->definitions, item);
	return 0;
}

void present_forget(struct present *p, const struct definition *d)
{
	free(table_take(&p->definitions, d));
}

void present_forget_all(struct present *p)
{
	table_free_items(&p->definitions);
}

const struct definition *present_next(const struct present *p, enum definition_kind kind,
				      size_t *position)
{
	const struct definition *d;

	while ((d = table_next(&p->definitions, position)))
		if (d->kind == kind)
			return d;
	return NULL;
}

int present_unused(const struct present *p, const struct ruleset *rs,
		   const struct definition ***ret, size_t *ret_n)
{
	const struct definition **unused = calloc(p->definitions.n + 1, sizeof(unused[0]));
	size_t n = 0;

	if (!unused)
		return -ENOMEM;
	for (unsigned kind = DEFINITION_COUNT; kind-- > 0;) {
		const struct definition *d;
		size_t position = 0;

		while ((d = present_next(p, kind, &position)))
			if (!ruleset_defines(rs, d))
				unused[n++] = d;
	}
	*ret = unused;
	*ret_n = n;
	return 0;
}
