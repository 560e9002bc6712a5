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
#include "ruleset/dispatch.h"

struct buf;

/* In the order of nft-templates/table.nft. Those that the packets fill are not among them: see
 * kernel/affinity.h, kernel/skeleton.h. */
enum set_id {
	SET_SERVICES,                /* frontend : verdict */
	SET_LOCAL_SERVICES,          /* frontend : verdict */
	SET_ENDPOINTS,               /* frontend . slot : target */
	SET_LOCAL_ENDPOINTS,         /* frontend . slot : target */
	SET_NO_ENDPOINTS,            /* frontend : verdict */
	SET_AFFINITY_SERVICES,       /* frontend : verdict */
	SET_LOCAL_AFFINITY_SERVICES, /* frontend : verdict */
	SET_AFFINITY_TIMEOUTS,       /* frontend : verdict */
	SET_MASQUERADE_SERVICES,     /* frontend : verdict */
	SET_MASQUERADE_RANGES,       /* addr to other, an interval */
	SET_UDP_SERVICES,            /* frontend */
	SET_UDP_FLOWS,               /* frontend . target */
	SET_HAIRPIN,                 /* addr . addr */
	SET_POD_CIDRS,               /* addr to other, an interval */
	SET_GUARDED_FRONTENDS,       /* frontend */
	SET_SOURCE_RANGES,           /* frontend . prefix */
	SET_SERVICE_ADDRESSES,       /* addr */
	SET_CLUSTER_RANGES,          /* addr to other, an interval */
	SET_EGRESS_PODS,             /* addr : verdict */
	SET_INGRESS_PODS,            /* addr : verdict */
	SET_EXEMPT_CIDRS,            /* addr to other, an interval */
	SET_EXEMPT_PORTS,            /* protocol . port to target_port, an interval */
	SET_LOCAL_POD_CIDRS,         /* addr to other, an interval */
	SET_LOCAL_PODS,              /* addr */
	SET_COUNT,
	/* Many of each, told apart by id: see ruleset/definition.h. */
	SET_PODS,        /* addr */
	SET_BLOCK,       /* addr to other, an interval */
	SET_PORTS,       /* protocol . port to target_port, an interval */
	SET_NAMED_PORTS, /* addr . protocol . port */
	SET_KINDS,
};

enum element_limit {
	COMMENT_MAX_BYTES = 127, /* nft takes 128 with the final zero */
	SET_NAME_MAX_BYTES = 48,
};

struct element {
	uint8_t set;          /* enum set_id */
	uint8_t family;       /* AF_INET or AF_INET6: in which table */
	uint8_t protocol;     /* enum protocol */
	uint8_t verdict;      /* enum verdict */
	uint16_t port;        /* frontend's, host order */
	uint16_t target_port; /* host order; of a verdict: the port of the service port's address */
	union {               /* no set has both */
		uint32_t slot;   /* of the key, from 0; of a prefix, its bits */
		uint32_t number; /* of a dispatch verdict, see there */
	};
	uint8_t addr[16]; /* frontend's, hairpin's, an interval's first; network order */
	/* Target's, hairpin's second, an interval's last, a prefix's first; of a verdict to a chain of a
	 * service port: the address that it is called by. */
	uint8_t other[16];
	struct content_id
		id; /* of its set, where there are many; of the chain of VERDICT_POLICIES */
	const char *comment; /* by comment_from(), owned by the block; NULL: none */
};

/* In our maps' elements: first packets of connections. In rules of network policy: packets. */
struct counter {
	uint64_t packets, bytes;
};
void counter_add(struct counter *sum, const struct counter *more);

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

/* The chain that the verdict @e goes to; its verdict may be none of a chain. */
struct dispatch element_dispatch(const struct element *e);
/* The reverse: make the element's verdict one that goes to @d. Its protocol is not looked at. */
void element_set_dispatch(struct element *e, const struct dispatch *d);
/* The name of the chain that @e goes to, as dispatch_name(). */
const char *element_chain_name(const struct element *e, char text[static CHAIN_NAME_MAX_BYTES]);
/* Read what @e goes to from a chain's name; its verdict stays when no verdict of ours goes there. */
void element_read_chain(struct element *e, const char *name);

/* The element as nft text, "10.96.0.10 . tcp . 80 comment "default/web:http" : goto lb-2". */
void element_print(const struct element *e, struct buf *out);

/* A comment that nft can list and load again: every byte outside [A-Za-z0-9 ._:/-] becomes '_', cut at
 * COMMENT_MAX_BYTES with a hash of the whole behind, so that different names stay different. */
void comment_from(const char *text, char ret[static COMMENT_MAX_BYTES + 1]);

#endif
