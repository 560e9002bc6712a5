/* elements.h - frontends and endpoints written down as elements of our sets. */
#ifndef KUBE_NFT_PROXY_ELEMENTS_H
#define KUBE_NFT_PROXY_ELEMENTS_H

#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "proxy/frontends.h"
#include "proxy/slots.h"
#include "proxy/source-ranges.h"
#include "proxy/verdicts.h"
#include "ruleset/ruleset.h"

/* Elements of one frontend besides the rows of its lists and its flows, at most. */
#define FRONTEND_MAX_VERDICTS 6
/* With the guard and the address, but not who may pass the guard. */
#define FRONTEND_MAX_ELEMENTS (FRONTEND_MAX_VERDICTS + 2)

/* Each returns 0 or -ENOMEM. */

/* @comment is the block's. @affinity_timeout_s counts with VERDICT_LEARN_AFFINITY. */
int elements_add_frontend(struct block *b, const struct frontend *f,
			  const struct frontend_verdicts *v, uint32_t affinity_timeout_s,
			  const char *comment);
/* A frontend, and those of @known to which its flows may go on. */
int elements_add_flows(struct block *b, const struct frontend *f, const struct target_list *known,
		       const char *comment);
/* Endpoints of this node, for connections that come back to where they began. */
int elements_add_hairpins(struct block *b, uint8_t family, const struct target_list *targets);
/* Only @sources may connect to @f. @comment is the block's. */
int elements_add_guard(struct block *b, const struct frontend *f,
		       const struct source_ranges *sources, const char *comment);
int elements_add_service_addr(struct block *b, const struct addr *a);
/* @set: SET_POD_CIDRS, SET_CLUSTER_RANGES. */
int elements_add_ranges(struct block *b, enum set_id set, uint8_t family,
			const struct addr_range *ranges, size_t n);

#endif
