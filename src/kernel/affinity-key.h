/* affinity-key.h - how the keys of the affinity maps name a frontend: as nft-templates/table.nft says.
 *
 * A key is 16 bytes, four of the client and twelve of the frontend. IPv4 has the frontend's address,
 * protocol and port there, IPv6 two hashes of address and protocol, and the port.
 */
#ifndef KUBE_NFT_KERNEL_AFFINITY_KEY_H
#define KUBE_NFT_KERNEL_AFFINITY_KEY_H

#include <stdint.h>

struct element;

enum affinity_key_size {
	AFFINITY_CLIENT_BYTES = 4,
	AFFINITY_FRONTEND_BYTES = 12,
	AFFINITY_KEY_BYTES = AFFINITY_CLIENT_BYTES + AFFINITY_FRONTEND_BYTES,
};

/* The frontend of @e, an element of a set whose key begins with one. */
void affinity_key_frontend(const struct element *e, uint8_t ret[static AFFINITY_FRONTEND_BYTES]);

/* What nft's `jhash ip6 ADDRESS mod 4294967295 seed SEED` is in the kernel. */
uint32_t affinity_key_hash(const uint8_t addr[static 16], uint32_t seed);

#endif
