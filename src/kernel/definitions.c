/* Sets and chains of network policy: copies of the skeleton's patterns. */
#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <libnftnl/udata.h>
#include <linux/netfilter/nf_tables.h>
#include <string.h>

#include "kernel/attrs.h"
#include "kernel/batch.h"
#include "kernel/skeleton-internal.h"

/* A set is told by attributes of fixed sizes and a comment. */
enum { SET_MAX_BYTES = 2048, USERDATA_MAX_BYTES = 1024 };

struct object_message {
	_Alignas(struct nlmsghdr) uint8_t bytes[2 * SET_MAX_BYTES];
};

struct userdata {
	uint8_t bytes[USERDATA_MAX_BYTES];
	size_t len;
	const char *comment;
};

static int userdata_copy(const struct nftnl_udata *attr, void *arg)
{
	struct userdata *u = arg;
	bool is_comment = nftnl_udata_type(attr) == NFTNL_UDATA_SET_COMMENT;
	const void *value = is_comment ? u->comment : nftnl_udata_get(attr);
	size_t len = is_comment ? strlen(u->comment) + 1 : nftnl_udata_len(attr);

	if (u->len + 2 + len > sizeof(u->bytes))
		return -1;
	u->bytes[u->len++] = nftnl_udata_type(attr);
	u->bytes[u->len++] = (uint8_t)len;
	memcpy(u->bytes + u->len, value, len);
	u->len += len;
	return 0;
}

/* The attributes of @set, named and explained as @d says (NULL: as they are). */
static void set_put(struct nlmsghdr *nlh, const struct part *set, const struct definition *d)
{
	struct userdata u = { .comment = d ? d->comment : NULL };
	struct attrs in;

	attrs_of_bytes(set->attrs, set->len, &in);
	for (size_t i = 0; i < ATTRS_TYPES; i++) {
		const struct nlattr *attr = in.at[i];

		if (!attr)
			continue;
		if (d && i == NFTA_SET_NAME) {
			mnl_attr_put_strz(nlh, NFTA_SET_NAME, d->name);
		} else if (d && i == NFTA_SET_USERDATA) {
			nftnl_udata_parse(mnl_attr_get_payload(attr),
					  mnl_attr_get_payload_len(attr), userdata_copy, &u);
			mnl_attr_put(nlh, NFTA_SET_USERDATA, u.len, u.bytes);
		} else {
			attr_put_copy(nlh, attr);
		}
	}
}

static const struct part *pattern_set(const struct skeleton *s, const struct definition *d)
{
	return part_find(&s->parts[PART_SET], definition_pattern(d->kind)->name);
}

static void put_set(const struct skeleton *s, const struct definition *d, struct batch *b)
{
	const struct part *set = pattern_set(s, d);
	struct nlmsghdr *nlh = batch_open(b, NFT_MSG_NEWSET, s->family, NLM_F_CREATE | NLM_F_EXCL);

	if (!nlh)
		return;
	mnl_attr_put_u32(nlh, NFTA_SET_ID, htonl(b->sequence)); /* some number of its own */
	set_put(nlh, set, d);
	batch_close(b, nlh);
}

static void chain_put(struct nlmsghdr *nlh, const struct definition *d)
{
	mnl_attr_put_strz(nlh, NFTA_CHAIN_NAME, d->name);
	attr_put_comment(nlh, NFTA_CHAIN_USERDATA, NFTNL_UDATA_CHAIN_COMMENT, d->comment);
}

static void put_chain(const struct definition *d, struct batch *b)
{
	struct nlmsghdr *nlh = batch_open(b, NFT_MSG_NEWCHAIN, d->family,
					  NLM_F_CREATE | NLM_F_EXCL);

	if (!nlh)
		return;
	chain_put(nlh, d);
	batch_close(b, nlh);
}

void skeleton_put_definition(const struct skeleton *s, const struct definition *d, struct batch *b)
{
	if (definition_is_chain(d))
		put_chain(d, b);
	else
		put_set(s, d, b);
}

/* The first rule of chain @name from @i on, in the kernel's order. */
static size_t rule_of_chain(const struct parts *rules, size_t i, const char *name)
{
	while (i < rules->n && strcmp(rules->items[i].name, name) != 0)
		i++;
	return i;
}

/* The patterns of a chain's rules stand side by side, one of each shape. */
static const struct part *pattern_rule(const struct skeleton *s, const struct definition *d,
				       const struct definition_rule *rule)
{
	const struct parts *rules = &s->parts[PART_RULE];
	size_t first = rule_of_chain(rules, 0, definition_pattern(d->kind)->name);

	return &rules->items[first + (size_t)(rule->shape - definition_first_shape(d->kind))];
}

void skeleton_put_rules(const struct skeleton *s, const struct definition *d, struct batch *b)
{
	for (size_t i = 0; i < d->n_rules; i++) {
		const struct rule_copy copy = { .definition = d, .rule = &d->rules[i] };
		struct nlmsghdr *nlh = batch_open(b, NFT_MSG_NEWRULE, s->family,
						  NLM_F_CREATE | NLM_F_APPEND);

		if (!nlh)
			return;
		rule_put(nlh, pattern_rule(s, d, &d->rules[i]), &copy);
		batch_close(b, nlh);
	}
}

static void each_of_kind(const struct skeleton *found, enum part_kind kind,
			 void (*visit)(const struct definition *d, void *userdata), void *userdata)
{
	const struct parts *parts = &found->parts[kind];

	for (size_t i = 0; i < parts->n; i++) {
		const struct definition d = {
			.kind = (uint8_t)part_definition(kind, parts->items[i].name),
			.family = found->family,
			.name = parts->items[i].name,
		};

		if (d.kind < DEFINITION_COUNT)
			visit(&d, userdata);
	}
}

void skeleton_each_definition(const struct skeleton *found,
			      void (*visit)(const struct definition *d, void *userdata),
			      void *userdata)
{
	each_of_kind(found, PART_SET, visit, userdata);
	each_of_kind(found, PART_CHAIN, visit, userdata);
}

static struct nlmsghdr *message_begin(struct object_message *m)
{
	memset(m, 0, sizeof(*m)); /* attributes are padded with whatever is there */
	return mnl_nlmsg_put_header(m->bytes);
}

static bool messages_equal(const struct object_message *a, const struct object_message *b)
{
	const struct nlmsghdr *x = (const void *)a->bytes, *y = (const void *)b->bytes;

	return x->nlmsg_len == y->nlmsg_len && memcmp(x, y, x->nlmsg_len) == 0;
}

static bool has_set(const struct skeleton *s, const struct part *found, const struct definition *d)
{
	struct object_message messages[2];

	if (found->len > SET_MAX_BYTES)
		return false;
	set_put(message_begin(&messages[0]), pattern_set(s, d), d);
	set_put(message_begin(&messages[1]), found, NULL);
	return messages_equal(&messages[0], &messages[1]);
}

static bool has_chain(const struct part *found, const struct definition *d)
{
	struct object_message messages[2];
	struct nlmsghdr *nlh;
	struct attrs in;

	if (found->len > SET_MAX_BYTES)
		return false;
	chain_put(message_begin(&messages[0]), d);
	nlh = message_begin(&messages[1]);
	attrs_of_bytes(found->attrs, found->len, &in);
	for (size_t i = 0; i < ATTRS_TYPES; i++)
		if (in.at[i])
			attr_put_copy(nlh, in.at[i]);
	return messages_equal(&messages[0], &messages[1]);
}

static bool has_rules(const struct skeleton *s, const struct skeleton *found,
		      const struct definition *d)
{
	const struct parts *rules = &found->parts[PART_RULE];
	size_t j = rule_of_chain(rules, 0, d->name);

	for (size_t i = 0; i < d->n_rules; i++) {
		const struct rule_copy copy = { .definition = d, .rule = &d->rules[i] };

		if (j == rules->n ||
		    !rule_matches(pattern_rule(s, d, &d->rules[i]), &rules->items[j], &copy))
			return false;
		j = rule_of_chain(rules, j + 1, d->name);
	}
	return j == rules->n;
}

bool skeleton_has_definition(const struct skeleton *s, const struct skeleton *found,
			     const struct definition *d)
{
	bool chain = definition_is_chain(d);
	const struct part *part = part_find(&found->parts[chain ? PART_CHAIN : PART_SET], d->name);

	if (!part)
		return false;
	return chain ? has_chain(part, d) && has_rules(s, found, d) : has_set(s, part, d);
}
