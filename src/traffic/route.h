/* route.h - what the element of a frontend says becomes of its clients. */
#ifndef KUBE_NFT_TRAFFIC_ROUTE_H
#define KUBE_NFT_TRAFFIC_ROUTE_H

#include <stdbool.h>

#include "traffic/traffic.h"

struct traffic_route route_of(const struct element *e);
/* One of the endpoints that @r counts has another slot, @again. */
void route_count_once(struct traffic_route *r, bool again);

#endif
