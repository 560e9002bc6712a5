/* claims.h - which pod has an address, when several say so: a finished pod's may have gone to another, whose
 * deletion may be told late. Who follows from who claims, not from the order of events.
 */
#ifndef KUBE_NFT_POLICY_CLAIMS_H
#define KUBE_NFT_POLICY_CLAIMS_H

#include "policy/internal.h"

void claims_of_pods_init(struct policies *p);
void claims_of_pods_close(struct policies *p);

/* Room for one more claim on @a. 0 or -ENOMEM. */
int claims_reserve(struct policies *p, const struct addr *a);
/* Who gains or loses the address is queued to be rendered. */
void claims_add(struct policies *p, const struct addr *a, struct pod_state *pod);
void claims_drop(struct policies *p, const struct addr *a, struct pod_state *pod);

#endif
