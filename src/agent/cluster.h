/* cluster.h - the API server as where the agent's objects come from. */
#ifndef KUBE_NFT_AGENT_CLUSTER_H
#define KUBE_NFT_AGENT_CLUSTER_H

#include "base/cleanup.h"

struct cluster;
struct error;
struct loop;
struct options;
struct problem;
struct source_events;

/* Find the API server that @o names and begin to list and watch; an API server that does not answer is no
 * error. Objects go to @events. The Node object @node is special: without it nothing can be said of this
 * node, so @ready is called, once, when every kind was listed and it is there; and when it is deleted, that
 * is told, and what it said stays.
 * All arguments but @events, which is copied, must outlive it. -ENOENT, -EINVAL: no way to an API server
 * is configured, or it can't be read. */
int cluster_open(struct loop *loop, const struct options *o, const char *node,
		 const struct source_events *events, void (*ready)(void *userdata), void *userdata,
		 struct cluster **ret, struct error *err);
struct cluster *cluster_free(struct cluster *c); /* NULL is fine; returns NULL */
DEFINE_CLEANUP(struct cluster, cluster_free);

/* Make an Event of it. */
void cluster_tell(struct cluster *c, const struct problem *p);
/* Its URL. Borrowed. */
const char *cluster_server(const struct cluster *c);

#endif
