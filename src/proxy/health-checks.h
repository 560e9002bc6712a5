/* health-checks.h - the health check ports of all Services, kept sorted while single Services change. */
#ifndef KUBE_NFT_PROXY_HEALTH_CHECKS_H
#define KUBE_NFT_PROXY_HEALTH_CHECKS_H

#include <stddef.h>

#include "proxy/nodes.h"
#include "proxy/proxy.h"

struct health_checks {
	struct health_check_port *items; /* owned; the names in it are not */
	size_t n, capacity;
};

/* What one Service has: at most one a family, in the order of families. */
struct service_health_checks {
	struct health_check_port items[FAMILY_COUNT];
	size_t n;
};

/* Room for what one more Service may have. 0 or -ENOMEM. */
int health_checks_reserve(struct health_checks *h);
/* Put these in the place of what the Service had; there must be room. */
void health_checks_replace(struct health_checks *h, const char *namespace, const char *name,
			   const struct service_health_checks *now);
void health_checks_free(struct health_checks *h);

#endif
