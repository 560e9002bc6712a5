#include "kernel/affinity-key.h"

#include <arpa/inet.h>
#include <string.h>

#include "ruleset/element.h"

/* As in the template; the protocol's number is added. */
#define SEED_FIRST 0x100U
#define SEED_SECOND 0x200U
#define MODULUS UINT32_MAX

static uint32_t rotate(uint32_t x, unsigned bits)
{
	return x << bits | x >> (32 - bits);
}

/* The two steps of Bob Jenkins' lookup3 (2006), which linux/jhash.h uses. */
static void hash_mix(uint32_t s[static 3])
{
	static const uint8_t rotations[] = { 4, 6, 8, 16, 19, 4 };

	for (size_t i = 0; i < sizeof(rotations); i++) {
		uint32_t *a = &s[i % 3], *b = &s[(i + 1) % 3], *c = &s[(i + 2) % 3];

		*a -= *c;
		*a ^= rotate(*c, rotations[i]);
		*c += *b;
	}
}

static void hash_finish(uint32_t s[static 3])
{
	static const uint8_t rotations[] = { 14, 11, 25, 16, 4, 14, 24 };

	for (size_t i = 0; i < sizeof(rotations); i++) {
		uint32_t *to = &s[(i + 2) % 3], *from = &s[(i + 1) % 3];

		*to ^= *from;
		*to -= rotate(*from, rotations[i]);
	}
}

uint32_t affinity_key_hash(const uint8_t addr[static 16], uint32_t seed)
{
	uint32_t words[4], s[3];

	memcpy(words, addr, sizeof(words));
	for (size_t i = 0; i < 3; i++)
		s[i] = 0xdeadbeef + (uint32_t)sizeof(words) + seed + words[i];
	hash_mix(s);
	s[0] += words[3];
	hash_finish(s);
	return (uint32_t)((uint64_t)s[2] * MODULUS >> 32);
}

void affinity_key_frontend(const struct element *e, uint8_t ret[static AFFINITY_FRONTEND_BYTES])
{
	uint16_t port = htons(e->port);
	uint32_t first, second;

	memset(ret, 0, AFFINITY_FRONTEND_BYTES);
	if (e->family == AF_INET) {
		memcpy(ret, e->addr, 4);
		ret[4] = e->protocol;
	} else {
		first = affinity_key_hash(e->addr, SEED_FIRST + e->protocol);
		second = affinity_key_hash(e->addr, SEED_SECOND + e->protocol);
		memcpy(ret, &first, sizeof(first));
		memcpy(ret + 4, &second, sizeof(second));
	}
	memcpy(ret + 8, &port, sizeof(port));
}
