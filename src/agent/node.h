/* node.h - what both the agent and `render` hold: the store, the models and the ruleset of one node. */
#ifndef KUBE_NFT_AGENT_NODE_H
#define KUBE_NFT_AGENT_NODE_H

#include <stdbool.h>

#include "base/cleanup.h"
#include "base/log-limit.h"
#include "source/source.h"

struct error;
struct manifests;
struct options;
struct problem;
struct transaction;

struct node_state {
	char *name; /* of the Node object */
	struct store *store;
	struct proxy *proxy;
	bool run_proxy;
	struct policies *policies; /* NULL: they are not enforced */
	struct prefix *exempt;     /* where Services are, for the policies; owned */
	size_t n_exempt;
	struct ruleset *ruleset;
	struct manifests *manifests;
	struct log_limit log_limit;      /* of records about bad objects; flushed by each sync */
	void (*changed)(void *userdata); /* an object came, changed or went; may be NULL */
	/* The object's owner should know of this; may be NULL. */
	void (*problem)(const struct problem *problem, void *userdata);
	void *userdata;
};

/* Fill @n for the node that @o names; @o must outlive it. Reports of the models and of the manifests are
 * logged. */
int node_open(struct node_state *n, const struct options *o, struct error *err);
/* What a source is to tell its objects to. Valid as long as @n. */
struct source_events node_events(struct node_state *n);
/* Tell of a problem of the Service @namespace/@name, as the models do. @reason: see struct problem. */
void node_report(struct node_state *n, const char *namespace, const char *name, const char *reason,
		 const char *text);
/* Read the manifests directory. */
int node_load(struct node_state *n, const struct options *o, struct error *err);
/* Bring the ruleset to what the store says: Services and policies in one transaction. @tx as in
 * ruleset_replace(). -ENOMEM: what was not done stays marked, and @tx must not be committed. */
int node_sync(struct node_state *n, struct transaction *tx, struct error *err);
void node_close(struct node_state *n);

/* Tell n->problem that the kernel refused the block of @owner in the ruleset. */
void node_tell_refused(const struct node_state *n, const char *owner, const char *why);
/* When @owner in the ruleset is a policy: have it close the pods that it selects, with the next
 * node_sync(). False: it is none, or has done so already. */
bool node_close_policy(const struct node_state *n, const char *owner, const char *why);
/* Tell n->problem of what this node suffers from. */
void node_tell_own(const struct node_state *n, const char *reason, const char *text);
/* Tell n->problem that tables which somebody else had changed are as they should be again. */
void node_tell_repaired(const struct node_state *n, const char *why);

#endif
