/* internal.h - the policies from inside: what there is to remember of each pod, namespace, policy, selector
 * and combination from one sync to the next.
 */
#ifndef KUBE_NFT_POLICY_INTERNAL_H
#define KUBE_NFT_POLICY_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/table.h"
#include "object/object.h"
#include "object/pod-networks.h"
#include "object/problems.h"
#include "policy/policies.h"
#include "policy/queue.h"
#include "ruleset/content-id.h"
#include "ruleset/definition.h"

struct arena;
struct ruleset;
struct transaction;

enum direction { INGRESS, EGRESS, DIRECTIONS };

struct namespace_state {
	const char *name;         /* in @text */
	struct key_values labels; /* with the one that says the name; in @labels_arena */
	struct arena *labels_arena;
	struct pod_state *pods[2]; /* all that are there: elsewhere, and of this node */
	bool known;                /* its object was told */
	bool ending;               /* Terminating, or deleted */
	char text[];
};

struct pod_state {
	struct queue_link evaluate; /* which selections it is in */
	struct queue_link render;
	struct namespace_state *namespace;
	struct pod_state *next, **link; /* in the namespace */
	const char *name;               /* in @text */
	const struct pod *object;       /* the store's; NULL: gone */
	struct addr *addrs;             /* that it claims; owned */
	size_t n_addrs;
	struct selection **selections; /* that it is in; owned */
	size_t n_selections, cap_selections;
	struct combination *combinations[DIRECTIONS]; /* NULL: not isolated */
	bool local;                                   /* of this node */
	bool counts;      /* is neither gone, finished, nor on the host's network */
	bool judged_anew; /* its policies have changed */
	bool loses;       /* in this sync: an address, to another pod */
	bool rendered;    /* has a block */
	char text[];
};

enum selection_kind {
	SELECTION_TARGET,      /* of a policy: pods of this node */
	SELECTION_PODS,        /* a set of addresses */
	SELECTION_NAMED_PORTS, /* a set of addresses and ports */
};

struct port_name {
	const char *name;
	enum protocol protocol;
};

/* Which pods: what a selection is made of. */
struct selection_spec {
	enum selection_kind kind;
	bool local;                        /* of this node only */
	const char *namespace;             /* NULL: of those that @namespaces selects */
	const struct selector *namespaces; /* NULL: all */
	const struct selector *pods;       /* NULL: all */
	const struct port_name *names;     /* of NAMED_PORTS, sorted */
	size_t n_names;
};

/* A selector that is in use. Equal ones are one. */
struct selection {
	struct selection_spec spec; /* in @arena */
	struct content_id id;
	struct policy_state *policy; /* of a TARGET */
	size_t users;
	bool complete;     /* all pods that are in it know */
	uint64_t *buckets; /* where the index has it */
	size_t n_buckets;
	struct arena *arena;
};

/* A set whose content is its name. */
struct constant_set {
	enum definition_kind kind;
	struct content_id id;
	size_t users;
};

/* What the chains of a policy refer to, counted. */
struct references {
	struct selection **selections;
	size_t n_selections, cap_selections;
	struct constant_set **sets;
	size_t n_sets, cap_sets;
};

struct policy_state {
	struct queue_link settle;
	const char *namespace; /* both in @text */
	const char *name;
	const struct network_policy *object; /* the store's; NULL: gone */
	struct selection *target;
	size_t n_pods; /* of this node that it selects */
	bool isolates[DIRECTIONS];
	bool changed;      /* since its chains were made */
	bool active;       /* has chains */
	bool closed;       /* could not be rendered */
	char refusal[128]; /* what the kernel says of its chains; "": nothing */
	struct references references;
	struct references dropped; /* of the chains before, until they are released */
	struct problem_memory problems;
	char text[];
};

/* The policies of some pods in one direction, sorted by name. */
struct combination {
	enum direction direction;
	struct content_id id;
	size_t users; /* pods */
};

struct policies {
	struct policies_config config;
	struct table pods, namespaces, policies;
	struct table claims;     /* of addresses: who has one */
	struct table selections; /* but TARGETs; by id */
	struct table buckets;    /* all selections, by what a pod must have to be in them */
	struct table sets, combinations;
	struct queue evaluate, render, settle;
	struct problems problems;
	struct policies_stats stats;
	bool started;              /* what depends on flags alone is rendered */
	struct prefixes pod_cidrs; /* as rendered */
	/* Of the sync that goes on. */
	struct ruleset *ruleset;
	struct transaction *tx;
	struct error *err;
};

/* The families that are on, for loops: false beyond the last. */
bool policies_family(const struct policies *p, size_t i, uint8_t *ret);

#endif
