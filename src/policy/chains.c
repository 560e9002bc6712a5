#include "policy/chains.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/array.h"
#include "base/error.h"
#include "policy/references.h"
#include "ruleset/ruleset.h"

static const enum definition_kind policy_kinds[DIRECTIONS] = {
	[INGRESS] = DEFINITION_INGRESS_POLICY,
	[EGRESS] = DEFINITION_EGRESS_POLICY,
};

static const struct selector everything;

struct rules {
	struct definition_rule *items;
	size_t n, capacity;
};

/* One chain of each family, while its rules are made. */
struct building {
	struct policies *p;
	struct policy_state *st;
	enum direction direction;
	struct block *block;
	struct rules rules[2]; /* IPv4, IPv6 */
	/* Of the rule that is looked at; NULL: it has none. */
	const char *ports;
	struct port_name *names;
	size_t n_names;
	struct error *err;
};

static void building_free(struct building *b)
{
	free(b->rules[0].items);
	free(b->rules[1].items);
}

static size_t family_slot(uint8_t family)
{
	return family == AF_INET ? 0 : 1;
}

static int add_rule(struct building *b, uint8_t family, enum rule_shape shape, const char *peer,
		    const char *ports)
{
	struct rules *rules = &b->rules[family_slot(family)];

	if (rules->n == POLICY_MAX_CHAIN_RULES)
		return error_set(b->err, -E2BIG, "it would need more than %d rules",
				 POLICY_MAX_CHAIN_RULES);
	if (ARRAY_RESERVE(rules->items, rules->n, rules->capacity) < 0)
		return -ENOMEM;
	rules->items[rules->n++] = (struct definition_rule){
		.shape = shape,
		.peer = peer,
		.ports = ports,
	};
	return 0;
}

static int keep_name(struct building *b, const char *name, const char **ret)
{
	*ret = arena_strdup(b->block->arena, name);
	return *ret ? 0 : -ENOMEM;
}

/* Who has the named ports: on the way in, the pods of the policy; on the way out, the peers. */
static int named_ports_of(struct building *b, const struct selection_spec *peers, const char **ret)
{
	struct selection_spec spec = peers ? *peers : (struct selection_spec){ .local = false };
	char name[DEFINITION_NAME_BYTES];
	int r;

	if (b->direction == INGRESS)
		spec = (struct selection_spec){ .local = true,
						.namespace = b->st->namespace,
						.pods = &b->st->object->pods };
	spec.kind = SELECTION_NAMED_PORTS;
	spec.names = b->names;
	spec.n_names = b->n_names;
	r = references_add_selection(b->p, &b->st->references, &spec, name);
	return r < 0 ? r : keep_name(b, name, ret);
}

/* Rules for one set of peers (NULL: anybody) in one family. @spec: what pods they are; NULL: addresses. */
static int add_peer(struct building *b, uint8_t family, const char *peer,
		    const struct selection_spec *spec)
{
	bool implied = b->direction == EGRESS && spec; /* named ports are the peers' own */
	const char *named;
	int r = 0;

	if (!b->ports && b->n_names == 0)
		return add_rule(b, family, peer ? RULE_PEER : RULE_ANY, peer, NULL);
	if (b->ports)
		r = add_rule(b, family, peer ? RULE_PEER_PORTS : RULE_PORTS, peer, b->ports);
	if (r < 0 || b->n_names == 0)
		return r;
	r = named_ports_of(b, spec, &named);
	if (r < 0)
		return r;
	return peer && !implied ? add_rule(b, family, RULE_PEER_NAMED_PORTS, peer, named) :
				  add_rule(b, family, RULE_NAMED_PORTS, NULL, named);
}

/* On the way out, a set of named ports has the peers' addresses in it. */
static bool peers_are_implied(const struct building *b)
{
	return b->direction == EGRESS && b->n_names > 0 && !b->ports;
}

static int add_pods(struct building *b, const struct policy_peer *peer)
{
	const struct selection_spec spec = {
		.kind = SELECTION_PODS,
		.namespace = peer->namespaces ? NULL : b->st->namespace,
		.namespaces = peer->namespaces,
		.pods = peer->pods ? peer->pods : &everything,
	};
	char text[DEFINITION_NAME_BYTES];
	const char *name = NULL;
	uint8_t family;
	int r = 0;

	if (!peers_are_implied(b))
		r = references_add_selection(b->p, &b->st->references, &spec, text);
	if (r == 0 && !peers_are_implied(b))
		r = keep_name(b, text, &name);
	for (size_t i = 0; r == 0 && policies_family(b->p, i, &family); i++)
		r = add_peer(b, family, name, &spec);
	return r;
}

static int block_ranges(const struct policy_peer *peer, struct ranges *all)
{
	const struct addr_range whole = prefix_range(&peer->block);
	_cleanup_ranges_ struct ranges holes = { 0 };
	int r = 0;

	for (size_t i = 0; r == 0 && i < peer->n_excepts; i++) {
		const struct addr_range hole = prefix_range(&peer->excepts[i]);

		r = ranges_add(&holes, &hole);
	}
	ranges_settle(&holes);
	return r < 0 ? r : ranges_add_without(all, &whole, &holes);
}

/* All ipBlocks of the rule in one set: an exception is one of its own block only. */
static int add_blocks(struct building *b, const struct policy_rule *rule, uint8_t family)
{
	_cleanup_ranges_ struct ranges all = { 0 };
	char text[DEFINITION_NAME_BYTES];
	const char *name;
	int r = 0;

	for (size_t i = 0; r == 0 && i < rule->n_peers; i++) {
		const struct policy_peer *peer = &rule->peers[i];

		if (peer->is_block && peer->block.addr.family == family)
			r = block_ranges(peer, &all);
	}
	if (r < 0 || all.n == 0)
		return r;
	ranges_settle(&all);
	if (all.n > POLICY_MAX_RANGES)
		return error_set(b->err, -E2BIG, "its ipBlocks are more than %d ranges",
				 POLICY_MAX_RANGES);
	r = references_add_block(b->p, &b->st->references, &all, text);
	if (r == 0)
		r = keep_name(b, text, &name);
	return r < 0 ? r : add_peer(b, family, name, NULL);
}

static int name_cmp(const void *a, const void *b)
{
	const struct port_name *x = a, *y = b;

	if (x->protocol != y->protocol)
		return x->protocol < y->protocol ? -1 : 1;
	return strcmp(x->name, y->name);
}

/* Numbers go into a set of ports; names are left in @b. */
static int read_ports(struct building *b, const struct policy_rule *rule)
{
	struct port_span *spans = arena_array(b->block->arena, rule->n_ports + 1, sizeof(*spans));
	char text[DEFINITION_NAME_BYTES];
	size_t n = 0;
	int r;

	b->ports = NULL;
	b->n_names = 0;
	b->names = arena_array(b->block->arena, rule->n_ports + 1, sizeof(*b->names));
	if (!spans || !b->names)
		return -ENOMEM;
	for (size_t i = 0; i < rule->n_ports; i++) {
		const struct policy_port *port = &rule->ports[i];
		bool any = port->kind == POLICY_PORT_ANY;

		if (port->kind == POLICY_PORT_NAME)
			b->names[b->n_names++] = (struct port_name){ port->name, port->protocol };
		else
			spans[n++] = (struct port_span){ (uint16_t)port->protocol,
							 any ? 0 : port->port,
							 any ? UINT16_MAX : port->end_port };
	}
	b->n_names = array_unique(b->names, b->n_names, sizeof(*b->names), name_cmp);
	if (n == 0)
		return 0;
	r = references_add_ports(b->p, &b->st->references, spans, port_spans_settle(spans, n),
				 text);
	return r < 0 ? r : keep_name(b, text, &b->ports);
}

static int add_policy_rule(struct building *b, const struct policy_rule *rule)
{
	uint8_t family;
	int r = read_ports(b, rule);

	for (size_t i = 0; r == 0 && policies_family(b->p, i, &family); i++)
		r = rule->n_peers == 0 ? add_peer(b, family, NULL, NULL) :
					 add_blocks(b, rule, family);
	for (size_t i = 0; r == 0 && i < rule->n_peers; i++)
		if (!rule->peers[i].is_block)
			r = add_pods(b, &rule->peers[i]);
	return r;
}

const char *chain_name(const struct policy_state *st, enum direction direction,
		       char text[static DEFINITION_NAME_BYTES])
{
	return definition_policy_name(policy_kinds[direction], st->namespace, st->name, text);
}

/* @rules NULL: none. */
static int define_chain(struct block *block, const struct policy_state *st,
			enum direction direction, uint8_t family, const struct rules *rules)
{
	struct definition *d = block_define(block);
	char text[DEFINITION_NAME_BYTES];
	struct definition_rule *copy;

	if (!d)
		return -ENOMEM;
	d->kind = (uint8_t)policy_kinds[direction];
	d->family = family;
	d->name = arena_strdup(block->arena, chain_name(st, direction, text));
	d->comment = block_comment(block, st->closed ? DEFINITION_CLOSED_COMMENT :
						       "what the policy allows");
	if (!d->name || !d->comment)
		return -ENOMEM;
	if (!rules || rules->n == 0)
		return 0;
	copy = arena_array(block->arena, rules->n, sizeof(*copy));
	if (!copy)
		return -ENOMEM;
	memcpy(copy, rules->items, rules->n * sizeof(*copy));
	d->rules = copy;
	d->n_rules = rules->n;
	return 0;
}

static int build_direction(struct building *b)
{
	const struct network_policy *o = b->st->object;
	const struct policy_rule *rules = b->direction == INGRESS ? o->ingress_rules :
								    o->egress_rules;
	size_t n = b->direction == INGRESS ? o->n_ingress_rules : o->n_egress_rules;
	uint8_t family;
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++)
		r = add_policy_rule(b, &rules[i]);
	for (size_t i = 0; r == 0 && policies_family(b->p, i, &family); i++)
		r = define_chain(b->block, b->st, b->direction, family,
				 &b->rules[family_slot(family)]);
	return r;
}

int chains_build(struct policies *p, struct policy_state *st, struct block **ret, struct error *err)
{
	_cleanup_(block_freep) struct block *block = NULL;
	int r = block_new(0, &block);

	for (enum direction d = INGRESS; r == 0 && d < DIRECTIONS; d++) {
		struct building b = {
			.p = p, .st = st, .direction = d, .block = block, .err = err
		};

		if (st->isolates[d])
			r = build_direction(&b);
		building_free(&b);
	}
	if (r == 0)
		*ret = TAKE_PTR(block);
	return r;
}

int chains_build_closed(struct policies *p, const struct policy_state *st, struct block **ret)
{
	_cleanup_(block_freep) struct block *block = NULL;
	int r = block_new(0, &block);
	uint8_t family;

	for (enum direction d = INGRESS; r == 0 && d < DIRECTIONS; d++)
		for (size_t i = 0; st->isolates[d] && r == 0 && policies_family(p, i, &family); i++)
			r = define_chain(block, st, d, family, NULL);
	if (r == 0)
		*ret = TAKE_PTR(block);
	return r;
}
