/* combinations.h - pods that the same policies isolate share one chain in each direction. */
#ifndef KUBE_NFT_POLICY_COMBINATIONS_H
#define KUBE_NFT_POLICY_COMBINATIONS_H

#include "policy/internal.h"

void combinations_init(struct policies *p);
void combinations_close(struct policies *p);

/* Give @pod the combinations that its selections make, none when it is not of this node or gone. 0 or
 * -ENOMEM, when it has what it had. */
int combinations_assign(struct policies *p, struct pod_state *pod);

#endif
