#include "base/addrs.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"

static int addr_cmp_qsort(const void *a, const void *b)
{
	return addr_cmp(a, b);
}

size_t addrs_unique(struct addr *addrs, size_t n)
{
	return array_unique(addrs, n, sizeof(addrs[0]), addr_cmp_qsort);
}

bool addrs_same(const struct addr *a, size_t n_a, const struct addr *b, size_t n_b)
{
	return n_a == n_b && (n_a == 0 || memcmp(a, b, n_a * sizeof(a[0])) == 0);
}

bool addrs_contain(const struct addr *addrs, size_t n, const struct addr *a)
{
	return array_find(a, addrs, n, sizeof(addrs[0]), addr_cmp_qsort);
}
