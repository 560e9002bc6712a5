/* policies-print.h - NetworkPolicies of this node as text: tables for people, JSON for programs. */
#ifndef KUBE_NFT_COMMAND_POLICIES_PRINT_H
#define KUBE_NFT_COMMAND_POLICIES_PRINT_H

#include <stddef.h>

#include "firewall/firewall.h"

struct buf;

/* Append @f to @out, what is not shown left out. */
void policies_print_tables(const struct firewall *f, struct buf *out);
void policies_print_json(const struct firewall *f, struct buf *out);

/* "from pods of shop: app is web (2 now), on TCP 80, 443-450": at most @max peers, and ports. */
void policies_print_rule(const struct firewall_rule *rule, enum firewall_direction direction,
			 size_t max, struct buf *out);
/* "shop/web" */
void policies_print_name(const struct traffic_name *name, struct buf *out);
const char *policies_direction(enum firewall_direction direction);

#endif
