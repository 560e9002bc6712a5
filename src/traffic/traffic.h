/* traffic.h - Services as this node's kernel has them: frontends, their endpoints, what went there.
 *
 * Made of the elements of our tables, which name the Services in their comments, and of entries of
 * connection tracking. The agent is not asked, so this also tells what a dead one has left, and what
 * somebody else has made of it. Pure: no clock, no I/O; the reading is in read.h.
 */
#ifndef KUBE_NFT_TRAFFIC_TRAFFIC_H
#define KUBE_NFT_TRAFFIC_TRAFFIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/cleanup.h"
#include "ruleset/element.h"
#include "traffic/name.h"

struct arena;
struct conntrack_entry;
struct counted_list;

enum traffic_verdict {
	TRAFFIC_OTHER, /* what we would never do: somebody else has changed the tables */
	TRAFFIC_BALANCED,
	TRAFFIC_REFUSED,
	TRAFFIC_DROPPED, /* there are endpoints, but not on this node */
};

/* How an endpoint is chosen. The tables don't tell lc from rr. */
enum traffic_scheduler {
	TRAFFIC_RANDOM,
	TRAFFIC_RR,
	TRAFFIC_SH,
	TRAFFIC_DH,
	TRAFFIC_MH,
};

/* What becomes of new connections. */
struct traffic_route {
	enum traffic_verdict verdict;
	uint32_t n_endpoints; /* to choose among */
	enum traffic_scheduler scheduler;
	bool hashes_port; /* the client's, as flag-2 has it */
};

/* Connections that are tracked at present. What they carried is zero without accounting. */
struct traffic_flows {
	uint64_t n;
	struct counter in, out; /* from the clients, to them */
};

struct traffic_endpoint {
	struct addr addr;
	uint16_t port;        /* host order */
	bool here;            /* on this node */
	bool inside, outside; /* whose connections it gets, see struct traffic_frontend */
	/* Since it became an endpoint. Those that affinity brought back are not among them. */
	uint64_t connections;
	struct traffic_flows flows;
};

struct traffic_frontend {
	struct traffic_name service;
	struct addr addr;
	uint16_t port;    /* host order */
	uint8_t protocol; /* enum protocol */
	/* Of pods and of this node itself, and of everybody else; the same but for frontends with
	 * externalTrafficPolicy Local. */
	struct traffic_route inside, outside;
	bool differs;           /* they are not the same */
	uint32_t affinity_s;    /* 0: none */
	bool guarded;           /* only clients in @sources, possibly none, may connect */
	struct prefix *sources; /* by address */
	size_t n_sources;
	uint64_t connections;               /* sent to an endpoint, since there is any */
	uint64_t unserved;                  /* packets refused or dropped, since there is none */
	struct traffic_flows flows;         /* those to endpoints that have left included */
	struct traffic_endpoint *endpoints; /* by address and port */
	size_t n_endpoints;
};

struct traffic {
	struct traffic_frontend *frontends; /* by Service port, then family, address, protocol */
	size_t n;
	struct traffic_frontend **by_key;
	size_t strange;  /* elements that can't be ours, left out */
	bool accounting; /* whether new connections' packets and bytes are counted */
	struct arena *arena;
};

/* @elements are those of any sets whose key begins with a frontend, @hairpins those of SET_HAIRPIN; both
 * get sorted. 0, -ENOMEM. */
int traffic_build(struct counted_list *elements, struct counted_list *hairpins,
		  struct traffic **ret);
struct traffic *traffic_free(struct traffic *t); /* NULL is fine; returns NULL */
DEFINE_CLEANUP(struct traffic, traffic_free);

/* How endpoints of @f are chosen: "rr", "sh", ... as in the annotation, "random"; NULL: there are none. */
const char *traffic_scheduler_word(const struct traffic_frontend *f);
bool traffic_hashes_port(const struct traffic_frontend *f);

/* Count a connection, if it is one to a frontend of @t. */
void traffic_add_flow(struct traffic *t, const struct conntrack_entry *entry);

#endif
