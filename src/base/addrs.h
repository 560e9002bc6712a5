/* addrs.h - plain arrays of addresses. */
#ifndef KUBE_NFT_BASE_ADDRS_H
#define KUBE_NFT_BASE_ADDRS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/addr.h"

/* Sort, and keep one of each. Returns how many there are. */
size_t addrs_unique(struct addr *addrs, size_t n);
bool addrs_same(const struct addr *a, size_t n_a, const struct addr *b, size_t n_b);
/* @addrs are sorted. */
bool addrs_contain(const struct addr *addrs, size_t n, const struct addr *a);

#endif
