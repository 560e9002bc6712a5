/* internal.h - a firewall while it is built. */
#ifndef KUBE_NFT_FIREWALL_INTERNAL_H
#define KUBE_NFT_FIREWALL_INTERNAL_H

#include "firewall/firewall.h"
#include "firewall/words.h"

struct building {
	struct firewall *f;
	const struct defined_list *definitions;
	const struct dump *elements;
	struct words_source words;
};

/* The policies, then the isolations that ask them. 0, -ENOMEM. */
int policies_build(struct building *b);
int isolations_build(struct building *b);
/* By direction and id. */
int isolation_cmp(const void *a, const void *b);

#endif
