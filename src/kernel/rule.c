/* Rules of the skeleton: the numbers of dispatch chains. */
#include <arpa/inet.h>
#include <endian.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_tables.h>
#include <string.h>

#include "kernel/attrs.h"
#include "kernel/skeleton-internal.h"

bool chain_is_dispatch(const char *name, uint8_t family, struct dispatch *ret)
{
	uint32_t number;
	enum verdict v = verdict_by_chain_name(name, &number);

	if (v < VERDICT_FIRST_DISPATCH)
		return false;
	memset(ret, 0, sizeof(*ret));
	ret->family = family;
	ret->verdict = (uint8_t)v;
	ret->number = number;
	return true;
}

/* Put the verdict of an immediate expression whose data is @data. False: it has none with a chain. */
static bool put_jump(struct nlmsghdr *nlh, const struct nlattr *data, const struct dispatch *d)
{
	struct attrs immediate, value, verdict;
	struct nlattr *nests[4];
	char name[CHAIN_NAME_MAX_BYTES];
	struct dispatch to;
	const char *chain;

	attrs_of_nest(data, &immediate);
	attrs_of_nest(immediate.at[NFTA_IMMEDIATE_DATA], &value);
	attrs_of_nest(value.at[NFTA_DATA_VERDICT], &verdict);
	chain = attr_text(verdict.at[NFTA_VERDICT_CHAIN]);
	if (!chain || !immediate.at[NFTA_IMMEDIATE_DREG] || !verdict.at[NFTA_VERDICT_CODE])
		return false;
	if (d && chain_is_dispatch(chain, d->family, &to))
		chain = verdict_chain_name(to.verdict, d->number, name);

	nests[0] = mnl_attr_nest_start(nlh, NFTA_LIST_ELEM);
	mnl_attr_put_strz(nlh, NFTA_EXPR_NAME, "immediate");
	nests[1] = mnl_attr_nest_start(nlh, NFTA_EXPR_DATA);
	attr_put_copy(nlh, immediate.at[NFTA_IMMEDIATE_DREG]);
	nests[2] = mnl_attr_nest_start(nlh, NFTA_IMMEDIATE_DATA);
	nests[3] = mnl_attr_nest_start(nlh, NFTA_DATA_VERDICT);
	attr_put_copy(nlh, verdict.at[NFTA_VERDICT_CODE]);
	mnl_attr_put_strz(nlh, NFTA_VERDICT_CHAIN, chain);
	for (size_t i = 4; i-- > 0;)
		mnl_attr_nest_end(nlh, nests[i]);
	return true;
}

/* @attr lies in a message of ours. */
static void set_value(const struct nlattr *attr, const void *value, uint16_t len)
{
	if (attr && mnl_attr_get_payload_len(attr) == len)
		memcpy(mnl_attr_get_payload(attr), value, len);
}

static bool is_random(const struct nlattr *numgen_type)
{
	return numgen_type && mnl_attr_validate(numgen_type, MNL_TYPE_U32) >= 0 &&
	       mnl_attr_get_u32(numgen_type) == htonl(NFT_NG_RANDOM);
}

struct writing {
	struct nlmsghdr *nlh;
	const struct dispatch *d; /* NULL: numbers stay */
};

static int put_expr(const struct nlattr *expr, void *userdata)
{
	const struct writing *w = userdata;
	const struct dispatch *d = w->d;
	uint64_t zero = 0, timeout_ms = htobe64(d ? (uint64_t)d->number * 1000 : 0);
	uint32_t modulus = htonl(d ? d->number : 0);
	struct attrs in, data;
	const char *name;

	attrs_of_nest(expr, &in);
	name = attr_text(in.at[NFTA_EXPR_NAME]);
	if (name && strcmp(name, "immediate") == 0 && put_jump(w->nlh, in.at[NFTA_EXPR_DATA], d))
		return MNL_CB_OK;

	attrs_of_nest(attr_put_copy(w->nlh, expr), &in);
	attrs_of_nest(in.at[NFTA_EXPR_DATA], &data);
	if (name && strcmp(name, "counter") == 0) {
		set_value(data.at[NFTA_COUNTER_PACKETS], &zero, sizeof(zero));
		set_value(data.at[NFTA_COUNTER_BYTES], &zero, sizeof(zero));
	} else if (d && name && strcmp(name, "numgen") == 0 && is_random(data.at[NFTA_NG_TYPE])) {
		set_value(data.at[NFTA_NG_MODULUS], &modulus, sizeof(modulus));
	} else if (d && name && strcmp(name, "dynset") == 0) {
		set_value(data.at[NFTA_DYNSET_TIMEOUT], &timeout_ms, sizeof(timeout_ms));
	}
	return MNL_CB_OK;
}

void rule_put(struct nlmsghdr *nlh, const struct part *rule, const struct dispatch *d)
{
	struct writing w = { nlh, d };
	char name[CHAIN_NAME_MAX_BYTES];
	struct nlattr *list;
	struct attrs in;

	attrs_of_bytes(rule->attrs, rule->len, &in);
	mnl_attr_put_strz(nlh, NFTA_RULE_CHAIN,
			  d ? verdict_chain_name(d->verdict, d->number, name) : rule->name);
	if (in.at[NFTA_RULE_EXPRESSIONS]) {
		list = mnl_attr_nest_start(nlh, NFTA_RULE_EXPRESSIONS);
		mnl_attr_parse_nested(in.at[NFTA_RULE_EXPRESSIONS], put_expr, &w);
		mnl_attr_nest_end(nlh, list);
	}
	if (in.at[NFTA_RULE_USERDATA])
		attr_put_copy(nlh, in.at[NFTA_RULE_USERDATA]);
}
