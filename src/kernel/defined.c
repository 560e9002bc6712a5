#include "kernel/defined.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <libnftnl/udata.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/array.h"
#include "base/error.h"
#include "kernel/attrs.h"
#include "kernel/skeleton-internal.h"

/* Of the template: chains with one counter each that belongs to no policy. */
#define CHAIN_EXCEPTIONS "exceptions"
#define CHAIN_REFUSE "refuse"
#define CHAIN_REFUSE_UNKNOWN "refuse-unknown"

int defined_new(struct defined_list *ret)
{
	*ret = (struct defined_list){ .arena = arena_new(4096) };
	return ret->arena ? 0 : -ENOMEM;
}

void defined_free(struct defined_list *l)
{
	free(l->items);
	arena_free(l->arena);
	*l = (struct defined_list){ 0 };
}

static int defined_cmp(const void *a, const void *b)
{
	const struct defined *x = a, *y = b;

	return definition_cmp(&x->definition, &y->definition);
}

static struct defined *find(const struct defined_list *l, enum definition_kind kind, uint8_t family,
			    const char *name)
{
	const struct defined key = {
		.definition = { .kind = (uint8_t)kind, .family = family, .name = name },
	};

	return array_find(&key, l->items, l->n, sizeof(key), defined_cmp);
}

const struct defined *defined_find(const struct defined_list *l, enum definition_kind kind,
				   uint8_t family, const char *name)
{
	return find(l, kind, family, name);
}

/* Sets and chains ----------------------------------------------------------------------------------- */

/* "" when it has none. NULL when memory is short. */
static const char *comment_of(const struct part *part, enum part_kind kind, struct arena *arena)
{
	bool set = kind == PART_SET;
	struct attrs in;
	const char *text;
	size_t len = 0;

	attrs_of_bytes(part->attrs, part->len, &in);
	text = attr_comment(in.at[set ? NFTA_SET_USERDATA : NFTA_CHAIN_USERDATA],
			    set ? NFTNL_UDATA_SET_COMMENT : NFTNL_UDATA_CHAIN_COMMENT, &len);
	return arena_strndup(arena, text ? text : "", len);
}

static int take_parts(struct defined_list *l, const struct skeleton *s, enum part_kind kind)
{
	for (size_t i = 0; i < s->parts[kind].n; i++) {
		const struct part *part = &s->parts[kind].items[i];
		struct definition d = {
			.kind = (uint8_t)part_definition(kind, part->name),
			.family = s->family,
		};

		if (d.kind == DEFINITION_COUNT)
			continue;
		d.name = arena_strdup(l->arena, part->name);
		d.comment = comment_of(part, kind, l->arena);
		if (!d.name || !d.comment || ARRAY_RESERVE(l->items, l->n, l->capacity) < 0)
			return -ENOMEM;
		l->items[l->n++] = (struct defined){ .definition = d };
	}
	return 0;
}

/* Rules --------------------------------------------------------------------------------------------- */

/* What is to be seen of a rule; texts are the skeleton's. */
struct sight {
	const char *peer, *ports, *chain;
	bool named; /* the ports */
	bool accepts, logs, strange;
	struct counter counter;
};

static struct counter counter_of(const struct attrs *in)
{
	return (struct counter){ attr_u64(in->at[NFTA_COUNTER_PACKETS]),
				 attr_u64(in->at[NFTA_COUNTER_BYTES]) };
}

static bool u32_is(const struct nlattr *attr, uint32_t value)
{
	return attr && mnl_attr_validate(attr, MNL_TYPE_U32) >= 0 &&
	       mnl_attr_get_u32(attr) == htonl(value);
}

static void see_lookup(struct sight *sight, const struct attrs *in)
{
	const char *set = attr_text(in->at[NFTA_LOOKUP_SET]);
	enum definition_kind kind = set ? definition_kind_of(set, false) : DEFINITION_COUNT;
	bool plain = !in->at[NFTA_LOOKUP_FLAGS] || u32_is(in->at[NFTA_LOOKUP_FLAGS], 0);

	if (plain && !sight->peer && (kind == DEFINITION_PODS || kind == DEFINITION_BLOCK)) {
		sight->peer = set;
	} else if (plain && !sight->ports &&
		   (kind == DEFINITION_PORTS || kind == DEFINITION_NAMED_PORTS)) {
		sight->ports = set;
		sight->named = kind == DEFINITION_NAMED_PORTS;
	} else {
		sight->strange = true;
	}
}

static void see_verdict(struct sight *sight, const struct attrs *in)
{
	struct attrs data, verdict;

	attrs_of_nest(in->at[NFTA_IMMEDIATE_DATA], &data);
	attrs_of_nest(data.at[NFTA_DATA_VERDICT], &verdict);
	sight->chain = attr_text(verdict.at[NFTA_VERDICT_CHAIN]);
	sight->accepts = u32_is(verdict.at[NFTA_VERDICT_CODE], NF_ACCEPT);
	sight->strange |= !sight->chain && !sight->accepts;
}

/* What loads a field, and what limits the log, says nothing that the rest does not. */
static bool expr_is_silent(const char *name)
{
	return strcmp(name, "payload") == 0 || strcmp(name, "meta") == 0 ||
	       strcmp(name, "byteorder") == 0 || strcmp(name, "limit") == 0;
}

static int see_expr(const struct nlattr *expr, void *userdata)
{
	struct sight *sight = userdata;
	struct attrs in, data;
	const char *name;

	attrs_of_nest(expr, &in);
	attrs_of_nest(in.at[NFTA_EXPR_DATA], &data);
	name = attr_text(in.at[NFTA_EXPR_NAME]);
	if (!name)
		sight->strange = true;
	else if (strcmp(name, "counter") == 0)
		sight->counter = counter_of(&data);
	else if (strcmp(name, "lookup") == 0)
		see_lookup(sight, &data);
	else if (strcmp(name, "immediate") == 0)
		see_verdict(sight, &data);
	else if (strcmp(name, "log") == 0)
		sight->logs = true;
	else
		sight->strange |= !expr_is_silent(name);
	return MNL_CB_OK;
}

static struct sight see_rule(const struct part *rule)
{
	struct sight sight = { 0 };
	struct attrs in;

	attrs_of_bytes(rule->attrs, rule->len, &in);
	if (in.at[NFTA_RULE_EXPRESSIONS])
		mnl_attr_parse_nested(in.at[NFTA_RULE_EXPRESSIONS], see_expr, &sight);
	return sight;
}

static bool goes_to(const struct sight *s, const char *ingress, const char *egress)
{
	return s->chain && (strcmp(s->chain, ingress) == 0 || strcmp(s->chain, egress) == 0);
}

/* Of a policy's chain. */
static enum rule_shape shape_of_permission(const struct sight *s)
{
	if (s->strange || s->logs || !goes_to(s, "ingress-accept", "egress-accept"))
		return RULE_SHAPES;
	if (!s->ports)
		return s->peer ? RULE_PEER : RULE_ANY;
	if (s->peer)
		return s->named ? RULE_PEER_NAMED_PORTS : RULE_PEER_PORTS;
	return s->named ? RULE_NAMED_PORTS : RULE_PORTS;
}

/* Of the chain of a pod's policies. */
static enum rule_shape shape_of_judgement(const struct sight *s)
{
	enum definition_kind kind = s->chain ? definition_kind_of(s->chain, true) :
					       DEFINITION_COUNT;

	if (s->strange || s->accepts || s->peer || s->ports)
		return RULE_SHAPES;
	if (s->logs)
		return s->chain ? RULE_SHAPES : RULE_LOG;
	if (kind == DEFINITION_INGRESS_POLICY || kind == DEFINITION_EGRESS_POLICY)
		return RULE_POLICY;
	if (goes_to(s, "ingress-recall", "egress-recall"))
		return RULE_RECALL;
	if (s->chain && strcmp(s->chain, CHAIN_EXCEPTIONS) == 0)
		return RULE_EXCEPTIONS;
	return s->chain && strcmp(s->chain, CHAIN_REFUSE) == 0 ? RULE_REFUSE : RULE_SHAPES;
}

static int copy_text(struct arena *arena, const char *text, const char **ret)
{
	*ret = text ? arena_strdup(arena, text) : NULL;
	return text && !*ret ? -ENOMEM : 0;
}

static int rule_take(struct arena *arena, uint8_t kind, const struct sight *s,
		     struct definition_rule *ret)
{
	bool policy = kind == DEFINITION_INGRESS_POLICY || kind == DEFINITION_EGRESS_POLICY;

	ret->shape = policy ? shape_of_permission(s) : shape_of_judgement(s);
	if (copy_text(arena, s->peer, &ret->peer) < 0 ||
	    copy_text(arena, s->ports, &ret->ports) < 0)
		return -ENOMEM;
	return ret->shape == RULE_POLICY ? copy_text(arena, s->chain, &ret->policy) : 0;
}

/* The @n rules of one chain. */
static int rules_take(struct defined_list *l, struct defined *to, const struct part *rules,
		      size_t n)
{
	struct definition_rule *taken = arena_array(l->arena, n, sizeof(*taken));
	int r = 0;

	to->counters = arena_array(l->arena, n, sizeof(*to->counters));
	if (!taken || !to->counters)
		return -ENOMEM;
	for (size_t i = 0; r == 0 && i < n; i++) {
		struct sight sight = see_rule(&rules[i]);

		to->counters[i] = sight.counter;
		r = rule_take(l->arena, to->definition.kind, &sight, &taken[i]);
	}
	to->definition.rules = taken;
	to->definition.n_rules = n;
	return r;
}

static void counters_add(struct counter *sum, const struct part *rules, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct sight sight = see_rule(&rules[i]);

		counter_add(sum, &sight.counter);
	}
}

/* The kernel tells the rules of a chain side by side. */
static size_t rules_of_chain(const struct parts *rules, size_t first)
{
	size_t i = first + 1;

	while (i < rules->n && strcmp(rules->items[i].name, rules->items[first].name) == 0)
		i++;
	return i - first;
}

static int take_rules(struct defined_list *l, const struct skeleton *s)
{
	const struct parts *rules = &s->parts[PART_RULE];
	int r = 0;

	for (size_t i = 0, n; r == 0 && i < rules->n; i += n) {
		const struct part *first = &rules->items[i];
		enum definition_kind kind = part_definition(PART_RULE, first->name);
		struct defined *to = find(l, kind, s->family, first->name);

		n = rules_of_chain(rules, i);
		if (to)
			r = rules_take(l, to, first, n);
		else if (strcmp(first->name, CHAIN_EXCEPTIONS) == 0)
			counters_add(&l->invalid, first, n);
		else if (strcmp(first->name, CHAIN_REFUSE_UNKNOWN) == 0)
			counters_add(&l->unknown, first, n);
	}
	return r;
}

int defined_take(struct defined_list *l, const struct skeleton *s)
{
	int r = take_parts(l, s, PART_SET);

	if (r == 0)
		r = take_parts(l, s, PART_CHAIN);
	array_sort(l->items, l->n, sizeof(l->items[0]), defined_cmp);
	return r == 0 ? take_rules(l, s) : r;
}

int defined_read(struct defined_list *l, struct netlink *nl, uint8_t family, const char *table,
		 struct error *err)
{
	_cleanup_(skeleton_freep) struct skeleton *s = NULL;
	int r = skeleton_read(nl, family, table, &s, err);

	if (r < 0)
		return r;
	r = defined_take(l, s);
	return r < 0 ? error_set(err, r, "out of memory") : 0;
}
