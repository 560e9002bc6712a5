/* skeleton-internal.h - the parts of a skeleton, for the files that read, write and compare it.
 *
 * Parts are bytes from beginning to end: the kernel's dump, sent again. Nothing of it needs memory when
 * a table is compared or replaced, so that a repair can't fail half way.
 */
#ifndef KUBE_NFT_KERNEL_SKELETON_INTERNAL_H
#define KUBE_NFT_KERNEL_SKELETON_INTERNAL_H

#include <stddef.h>

#include "kernel/skeleton.h"

struct arena;
struct nlmsghdr;

#define TABLE_COMMENT_BYTES 128

/* Kinds of parts, in the order in which they are read and sent. */
enum part_kind {
	PART_SET,
	PART_CHAIN,
	PART_RULE,   /* in the kernel's order: by chain, then by place */
	PART_OBJECT, /* counters, quotas and so on that have a name: a stranger's, as flow tables */
	PART_FLOWTABLE,
	PART_KINDS,
};

/* The attributes that make a difference, by ascending type. */
struct part {
	const char *name; /* a rule's is its chain's */
	uint8_t verdict; /* of a chain or its rule: that goes there if it is a dispatch chain, else 0 */
	const void *attrs;
	size_t len;
};

struct parts {
	struct part *items;
	size_t n, capacity;
};

struct skeleton {
	uint8_t family;
	bool dormant; /* packets pass the table by */
	char comment[TABLE_COMMENT_BYTES];
	struct parts parts[PART_KINDS];
	struct arena *arena;  /* what the parts point at */
	char difference[128]; /* of skeleton_matches() */
};

/* The dispatch chain that @name is, if any. */
bool chain_is_dispatch(const char *name, uint8_t family, struct dispatch *ret);

/* What a rule of a pattern becomes one of. */
struct rule_copy {
	/* A dispatch chain, for that of its target ports if it has any: all numbers of the pattern (enum
	 * pattern) become those of the chain. */
	const struct dispatch *dispatch;
	uint16_t target;
	/* A chain of network policy: the chain it stands in, the sets it looks into, the chain it jumps
	 * to, the words it logs. Both or none. */
	const struct definition *definition;
	const struct definition_rule *rule;
};

/* Put @rule into @nlh, behind the table's name, as it is or as @copy (may be NULL) says. Counters begin at
 * 0. Equal rules give equal bytes. */
void rule_put(struct nlmsghdr *nlh, const struct part *rule, const struct rule_copy *copy);

/* Whether @found, a rule as it was read, is what rule_put() makes of @want. */
bool rule_matches(const struct part *want, const struct part *found, const struct rule_copy *copy);

/* What the set or chain of that name is; DEFINITION_COUNT: no part of network policy that comes and goes. */
enum definition_kind part_definition(enum part_kind kind, const char *name);

const struct part *part_find(const struct parts *parts, const char *name);

#endif
