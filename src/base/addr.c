#include "base/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/cleanup.h"

static const struct prefix ipv4_mapped = { { AF_INET6, { [10] = 0xff, [11] = 0xff } }, 96 };

enum addr_class { UNSPECIFIED, LOOPBACK, LINK_LOCAL, MULTICAST, BROADCAST };

static const struct {
	enum addr_class class;
	struct prefix prefix;
} classes[] = {
	{ UNSPECIFIED, { { AF_INET, { 0 } }, 8 } },
	{ UNSPECIFIED, { { AF_INET6, { 0 } }, 128 } },
	{ LOOPBACK, { { AF_INET, { 127 } }, 8 } },
	{ LOOPBACK, { { AF_INET6, { [15] = 1 } }, 128 } },
	{ LINK_LOCAL, { { AF_INET, { 169, 254 } }, 16 } },
	{ LINK_LOCAL, { { AF_INET6, { 0xfe, 0x80 } }, 10 } },
	{ MULTICAST, { { AF_INET, { 224 } }, 4 } },
	{ MULTICAST, { { AF_INET6, { 0xff } }, 8 } },
	{ BROADCAST, { { AF_INET, { 255, 255, 255, 255 } }, 32 } },
};

int addr_parse(const char *text, struct addr *ret)
{
	struct addr a = { .family = strchr(text, ':') ? AF_INET6 : AF_INET };

	/* inet_pton() takes no leading zeros in IPv4, no zone, and nothing behind the address. */
	if (inet_pton(a.family, text, a.bytes) != 1 || prefix_contains(&ipv4_mapped, &a))
		return -EINVAL;
	*ret = a;
	return 0;
}

/* A decimal number up to @max without sign, blanks or leading zeros. */
static int bits_parse(const char *text, size_t max, uint8_t *ret)
{
	size_t bits = 0;
	const char *p;

	for (p = text; *p >= '0' && *p <= '9' && bits <= max; p++)
		bits = bits * 10 + (size_t)(*p - '0');
	if (p == text || *p || bits > max || (text[0] == '0' && text[1]))
		return -EINVAL;
	*ret = (uint8_t)bits;
	return 0;
}

int prefix_parse(const char *text, struct prefix *ret)
{
	const char *slash = strchr(text, '/');
	char addr[ADDR_TEXT_MAX] = "";
	struct prefix p;
	int r;

	if (!slash || (size_t)(slash - text) >= sizeof(addr))
		return -EINVAL;
	memcpy(addr, text, (size_t)(slash - text));
	r = addr_parse(addr, &p.addr);
	if (r < 0)
		return r;
	r = bits_parse(slash + 1, addr_len_bytes(&p.addr) * 8, &p.len);
	if (r < 0)
		return r;
	*ret = p;
	return 0;
}

const char *addr_format(const struct addr *a, char text[static ADDR_TEXT_MAX])
{
	if (!inet_ntop(a->family, a->bytes, text, ADDR_TEXT_MAX))
		text[0] = '\0';
	return text;
}

const char *prefix_format(const struct prefix *p, char text[static PREFIX_TEXT_MAX])
{
	size_t len = strlen(addr_format(&p->addr, text));

	snprintf(text + len, PREFIX_TEXT_MAX - len, "/%u", p->len);
	return text;
}

size_t addr_len_bytes(const struct addr *a)
{
	return a->family == AF_INET6 ? 16 : 4;
}

int addr_cmp(const struct addr *a, const struct addr *b)
{
	if (a->family != b->family)
		return a->family < b->family ? -1 : 1;
	return memcmp(a->bytes, b->bytes, sizeof(a->bytes));
}

bool addr_equal(const struct addr *a, const struct addr *b)
{
	return addr_cmp(a, b) == 0;
}

static bool addr_is(const struct addr *a, enum addr_class class)
{
	for (size_t i = 0; i < ARRAY_SIZE(classes); i++)
		if (classes[i].class == class && prefix_contains(&classes[i].prefix, a))
			return true;
	return false;
}

bool addr_is_unspecified(const struct addr *a)
{
	return addr_is(a, UNSPECIFIED);
}

bool addr_is_loopback(const struct addr *a)
{
	return addr_is(a, LOOPBACK);
}

bool addr_is_link_local(const struct addr *a)
{
	return addr_is(a, LINK_LOCAL);
}

bool addr_is_multicast(const struct addr *a)
{
	return addr_is(a, MULTICAST);
}

bool addr_is_broadcast(const struct addr *a)
{
	return addr_is(a, BROADCAST);
}

/* The bits of byte @i that belong to a network of @len bits. */
static uint8_t network_mask(uint8_t len, size_t i)
{
	if (len >= (i + 1) * 8)
		return 0xff;
	return (uint8_t)(len <= i * 8 ? 0 : 0xff << (8 - len % 8));
}

struct addr_range prefix_range(const struct prefix *p)
{
	struct addr_range r = { p->addr, p->addr };

	for (size_t i = 0; i < addr_len_bytes(&p->addr); i++) {
		uint8_t mask = network_mask(p->len, i);

		r.first.bytes[i] &= mask;
		r.last.bytes[i] |= (uint8_t)~mask;
	}
	return r;
}

bool prefix_of_range(const struct addr_range *r, struct prefix *ret)
{
	struct prefix p = { .addr = r->first };

	for (size_t bits = 0; bits <= 8 * addr_len_bytes(&r->first); bits++) {
		struct addr_range range;

		p.len = (uint8_t)bits;
		range = prefix_range(&p);
		if (addr_equal(&range.first, &r->first) && addr_equal(&range.last, &r->last)) {
			*ret = p;
			return true;
		}
	}
	return false;
}

bool prefix_contains(const struct prefix *p, const struct addr *a)
{
	size_t whole = p->len / 8; /* bytes */
	uint8_t differs;

	if (a->family != p->addr.family || memcmp(a->bytes, p->addr.bytes, whole) != 0)
		return false;
	if (p->len % 8 == 0)
		return true;
	differs = a->bytes[whole] ^ p->addr.bytes[whole];
	return (differs & network_mask(p->len, whole)) == 0;
}

bool addr_next(const struct addr *a, struct addr *ret)
{
	struct addr next = *a;

	for (size_t i = addr_len_bytes(a); i-- > 0;) {
		if (++next.bytes[i] != 0) {
			*ret = next;
			return true;
		}
	}
	return false;
}

bool addr_previous(const struct addr *a, struct addr *ret)
{
	struct addr previous = *a;

	for (size_t i = addr_len_bytes(a); i-- > 0;) {
		if (previous.bytes[i]-- != 0) {
			*ret = previous;
			return true;
		}
	}
	return false;
}

/* By the first address, wide ones first. */
static int prefix_cmp(const void *a, const void *b)
{
	const struct prefix *x = a, *y = b;
	int c = addr_cmp(&x->addr, &y->addr);

	return c ? c : x->len - y->len;
}

/* Two prefixes share nothing, or one is inside the other: sorted, the outer one stands before it, with
 * nothing between them that is not inside, too. */
size_t prefixes_outermost(struct prefix *prefixes, size_t n)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++)
		prefixes[i].addr = prefix_range(&prefixes[i]).first;
	if (n > 1)
		array_sort(prefixes, n, sizeof(*prefixes), prefix_cmp);
	for (size_t i = 0; i < n; i++)
		if (kept == 0 || !prefix_contains(&prefixes[kept - 1], &prefixes[i].addr))
			prefixes[kept++] = prefixes[i];
	return kept;
}
