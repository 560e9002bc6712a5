#include "kernel/skeleton.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_tables.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "kernel/batch.h"
#include "kernel/skeleton-internal.h"

/* Rules that are longer are none of ours. */
#define RULE_MAX_BYTES 8192

struct skeleton *skeleton_free(struct skeleton *s)
{
	if (!s)
		return NULL;
	for (size_t k = 0; k < PART_KINDS; k++)
		free(s->parts[k].items);
	arena_free(s->arena);
	free(s);
	return NULL;
}

static void put_set(const struct skeleton *s, const struct part *set, struct batch *b)
{
	struct nlmsghdr *nlh = batch_open(b, NFT_MSG_NEWSET, s->family, NLM_F_CREATE | NLM_F_EXCL);

	if (!nlh)
		return;
	mnl_attr_put_u32(nlh, NFTA_SET_ID, htonl(b->sequence)); /* some number of its own */
	batch_put_attrs(nlh, set->attrs, set->len);
	batch_close(b, nlh);
}

static void put_chain(const struct skeleton *s, const struct part *chain, struct batch *b)
{
	struct nlmsghdr *nlh = batch_open(b, NFT_MSG_NEWCHAIN, s->family,
					  NLM_F_CREATE | NLM_F_EXCL);

	if (!nlh)
		return;
	batch_put_attrs(nlh, chain->attrs, chain->len);
	batch_close(b, nlh);
}

static void put_rule(const struct skeleton *s, const struct part *rule,
		     const struct rule_copy *copy, struct batch *b)
{
	struct nlmsghdr *nlh = batch_open(b, NFT_MSG_NEWRULE, s->family,
					  NLM_F_CREATE | NLM_F_APPEND);

	if (!nlh)
		return;
	rule_put(nlh, rule, copy);
	batch_close(b, nlh);
}

enum definition_kind part_definition(enum part_kind kind, const char *name)
{
	return definition_kind_of(name, kind != PART_SET);
}

/* Neither pattern nor copy of one. */
static bool part_is_static(enum part_kind kind, const char *name)
{
	struct dispatch d;

	return part_definition(kind, name) == DEFINITION_COUNT &&
	       (kind == PART_SET || !chain_is_dispatch(name, 0, &d));
}

void skeleton_put(const struct skeleton *s, struct batch *b)
{
	const struct parts *sets = &s->parts[PART_SET], *chains = &s->parts[PART_CHAIN];
	const struct parts *rules = &s->parts[PART_RULE];

	for (size_t i = 0; i < sets->n; i++)
		if (part_is_static(PART_SET, sets->items[i].name))
			put_set(s, &sets->items[i], b);
	for (size_t i = 0; i < chains->n; i++)
		if (part_is_static(PART_CHAIN, chains->items[i].name))
			put_chain(s, &chains->items[i], b);
	for (size_t i = 0; i < rules->n; i++)
		if (part_is_static(PART_RULE, rules->items[i].name))
			put_rule(s, &rules->items[i], NULL, b);
}

/* Whether @rule is one of the pattern of @d. */
static bool rule_is_pattern(const struct part *rule, const struct dispatch *d)
{
	struct dispatch of;

	return chain_is_dispatch(rule->name, d->family, &of) && of.verdict == d->verdict;
}

void skeleton_put_dispatch(const struct skeleton *s, const struct dispatch *d, struct batch *b)
{
	const struct parts *rules = &s->parts[PART_RULE];
	const struct rule_copy copy = { .dispatch = d };
	char name[CHAIN_NAME_MAX_BYTES];

	batch_add_chain_name(b, d->family, verdict_chain_name(d->verdict, d->number, name));
	for (size_t i = 0; i < rules->n; i++)
		if (rule_is_pattern(&rules->items[i], d))
			put_rule(s, &rules->items[i], &copy, b);
}

static bool differs(struct skeleton *s, const char *what, const char *name)
{
	snprintf(s->difference, sizeof(s->difference), "%s %.96s", what, name);
	return false;
}

const struct part *part_find(const struct parts *parts, const char *name)
{
	for (size_t i = 0; i < parts->n; i++)
		if (strcmp(parts->items[i].name, name) == 0)
			return &parts->items[i];
	return NULL;
}

static bool part_is_in(const struct parts *parts, const struct part *p)
{
	const struct part *found = part_find(parts, p->name);

	return found && found->len == p->len && memcmp(found->attrs, p->attrs, p->len) == 0;
}

/* Parts of a kind, but rules, are all there, as they should be, and no others. */
static bool parts_match(struct skeleton *s, const struct skeleton *found, enum part_kind kind)
{
	static const char *const words[PART_KINDS] = {
		[PART_SET] = "set",
		[PART_CHAIN] = "chain",
		[PART_OBJECT] = "object",
		[PART_FLOWTABLE] = "flowtable",
	};
	const char *what = words[kind];
	const struct parts *want = &s->parts[kind], *have = &found->parts[kind];

	for (size_t i = 0; i < want->n; i++)
		if (part_is_static(kind, want->items[i].name) && !part_is_in(have, &want->items[i]))
			return differs(s, what, want->items[i].name);
	for (size_t i = 0; i < have->n; i++)
		if (part_is_static(kind, have->items[i].name) &&
		    !part_find(want, have->items[i].name))
			return differs(s, what, have->items[i].name);
	return true;
}

/* The next rule from @i on that stands in chain @name or, for a pattern, in one of its verdict. */
static size_t rule_next(const struct skeleton *s, size_t i, const char *name,
			const struct dispatch *pattern)
{
	const struct parts *rules = &s->parts[PART_RULE];

	while (i < rules->n && (pattern ? !rule_is_pattern(&rules->items[i], pattern) :
					  strcmp(rules->items[i].name, name) != 0))
		i++;
	return i;
}

struct rule_message {
	_Alignas(struct nlmsghdr) uint8_t bytes[RULE_MAX_BYTES + 1024];
};

static const struct nlmsghdr *rule_write(struct rule_message *m, const struct part *rule,
					 const struct rule_copy *copy)
{
	struct nlmsghdr *nlh;

	memset(m, 0, sizeof(*m)); /* attributes are padded with whatever is there */
	nlh = mnl_nlmsg_put_header(m->bytes);
	rule_put(nlh, rule, copy);
	return nlh;
}

bool rule_matches(const struct part *want, const struct part *found, const struct rule_copy *copy)
{
	struct rule_message messages[2];
	const struct nlmsghdr *a, *b;

	if (found->len > RULE_MAX_BYTES)
		return false;
	a = rule_write(&messages[0], want, copy);
	b = rule_write(&messages[1], found, NULL);
	return a->nlmsg_len == b->nlmsg_len && memcmp(a, b, a->nlmsg_len) == 0;
}

static bool chain_rules_match(const struct skeleton *s, const struct skeleton *found,
			      const char *name, const struct dispatch *pattern)
{
	const struct parts *want = &s->parts[PART_RULE], *have = &found->parts[PART_RULE];
	const struct rule_copy copy = { .dispatch = pattern };
	size_t i = rule_next(s, 0, name, pattern), j = rule_next(found, 0, name, NULL);

	while (i < want->n && j < have->n) {
		if (!rule_matches(&want->items[i], &have->items[j], &copy))
			return false;
		i = rule_next(s, i + 1, name, pattern);
		j = rule_next(found, j + 1, name, NULL);
	}
	return i == want->n && j == have->n;
}

bool skeleton_matches(struct skeleton *s, const struct skeleton *found,
		      void (*visit)(const struct dispatch *d, void *userdata), void *userdata,
		      const char **ret_difference)
{
	const struct parts *chains = &found->parts[PART_CHAIN];
	struct dispatch d;

	*ret_difference = s->difference;
	if (found->dormant)
		return differs(s, "flags of", "the table");
	for (unsigned kind = 0; kind < PART_KINDS; kind++)
		if (kind != PART_RULE && !parts_match(s, found, (enum part_kind)kind))
			return false;
	for (size_t i = 0; i < chains->n; i++) {
		const char *name = chains->items[i].name;
		bool dispatch = chain_is_dispatch(name, s->family, &d);

		if (part_definition(PART_CHAIN, name) != DEFINITION_COUNT)
			continue;
		if (!chain_rules_match(s, found, name, dispatch ? &d : NULL))
			return differs(s, "rules of chain", name);
		if (dispatch)
			visit(&d, userdata);
	}
	return true;
}
