/* Rules of the skeleton: the numbers of dispatch chains, the names in the chains of network policy. */
#include <arpa/inet.h>
#include <endian.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_tables.h>
#include <string.h>

#include "kernel/attrs.h"
#include "kernel/skeleton-internal.h"
#include "ruleset/bindings.h"

bool chain_is_dispatch(const char *name, uint8_t family, struct dispatch *ret)
{
	return dispatch_parse(name, family, ret) && ret->verdict >= VERDICT_FIRST_DISPATCH;
}

/* Put the verdict of an immediate expression whose data is @data. False: it has none with a chain. */
static bool put_jump(struct nlmsghdr *nlh, const struct nlattr *data, const struct rule_copy *copy)
{
	const struct dispatch *d = copy->dispatch;
	struct attrs immediate, value, verdict;
	struct nlattr *nests[4];
	char name[CHAIN_NAME_MAX_BYTES];
	struct dispatch pattern, to;
	const char *chain;

	attrs_of_nest(data, &immediate);
	attrs_of_nest(immediate.at[NFTA_IMMEDIATE_DATA], &value);
	attrs_of_nest(value.at[NFTA_DATA_VERDICT], &verdict);
	chain = attr_text(verdict.at[NFTA_VERDICT_CHAIN]);
	if (!chain || !immediate.at[NFTA_IMMEDIATE_DREG] || !verdict.at[NFTA_VERDICT_CODE])
		return false;
	if (d && chain_is_dispatch(chain, d->family, &pattern)) {
		to = *d;
		to.verdict = pattern.verdict;
		chain = dispatch_name(&to, name);
	}
	if (copy->rule && copy->rule->policy)
		chain = copy->rule->policy;

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

/* Put expression @name with the attributes of @data, but @type, which is @text. */
static void put_with_text(struct nlmsghdr *nlh, const char *name, const struct attrs *data,
			  uint16_t type, const char *text)
{
	struct nlattr *element = mnl_attr_nest_start(nlh, NFTA_LIST_ELEM), *nest;

	mnl_attr_put_strz(nlh, NFTA_EXPR_NAME, name);
	nest = mnl_attr_nest_start(nlh, NFTA_EXPR_DATA);
	for (size_t i = 0; i < ATTRS_TYPES; i++) {
		if (i == type)
			mnl_attr_put_strz(nlh, type, text);
		else if (data->at[i])
			attr_put_copy(nlh, data->at[i]);
	}
	mnl_attr_nest_end(nlh, nest);
	mnl_attr_nest_end(nlh, element);
}

/* The set that stands for @name, a pattern's, in @rule. */
static const char *set_of_rule(const char *name, const struct definition_rule *rule)
{
	enum definition_kind kind = definition_kind_of(name, false);

	if (kind == DEFINITION_PODS && rule->peer)
		return rule->peer;
	if ((kind == DEFINITION_PORTS || kind == DEFINITION_NAMED_PORTS) && rule->ports)
		return rule->ports;
	return name;
}

/* Put a lookup or a log expression. False: it has no text. */
static bool put_named(struct nlmsghdr *nlh, const char *name, const struct nlattr *nest,
		      const struct rule_copy *copy)
{
	bool lookup = strcmp(name, "lookup") == 0;
	uint16_t type = lookup ? NFTA_LOOKUP_SET : NFTA_LOG_PREFIX;
	struct attrs data;
	const char *text;

	attrs_of_nest(nest, &data);
	text = attr_text(data.at[type]);
	if (!text || (!lookup && strcmp(name, "log") != 0))
		return false;
	if (copy->rule && lookup)
		text = set_of_rule(text, copy->rule);
	else if (copy->definition && copy->definition->log_prefix)
		text = copy->definition->log_prefix;
	put_with_text(nlh, name, &data, type, text);
	return true;
}

/* @attr lies in a message of ours. */
static void set_value(const struct nlattr *attr, const void *value, uint16_t len)
{
	if (attr && mnl_attr_get_payload_len(attr) == len)
		memcpy(mnl_attr_get_payload(attr), value, len);
}

static bool u32_is(const struct nlattr *attr, uint32_t value)
{
	return attr && mnl_attr_validate(attr, MNL_TYPE_U32) >= 0 &&
	       mnl_attr_get_u32(attr) == htonl(value);
}

static void set_u32(const struct nlattr *attr, uint32_t value)
{
	const uint32_t big_endian = htonl(value);

	set_value(attr, &big_endian, sizeof(big_endian));
}

struct writing {
	struct nlmsghdr *nlh;
	const struct rule_copy *copy;
	uint32_t words[BINDING_WORDS]; /* of a dispatch chain */
};

static void set_modulus(const struct writing *w, const struct nlattr *modulus)
{
	if (u32_is(modulus, PATTERN_NUMBER))
		set_u32(modulus, w->copy->dispatch->number);
}

static void set_numgen(const struct writing *w, const struct attrs *in)
{
	const struct nlattr *offset = in->at[NFTA_NG_OFFSET];

	set_modulus(w, in->at[NFTA_NG_MODULUS]);
	for (uint32_t i = 0; i < BINDING_WORDS; i++)
		if (u32_is(offset, PATTERN_ID_FIRST + i)) {
			set_u32(offset, w->words[i]);
			return;
		}
}

/* A value of the size of a port is one, as a byte that something is compared with is a protocol. */
static void set_data(const struct nlattr *data, const void *value, uint16_t len)
{
	struct attrs in;

	attrs_of_nest(data, &in);
	set_value(in.at[NFTA_DATA_VALUE], value, len);
}

/* The numbers in an expression @name with the data @in. */
static void set_numbers(const struct writing *w, const char *name, const struct attrs *in)
{
	const struct dispatch *d = w->copy->dispatch;
	uint64_t timeout_ms = htobe64((uint64_t)d->number * 1000);
	uint16_t target = htons(w->copy->target);

	if (strcmp(name, "numgen") == 0)
		set_numgen(w, in);
	else if (strcmp(name, "hash") == 0)
		set_modulus(w, in->at[NFTA_HASH_MODULUS]);
	else if (strcmp(name, "cmp") == 0)
		set_data(in->at[NFTA_CMP_DATA], &d->protocol, sizeof(d->protocol));
	else if (strcmp(name, "immediate") == 0)
		set_data(in->at[NFTA_IMMEDIATE_DATA], &target, sizeof(target));
	else if (strcmp(name, "dynset") == 0)
		set_value(in->at[NFTA_DYNSET_TIMEOUT], &timeout_ms, sizeof(timeout_ms));
}

static int put_expr(const struct nlattr *expr, void *userdata)
{
	const struct writing *w = userdata;
	struct attrs in, data;
	const char *name;
	uint64_t zero = 0;

	attrs_of_nest(expr, &in);
	name = attr_text(in.at[NFTA_EXPR_NAME]);
	if (name && strcmp(name, "immediate") == 0 &&
	    put_jump(w->nlh, in.at[NFTA_EXPR_DATA], w->copy))
		return MNL_CB_OK;
	if (name && put_named(w->nlh, name, in.at[NFTA_EXPR_DATA], w->copy))
		return MNL_CB_OK;

	attrs_of_nest(attr_put_copy(w->nlh, expr), &in);
	attrs_of_nest(in.at[NFTA_EXPR_DATA], &data);
	if (name && strcmp(name, "counter") == 0) {
		set_value(data.at[NFTA_COUNTER_PACKETS], &zero, sizeof(zero));
		set_value(data.at[NFTA_COUNTER_BYTES], &zero, sizeof(zero));
	} else if (name && w->copy->dispatch) {
		set_numbers(w, name, &data);
	}
	return MNL_CB_OK;
}

static const char *copy_chain(const struct part *rule, const struct rule_copy *copy,
			      char name[static CHAIN_NAME_MAX_BYTES])
{
	if (copy->definition)
		return copy->definition->name;
	if (copy->dispatch)
		return dispatch_name(copy->dispatch, name);
	return rule->name;
}

void rule_put(struct nlmsghdr *nlh, const struct part *rule, const struct rule_copy *copy)
{
	static const struct rule_copy as_it_is;
	struct writing w = { .nlh = nlh, .copy = copy ? copy : &as_it_is };
	char name[CHAIN_NAME_MAX_BYTES];
	struct nlattr *list;
	struct attrs in;

	if (w.copy->dispatch)
		binding_words(w.copy->dispatch, w.copy->target, w.words);
	attrs_of_bytes(rule->attrs, rule->len, &in);
	mnl_attr_put_strz(nlh, NFTA_RULE_CHAIN, copy_chain(rule, w.copy, name));
	if (in.at[NFTA_RULE_EXPRESSIONS]) {
		list = mnl_attr_nest_start(nlh, NFTA_RULE_EXPRESSIONS);
		mnl_attr_parse_nested(in.at[NFTA_RULE_EXPRESSIONS], put_expr, &w);
		mnl_attr_nest_end(nlh, list);
	}
	if (in.at[NFTA_RULE_USERDATA])
		attr_put_copy(nlh, in.at[NFTA_RULE_USERDATA]);
}
