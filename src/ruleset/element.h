/* element.h - one element of one set or map of our table, typed, and its order.
 *
 * An element is what the models make and what the kernel module sends and reads back. Which fields
 * are its key and which its data follows from its set: see set_layout().
 */
#ifndef KUBE_NFT_RULESET_ELEMENT_H
#define KUBE_NFT_RULESET_ELEMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "ruleset/content-id.h"

struct buf;

/* In the order of nft-templates/table.nft. The affinity maps are not among them: the packets fill those,
 * see kernel/affinity.h. */
enum set_id {
	SET_SERVICES,            /* frontend : verdict */
	SET_LOCAL_SERVICES,      /* frontend : verdict */
	SET_ENDPOINTS,           /* frontend . slot : target */
	SET_LOCAL_ENDPOINTS,     /* frontend . slot : target */
	SET_NO_ENDPOINTS,        /* frontend : verdict */
	SET_AFFINITY_SERVICES,   /* frontend : verdict */
	SET_MASQUERADE_SERVICES, /* frontend : verdict */
	SET_UDP_SERVICES,        /* frontend */
	SET_UDP_FLOWS,           /* frontend . target */
	SET_HAIRPIN,             /* addr . addr */
	SET_POD_CIDRS,           /* addr to other, an interval */
	SET_GUARDED_FRONTENDS,   /* frontend */
	SET_SOURCE_RANGES,       /* frontend . prefix */
	SET_SERVICE_ADDRESSES,   /* addr */
	SET_CLUSTER_RANGES,      /* addr to other, an interval */
	SET_EGRESS_PODS,         /* addr : verdict */
	SET_INGRESS_PODS,        /* addr : verdict */
	SET_EXEMPT_CIDRS,        /* addr to other, an interval */
	SET_EXEMPT_PORTS,        /* protocol . port to target_port, an interval */
	SET_LOCAL_POD_CIDRS,     /* addr to other, an interval */
	SET_LOCAL_PODS,          /* addr */
	SET_COUNT,
	/* Many of each, told apart by id: see ruleset/definition.h. */
	SET_PODS,        /* addr */
	SET_BLOCK,       /* addr to other, an interval */
	SET_PORTS,       /* protocol . port to target_port, an interval */
	SET_NAMED_PORTS, /* addr . protocol . port */
	SET_KINDS,
};

/* Where a verdict goes. The first ones are verdicts of nftables itself. */
enum verdict {
	VERDICT_NONE,
	VERDICT_ACCEPT,
	VERDICT_DROP,
	VERDICT_REFUSE,             /* goto refuse */
	VERDICT_MASQUERADE_ALL,     /* goto masquerade-all */
	VERDICT_MASQUERADE_OUTSIDE, /* goto masquerade-outside */
	VERDICT_MASQUERADE_NODE,    /* goto masquerade-node */
	VERDICT_POLICIES,           /* goto ingress-ID, egress-ID */
	/* Dispatch chains, one for every number in use: goto NAME-number. */
	VERDICT_LB,
	VERDICT_LOCAL_LB,
	VERDICT_AFFINITY_LB,
	VERDICT_AFFINITY_LOCAL_LB,
	VERDICT_LEARN_AFFINITY, /* number: seconds */
	VERDICT_COUNT,
};
#define VERDICT_FIRST_DISPATCH VERDICT_LB

enum element_limit {
	COMMENT_MAX_BYTES = 127,        /* nft takes 128 with the final zero */
	DISPATCH_MAX_ENDPOINTS = 65535, /* of one frontend */
	CHAIN_NAME_MAX_BYTES = 32,
	SET_NAME_MAX_BYTES = 48,
};

struct element {
	uint8_t set;          /* enum set_id */
	uint8_t family;       /* AF_INET or AF_INET6: in which table */
	uint8_t protocol;     /* enum protocol */
	uint8_t verdict;      /* enum verdict */
	uint16_t port;        /* frontend's, host order */
	uint16_t target_port; /* host order */
	uint32_t slot;        /* from 0; of a prefix, its bits */
	uint32_t number;      /* of a dispatch verdict: endpoints, or seconds */
	uint8_t addr[16];     /* frontend's, hairpin's, an interval's first; network order */
	uint8_t other[16];    /* target's, hairpin's second, an interval's last, a prefix's first */
	struct content_id
		id; /* of its set, where there are many; of the chain of VERDICT_POLICIES */
	const char *comment; /* by comment_from(), owned by the block; NULL: none */
};

/* In our maps' elements: first packets of connections. */
struct counter {
	uint64_t packets, bytes;
};

/* Order: set, family, id, key. 0 means the same key in the same set. */
int element_cmp(const struct element *a, const struct element *b);
/* Whether data and comment are the same, the keys being so. */
bool element_same_value(const struct element *a, const struct element *b);

/* "services", "local-services", ... as in the template. */
const char *set_name(enum set_id set);
/* SET_COUNT when there is no such set. */
enum set_id set_by_name(const char *name);
/* The set of @e: as set_name(), or "pods-0123456789abcdef0123". Returns @text. */
const char *element_set_name(const struct element *e, char text[static SET_NAME_MAX_BYTES]);
/* The order of the sets that they are in. 0: one set of one table. */
int element_set_cmp(const struct element *a, const struct element *b);

struct set_layout {
	bool addr;     /* the key begins with addr */
	bool slot;     /* a slot behind the frontend */
	bool frontend; /* . protocol . port behind it */
	bool target;   /* data is other . target_port */
	bool flow;     /* other . target_port are the end of the key */
	bool verdict;  /* data is a verdict */
	bool interval; /* addr to other */
	bool prefix;   /* other and slot, as a prefix, behind the frontend */
	bool pair;     /* key is addr . other */
	bool ports;    /* key is protocol . port, to target_port */
	bool dynamic;  /* many sets, by id */
	bool shared;   /* several owners may want the same element */
	bool counter;  /* its elements count */
};
const struct set_layout *set_layout(enum set_id set);

/* "lb", "learn-affinity", "refuse", ...; NULL for accept, drop and none. */
const char *verdict_chain(enum verdict v);
/* "lb-3", "refuse", ... @text has room for CHAIN_NAME_MAX_BYTES. NULL when it is no chain. */
const char *verdict_chain_name(enum verdict v, uint32_t number,
			       char text[static CHAIN_NAME_MAX_BYTES]);
/* The chain that @e goes to, as verdict_chain_name(). */
const char *element_chain_name(const struct element *e, char text[static CHAIN_NAME_MAX_BYTES]);
/* The reverse of verdict_chain_name(). VERDICT_NONE when no verdict of ours goes to a chain of that name. */
enum verdict verdict_by_chain_name(const char *name, uint32_t *ret_number);
/* Read what @e goes to from a chain's name; VERDICT_NONE as above. */
void element_read_chain(struct element *e, const char *name);

/* The element as nft text, "10.96.0.10 . tcp . 80 comment "default/web:http" : goto lb-2". */
void element_print(const struct element *e, struct buf *out);

/* A comment that nft can list and load again: every byte outside [A-Za-z0-9 ._:/-] becomes '_', cut at
 * COMMENT_MAX_BYTES with a hash of the whole behind, so that different names stay different. */
void comment_from(const char *text, char ret[static COMMENT_MAX_BYTES + 1]);

#endif
