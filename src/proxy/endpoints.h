/* endpoints.h - from the slices of a Service to the two lists of a service port: where connections go
 * that may go to any node, and where those go that must stay on this one.
 */
#ifndef KUBE_NFT_PROXY_ENDPOINTS_H
#define KUBE_NFT_PROXY_ENDPOINTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "object/object.h"
#include "object/problems.h"
#include "proxy/nodes.h"
#include "proxy/slots.h"
#include "ruleset/dispatch.h"

struct claims;

enum endpoint_flag {
	ENDPOINT_READY = 1 << 0,
	ENDPOINT_DRAINING = 1 << 1, /* serving and terminating */
	ENDPOINT_LOCAL = 1 << 2,
	ENDPOINT_NODE_HINT = 1 << 3,
	ENDPOINT_HINTS_NODE = 1 << 4, /* this node */
	ENDPOINT_ZONE_HINT = 1 << 5,
	ENDPOINT_HINTS_ZONE = 1 << 6, /* this node's zone */
	ENDPOINT_TERMINATING = 1 << 7,
};

/* An endpoint of any port, as this node sees it. */
struct candidate {
	struct addr addr;
	uint16_t flags;
	uint32_t slice;
};

/* Each in the order of slots. */
struct endpoint_lists {
	struct target_list cluster;
	struct target_list local;
};

/* The endpoints of one Service. Memory is kept from one to the next. */
struct endpoints {
	const struct endpoint_slice *const *slices; /* borrowed */
	struct candidate *candidates;
	size_t n_candidates, cap_candidates;
	struct target_list known; /* those of one service port, sorted by target_cmp() */
	struct target_list chosen;
	uint32_t *scratch; /* of slots_assign() */
	size_t cap_scratch;
	struct endpoint_lists lists;
	uint32_t n_skipped;
	size_t n_by_family[FAMILY_COUNT]; /* candidates */
	size_t n_local;                   /* candidates, both families */
};

/* This node's name, and its zone or NULL. */
struct vantage {
	const char *node;
	const char *zone;
};

/* Read the endpoints of all slices, leaving out addresses that are none, and cluster IPs (@claims).
 * Those are told to @problems. -ENOMEM. */
int endpoints_read(struct endpoints *e, const struct endpoint_slice *const *slices, size_t n,
		   const struct vantage *here, struct claims *claims, struct problems *problems);
/* Make @e->lists those of service port @port in @family; with @maglev they have tables of slots. -ENOMEM. */
int endpoints_choose(struct endpoints *e, const struct service_port *port, uint8_t family,
		     bool maglev, struct problems *problems);
/* The ports of the endpoints in both lists, ascending. False: there are more, and these are the lowest. */
bool endpoints_target_ports(const struct endpoint_lists *lists,
			    uint16_t ret[static DISPATCH_MAX_TARGETS]);
/* Into @ret: how many addresses of each family are ready on this node, in slices that have a port. -ENOMEM. */
int endpoints_count_local(const struct endpoints *e, uint32_t ret[static FAMILY_COUNT]);
void endpoints_free(struct endpoints *e);

#endif
