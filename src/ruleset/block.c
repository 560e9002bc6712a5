#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/array.h"
#include "base/ranges.h"
#include "ruleset/ruleset.h"

int block_new(size_t n_hint, struct block **ret)
{
	_cleanup_(block_freep) struct block *b = calloc(1, sizeof(*b));

	if (!b)
		return -ENOMEM;
	b->arena = arena_new(64);
	if (!b->arena)
		return -ENOMEM;
	if (n_hint > 0 &&
	    array_grow((void **)&b->elements, &b->capacity, n_hint, sizeof(b->elements[0])) < 0)
		return -ENOMEM;

	*ret = TAKE_PTR(b);
	return 0;
}

struct block *block_free(struct block *b)
{
	if (!b)
		return NULL;
	arena_free(b->arena);
	free(b->elements);
	free(b->definitions);
	flows_free(&b->flows);
	bindings_free(&b->bindings);
	free(b);
	return NULL;
}

struct element *block_add(struct block *b)
{
	if (ARRAY_RESERVE(b->elements, b->n, b->capacity) < 0)
		return NULL;
	b->elements[b->n] = (struct element){ 0 };
	return &b->elements[b->n++];
}

int block_add_ranges(struct block *b, enum set_id set, uint8_t family, const struct ranges *r)
{
	for (size_t i = 0; i < r->n; i++) {
		struct element *e = block_add(b);

		if (!e)
			return -ENOMEM;
		e->set = (uint8_t)set;
		e->family = family;
		memcpy(e->addr, r->items[i].first.bytes, sizeof(e->addr));
		memcpy(e->other, r->items[i].last.bytes, sizeof(e->other));
	}
	return 0;
}

struct definition *block_define(struct block *b)
{
	if (ARRAY_RESERVE(b->definitions, b->n_definitions, b->cap_definitions) < 0)
		return NULL;
	b->definitions[b->n_definitions] = (struct definition){ 0 };
	return &b->definitions[b->n_definitions++];
}

const char *block_comment(struct block *b, const char *text)
{
	char safe[COMMENT_MAX_BYTES + 1];

	comment_from(text, safe);
	return arena_strdup(b->arena, safe);
}
