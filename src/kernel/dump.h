/* dump.h - the elements of our table, read back and sorted. */
#ifndef KUBE_NFT_KERNEL_DUMP_H
#define KUBE_NFT_KERNEL_DUMP_H

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "ruleset/element.h"

struct arena;
struct change;
struct error;
struct netlink;
struct nlattr;

struct dump {
	struct element *elements; /* sorted by element_cmp() after dump_settle() */
	size_t n, capacity;
	struct arena *arena; /* comments */
};

int dump_new(struct dump *ret);
void dump_free(struct dump *d);
#define _cleanup_dump_ _cleanup_(dump_free)

/* Append the elements of the set that @in is in. Elements that can't be ours are counted in
 * @ret_strange. */
int dump_set(struct dump *d, struct netlink *nl, const char *table, const struct element *in,
	     size_t *ret_strange, struct error *err);
/* Append those that are there of the @n elements in @keys, additions of one set with plain keys. */
int dump_look_up(struct dump *d, struct netlink *nl, const char *table, const struct change *keys,
		 size_t n, size_t *ret_strange, struct error *err);
void dump_settle(struct dump *d);

/* Call @fn with each element attribute of @set, by name, of table @table. */
typedef int (*dump_attr_fn)(const struct nlattr *attr, void *userdata);
int dump_attrs(struct netlink *nl, uint8_t family, const char *table, const char *set,
	       dump_attr_fn fn, void *userdata, struct error *err);

#endif
