#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <libnftnl/chain.h>
#include <libnftnl/common.h>
#include <libnftnl/rule.h>
#include <libnftnl/set.h>
#include <libnftnl/table.h>
#include <libnftnl/udata.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <stdio.h>
#include <string.h>

#include "base/array.h"
#include "base/error.h"
#include "kernel/netlink.h"
#include "kernel/skeleton-internal.h"

struct reading {
	struct skeleton *s;
	const char *table;
};

/* libnftnl tells a message that it can't take apart from one that memory was short for by nothing; what
 * the kernel sends it can take. So each failure means that a part is missing, and the reading is void. */
static bool is_table(const char *name, const struct reading *rd)
{
	return name && strcmp(name, rd->table) == 0;
}

static int comment_record(const struct nftnl_udata *attr, void *userdata)
{
	struct skeleton *s = userdata;

	if (nftnl_udata_type(attr) == NFTNL_UDATA_TABLE_COMMENT)
		snprintf(s->comment, sizeof(s->comment), "%.*s", (int)nftnl_udata_len(attr),
			 (const char *)nftnl_udata_get(attr));
	return 0;
}

static int table_read(const struct nlmsghdr *nlh, void *userdata)
{
	struct reading *rd = userdata;
	struct nftnl_table *t = nftnl_table_alloc();
	const void *udata;
	uint32_t len = 0;

	if (!t)
		return -ENOMEM;
	if (nftnl_table_nlmsg_parse(nlh, t) == 0) {
		rd->s->dormant = nftnl_table_get_u32(t, NFTNL_TABLE_FLAGS) & NFT_TABLE_F_DORMANT;
		udata = nftnl_table_get_data(t, NFTNL_TABLE_USERDATA, &len);
		if (udata)
			nftnl_udata_parse(udata, len, comment_record, rd->s);
	}
	nftnl_table_free(t);
	return 0;
}

static int set_read(const struct nlmsghdr *nlh, void *userdata)
{
	struct reading *rd = userdata;
	struct nftnl_set *set = nftnl_set_alloc();
	int r;

	if (!set)
		return -ENOMEM;
	r = nftnl_set_nlmsg_parse(nlh, set) < 0 ? -ENOMEM : 0;
	if (r < 0 || !is_table(nftnl_set_get_str(set, NFTNL_SET_TABLE), rd)) {
		nftnl_set_free(set);
		return r;
	}
	if (rd->s->n_sets == SKELETON_MAX_SETS) {
		nftnl_set_free(set);
		return -E2BIG;
	}
	nftnl_set_unset(set, NFTNL_SET_HANDLE);
	rd->s->sets[rd->s->n_sets++] = set;
	return 0;
}

static int chain_read(const struct nlmsghdr *nlh, void *userdata)
{
	struct reading *rd = userdata;
	struct skeleton *s = rd->s;
	struct nftnl_chain *chain;
	int r;

	if (ARRAY_RESERVE(s->chains, s->n_chains, s->cap_chains) < 0)
		return -ENOMEM;
	chain = nftnl_chain_alloc();
	if (!chain)
		return -ENOMEM;
	r = nftnl_chain_nlmsg_parse(nlh, chain) < 0 ? -ENOMEM : 0;
	if (r < 0 || !is_table(nftnl_chain_get_str(chain, NFTNL_CHAIN_TABLE), rd)) {
		nftnl_chain_free(chain);
		return r;
	}
	nftnl_chain_unset(chain, NFTNL_CHAIN_HANDLE);
	nftnl_chain_unset(chain, NFTNL_CHAIN_FLAGS);
	nftnl_chain_unset(chain, NFTNL_CHAIN_USE);
	s->chains[s->n_chains++] = chain;
	return 0;
}

static int rule_read(const struct nlmsghdr *nlh, void *userdata)
{
	struct reading *rd = userdata;
	struct skeleton *s = rd->s;
	struct nftnl_rule *rule;
	int r;

	if (ARRAY_RESERVE(s->rules, s->n_rules, s->cap_rules) < 0)
		return -ENOMEM;
	rule = nftnl_rule_alloc();
	if (!rule)
		return -ENOMEM;
	r = nftnl_rule_nlmsg_parse(nlh, rule) < 0 ? -ENOMEM : 0;
	if (r < 0 || !is_table(nftnl_rule_get_str(rule, NFTNL_RULE_TABLE), rd)) {
		nftnl_rule_free(rule);
		return r;
	}
	nftnl_rule_unset(rule, NFTNL_RULE_HANDLE);
	nftnl_rule_unset(rule, NFTNL_RULE_POSITION);
	s->rules[s->n_rules++] = rule;
	return 0;
}

/* Every kind of object is dumped by a request of its own; @table_attr names our table in it. */
static int kind_read(struct netlink *nl, struct reading *rd, uint16_t type, uint16_t table_attr,
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
	static const struct {
		uint16_t type, table_attr;
		netlink_fn fn;
	} kinds[] = {
		{ NFT_MSG_GETTABLE, NFTA_TABLE_NAME, table_read },
		{ NFT_MSG_GETSET, NFTA_SET_TABLE, set_read },
		{ NFT_MSG_GETCHAIN, NFTA_CHAIN_TABLE, chain_read },
		{ NFT_MSG_GETRULE, NFTA_RULE_TABLE, rule_read },
	};
	_cleanup_(skeleton_freep) struct skeleton *s = calloc(1, sizeof(*s));
	struct reading rd = { .s = s, .table = table };
	int r;

	if (!s)
		return error_set(err, -ENOMEM, "out of memory");
	s->family = family;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		r = kind_read(nl, &rd, kinds[i].type, kinds[i].table_attr, kinds[i].fn, err);
		if (r < 0)
			return error_wrap(err, r, "read table %s", table);
	}
	*ret = TAKE_PTR(s);
	return 0;
}
