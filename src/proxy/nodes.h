/* nodes.h - what the proxy reads from the Nodes: its own addresses and zone, and where pods live. */
#ifndef KUBE_NFT_PROXY_NODES_H
#define KUBE_NFT_PROXY_NODES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/cleanup.h"
#include "base/ranges.h"

struct proxy_config;
struct store;

/* The families as indexes. */
enum { FAMILY_IPV4, FAMILY_IPV6, FAMILY_COUNT };

static inline size_t family_index(uint8_t family)
{
	return family == AF_INET ? FAMILY_IPV4 : FAMILY_IPV6;
}

static inline uint8_t family_at(size_t index)
{
	return index == FAMILY_IPV4 ? AF_INET : AF_INET6;
}

/* Sorted, no two alike. */
struct node_addrs {
	struct addr *items;
	size_t n, capacity;
};

struct nodes {
	struct addr primary[FAMILY_COUNT]; /* of this node; family 0: none */
	struct node_addrs own;             /* of this node */
	struct node_addrs all;             /* of all nodes */
	char *zone;                        /* of this node; may be NULL */
	struct ranges pods[FAMILY_COUNT];  /* of all nodes, settled; none of a disabled family */
};

/* -ENOMEM. */
int nodes_read(const struct store *s, const struct proxy_config *config, struct nodes **ret);
struct nodes *nodes_free(struct nodes *n); /* NULL is fine; returns NULL */
DEFINE_CLEANUP(struct nodes, nodes_free);

/* Whether pods live at the same addresses. */
bool nodes_same_pods(const struct nodes *a, const struct nodes *b);
/* Whether Services look the same from there: own addresses and zone, and if pods are known at all. */
bool nodes_same_view(const struct nodes *a, const struct nodes *b);
/* Whether the nodes together have the same addresses. */
bool nodes_same_addrs(const struct nodes *a, const struct nodes *b);

#endif
