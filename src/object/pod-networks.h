/* pod-networks.h - where the pods of a Node live. */
#ifndef KUBE_NFT_OBJECT_POD_NETWORKS_H
#define KUBE_NFT_OBJECT_POD_NETWORKS_H

#include <stddef.h>

#include "base/addr.h"
#include "base/cleanup.h"

struct node;

struct prefixes {
	struct prefix *items; /* owned */
	size_t n, capacity;
};

/* Add the networks of @node: those of its annotations, else of its spec. 0 or -ENOMEM. */
int prefixes_add_node(struct prefixes *all, const struct node *node);
void prefixes_free(struct prefixes *all);
#define _cleanup_prefixes_ _cleanup_(prefixes_free)

#endif
