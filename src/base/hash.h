/* hash.h - FNV-1a, 64 bits: names and skeletons, where no one gains by a collision. */
#ifndef KUBE_NFT_BASE_HASH_H
#define KUBE_NFT_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

static inline uint64_t hash_bytes(const void *data, size_t len)
{
	const uint8_t *bytes = data;
	uint64_t h = 0xcbf29ce484222325;

	for (size_t i = 0; i < len; i++)
		h = (h ^ bytes[i]) * 0x100000001b3;
	return h;
}

#endif
