/* addr.h - IPv4 and IPv6 addresses, prefixes, and sets of prefixes.
 *
 * Addresses are in network order in memory, as on the wire. An IPv4 address uses the first 4 of the
 * 16 bytes and leaves the rest zero, so that whole structs compare with memcmp().
 */
#ifndef KUBE_NFT_BASE_ADDR_H
#define KUBE_NFT_BASE_ADDR_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ADDR_TEXT_MAX INET6_ADDRSTRLEN /* with the final zero */
#define PREFIX_TEXT_MAX (INET6_ADDRSTRLEN + 4)

struct addr {
	uint8_t family; /* AF_INET or AF_INET6; 0: none */
	uint8_t bytes[16];
};

struct prefix {
	struct addr addr;
	uint8_t len; /* bits */
};

/* First and last address, both inside, of one family. */
struct addr_range {
	struct addr first;
	struct addr last;
};

/* Strict text forms: dotted quad without leading zeros, RFC 4291 without zone. IPv4-mapped IPv6
 * (::ffff:0:0/96) is refused. -EINVAL when @text is something else. */
int addr_parse(const char *text, struct addr *ret);
/* "ADDRESS/BITS". Host bits may be set and are kept in @ret->addr. -EINVAL. */
int prefix_parse(const char *text, struct prefix *ret);

/* Write the RFC 5952 form to @text and return @text. */
const char *addr_format(const struct addr *a, char text[static ADDR_TEXT_MAX]);
const char *prefix_format(const struct prefix *p, char text[static PREFIX_TEXT_MAX]);

size_t addr_len_bytes(const struct addr *a);              /* 4 or 16 */
int addr_cmp(const struct addr *a, const struct addr *b); /* by family, then bytes */
bool addr_equal(const struct addr *a, const struct addr *b);

bool addr_is_unspecified(const struct addr *a); /* 0.0.0.0/8, :: */
bool addr_is_loopback(const struct addr *a);    /* 127.0.0.0/8, ::1 */
bool addr_is_link_local(const struct addr *a);  /* 169.254.0.0/16, fe80::/10 */
bool addr_is_multicast(const struct addr *a);   /* 224.0.0.0/4, ff00::/8 */
bool addr_is_broadcast(const struct addr *a);   /* 255.255.255.255 */

bool prefix_contains(const struct prefix *p, const struct addr *a);
struct addr_range prefix_range(const struct prefix *p);
/* The prefix that is @r, without host bits. False: no prefix is. */
bool prefix_of_range(const struct addr_range *r, struct prefix *ret);

/* Leave only those of the @n prefixes, host bits cleared, that none of the others contains, sorted.
 * Returns how many they are. */
size_t prefixes_outermost(struct prefix *prefixes, size_t n);

/* The address behind @a in its family. False when @a is the last one. */
bool addr_next(const struct addr *a, struct addr *ret);
/* The one before it. False when @a is the first one. */
bool addr_previous(const struct addr *a, struct addr *ret);

#endif
