/* state.h - what the proxy remembers of one Service from one sync to the next. */
#ifndef KUBE_NFT_PROXY_STATE_H
#define KUBE_NFT_PROXY_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/table.h"
#include "object/problems.h"

struct claimant;

struct service_counts {
	uint32_t service_ports; /* 0: no frontend here */
	uint32_t refused_addrs;
	uint32_t skipped_endpoints;
};

struct service_state {
	struct service_state *next; /* in the queue */
	const char *namespace;      /* both in @text */
	const char *name;
	int64_t created;            /* of the Service, whose age decides on contested frontends */
	struct claimant *claimants; /* owned; the frontends that it wants */
	size_t n_claimants;
	struct problem_memory problems;
	struct service_counts counts;
	bool external; /* has external or load-balancer addresses, be they refused */
	bool queued;
	bool too_big;      /* keeps the block that it had */
	bool loses, gains; /* in this sync: frontends, to and from other Services */
	char text[];
};

/* All Services that there is something to remember of, and the queue of those to be computed. */
struct states {
	struct table table; /* of struct service_state, owned */
	struct service_state *queue;
	struct service_state **queue_end; /* the link that is NULL */
};

void states_init(struct states *ss);
void states_free(struct states *ss);
/* The state of a Service, made when there is none. 0 or -ENOMEM. */
int states_get(struct states *ss, const char *namespace, const char *name,
	       struct service_state **ret);
/* Forget a Service that is not queued and claims nothing. */
void states_forget(struct states *ss, struct service_state *st);
/* Nothing happens when it is queued already. */
void states_queue(struct states *ss, struct service_state *st);
/* Take out the one that @link points to. */
void states_unqueue(struct states *ss, struct service_state **link);

#endif
