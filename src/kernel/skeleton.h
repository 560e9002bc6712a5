/* skeleton.h - everything of a table but its elements, compiled: sets, chains, rules.
 *
 * nft-templates/table.nft is compiled by libnftables into a dormant table beside ours, read back from
 * the kernel as bytes, and deleted again. What the packets meet is thus exactly what nft makes of the
 * template, and a kernel that lacks an expression says so here, before anything of ours is touched.
 */
#ifndef KUBE_NFT_KERNEL_SKELETON_H
#define KUBE_NFT_KERNEL_SKELETON_H

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "ruleset/transaction.h"

struct batch;
struct error;
struct netlink;
struct skeleton;

/* Compile the template for @family. -EOPNOTSUPP when the kernel or nft lacks something, with what nft
 * says in @err. */
int skeleton_compile(struct netlink *nl, uint8_t family, struct skeleton **ret, struct error *err);
/* Read table @table as it is. -ENOENT when there is none. For comparison. */
int skeleton_read(struct netlink *nl, uint8_t family, const char *table, struct skeleton **ret,
		  struct error *err);
struct skeleton *skeleton_free(struct skeleton *s); /* NULL is fine; returns NULL */
DEFINE_CLEANUP(struct skeleton, skeleton_free);

/* Write sets, chains and rules of an empty table into @b, without dispatch chains. */
void skeleton_put(const struct skeleton *s, struct batch *b);
/* Let all be forgotten that policies have allowed: the packets' sets, which are there, are made anew. */
void skeleton_put_forgetting(const struct skeleton *s, struct batch *b);
/* Write the dispatch chain @d, a copy of its pattern, into @b. */
void skeleton_put_dispatch(const struct skeleton *s, const struct dispatch *d, struct batch *b);
/* Write the set or the chain, without rules, of network policy. */
void skeleton_put_definition(const struct skeleton *s, const struct definition *d, struct batch *b);
/* Write the rules of the chain @d, each a copy of its shape in the pattern. */
void skeleton_put_rules(const struct skeleton *s, const struct definition *d, struct batch *b);

/* Whether table @found is what @s, a compiled one, makes with some dispatch chains added, whatever it has
 * of network policy's sets and chains. When not, @ret_difference says what is amiss: "rule 2 of chain postrouting". @visit gets the dispatch chains. */
bool skeleton_matches(struct skeleton *s, const struct skeleton *found,
		      void (*visit)(const struct dispatch *d, void *userdata), void *userdata,
		      const char **ret_difference);

/* Call @visit with each set and chain of network policy in @found: kind, family and name. */
void skeleton_each_definition(const struct skeleton *found,
			      void (*visit)(const struct definition *d, void *userdata),
			      void *userdata);
/* Whether @found has the set or chain @d as @s would make it, rules included. */
bool skeleton_has_definition(const struct skeleton *s, const struct skeleton *found,
			     const struct definition *d);

#endif
