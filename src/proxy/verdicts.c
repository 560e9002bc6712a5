#include "proxy/verdicts.h"

/*  frontend            policy    client         endpoints      none there, some elsewhere
 *  ClusterIP           Cluster   any            cluster list   -
 *  ClusterIP           Local     any            local list     drop
 *  external, NodePort  Cluster   any            cluster list   -
 *  external, NodePort  Local     pod or node    cluster list   -
 *  external, NodePort  Local     anybody else   local list     drop
 *
 * Without an endpoint anywhere every client is refused. A pod or the node that asks an external
 * address takes a short cut for going out to the load balancer and back, so it may go anywhere.
 */

static enum verdict masquerade_verdict(const struct frontend_facts *facts, bool local)
{
	/* Policy Local is there to keep the client's address: no flag takes that away. */
	if (facts->kind != FRONTEND_CLUSTER_IP)
		return local ? VERDICT_MASQUERADE_NODE : VERDICT_MASQUERADE_ALL;
	if (facts->masquerade_all)
		return VERDICT_MASQUERADE_ALL;
	return facts->pods_known && !facts->in_range ? VERDICT_MASQUERADE_OUTSIDE : VERDICT_NONE;
}

struct frontend_verdicts frontend_verdicts(const struct frontend_facts *facts,
					   const struct endpoint_lists *lists)
{
	bool external = facts->kind != FRONTEND_CLUSTER_IP;
	bool local = external ? facts->policy.external_local : facts->policy.internal_local;
	const struct target_list *inside = local && !external ? &lists->local : &lists->cluster;
	bool some = lists->cluster.n > 0, some_local = lists->local.n > 0;
	struct frontend_verdicts v = { 0 };

	if (inside->n > 0) {
		v.services = facts->scheduler;
		v.targets = inside;
		v.masquerade = masquerade_verdict(facts, local);
	}
	if (external && local && some_local) {
		v.local_services = facts->scheduler + 1;
		v.local_targets = &lists->local;
	} else if (external && local) {
		v.local_services = VERDICT_ACCEPT; /* on to the drop, not to other nodes */
	}
	/* What a client had is remembered apart for each of the two lists. */
	if (facts->affinity && v.targets) {
		v.recall = v.targets == &lists->local ? VERDICT_LOCAL_RECALL : VERDICT_RECALL;
		v.learn = !local   ? VERDICT_LEARN :
			  external ? VERDICT_MIXED_LEARN :
				     VERDICT_LOCAL_LEARN;
	}
	if (facts->affinity && v.local_targets)
		v.local_recall = VERDICT_LOCAL_RECALL;
	if (!some)
		v.no_endpoints = VERDICT_REFUSE;
	else if (local && !some_local)
		v.no_endpoints = VERDICT_DROP;
	return v;
}
