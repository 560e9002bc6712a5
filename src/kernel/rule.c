/* Rules of the skeleton: the numbers of dispatch chains, and comparison. */
#include <errno.h>
#include <libmnl/libmnl.h>
#include <libnftnl/common.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <linux/netfilter/nf_tables.h>
#include <string.h>

#include "base/buf.h"
#include "kernel/batch.h"
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

static int jump_set_number(struct nftnl_expr *e, uint32_t number)
{
	const char *to = nftnl_expr_get_str(e, NFTNL_EXPR_IMM_CHAIN);
	char name[CHAIN_NAME_MAX_BYTES];
	uint32_t old;
	enum verdict v;

	if (!to)
		return 0;
	v = verdict_by_chain_name(to, &old);
	if (v < VERDICT_FIRST_DISPATCH)
		return 0;
	return nftnl_expr_set_str(e, NFTNL_EXPR_IMM_CHAIN, verdict_chain_name(v, number, name));
}

static int expr_set_number(struct nftnl_expr *e, void *userdata)
{
	const char *name = nftnl_expr_get_str(e, NFTNL_EXPR_NAME);
	const struct dispatch *d = userdata;

	if (strcmp(name, "numgen") == 0 &&
	    nftnl_expr_get_u32(e, NFTNL_EXPR_NG_TYPE) == NFT_NG_RANDOM)
		nftnl_expr_set_u32(e, NFTNL_EXPR_NG_MODULUS, d->number);
	else if (strcmp(name, "immediate") == 0)
		return jump_set_number(e, d->number);
	else if (strcmp(name, "dynset") == 0)
		nftnl_expr_set_u64(e, NFTNL_EXPR_DYNSET_TIMEOUT, (uint64_t)d->number * 1000);
	return 0;
}

int rule_set_number(struct nftnl_rule *rule, const struct dispatch *d)
{
	struct dispatch copy = *d;
	char name[CHAIN_NAME_MAX_BYTES];

	if (nftnl_rule_set_str(rule, NFTNL_RULE_CHAIN,
			       verdict_chain_name(d->verdict, d->number, name)) < 0 ||
	    nftnl_expr_foreach(rule, expr_set_number, &copy) < 0)
		return -ENOTRECOVERABLE;
	return 0;
}

static int counter_reset(struct nftnl_expr *e, void *userdata)
{
	(void)userdata;
	if (strcmp(nftnl_expr_get_str(e, NFTNL_EXPR_NAME), "counter") == 0) {
		nftnl_expr_set_u64(e, NFTNL_EXPR_CTR_PACKETS, 0);
		nftnl_expr_set_u64(e, NFTNL_EXPR_CTR_BYTES, 0);
	}
	return 0;
}

int rule_fingerprint(struct nftnl_rule *rule, struct buf *ret)
{
	struct nlmsghdr *nlh;
	void *room;

	nftnl_expr_foreach(rule, counter_reset, NULL);
	nftnl_rule_unset(rule, NFTNL_RULE_HANDLE);
	nftnl_rule_unset(rule, NFTNL_RULE_POSITION);
	if (nftnl_rule_set_str(rule, NFTNL_RULE_TABLE, "") < 0)
		return -ENOMEM;

	buf_reset(ret);
	room = buf_reserve(ret, BATCH_MESSAGE_BYTES);
	if (!room)
		return -ENOMEM;
	memset(room, 0, BATCH_MESSAGE_BYTES); /* attributes are padded with whatever is there */
	nlh = nftnl_nlmsg_build_hdr(room, NFT_MSG_NEWRULE, 0, 0, 0);
	nftnl_rule_nlmsg_build_payload(nlh, rule);
	buf_advance(ret, nlh->nlmsg_len);
	return 0;
}
