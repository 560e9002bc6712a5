/* internal.h - the proxy from inside: what proxy.c keeps, and what the files of a Service work with. */
#ifndef KUBE_NFT_PROXY_INTERNAL_H
#define KUBE_NFT_PROXY_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/addr.h"
#include "object/problems.h"
#include "proxy/claims.h"
#include "proxy/cluster-ranges.h"
#include "proxy/endpoints.h"
#include "proxy/frontends.h"
#include "proxy/health-checks.h"
#include "proxy/nodes.h"
#include "proxy/proxy.h"
#include "proxy/source-ranges.h"
#include "proxy/state.h"

/* Of one Service; more could only be an accident or an attack on the node's memory. */
#define SERVICE_MAX_ELEMENTS (2 * 1024 * 1024)

struct block;
struct scheduler;

struct proxy {
	struct proxy_config config;
	struct nodes *nodes; /* as of the last sync */
	bool nodes_stale;
	struct addr *local_addrs; /* of this host's interfaces, sorted */
	size_t n_local_addrs;
	struct states states;
	struct claims claims;
	struct cluster_ranges cluster_ranges;
	struct addr *moved_ips; /* cluster IPs that appeared or went since they were looked at */
	size_t n_moved_ips, cap_moved_ips;
	struct health_checks health_checks;
	struct proxy_stats stats; /* but for @contested */
	/* Scratch memory of the Service that is being looked at. */
	struct problems problems;
	struct frontends frontends;
	struct source_ranges source_ranges[FAMILY_COUNT];
	struct endpoints endpoints;
};

/* The Service if it is there and ours to serve, or NULL. */
const struct service *service_get(const struct service_state *st, const struct store *s);
/* What frontends are made of beside the Service. Borrows from @p. */
struct frontend_site proxy_site(const struct proxy *p);
/* Note which frontends the Service wants now. One that is too big keeps what it claimed. -ENOMEM. */
int service_claim(struct proxy *p, struct service_state *st, const struct store *s);
/* Take all of the Service's elements away. -ENOMEM. */
int service_withdraw(const struct service_state *st, struct ruleset *rs, struct transaction *tx);
/* Bring @rs to what the Service should have. One that can't be rendered keeps its block, unless
 * another Service was given one of its frontends. -ENOMEM. */
int service_render(struct proxy *p, struct service_state *st, const struct store *s,
		   struct ruleset *rs, struct transaction *tx);
/* Add what the frontends in @p, in as far as the Service holds them, should have to @block. @ret_any: whether
 * it holds any. -ENOMEM. */
int service_build_frontends(struct proxy *p, const struct service_state *st,
			    const struct service *service, const struct scheduler *scheduler,
			    struct block *block, bool *ret_any);
/* Whether there is nothing to remember of it. */
bool service_is_gone(const struct service_state *st, const struct store *s);

#endif
