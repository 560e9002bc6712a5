/* mix.h - a 64-bit number whose every bit depends on every bit of another: hashes, and random numbers
 * where no one gains by guessing them.
 */
#ifndef KUBE_NFT_BASE_MIX_H
#define KUBE_NFT_BASE_MIX_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

/* The finalizer of SplitMix64. */
static inline uint64_t mix64(uint64_t x)
{
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
	x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
	return x ^ (x >> 31);
}

/* Of the 16 bytes of a struct addr and a number behind them, the same on every machine. */
static inline uint64_t mix_addr(const uint8_t bytes[static 16], uint32_t number)
{
	uint64_t high, low;

	memcpy(&high, bytes, sizeof(high));
	memcpy(&low, bytes + sizeof(high), sizeof(low));
	high = mix64(be64toh(high) + 0x9e3779b97f4a7c15);
	return mix64(mix64(high ^ be64toh(low)) + number);
}

/* The next number of SplitMix64, below @limit; 0 for limit 0. @state may begin anywhere. */
static inline uint64_t random_below(uint64_t *state, uint64_t limit)
{
	*state += 0x9e3779b97f4a7c15;
	return limit ? mix64(*state) % limit : 0;
}

#endif
