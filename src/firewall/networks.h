/* networks.h - ranges of addresses in the words of ipBlocks: "10.0.0.0/8 except 10.1.0.0/16 and 10.2.0.0/16". */
#ifndef KUBE_NFT_FIREWALL_NETWORKS_H
#define KUBE_NFT_FIREWALL_NETWORKS_H

#include <stddef.h>

#include "base/addr.h"

enum networks_limit {
	/* More ranges are told as they are, "10.0.0.1-10.0.0.6": nobody wrote them by hand. */
	NETWORKS_MAX_RANGES = 64,
};

/* Gets one network with its exceptions. 0, or an error that ends the telling. */
typedef int (*network_fn)(const char *text, void *userdata);

/* Tell the @n settled ranges of one family with as few prefixes as can be. 0, -ENOMEM, @fn's error. */
int networks_tell(const struct addr_range *ranges, size_t n, network_fn fn, void *userdata);

#endif
