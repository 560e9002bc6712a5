/* Policies and isolations, from the chains that the kernel has. */
#include <errno.h>
#include <string.h>

#include "base/arena.h"
#include "base/array.h"
#include "firewall/internal.h"
#include "kernel/defined.h"

/* Policies ------------------------------------------------------------------------------------------ */

static bool kind_is_policy(uint8_t kind)
{
	return kind == DEFINITION_INGRESS_POLICY || kind == DEFINITION_EGRESS_POLICY;
}

static enum firewall_direction direction_of(uint8_t kind)
{
	return kind == DEFINITION_INGRESS_POLICY || kind == DEFINITION_INGRESS ? FIREWALL_INGRESS :
										 FIREWALL_EGRESS;
}

/* "ingress/shop/web" is of shop/web. */
static int policy_name(struct building *b, const char *chain, struct traffic_name *ret)
{
	const char *slash = strchr(chain, '/');

	return traffic_name_parse(slash ? slash + 1 : chain, b->f->arena, ret);
}

static int policy_cmp(const void *a, const void *b)
{
	const struct firewall_policy *x = a, *y = b;

	return traffic_name_cmp(&x->name, &y->name);
}

static int policies_list(struct building *b)
{
	struct firewall *f = b->f;
	int r = 0;

	f->policies = arena_array(f->arena, b->definitions->n, sizeof(*f->policies));
	if (!f->policies)
		return -ENOMEM;
	for (size_t i = 0; r == 0 && i < b->definitions->n; i++) {
		const struct definition *d = &b->definitions->items[i].definition;

		if (!kind_is_policy(d->kind))
			continue;
		f->policies[f->n_policies].shown = true;
		r = policy_name(b, d->name, &f->policies[f->n_policies++].name);
	}
	f->n_policies = array_unique(f->policies, f->n_policies, sizeof(f->policies[0]),
				     policy_cmp);
	return r;
}

static int policy_find(struct building *b, const char *chain, struct firewall_policy **ret)
{
	struct firewall_policy key = { 0 };
	int r = policy_name(b, chain, &key.name);

	if (r == 0)
		*ret = array_find(&key, b->f->policies, b->f->n_policies, sizeof(key), policy_cmp);
	return r;
}

static bool same_text(const char *a, const char *b)
{
	return strcmp(a ? a : "", b ? b : "") == 0;
}

/* The other family's chain has the same rule, as a rule at the same place. */
static struct firewall_rule *rule_find(struct firewall_side *side, size_t hint,
				       const struct definition_rule *rule)
{
	for (size_t i = 0; i < side->n; i++) {
		struct firewall_rule *have = &side->rules[(hint + i) % side->n];

		if (!have->strange && same_text(have->peer, rule->peer) &&
		    same_text(have->port_set, rule->ports))
			return have;
	}
	return NULL;
}

static int rule_take_words(struct building *b, enum firewall_direction direction,
			   const struct definition_rule *from, struct firewall_rule *to)
{
	bool implied = direction == FIREWALL_EGRESS && from->shape == RULE_NAMED_PORTS;
	int r = 0;

	to->peers.any = !from->peer && !implied;
	to->ports.any = !from->ports;
	if (from->peer)
		r = words_of_set(&b->words, from->peer, &to->peers);
	if (r == 0 && from->ports)
		r = words_of_set(&b->words, from->ports, &to->ports);
	if (r == 0 && implied)
		r = words_of_owners(&b->words, from->ports, &to->peers);
	return r;
}

static int side_take_rule(struct building *b, enum firewall_direction direction,
			  struct firewall_side *side, const struct defined *from, size_t i)
{
	const struct definition_rule *rule = &from->definition.rules[i];
	bool strange = rule->shape == RULE_SHAPES;
	struct firewall_rule *to = strange ? NULL : rule_find(side, i, rule);
	int r = 0;

	if (!to) {
		to = &side->rules[side->n++];
		*to = (struct firewall_rule){ .strange = strange };
		to->peer = rule->peer;
		to->port_set = rule->ports;
		r = strange ? 0 : rule_take_words(b, direction, rule, to);
		b->f->strange += strange;
	}
	counter_add(&to->allowed, &from->counters[i]);
	return r;
}

/* The rules of both families, one behind the other, those that are the same as one. */
static int side_take(struct building *b, struct firewall_policy *policy, const struct defined *from)
{
	enum firewall_direction direction = direction_of(from->definition.kind);
	struct firewall_side *side = &policy->sides[direction];
	struct firewall_rule *rules = arena_array(b->f->arena, side->n + from->definition.n_rules,
						  sizeof(*rules));
	int r = 0;

	if (!rules)
		return -ENOMEM;
	if (side->n > 0)
		memcpy(rules, side->rules, side->n * sizeof(*rules));
	side->rules = rules;
	side->isolates = true;
	side->closed |= strcmp(from->definition.comment, DEFINITION_CLOSED_COMMENT) == 0;
	for (size_t i = 0; r == 0 && i < from->definition.n_rules; i++)
		r = side_take_rule(b, direction, side, from, i);
	return r;
}

int policies_build(struct building *b)
{
	int r = policies_list(b);

	for (size_t i = 0; r == 0 && i < b->definitions->n; i++) {
		const struct defined *from = &b->definitions->items[i];
		struct firewall_policy *policy = NULL;

		if (!kind_is_policy(from->definition.kind))
			continue;
		r = policy_find(b, from->definition.name, &policy);
		if (r == 0 && policy)
			r = side_take(b, policy, from);
	}
	return r;
}

/* Isolations ---------------------------------------------------------------------------------------- */

int isolation_cmp(const void *a, const void *b)
{
	const struct firewall_isolation *x = a, *y = b;

	if (x->direction != y->direction)
		return x->direction < y->direction ? -1 : 1;
	return content_id_cmp(&x->id, &y->id);
}

static bool isolation_key(const struct definition *d, struct firewall_isolation *ret)
{
	*ret = (struct firewall_isolation){ .direction = direction_of(d->kind) };
	return (d->kind == DEFINITION_INGRESS || d->kind == DEFINITION_EGRESS) &&
	       definition_id(d, &ret->id);
}

/* Of the chain of one family: which policies it asks, if that is not known yet, and what it refused. */
static int isolation_take(struct building *b, struct firewall_isolation *to,
			  const struct defined *from)
{
	bool new = !to->policies;
	int r = 0;

	if (new)
		to->policies = arena_array(b->f->arena, from->definition.n_rules + 1,
					   sizeof(struct firewall_policy *));
	if (!to->policies)
		return -ENOMEM;
	for (size_t i = 0; r == 0 && i < from->definition.n_rules; i++) {
		const struct definition_rule *rule = &from->definition.rules[i];
		struct firewall_policy *policy = NULL;

		b->f->strange += rule->shape == RULE_SHAPES;
		if (rule->shape == RULE_LOG)
			counter_add(&to->refused, &from->counters[i]);
		if (!new || rule->shape != RULE_POLICY)
			continue;
		r = policy_find(b, rule->policy, &policy);
		if (policy)
			to->policies[to->n++] = policy;
	}
	return r;
}

/* What is refused in the name of several policies is counted at each. */
static void isolations_count(struct firewall *f)
{
	for (size_t i = 0; i < f->n_isolations; i++) {
		const struct firewall_isolation *isolation = &f->isolations[i];

		for (size_t j = 0; j < isolation->n; j++)
			counter_add(&isolation->policies[j]->sides[isolation->direction].refused,
				    &isolation->refused);
	}
}

int isolations_build(struct building *b)
{
	const struct defined_list *l = b->definitions;
	struct firewall *f = b->f;
	struct firewall_isolation key, *to;
	int r = 0;

	f->isolations = arena_array(f->arena, l->n, sizeof(*f->isolations));
	if (!f->isolations)
		return -ENOMEM;
	for (size_t i = 0; i < l->n; i++)
		if (isolation_key(&l->items[i].definition, &key))
			f->isolations[f->n_isolations++] = key;
	f->n_isolations = array_unique(f->isolations, f->n_isolations, sizeof(f->isolations[0]),
				       isolation_cmp);
	for (size_t i = 0; r == 0 && i < l->n; i++) {
		if (!isolation_key(&l->items[i].definition, &key))
			continue;
		to = array_find(&key, f->isolations, f->n_isolations, sizeof(key), isolation_cmp);
		r = isolation_take(b, to, &l->items[i]);
	}
	isolations_count(f);
	return r;
}
