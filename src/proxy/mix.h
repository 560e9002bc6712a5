/* mix.h - 64-bit hashes of addresses whose every bit is worth something, the same on every machine. */
#ifndef KUBE_NFT_PROXY_MIX_H
#define KUBE_NFT_PROXY_MIX_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

#include "base/mix.h"

/* Of the 16 bytes of a struct addr and a number behind them. */
static inline uint64_t mix_addr(const uint8_t bytes[static 16], uint32_t number)
{
	uint64_t high, low;

	memcpy(&high, bytes, sizeof(high));
	memcpy(&low, bytes + sizeof(high), sizeof(low));
	high = mix64(be64toh(high) + 0x9e3779b97f4a7c15);
	return mix64(mix64(high ^ be64toh(low)) + number);
}

#endif
