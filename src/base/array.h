/* array.h - growing a plain array: pointer, length, capacity side by side in the owner's struct. */
#ifndef KUBE_NFT_BASE_ARRAY_H
#define KUBE_NFT_BASE_ARRAY_H

#include <stddef.h>

/* Make *@items (of @size bytes each) hold at least @n. Returns 0 or -ENOMEM; on error nothing changed. */
int array_grow(void **items, size_t *capacity, size_t n, size_t size);

/* Make room for one more behind @len. 0 or -ENOMEM. */
#define ARRAY_RESERVE(items, len, capacity) \
	array_grow((void **)&(items), &(capacity), (len) + 1, sizeof((items)[0]))

/* qsort() and bsearch() that take NULL for an array without items. */
void array_sort(void *items, size_t n, size_t size, int (*cmp)(const void *a, const void *b));
/* Sort, and keep one of those that are alike. Returns how many there are now. */
size_t array_unique(void *items, size_t n, size_t size, int (*cmp)(const void *a, const void *b));
void *array_find(const void *key, const void *items, size_t n, size_t size,
		 int (*cmp)(const void *key, const void *item));

#endif
