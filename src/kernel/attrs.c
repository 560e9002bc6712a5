#include "kernel/attrs.h"

#include <endian.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <string.h>

static int attr_note(const struct nlattr *attr, void *userdata)
{
	struct attrs *attrs = userdata;
	uint16_t type = mnl_attr_get_type(attr);

	if (type < ATTRS_TYPES)
		attrs->at[type] = attr;
	return MNL_CB_OK;
}

void attrs_of_message(const struct nlmsghdr *nlh, struct attrs *ret)
{
	*ret = (struct attrs){ 0 };
	mnl_attr_parse(nlh, sizeof(struct nfgenmsg), attr_note, ret);
}

void attrs_of_nest(const struct nlattr *nest, struct attrs *ret)
{
	*ret = (struct attrs){ 0 };
	if (nest)
		mnl_attr_parse_nested(nest, attr_note, ret);
}

void attrs_of_bytes(const void *bytes, size_t len, struct attrs *ret)
{
	*ret = (struct attrs){ 0 };
	mnl_attr_parse_payload(bytes, len, attr_note, ret);
}

const char *attr_text(const struct nlattr *attr)
{
	return attr && mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) >= 0 ? mnl_attr_get_str(attr) :
									   NULL;
}

uint64_t attr_u64(const struct nlattr *attr)
{
	return attr && mnl_attr_validate(attr, MNL_TYPE_U64) >= 0 ?
		       be64toh(mnl_attr_get_u64(attr)) :
		       0;
}

struct nlattr *attr_put_copy(struct nlmsghdr *nlh, const struct nlattr *attr)
{
	struct nlattr *copy = mnl_nlmsg_get_payload_tail(nlh);

	mnl_attr_put(nlh, attr->nla_type, mnl_attr_get_payload_len(attr),
		     mnl_attr_get_payload(attr));
	return copy;
}

void attr_put_comment(struct nlmsghdr *nlh, uint16_t type, uint8_t record, const char *comment)
{
	uint8_t bytes[2 + ATTR_COMMENT_BYTES + 1];
	size_t size = strlen(comment) + 1;

	bytes[0] = record;
	bytes[1] = (uint8_t)size;
	memcpy(bytes + 2, comment, size);
	mnl_attr_put(nlh, type, 2 + size, bytes);
}

const char *attr_comment(const struct nlattr *attr, uint8_t record, size_t *ret_len)
{
	const uint8_t *at = attr ? mnl_attr_get_payload(attr) : NULL;
	size_t left = attr ? mnl_attr_get_payload_len(attr) : 0;

	while (left >= 2 && at[1] <= left - 2) {
		size_t size = 2U + at[1];

		if (at[0] == record) {
			*ret_len = at[1];
			return (const char *)at + 2;
		}
		at += size;
		left -= size;
	}
	return NULL;
}
