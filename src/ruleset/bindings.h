/* bindings.h - what the map affinity may hold: a service port's endpoints, as the packets write them.
 *
 * A key of that map is the client, the service port, and a hash of the endpoint's port; its data is the
 * endpoint's address. All are words of four bytes, because nft 1.0.6 can't read more than 16 bytes, nor a
 * constant other than a number. Whether the endpoint was chosen among all or among this node's is part of
 * the service port: the same client may have one of each.
 */
#ifndef KUBE_NFT_RULESET_BINDINGS_H
#define KUBE_NFT_RULESET_BINDINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"

struct dispatch;

enum binding_limit {
	BINDINGS_MAX = 262144, /* of all clients in the map of one family */
};

enum binding_word { BINDING_ID_FIRST, BINDING_ID_SECOND, BINDING_TARGET, BINDING_WORDS };

/* Of any client. Without a gap: compared byte by byte. */
struct binding {
	uint32_t family; /* AF_INET or AF_INET6 */
	uint32_t words[BINDING_WORDS];
	uint8_t addr[16]; /* the endpoint's, network order */
};

struct bindings {
	struct binding *items; /* owned */
	size_t n, capacity;
};

/* The words in the keys of the chain @d, VERDICT_RECALL and the like, for an endpoint's port. Two service
 * ports have different ones: in IPv4 the words are address, protocol and port; in IPv6 a hash
 * of 64 bits. Among 10,000 addresses chance gives two of them one hash once in 10^11 clusters;
 * whoever may choose freely among a million addresses and all ports finds one that hits any of
 * 10,000 once in 10^4 clusters. */
void binding_words(const struct dispatch *d, uint16_t target_port,
		   uint32_t ret[static BINDING_WORDS]);

int bindings_add(struct bindings *s, const struct binding *b);         /* 0 or -ENOMEM */
void bindings_settle(struct bindings *s);                              /* sort, drop repetitions */
bool bindings_have(const struct bindings *s, const struct binding *b); /* @s settled */
void bindings_free(struct bindings *s);

#endif
