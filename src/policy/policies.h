/* policies.h - NetworkPolicies, Pods and Namespaces -> what this node's tables should hold for them.
 *
 * Reads the store, writes blocks into the ruleset: one a pod (owner "pod NAMESPACE/NAME") with its
 * address in every set and map that it belongs to, one a policy ("policy NAMESPACE/NAME") with its
 * chains, one a set of peers or ports and one a combination of policies, called by their names. A change
 * of a pod touches the selectors that it matches or matched; policies that select no pod of this node
 * cost nothing here. Pure: no clock, no I/O; the same store gives the same blocks in any order of events.
 * Source: NetworkPolicy as in the API reference of networking.k8s.io/v1; docs/ruleset.md.
 */
#ifndef KUBE_NFT_POLICY_POLICIES_H
#define KUBE_NFT_POLICY_POLICIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/cleanup.h"
#include "object/problems.h"

struct error;
struct policies;
struct ruleset;
struct store;
struct transaction;

enum policies_limit {
	/* Of one policy, direction and family; beyond it the pods that it selects are closed. */
	POLICY_MAX_CHAIN_RULES = 4096,
	/* Addresses and ranges of one ipBlock rule. */
	POLICY_MAX_RANGES = 65536,
};

/* What the flags say. Arrays are borrowed and must outlive the policies. */
struct policies_config {
	const char *node;            /* Node object's name */
	bool ipv4, ipv6;             /* --enable-ipv4, --enable-ipv6 */
	bool default_deny;           /* --netpol-default-deny */
	const struct prefix *exempt; /* where Services are: not judged on this node */
	size_t n_exempt;
	uint16_t node_ports_first, node_ports_last; /* --service-node-port-range */
};

/* Watches Pods, Namespaces and NetworkPolicies of @s, which must be empty yet. */
int policies_new(const struct policies_config *config, struct store *s, problem_report_fn report,
		 void *userdata, struct policies **ret);
struct policies *policies_free(struct policies *p); /* NULL is fine; returns NULL */
DEFINE_CLEANUP(struct policies, policies_free);

/* Bring @rs to what @s says. @tx as in ruleset_replace(). A policy that can't be rendered closes the pods
 * that it selects, and is reported. -ENOMEM: what was not done stays marked; @tx is then incomplete
 * and must not be committed. */
int policies_sync(struct policies *p, struct store *s, struct ruleset *rs, struct transaction *tx,
		  struct error *err);

/* The kernel refuses the chains of this policy, @why: until it changes, it closes the pods that it
 * selects. In force with the next policies_sync(). False when it has none, or is closed already. */
bool policies_close(struct policies *p, const char *namespace, const char *name, const char *why);

/* Whether the networks of this node's pods are known, without which nothing can be denied by default. */
bool policies_know_pod_cidrs(const struct policies *p, const struct store *s);

struct policies_stats {
	size_t policies;     /* that select pods of this node */
	size_t pods;         /* of this node that a policy selects */
	size_t selectors;    /* in use */
	size_t combinations; /* of policies, in either direction */
	size_t closed;       /* policies that could not be rendered */
};
struct policies_stats policies_stats(const struct policies *p);

#endif
