/* defined.h - network policy's sets and chains, read back with what their rules have counted.
 *
 * For those who look at the tables; the agent compares bytes (skeleton.h).
 */
#ifndef KUBE_NFT_KERNEL_DEFINED_H
#define KUBE_NFT_KERNEL_DEFINED_H

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "ruleset/definition.h"
#include "ruleset/element.h"

struct arena;
struct error;
struct netlink;
struct skeleton;

struct defined {
	/* Its texts are as they were found, whoever wrote them, and live as long as the list; no log
	 * prefix. A rule that is none of ours has the shape RULE_SHAPES. */
	struct definition definition;
	struct counter *counters; /* one for each of its rules; zero without a counter */
};

struct defined_list {
	struct defined *items; /* sorted by definition_cmp() */
	size_t n, capacity;
	struct counter unknown; /* refused to and from pods that are not known */
	struct counter invalid; /* dropped: packets of no known connection that no policy allows */
	struct arena *arena;
};

int defined_new(struct defined_list *ret); /* 0 or -ENOMEM */
void defined_free(struct defined_list *l);
#define _cleanup_defined_ _cleanup_(defined_free)

/* Append those of one table. -ENOENT: there is none. -EINTR: disturbed, try again. */
int defined_read(struct defined_list *l, struct netlink *nl, uint8_t family, const char *table,
		 struct error *err);
/* The same of a table that was read. 0 or -ENOMEM. */
int defined_take(struct defined_list *l, const struct skeleton *s);
/* NULL: there is none of that kind, family and name. */
const struct defined *defined_find(const struct defined_list *l, enum definition_kind kind,
				   uint8_t family, const char *name);

#endif
