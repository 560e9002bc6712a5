/* chains.h - the dispatch chains that the kernel's tables have. */
#ifndef KUBE_NFT_KERNEL_CHAINS_H
#define KUBE_NFT_KERNEL_CHAINS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/table.h"
#include "ruleset/dispatch.h"

struct ruleset;

struct chains {
	struct table table; /* of struct dispatch, owned */
};

void chains_init(struct chains *c);
bool chains_have(const struct chains *c, const struct dispatch *d);
int chains_add(struct chains *c, const struct dispatch *d); /* 0 or -ENOMEM */
void chains_remove(struct chains *c, const struct dispatch *d);
/* Those that @rs does not use, sorted so that who goes on to another chain stands before it; to be
 * freed. 0 or -ENOMEM. */
int chains_unused(const struct chains *c, const struct ruleset *rs, struct dispatch **ret,
		  size_t *ret_n);
/* Forget all. */
void chains_free(struct chains *c);

#endif
