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
#define FRONTEND_MAX_VERDICTS 8
/* With the guard and the address, but not who may pass the guard. */
#define FRONTEND_MAX_ELEMENTS (FRONTEND_MAX_VERDICTS + 2)

/* What the frontends of a service port have in common in one family. */
struct port_facts {
	const char *comment; /* the block's */
	const struct frontend
		*own;     /* by which its own chains are called: the first that it holds */
	uint32_t targets; /* its endpoints' ports: targets_number() */
	uint32_t affinity_timeout_s;
};

/* Each returns 0 or -ENOMEM. */

int elements_add_frontend(struct block *b, const struct frontend *f,
			  const struct frontend_verdicts *v, const struct port_facts *port);
/* The endpoints that clients may have which learned by @learn, VERDICT_LEARN or VERDICT_LOCAL_LEARN. */
int elements_add_bindings(struct block *b, const struct port_facts *port, enum verdict learn,
			  const struct target_list *targets);
/* A frontend, and those of @known to which its flows may go on. */
int elements_add_flows(struct block *b, const struct frontend *f, const struct target_list *known,
		       const char *comment);
/* Endpoints of this node, for connections that come back to where they began. */
int elements_add_hairpins(struct block *b, uint8_t family, const struct target_list *targets);
/* Only @sources may connect to @f. @comment is the block's. */
int elements_add_guard(struct block *b, const struct frontend *f,
		       const struct source_ranges *sources, const char *comment);
int elements_add_service_addr(struct block *b, const struct addr *a);

#endif
