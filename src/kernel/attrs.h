/* attrs.h - netlink attributes by their type, and copies of them. */
#ifndef KUBE_NFT_KERNEL_ATTRS_H
#define KUBE_NFT_KERNEL_ATTRS_H

#include <stddef.h>
#include <stdint.h>

struct nlattr;
struct nlmsghdr;

/* More than any kind of nftables object has today. */
enum { ATTRS_TYPES = 32 };

/* NULL: there is none. Types beyond ATTRS_TYPES are left out: a newer kernel may send some. */
struct attrs {
	const struct nlattr *at[ATTRS_TYPES];
};

/* Of nftables' message @nlh, of nest @nest (NULL has none), of @len bytes. */
void attrs_of_message(const struct nlmsghdr *nlh, struct attrs *ret);
void attrs_of_nest(const struct nlattr *nest, struct attrs *ret);
void attrs_of_bytes(const void *bytes, size_t len, struct attrs *ret);

/* The text of @attr; NULL when there is no @attr or it is no text. */
const char *attr_text(const struct nlattr *attr);

/* The 64-bit number, big endian, of @attr; 0 when there is no @attr or it is no such number. */
uint64_t attr_u64(const struct nlattr *attr);

/* Put a copy of @attr, nest or not, at the end of @nlh and return it. */
struct nlattr *attr_put_copy(struct nlmsghdr *nlh, const struct nlattr *attr);
/* Put @comment (of at most ATTR_COMMENT_BYTES) as user data, in nft's own form: a record of @record's
 * type, of the length, and of the text with its zero. */
enum { ATTR_COMMENT_BYTES = 127 };
void attr_put_comment(struct nlmsghdr *nlh, uint16_t type, uint8_t record, const char *comment);
/* The text in user data @attr (NULL has none), of @ret_len bytes, its zero among them if it has one. NULL:
 * no such record. User data is whatever its writer put there. */
const char *attr_comment(const struct nlattr *attr, uint8_t record, size_t *ret_len);

#endif
