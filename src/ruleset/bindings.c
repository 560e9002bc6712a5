#include "ruleset/bindings.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/mix.h"
#include "ruleset/dispatch.h"

/* As in the template. */
#define TARGET_SEED 1U
#define TARGET_MODULUS UINT32_MAX

static uint32_t rotate(uint32_t x, unsigned bits)
{
	return x << bits | x >> (32 - bits);
}

/* What nft's `jhash th dport mod 4294967295 seed 0x1` is in the kernel: the last step of Bob Jenkins' lookup3
 * (2006), which linux/jhash.h uses. */
static uint32_t target_hash_word(uint16_t port)
{
	static const uint8_t rotations[] = { 14, 11, 25, 16, 4, 14, 24 };
	const uint32_t begin = 0xdeadbeef + (uint32_t)sizeof(port) + TARGET_SEED;
	uint32_t s[3] = { begin + ((uint32_t)(port & 0xff) << 8) + (port >> 8), begin, begin };

	for (size_t i = 0; i < sizeof(rotations); i++) {
		uint32_t *to = &s[(i + 2) % 3], *from = &s[(i + 1) % 3];

		*to ^= *from;
		*to -= rotate(*from, rotations[i]);
	}
	return (uint32_t)((uint64_t)s[2] * TARGET_MODULUS >> 32);
}

void binding_words(const struct dispatch *d, uint16_t target_port,
		   uint32_t ret[static BINDING_WORDS])
{
	uint32_t rest = (uint32_t)d->port << 16 | (uint32_t)d->protocol << 8 |
			verdict_is_local(d->verdict);
	uint64_t hash;

	ret[BINDING_TARGET] = target_hash_word(target_port);
	if (d->family == AF_INET) {
		memcpy(&ret[BINDING_ID_FIRST], d->addr, sizeof(ret[BINDING_ID_FIRST]));
		ret[BINDING_ID_SECOND] = rest;
		return;
	}
	hash = mix_addr(d->addr, rest);
	ret[BINDING_ID_FIRST] = (uint32_t)(hash >> 32);
	ret[BINDING_ID_SECOND] = (uint32_t)hash;
}

static int binding_cmp(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct binding));
}

int bindings_add(struct bindings *s, const struct binding *b)
{
	if (ARRAY_RESERVE(s->items, s->n, s->capacity) < 0)
		return -ENOMEM;
	s->items[s->n++] = *b;
	return 0;
}

void bindings_settle(struct bindings *s)
{
	s->n = array_unique(s->items, s->n, sizeof(*s->items), binding_cmp);
}

bool bindings_have(const struct bindings *s, const struct binding *b)
{
	return array_find(b, s->items, s->n, sizeof(*b), binding_cmp);
}

void bindings_free(struct bindings *s)
{
	free(s->items);
	*s = (struct bindings){ 0 };
}
