/* pod-elements.h - what the ruleset has of each pod: its memberships in the sets of selectors, and for a pod
 * of this node the chains of its policies. An owner of its own, so that a pod that comes, goes or
 * changes is a change of elements.
 */
#ifndef KUBE_NFT_POLICY_POD_ELEMENTS_H
#define KUBE_NFT_POLICY_POD_ELEMENTS_H

struct policies;

/* Bring the blocks of the pods that were queued for it up to date; forget those that are gone. 0 or a
 * negative errno, when the rest stays queued. */
int pods_render(struct policies *p);

#endif
