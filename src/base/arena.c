#include "base/arena.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define ARENA_ALIGNMENT 8
#define ARENA_MIN_CHUNK 256
#define ARENA_MAX_CHUNK (64 * 1024)

/* In front of the memory that it links; a multiple of the alignment. */
struct chunk {
	struct chunk *next;
};

/* Memory is handed out from @free upwards. It comes zeroed from calloc() and is never reused. The
 * first chunk stands right behind the arena itself, so that a small object is one allocation. */
struct arena {
	struct chunk *chunks;
	uint8_t *free;
	size_t left_bytes;
	size_t taken_bytes;
};

/* Whether @size, rounded up to the alignment, still is a size. */
static bool align_up(size_t size, size_t *ret)
{
	if (__builtin_add_overflow(size, ARENA_ALIGNMENT - 1, ret))
		return false;
	*ret &= ~(size_t)(ARENA_ALIGNMENT - 1);
	return true;
}

struct arena *arena_new(size_t size_hint)
{
	struct arena *a;
	size_t taken;

	if (!align_up(size_hint, &size_hint) ||
	    __builtin_add_overflow(sizeof(*a), size_hint, &taken))
		return NULL;
	a = calloc(1, taken);
	if (!a)
		return NULL;
	a->free = (uint8_t *)(a + 1);
	a->left_bytes = size_hint;
	a->taken_bytes = taken;
	return a;
}

struct arena *arena_free(struct arena *a)
{
	if (!a)
		return NULL;
	while (a->chunks) {
		struct chunk *c = a->chunks;

		a->chunks = c->next;
		free(c);
	}
	free(a);
	return NULL;
}

/* How much the next chunk should hold: as much as there is already, within limits. */
static size_t chunk_size(const struct arena *a, size_t wanted)
{
	size_t size = a->taken_bytes & ~(size_t)(ARENA_ALIGNMENT - 1);

	if (size < ARENA_MIN_CHUNK)
		size = ARENA_MIN_CHUNK;
	if (size > ARENA_MAX_CHUNK)
		size = ARENA_MAX_CHUNK;
	return size > wanted ? size : wanted;
}

static bool arena_grow(struct arena *a, size_t wanted)
{
	size_t size = chunk_size(a, wanted);
	size_t taken;
	struct chunk *c;

	if (__builtin_add_overflow(sizeof(*c), size, &taken))
		return false;
	c = calloc(1, taken);
	if (!c)
		return false;
	c->next = a->chunks;
	a->chunks = c;
	a->free = (uint8_t *)(c + 1);
	a->left_bytes = size;
	a->taken_bytes += taken;
	return true;
}

void *arena_alloc(struct arena *a, size_t size)
{
	void *p;

	if (!align_up(size, &size))
		return NULL;
	if (size > a->left_bytes && !arena_grow(a, size))
		return NULL;
	p = a->free;
	a->free += size;
	a->left_bytes -= size;
	return p;
}

void *arena_array(struct arena *a, size_t n, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(n, size, &bytes))
		return NULL;
	return arena_alloc(a, bytes);
}

char *arena_strndup(struct arena *a, const char *text, size_t len)
{
	char *copy;

	len = strnlen(text, len);
	copy = arena_alloc(a, len + 1);
	return copy ? memcpy(copy, text, len) : NULL;
}

char *arena_strdup(struct arena *a, const char *text)
{
	return arena_strndup(a, text, strlen(text));
}

size_t arena_size(const struct arena *a)
{
	return a->taken_bytes;
}
