/* selections.h - selections, found by what a pod must have to be in one.
 *
 * A selection is filed under one thing that all of its pods have: a label, or a label of their namespace, or
 * at least their namespace. So a pod is compared with those filed under what it has, not with all. One that
 * asks only for what pods lack is filed under its namespace, or where every pod finds it.
 */
#ifndef KUBE_NFT_POLICY_SELECTIONS_H
#define KUBE_NFT_POLICY_SELECTIONS_H

#include "policy/internal.h"

/* File it, so that pods find it; take it out again. 0 or -ENOMEM. */
int selections_file(struct policies *p, struct selection *s);
void selections_take_out(struct policies *p, struct selection *s);

/* Those that @pod is in, into @ret, which has room for @cap. Returns how many there are. */
size_t selections_of_pod(const struct policies *p, const struct pod_state *pod,
			 struct selection **ret, size_t cap);

void selections_init(struct policies *p);
void selections_close(struct policies *p);

#endif
