/* skeleton-internal.h - the parts of a skeleton, for the files that read, write and compare it. */
#ifndef KUBE_NFT_KERNEL_SKELETON_INTERNAL_H
#define KUBE_NFT_KERNEL_SKELETON_INTERNAL_H

#include <stddef.h>

#include "kernel/skeleton.h"

struct buf;
struct nftnl_chain;
struct nftnl_rule;
struct nftnl_set;

#define TABLE_COMMENT_BYTES 128

struct skeleton {
	uint8_t family;
	bool dormant; /* packets pass the table by */
	bool damaged; /* memory ran out while a pattern was given its number: it is lost */
	char comment[TABLE_COMMENT_BYTES];
	struct nftnl_set *sets[SKELETON_MAX_SETS];
	size_t n_sets;
	struct nftnl_chain **chains; /* in the kernel's order */
	size_t n_chains, cap_chains;
	struct nftnl_rule **rules; /* in the kernel's order: by chain, then by place */
	size_t n_rules, cap_rules;
	char difference[128]; /* of skeleton_matches() */
};

/* The dispatch chain that @name is, if any. */
bool chain_is_dispatch(const char *name, uint8_t family, struct dispatch *ret);

/* Make the numbers in @rule, a rule of a pattern, those of dispatch chain @d: numgen's modulus, the
 * chain it goes on to, the timeout it learns with. And the chain that it stands in. -ENOTRECOVERABLE when
 * memory is short: libnftnl has dropped the old name then, and the pattern is lost. */
int rule_set_number(struct nftnl_rule *rule, const struct dispatch *d);
/* What the rule does, as bytes: equal rules give equal bytes whatever their counters count. */
int rule_fingerprint(struct nftnl_rule *rule, struct buf *ret);

/* Tables as text, by libnftables. -EOPNOTSUPP with what nft says in @err. */
int nft_run(const char *text, struct error *err);

#endif
