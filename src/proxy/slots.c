#include "proxy/slots.h"

#include <string.h>

#include "proxy/mix.h"

/* Targets and slots hash to places on one ring. Slot 0 takes the first target at or behind its place,
 * slot 1 the first one that is still free, and so on. Take one target out: the slot that had it takes
 * its neighbour, the slot that had the neighbour another one. Of the m targets that are free at one
 * moment, one differs between the two worlds, and the next slot meets it with a chance of about 1/m:
 * n slots meet it about 1/n + ... + 1/2 + 1 times, which is O(log n). */

uint64_t target_hash(const uint8_t addr[static 16], uint16_t port)
{
	return mix_addr(addr, port);
}

static uint64_t slot_hash(size_t slot)
{
	return mix64(0x736c6f7473 + slot * 0x9e3779b97f4a7c15);
}

int target_cmp(const struct target *a, const struct target *b)
{
	int c;

	if (a->hash != b->hash)
		return a->hash < b->hash ? -1 : 1;
	c = memcmp(a->addr, b->addr, sizeof(a->addr));
	return c ? c : (int)a->port - (int)b->port;
}

/* The first place whose hash is not below @hash; @n behind the last one. */
static size_t ring_place(const struct target *ring, size_t n, uint64_t hash)
{
	size_t low = 0, high = n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (ring[middle].hash < hash)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The first free place from @i on; next[i] == i says that i is free. Paths are halved on the way. */
static size_t ring_free(uint32_t *next, size_t i)
{
	while (next[i] != i) {
		next[i] = next[next[i]];
		i = next[i];
	}
	return i;
}

void slots_assign(const struct target *ring, size_t n, uint32_t *next, struct target *ret)
{
	for (size_t i = 0; i <= n; i++)
		next[i] = (uint32_t)i;

	for (size_t slot = 0; slot < n; slot++) {
		size_t i = ring_free(next, ring_place(ring, n, slot_hash(slot)));

		if (i == n) /* past the end: round the ring */
			i = ring_free(next, 0);
		ret[slot] = ring[i];
		next[i] = (uint32_t)i + 1;
	}
}
