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
static bool part_is_static(enum part_kind kind, const struct part *p)
{
	return part_definition(kind, p->name) == DEFINITION_COUNT && !p->verdict;
}

void skeleton_put(const struct skeleton *s, struct batch *b)
{
	const struct parts *sets = &s->parts[PART_SET], *chains = &s->parts[PART_CHAIN];
	const struct parts *rules = &s->parts[PART_RULE];

	for (size_t i = 0; i < sets->n; i++)
		if (part_is_static(PART_SET, &sets->items[i]))
			put_set(s, &sets->items[i], b);
	for (size_t i = 0; i < chains->n; i++)
		if (part_is_static(PART_CHAIN, &chains->items[i]))
			put_chain(s, &chains->items[i], b);
	for (size_t i = 0; i < rules->n; i++)
		if (part_is_static(PART_RULE, &rules->items[i]))
			put_rule(s, &rules->items[i], NULL, b);
}

/* To empty a set would not do: packets that are judged by the old rules might still put something in. Those
 * know the old set only. */
static void put_anew(const struct skeleton *s, const char *set, const char *const chains[static 2],
		     struct batch *b)
{
	const struct parts *rules = &s->parts[PART_RULE];

	for (size_t i = 0; i < 2; i++)
		batch_flush_chain(b, s->family, chains[i]);
	batch_delete_set(b, s->family, set);
	put_set(s, part_find(&s->parts[PART_SET], set), b);
	for (size_t i = 0; i < rules->n; i++)
		if (strcmp(rules->items[i].name, chains[0]) == 0 ||
		    strcmp(rules->items[i].name, chains[1]) == 0)
			put_rule(s, &rules->items[i], NULL, b);
}

void skeleton_put_forgetting(const struct skeleton *s, struct batch *b)
{
	static const char *const egress[] = { "egress-recall", "egress-remember" };
	static const char *const ingress[] = { "ingress-recall", "ingress-remember" };

	put_anew(s, "egress-accepted", egress, b);
	put_anew(s, "ingress-accepted", ingress, b);
}

void skeleton_put_dispatch(const struct skeleton *s, const struct dispatch *d, struct batch *b)
{
	const struct parts *rules = &s->parts[PART_RULE];
	struct rule_copy copy = { .dispatch = d };
	uint16_t targets[DISPATCH_MAX_TARGETS];
	char name[CHAIN_NAME_MAX_BYTES];

	batch_add_chain_name(b, d->family, dispatch_name(d, name));
	for (size_t t = 0, n = dispatch_targets(d, targets); t < n; t++) {
		copy.target = targets[t];
		for (size_t i = 0; i < rules->n; i++)
			if (rules->items[i].verdict == d->verdict)
				put_rule(s, &rules->items[i], &copy, b);
	}
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
		if (part_is_static(kind, &want->items[i]) && !part_is_in(have, &want->items[i]))
			return differs(s, what, want->items[i].name);
	for (size_t i = 0; i < have->n; i++)
		if (part_is_static(kind, &have->items[i]) && !part_find(want, have->items[i].name))
			return differs(s, what, have->items[i].name);
	return true;
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

/* The rules of one chain, which stand side by side. */
struct chain_rules {
	const struct part *items;
	size_t n;
};

static bool rule_is_in(const struct part *rule, const char *chain)
{
	return strcmp(rule->name, chain) == 0;
}

/* The rules of chain @name. They are looked for at @hint first. */
static struct chain_rules chain_rules(const struct skeleton *s, const char *name, size_t hint)
{
	const struct parts *rules = &s->parts[PART_RULE];
	size_t first = hint < rules->n && rule_is_in(&rules->items[hint], name) ? hint : 0, end;

	while (first < rules->n && !rule_is_in(&rules->items[first], name))
		first++;
	for (end = first; end < rules->n && rule_is_in(&rules->items[end], name); end++)
		;
	return (struct chain_rules){ rules->items + first, end - first };
}

/* Whether the rules @have are those of @pattern for the dispatch chain @d; or, without it, those. */
static bool rules_match(const struct chain_rules *pattern, const struct chain_rules *have,
			const struct dispatch *d)
{
	uint16_t targets[DISPATCH_MAX_TARGETS] = { 0 };
	size_t n = d ? dispatch_targets(d, targets) : 1;
	struct rule_copy copy = { .dispatch = d };

	if (have->n != n * pattern->n)
		return false;
	for (size_t i = 0; i < have->n; i++) {
		copy.target = targets[i / pattern->n];
		if (!rule_matches(&pattern->items[i % pattern->n], &have->items[i], &copy))
			return false;
	}
	return true;
}

/* @have are the rules of chain @name of another table. */
static bool chain_rules_match(const struct skeleton *s, const char *name,
			      const struct chain_rules *have, const struct dispatch *d)
{
	char pattern_name[CHAIN_NAME_MAX_BYTES];
	struct dispatch pattern;
	struct chain_rules want;

	if (d) {
		pattern = dispatch_pattern(d->verdict, d->family);
		name = dispatch_name(&pattern, pattern_name);
	}
	want = chain_rules(s, name, 0);
	return rules_match(&want, have, d);
}

bool skeleton_matches(struct skeleton *s, const struct skeleton *found,
		      void (*visit)(const struct dispatch *d, void *userdata), void *userdata,
		      const char **ret_difference)
{
	const struct parts *chains = &found->parts[PART_CHAIN];
	size_t next_rule = 0;
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
		struct chain_rules rules = chain_rules(found, name, next_rule);

		/* The kernel dumps the rules chain by chain, in the order of the chains. */
		if (rules.n > 0)
			next_rule = (size_t)(rules.items - found->parts[PART_RULE].items) + rules.n;
		if (part_definition(PART_CHAIN, name) != DEFINITION_COUNT)
			continue;
		if (!chain_rules_match(s, name, &rules, dispatch ? &d : NULL))
			return differs(s, "rules of chain", name);
		if (dispatch)
			visit(&d, userdata);
	}
	return true;
}
