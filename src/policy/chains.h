/* chains.h - a policy as chains: one a direction, a rule for each peer and each kind of port.
 *
 * The shape of a chain depends on how many peers a rule has, never on how many pods, ports or ranges:
 * those are in sets. What a chain accepts is final for its direction; what it does not, the next policy
 * may.
 */
#ifndef KUBE_NFT_POLICY_CHAINS_H
#define KUBE_NFT_POLICY_CHAINS_H

#include "policy/internal.h"

struct block;

/* The chains of st->object, with what they refer to added to st->references. -E2BIG: it is too large,
 * with a sentence in @err. -ENOMEM. */
int chains_build(struct policies *p, struct policy_state *st, struct block **ret,
		 struct error *err);
/* The same chains without a rule: nobody is allowed anything. -ENOMEM. */
int chains_build_closed(struct policies *p, const struct policy_state *st, struct block **ret);

/* The name of the chain that a policy has in @direction, written to @text. */
const char *chain_name(const struct policy_state *st, enum direction direction,
		       char text[static DEFINITION_NAME_BYTES]);

#endif
