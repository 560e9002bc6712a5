#include "kernel/learn-rule.h"

#include <stdio.h> /* first: libnftnl/expr.h wants FILE */

#include <arpa/inet.h>
#include <errno.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <netinet/ip6.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "kernel/batch.h"
#include "ruleset/element.h"

#define PATTERN_NAME "learn-affinity-1"
#define DPORT_OFFSET 2 /* of TCP, UDP and SCTP alike */

/* The key lies in the first ten registers of four bytes, the data behind it. */
enum {
	REG_CLIENT = NFT_REG32_00,
	REG_FRONTEND = NFT_REG32_04,
	REG_PROTOCOL = NFT_REG32_08,
	REG_PORT = NFT_REG32_09,
	REG_TARGET = NFT_REG32_10,
	REG_TARGET_PORT = NFT_REG32_14,
};

struct attr {
	uint16_t type;
	uint32_t value;
};

static struct nftnl_expr *rule_add(struct nftnl_rule *rule, const char *name,
				   const struct attr *attrs, size_t n)
{
	struct nftnl_expr *e = nftnl_expr_alloc(name);

	if (!e)
		return NULL;
	for (size_t i = 0; i < n; i++)
		nftnl_expr_set_u32(e, attrs[i].type, attrs[i].value);
	nftnl_rule_add_expr(rule, e);
	return e;
}

#define RULE_ADD(rule, name, ...)                                  \
	rule_add(rule, name, (const struct attr[]){ __VA_ARGS__ }, \
		 sizeof((const struct attr[]){ __VA_ARGS__ }) / sizeof(struct attr))

static bool add_payload(struct nftnl_rule *rule, uint32_t base, size_t offset, uint32_t len,
			uint32_t reg)
{
	return RULE_ADD(rule, "payload", { NFTNL_EXPR_PAYLOAD_BASE, base },
			{ NFTNL_EXPR_PAYLOAD_OFFSET, (uint32_t)offset },
			{ NFTNL_EXPR_PAYLOAD_LEN, len }, { NFTNL_EXPR_PAYLOAD_DREG, reg });
}

static bool add_meta(struct nftnl_rule *rule, uint32_t reg)
{
	return RULE_ADD(rule, "meta", { NFTNL_EXPR_META_KEY, NFT_META_L4PROTO },
			{ NFTNL_EXPR_META_DREG, reg });
}

static bool add_ct_original(struct nftnl_rule *rule, uint32_t key, uint32_t reg)
{
	struct nftnl_expr *e = RULE_ADD(rule, "ct", { NFTNL_EXPR_CT_KEY, key },
					{ NFTNL_EXPR_CT_DREG, reg });

	if (e)
		nftnl_expr_set_u8(e, NFTNL_EXPR_CT_DIR, 0);
	return e;
}

static bool add_protocol_match(struct nftnl_rule *rule, uint8_t protocol)
{
	struct nftnl_expr *e;

	if (!add_meta(rule, NFT_REG_1))
		return false;
	e = RULE_ADD(rule, "cmp", { NFTNL_EXPR_CMP_SREG, NFT_REG_1 },
		     { NFTNL_EXPR_CMP_OP, NFT_CMP_EQ });
	if (e)
		nftnl_expr_set(e, NFTNL_EXPR_CMP_DATA, &protocol, sizeof(protocol));
	return e;
}

static bool add_update(struct nftnl_rule *rule)
{
	struct nftnl_expr *e = RULE_ADD(rule, "dynset",
					{ NFTNL_EXPR_DYNSET_OP, NFT_DYNSET_OP_UPDATE },
					{ NFTNL_EXPR_DYNSET_SREG_KEY, REG_CLIENT },
					{ NFTNL_EXPR_DYNSET_SREG_DATA, REG_TARGET });

	if (!e)
		return false;
	nftnl_expr_set_u64(e, NFTNL_EXPR_DYNSET_TIMEOUT, 1000);
	return nftnl_expr_set_str(e, NFTNL_EXPR_DYNSET_SET_NAME, set_name(SET_AFFINITY)) == 0;
}

/* meta l4proto P counter update @affinity { ip6 saddr . ct original ip6 daddr . meta l4proto .
 * ct original proto-dst timeout 1s : ip6 daddr . th dport } */
static bool rule_fill(struct nftnl_rule *rule, uint8_t protocol)
{
	return add_protocol_match(rule, protocol) && rule_add(rule, "counter", NULL, 0) &&
	       add_payload(rule, NFT_PAYLOAD_NETWORK_HEADER, offsetof(struct ip6_hdr, ip6_src), 16,
			   REG_CLIENT) &&
	       add_ct_original(rule, NFT_CT_DST_IP6, REG_FRONTEND) &&
	       add_meta(rule, REG_PROTOCOL) && add_ct_original(rule, NFT_CT_PROTO_DST, REG_PORT) &&
	       add_payload(rule, NFT_PAYLOAD_NETWORK_HEADER, offsetof(struct ip6_hdr, ip6_dst), 16,
			   REG_TARGET) &&
	       add_payload(rule, NFT_PAYLOAD_TRANSPORT_HEADER, DPORT_OFFSET, 2, REG_TARGET_PORT) &&
	       add_update(rule);
}

static int learn_rule_put(struct batch *b, uint8_t protocol)
{
	struct nftnl_rule *rule = nftnl_rule_alloc();
	bool done;

	if (!rule)
		return -ENOMEM;
	nftnl_rule_set_u32(rule, NFTNL_RULE_FAMILY, NFPROTO_IPV6);
	done = nftnl_rule_set_str(rule, NFTNL_RULE_CHAIN, PATTERN_NAME) == 0 &&
	       rule_fill(rule, protocol);
	if (done)
		batch_add_rule(b, rule);
	nftnl_rule_free(rule);
	return done ? 0 : -ENOMEM;
}

void learn_rules_put(struct batch *b)
{
	static const uint8_t protocols[] = { IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP };

	batch_add_chain_name(b, AF_INET6, PATTERN_NAME);
	for (size_t i = 0; b->error == 0 && i < ARRAY_SIZE(protocols); i++)
		b->error = learn_rule_put(b, protocols[i]);
}
