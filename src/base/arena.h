/* arena.h - memory that is dropped whole: one object, one model, one block of elements. */
#ifndef KUBE_NFT_BASE_ARENA_H
#define KUBE_NFT_BASE_ARENA_H

#include <stddef.h>

#include "base/cleanup.h"

struct arena;

/* An arena whose first chunk holds about @size_hint bytes. NULL when memory is short. */
struct arena *arena_new(size_t size_hint);
/* NULL is fine. Returns NULL. */
struct arena *arena_free(struct arena *a);
DEFINE_CLEANUP(struct arena, arena_free);

/* @size zeroed bytes aligned to 8, valid until arena_free(); NULL when memory is short. */
void *arena_alloc(struct arena *a, size_t size);
/* As arena_alloc() for @n items of @size bytes, with the product checked. */
void *arena_array(struct arena *a, size_t n, size_t size);
/* A copy of @text. NULL when memory is short. */
char *arena_strdup(struct arena *a, const char *text);
char *arena_strndup(struct arena *a, const char *text, size_t len);
/* Bytes taken from the system. */
size_t arena_size(const struct arena *a);

#endif
