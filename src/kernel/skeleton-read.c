#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <libnftnl/common.h>
#include <libnftnl/udata.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/array.h"
#include "base/error.h"
#include "kernel/attrs.h"
#include "kernel/netlink.h"
#include "kernel/skeleton-internal.h"

/* What a dump has of each kind. Left out is what makes no difference, as handles, and what a kernel only
 * tells and would not take again. */
static const struct kind {
	uint16_t get;
	uint16_t table, name; /* attributes */
	uint32_t kept;        /* a bit for each type of attribute */
} kinds[PART_KINDS] = {
	[PART_SET] = {
		NFT_MSG_GETSET, NFTA_SET_TABLE, NFTA_SET_NAME,
		1U << NFTA_SET_NAME | 1U << NFTA_SET_FLAGS | 1U << NFTA_SET_KEY_TYPE |
		1U << NFTA_SET_KEY_LEN | 1U << NFTA_SET_DATA_TYPE | 1U << NFTA_SET_DATA_LEN |
		1U << NFTA_SET_POLICY | 1U << NFTA_SET_DESC | 1U << NFTA_SET_TIMEOUT |
		1U << NFTA_SET_GC_INTERVAL | 1U << NFTA_SET_USERDATA | 1U << NFTA_SET_OBJ_TYPE |
		1U << NFTA_SET_EXPR | 1U << NFTA_SET_EXPRESSIONS,
	},
	[PART_CHAIN] = {
		NFT_MSG_GETCHAIN, NFTA_CHAIN_TABLE, NFTA_CHAIN_NAME,
		1U << NFTA_CHAIN_NAME | 1U << NFTA_CHAIN_HOOK | 1U << NFTA_CHAIN_POLICY |
		1U << NFTA_CHAIN_TYPE | 1U << NFTA_CHAIN_USERDATA,
	},
	[PART_RULE] = {
		NFT_MSG_GETRULE, NFTA_RULE_TABLE, NFTA_RULE_CHAIN,
		1U << NFTA_RULE_EXPRESSIONS | 1U << NFTA_RULE_USERDATA,
	},
	[PART_OBJECT] = { NFT_MSG_GETOBJ, NFTA_OBJ_TABLE, NFTA_OBJ_NAME, 0 },
	[PART_FLOWTABLE] = { NFT_MSG_GETFLOWTABLE, NFTA_FLOWTABLE_TABLE, NFTA_FLOWTABLE_NAME, 0 },
};

struct reading {
	struct skeleton *s;
	const char *table;
	enum part_kind kind;
};

static int table_read(const struct nlmsghdr *nlh, void *userdata)
{
	struct reading *rd = userdata;
	const struct nlattr *flags;
	const char *comment;
	struct attrs in;
	size_t len;

	attrs_of_message(nlh, &in);
	flags = in.at[NFTA_TABLE_FLAGS];
	rd->s->dormant = flags && mnl_attr_validate(flags, MNL_TYPE_U32) >= 0 &&
			 mnl_attr_get_u32(flags) & htonl(NFT_TABLE_F_DORMANT);
	comment = attr_comment(in.at[NFTA_TABLE_USERDATA], NFTNL_UDATA_TABLE_COMMENT, &len);
	if (comment)
		snprintf(rd->s->comment, sizeof(rd->s->comment), "%.*s", (int)len, comment);
	return 0;
}

/* The attributes in @in that are kept, one behind the other. */
static int attrs_keep(struct skeleton *s, const struct attrs *in, uint32_t kept, struct part *ret)
{
	size_t len = 0;
	uint8_t *to;

	for (size_t i = 0; i < ATTRS_TYPES; i++)
		if (in->at[i] && kept & 1U << i)
			len += (size_t)MNL_ALIGN(mnl_attr_get_len(in->at[i]));
	to = arena_alloc(s->arena, len);
	if (!to)
		return -ENOMEM;
	ret->attrs = to;
	ret->len = len;
	for (size_t i = 0; i < ATTRS_TYPES; i++) {
		if (!in->at[i] || !(kept & 1U << i))
			continue;
		memcpy(to, in->at[i], mnl_attr_get_len(in->at[i]));
		to += MNL_ALIGN(mnl_attr_get_len(in->at[i]));
	}
	return 0;
}

static int part_read(const struct nlmsghdr *nlh, void *userdata)
{
	const struct reading *rd = userdata;
	struct parts *parts = &rd->s->parts[rd->kind];
	const struct kind *kind = &kinds[rd->kind];
	const char *table, *name;
	struct part part = { .verdict = VERDICT_NONE };
	struct dispatch d;
	struct attrs in;

	attrs_of_message(nlh, &in);
	table = attr_text(in.at[kind->table]);
	name = attr_text(in.at[kind->name]);
	if (!table || !name || strcmp(table, rd->table) != 0)
		return 0;
	if ((rd->kind == PART_CHAIN || rd->kind == PART_RULE) &&
	    chain_is_dispatch(name, rd->s->family, &d))
		part.verdict = d.verdict;
	part.name = arena_strdup(rd->s->arena, name);
	if (!part.name || attrs_keep(rd->s, &in, kind->kept, &part) < 0 ||
	    ARRAY_RESERVE(parts->items, parts->n, parts->capacity) < 0)
		return -ENOMEM;
	parts->items[parts->n++] = part;
	return 0;
}

/* @table_attr names our table in the request. */
static int dump(struct netlink *nl, struct reading *rd, uint16_t type, uint16_t table_attr,
		netlink_fn fn, struct error *err)
{
	char request[256] __attribute__((aligned(8)));
	uint16_t flags = type == NFT_MSG_GETTABLE ? 0 : NLM_F_DUMP;
	uint16_t proto = rd->s->family == AF_INET ? NFPROTO_IPV4 : NFPROTO_IPV6;
	struct nlmsghdr *nlh = nftnl_nlmsg_build_hdr(request, type, proto, flags, 0);

	mnl_attr_put_strz(nlh, table_attr, rd->table);
	return netlink_dump(nl, nlh, fn, rd, err);
}

int skeleton_read(struct netlink *nl, uint8_t family, const char *table, struct skeleton **ret,
		  struct error *err)
{
	_cleanup_(skeleton_freep) struct skeleton *s = calloc(1, sizeof(*s));
	struct reading rd = { .s = s, .table = table };
	int r;

	if (!s || !(s->arena = arena_new(16384)))
		return error_set(err, -ENOMEM, "out of memory");
	s->family = family;
	r = dump(nl, &rd, NFT_MSG_GETTABLE, NFTA_TABLE_NAME, table_read, err);
	for (unsigned k = 0; r == 0 && k < PART_KINDS; k++) {
		rd.kind = (enum part_kind)k;
		r = dump(nl, &rd, kinds[k].get, kinds[k].table, part_read, err);
	}
	if (r < 0)
		return error_wrap(err, r, "read table %s", table);
	*ret = TAKE_PTR(s);
	return 0;
}
