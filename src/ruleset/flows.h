/* flows.h - frontends and the endpoints that their flows may go on to.
 *
 * A flow outlives the choice that began it: what keeps it is that its endpoint still serves, not that
 * a new flow would be sent there. So these are more than the rows of the endpoints maps.
 */
#ifndef KUBE_NFT_RULESET_FLOWS_H
#define KUBE_NFT_RULESET_FLOWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"

/* A frontend and an endpoint of it; or, with zeros behind @port, the frontend alone. Without a gap:
 * compared byte by byte. */
struct flow {
	uint8_t family;       /* AF_INET or AF_INET6 */
	uint8_t protocol;     /* enum protocol */
	uint8_t addr[16];     /* network order */
	uint16_t port;        /* host order */
	uint16_t target_port; /* host order */
	uint8_t target[16];   /* network order */
};

struct flows {
	struct flow *items; /* owned */
	size_t n, capacity;
};

int flow_cmp(const struct flow *a, const struct flow *b);       /* the order of settled flows */
int flows_add(struct flows *f, const struct flow *one);         /* 0 or -ENOMEM */
int flows_append(struct flows *f, const struct flows *more);    /* 0 or -ENOMEM */
void flows_settle(struct flows *f);                             /* sort, drop repetitions */
bool flows_have(const struct flows *f, const struct flow *one); /* @f settled */
bool flows_have_kind(const struct flows *f, uint8_t family, uint8_t protocol);
bool flows_equal(const struct flows *a, const struct flows *b); /* both settled */
void flows_free(struct flows *f);
#define _cleanup_flows_ _cleanup_(flows_free)

bool flow_is_frontend(const struct flow *one); /* alone */
/* The frontend of @one, alone. */
struct flow flow_frontend(const struct flow *one);

#endif
