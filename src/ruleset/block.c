#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/array.h"
#include "base/error.h"
#include "base/ranges.h"
#include "ruleset/block.h"

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

static int element_cmp_qsort(const void *a, const void *b)
{
	return element_cmp(a, b);
}

static int definition_cmp_qsort(const void *a, const void *b)
{
	return definition_cmp(a, b);
}

int block_settle(struct block *b, const char *owner, struct error *err)
{
	size_t n = 0;

	array_sort(b->elements, b->n, sizeof(b->elements[0]), element_cmp_qsort);
	for (size_t i = 0; i < b->n; i++) {
		if (n > 0 && element_cmp(&b->elements[n - 1], &b->elements[i]) == 0) {
			if (!set_layout(b->elements[i].set)->shared)
				return error_set(err, -EEXIST,
						 "%s: two elements with one key in %s", owner,
						 set_name(b->elements[i].set));
			continue;
		}
		b->elements[n++] = b->elements[i];
	}
	b->n = n;
	array_sort(b->definitions, b->n_definitions, sizeof(b->definitions[0]),
		   definition_cmp_qsort);
	flows_settle(&b->flows);
	bindings_settle(&b->bindings);
	return 0;
}

bool block_has(const struct block *b, const struct element *e)
{
	return b && array_find(e, b->elements, b->n, sizeof(*e), element_cmp_qsort);
}

const struct definition *block_find_definition(const struct block *b, const struct definition *d)
{
	return b ? array_find(d, b->definitions, b->n_definitions, sizeof(*d),
			      definition_cmp_qsort) :
		   NULL;
}

size_t block_count_owned(const struct block *b)
{
	size_t n = 0;

	for (size_t i = 0; b && i < b->n; i++)
		n += !set_layout(b->elements[i].set)->shared;
	return n;
}
