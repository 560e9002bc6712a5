#include "base/array.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ARRAY_FIRST_CAPACITY 8

int array_grow(void **items, size_t *capacity, size_t n, size_t size)
{
	size_t wanted, bytes;
	void *old, *new;

	if (n <= *capacity)
		return 0;
	if (__builtin_mul_overflow(*capacity, 2, &wanted) || wanted < n)
		wanted = n;
	if (wanted < ARRAY_FIRST_CAPACITY)
		wanted = ARRAY_FIRST_CAPACITY;
	if (__builtin_mul_overflow(wanted, size, &bytes))
		return -ENOMEM;

	/* The caller's pointer is of another type than void *: memcpy() may look at it, we may not. */
	memcpy(&old, items, sizeof(old));
	new = realloc(old, bytes);
	if (!new)
		return -ENOMEM;
	memcpy(items, &new, sizeof(new));
	*capacity = wanted;
	return 0;
}

void array_sort(void *items, size_t n, size_t size, int (*cmp)(const void *a, const void *b))
{
	if (n > 1)
		qsort(items, n, size, cmp);
}

void *array_find(const void *key, const void *items, size_t n, size_t size,
		 int (*cmp)(const void *key, const void *item))
{
	return n > 0 ? bsearch(key, items, n, size, cmp) : NULL;
}

size_t array_unique(void *items, size_t n, size_t size, int (*cmp)(const void *a, const void *b))
{
	char *first = items, *kept = first;

	array_sort(items, n, size, cmp);
	for (size_t i = 0; i < n; i++) {
		const char *item = first + i * size;

		if (i > 0 && cmp(item, kept - size) == 0)
			continue;
		memmove(kept, item, size);
		kept += size;
	}
	return n > 0 ? (size_t)(kept - first) / size : 0;
}
