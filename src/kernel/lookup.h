/* lookup.h - single elements of our tables, asked for by their keys.
 *
 * The dump of a map costs time with the square of its size, and tells of everything; this costs about
 * 3 us an element.
 */
#ifndef KUBE_NFT_KERNEL_LOOKUP_H
#define KUBE_NFT_KERNEL_LOOKUP_H

#include <stddef.h>

#include "ruleset/element.h"

struct error;
struct netlink;
struct nlattr;

/* Called with the element of @keys[@i] as netlink has it. Negative: an error that ends the reading. */
typedef int (*lookup_fn)(size_t i, const struct nlattr *attr, void *userdata);

/* Look for each of @keys, which may be of several sets, and tell @fn of those that are there, in this order.
 * A table or set that is not there has no elements. */
int lookup_elements(struct netlink *nl, const char *table, const struct element *keys, size_t n,
		    lookup_fn fn, void *userdata, struct error *err);

#endif
