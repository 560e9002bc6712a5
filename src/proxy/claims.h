/* claims.h - who has a frontend that several service ports want.
 *
 * A ClusterIP goes before an external address, that before a NodePort; then the older Service, then
 * namespace and name, then the first of its ports. The holder follows from who claims, not from who
 * came first, so that any order of events ends alike.
 *
 * claims_update() notes what Services want; claims_settle() decides afterwards, once a frontend.
 */
#ifndef KUBE_NFT_PROXY_CLAIMS_H
#define KUBE_NFT_PROXY_CLAIMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/table.h"
#include "proxy/frontends.h"

struct service_state;

/* One wish of one Service; an item of its state's array. */
struct claimant {
	struct claim *claim;
	struct service_state *service;
	struct claimant *previous, *next; /* who want the same, in no order */
	uint8_t kind;                     /* enum frontend_kind */
	uint16_t index;                   /* of the service port */
};

struct claim {
	struct addr addr;
	uint8_t protocol;
	uint16_t port;
	bool touched; /* waits to be settled */
	bool contested;
	uint16_t holder_index;        /* of the holder's service port */
	struct service_state *holder; /* as settled last; NULL: new */
	struct claimant *claimants;
	struct claim *next_touched;
};

enum { CLAIM_NETWORKS = 4096 };

struct claims {
	struct table table; /* of struct claim, owned */
	/* By a hash of the network: how many whole addresses, and whether claims_have_addr() was
	 * ever asked for one. */
	uint32_t n_whole[CLAIM_NETWORKS];
	bool asked[CLAIM_NETWORKS];
	struct claim *touched;
	size_t n_contested;
};

/* A frontend went from one Service to another; NULL: from or to nobody. A negative result ends
 * claims_settle(), which comes back to this frontend the next time. */
typedef int (*claims_moved_fn)(const struct claim *c, struct service_state *from,
			       struct service_state *to, void *userdata);

/* A frontend without protocol and port stands for its whole address: cluster IPs are noted like
 * that besides, for claims_have_addr(). */
static inline struct frontend frontend_whole_addr(const struct addr *a)
{
	return (struct frontend){ .addr = *a, .kind = FRONTEND_CLUSTER_IP };
}

static inline bool claim_is_whole_addr(const struct claim *c)
{
	return c->protocol == 0;
}

void claims_init(struct claims *cs);
/* The claimants are the Services'. */
void claims_free(struct claims *cs);

/* @st now wants these frontends and no others. 0, or -ENOMEM when nothing changed. */
int claims_update(struct claims *cs, struct service_state *st, const struct frontend *frontends,
		  size_t n);
int claims_settle(struct claims *cs, claims_moved_fn moved, void *userdata);
/* NULL when nobody wants it. */
const struct claim *claims_find(const struct claims *cs, const struct frontend *f);
/* Whether @a is a claimed whole address. */
bool claims_have_addr(struct claims *cs, const struct addr *a);
/* False when claims_have_addr() was never asked for @a. */
bool claims_asked_for_addr(const struct claims *cs, const struct addr *a);

#endif
