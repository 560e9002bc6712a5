/* dispatch.h - chains that elements go to, each a copy of a pattern in nft-templates/table.nft with
 * numbers of its own.
 *
 * Most are shared by all who want the same number: "lb-3" draws one of three slots. The others belong to
 * one service port, because there is a counter or a constant in them: "rr-10.96.0.10-tcp-80-3". A
 * service port is called by its first frontend, as a rule its cluster IP, which no other one has: so no
 * two share a chain, and all nodes and all restarts agree.
 */
#ifndef KUBE_NFT_RULESET_DISPATCH_H
#define KUBE_NFT_RULESET_DISPATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where a verdict goes. The first ones are verdicts of nftables itself. */
enum verdict {
	VERDICT_NONE,
	VERDICT_ACCEPT,
	VERDICT_DROP,
	VERDICT_REFUSE,             /* goto refuse */
	VERDICT_MASQUERADE_ALL,     /* goto masquerade-all */
	VERDICT_MASQUERADE_OUTSIDE, /* goto masquerade-outside */
	VERDICT_MASQUERADE_NODE,    /* goto masquerade-node */
	VERDICT_POLICIES,           /* goto ingress-ID, egress-ID: element_chain_name() */
	/* Dispatch chains, one for every number in use: goto NAME-number. Each has a twin, the next, for
	 * the endpoints of this node. The number is that of slots. */
	VERDICT_LB, /* a random slot */
	VERDICT_LOCAL_LB,
	VERDICT_SH, /* by a hash of the client's address */
	VERDICT_LOCAL_SH,
	VERDICT_SH_PORT, /* and its port */
	VERDICT_LOCAL_SH_PORT,
	VERDICT_DH, /* by a hash of the frontend's address */
	VERDICT_LOCAL_DH,
	/* Of one service port: goto NAME-address-protocol-port-number. */
	VERDICT_RR, /* in turn */
	VERDICT_LOCAL_RR,
	VERDICT_RECALL, /* jump; number: targets_number() */
	VERDICT_LOCAL_RECALL,
	VERDICT_LEARN, /* number: seconds */
	VERDICT_LOCAL_LEARN,
	VERDICT_MIXED_LEARN, /* one of the two before, by the client */
	VERDICT_COUNT,
};
#define VERDICT_FIRST_DISPATCH VERDICT_LB
#define VERDICT_FIRST_OWN VERDICT_RR

enum dispatch_limit {
	DISPATCH_MAX_ENDPOINTS = 65535, /* of one frontend */
	DISPATCH_MAX_TARGETS = 2,       /* numbers of target ports in a chain that recalls */
	CHAIN_NAME_MAX_BYTES = 96,
};

/* What stands in the patterns where the copies have their own; 0 and 1 stand for themselves. */
enum pattern {
	PATTERN_NUMBER = 2,
	PATTERN_ID_FIRST,
	PATTERN_ID_SECOND,
	PATTERN_TARGET_HASH,
};

/* A chain "lb-3" of one family. The fields behind the number are zero but for chains of a service port. */
struct dispatch {
	uint8_t family;
	uint8_t verdict; /* enum verdict, from VERDICT_FIRST_DISPATCH on */
	uint8_t protocol;
	uint16_t port; /* host order */
	uint32_t number;
	uint8_t addr[16];
};

int dispatch_cmp(const struct dispatch *a, const struct dispatch *b);
uint64_t dispatch_hash(const struct dispatch *d);

/* "lb-3", "refuse", ... NULL when @d is no chain. */
const char *dispatch_name(const struct dispatch *d, char text[static CHAIN_NAME_MAX_BYTES]);
/* "10.96.0.10-tcp-80-3": what stands behind the name of a service port's chain. */
const char *dispatch_own_name(const struct dispatch *d, char text[static CHAIN_NAME_MAX_BYTES]);
/* The reverse of dispatch_name(). False, and VERDICT_NONE, when no verdict of ours goes to a chain of
 * that name. */
bool dispatch_parse(const char *name, uint8_t family, struct dispatch *ret);
/* "lb", "learn", "refuse", ...; NULL for accept, drop and none. */
const char *verdict_chain(enum verdict v);
/* Whether the chain returns when it has nothing to say. */
bool verdict_is_jump(enum verdict v);
/* Whether it chooses a slot. */
bool verdict_is_choice(enum verdict v);
/* Whether it is about endpoints of this node alone. */
bool verdict_is_local(enum verdict v);
/* "tcp", "udp", "sctp". */
const char *dispatch_protocol_name(const struct dispatch *d);
/* The chain of @v that the others are copies of. */
struct dispatch dispatch_pattern(enum verdict v, uint8_t family);

/* The chains that the chain @d itself goes on to, at most two. */
size_t dispatch_behind(const struct dispatch *d, struct dispatch ret[static 2]);

/* Target ports in one number. @targets are ascending, none zero; the rest of it is zero. */
uint32_t targets_number(const uint16_t targets[static DISPATCH_MAX_TARGETS]);
/* For which of them a chain has rules of its own: of one that does not look for an endpoint it is a zero, since
 * its rules are there once. */
size_t dispatch_targets(const struct dispatch *d, uint16_t ret[static DISPATCH_MAX_TARGETS]);

#endif
