/* element-codec.h - struct element <-> netlink attributes of a set element.
 *
 * A key of several fields is their concatenation, each padded to 4 bytes, numbers as the packet has
 * them (ports) or as the register has them (slots). Source: linux/netfilter/nf_tables.h.
 */
#ifndef KUBE_NFT_KERNEL_ELEMENT_CODEC_H
#define KUBE_NFT_KERNEL_ELEMENT_CODEC_H

#include <stdbool.h>
#include <stdint.h>

#include "ruleset/element.h"

struct arena;
struct nlattr;
struct nlmsghdr;

/* Put one element (an interval: two) into the open list of @nlh, with data and comment when @add. What it
 * has counted to begin with is put when it is not zero; its set must count, then. */
void element_put(struct nlmsghdr *nlh, const struct element *e, const struct counter *counter,
		 bool add);

/* What a dumped element can be. */
enum element_read {
	ELEMENT_READ,       /* @ret is set */
	ELEMENT_READ_END,   /* @ret->addr is the first address behind an interval */
	ELEMENT_READ_OTHER, /* nothing that we would make */
};

/* Read one element of @set and @family. Comments are copied to @arena; with NULL they are left out.
 * An interval's start has an all-zero @ret->other. -ENOMEM. */
int element_get(const struct nlattr *attr, enum set_id set, uint8_t family, struct arena *arena,
		struct element *ret);
/* What the element has counted; zero when it has no counter, or more beside it. */
struct counter element_get_counter(const struct nlattr *attr);
/* The bytes of an element's key or data, by NFTA_SET_ELEM_KEY or _DATA. NULL: it has none. */
const void *element_get_value(const struct nlattr *attr, uint16_t type, uint16_t *ret_len);

#endif
