/* pods.h - pods as policy sees them: who has an address, and which selections a pod is in. */
#ifndef KUBE_NFT_POLICY_PODS_H
#define KUBE_NFT_POLICY_PODS_H

#include "policy/internal.h"

void pods_init(struct policies *p);
void pods_close(struct policies *p);

/* As store_changed() tells. 0 or -ENOMEM. */
int pods_changed(const struct object *before, const struct object *now, void *policies);

/* Bring the selections of the pods that were queued for it up to date. -ENOMEM: the rest stays queued. */
int pods_evaluate(struct policies *p);

/* @pod is now in @s, or not any more. What depends on it is queued. 0 or -ENOMEM. */
int pod_enters(struct policies *p, struct pod_state *pod, struct selection *s);
int pod_leaves(struct policies *p, struct pod_state *pod, struct selection *s);

/* Whether the @i-th address of @pod is its own, and not another's that is running or younger. */
bool pod_owns(const struct policies *p, const struct pod_state *pod, size_t i);

/* Free @pod, which is gone, rendered so, and queued nowhere. */
void pod_forget(struct policies *p, struct pod_state *pod);

#endif
