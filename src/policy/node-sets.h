/* node-sets.h - the sets of network policy that follow from the flags and from this node's object. */
#ifndef KUBE_NFT_POLICY_NODE_SETS_H
#define KUBE_NFT_POLICY_NODE_SETS_H

struct policies;
struct store;

/* Bring them up to date. 0 or -ENOMEM. */
int node_sets_render(struct policies *p, const struct store *s);

#endif
