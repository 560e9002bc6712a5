#include <ctype.h>
#include <errno.h>

#include "base/arena.h"
#include "base/error.h"
#include "object/decode-kinds.h"
#include "object/field.h"

enum {
	POLICY_MAX_TYPES = 16,
	TYPE_NONE = 0,
	TYPE_INGRESS = 1,
	TYPE_EGRESS = 2,
};

static const struct enum_value policy_types[] = {
	{ "Ingress", TYPE_INGRESS },
	{ "Egress", TYPE_EGRESS },
	{ NULL, 0 },
};

/* An except is a strict subset of its block: anything else is a mistake worth refusing. */
static void excepts_decode(const struct field *block, struct policy_peer *peer)
{
	struct field list = field_member(block, "except");

	peer->excepts = field_list(list, POLICY_MAX_EXCEPTS, sizeof(*peer->excepts),
				   field_read_prefix, &peer->n_excepts);
	for (size_t i = 0; i < peer->n_excepts; i++) {
		const struct prefix *except = &peer->excepts[i];
		char text[PREFIX_TEXT_MAX];

		if (except->len <= peer->block.len || !prefix_contains(&peer->block, &except->addr))
			field_refuse(field_item(&list, i), -EINVAL, "%s is not inside of the cidr",
				     prefix_format(except, text));
	}
}

static void block_decode(const struct field *block, struct policy_peer *peer)
{
	struct field cidr = field_member(block, "cidr");

	peer->is_block = true;
	field_require(cidr);
	peer->block = field_prefix(cidr);
	excepts_decode(block, peer);
}

/* NULL when absent, which is not the same as empty. */
static const struct selector *selector_read(struct field f)
{
	struct selector *s;

	if (!f.value)
		return NULL;
	s = arena_alloc(f.decoder->arena, sizeof(*s));
	if (decoder_out_of_memory(f.decoder, s))
		return NULL;
	*s = field_selector(f);
	return s;
}

static bool peer_read(const struct field *item, void *ret)
{
	struct policy_peer *peer = ret;
	struct field block = field_member(item, "ipBlock");

	peer->pods = selector_read(field_member(item, "podSelector"));
	peer->namespaces = selector_read(field_member(item, "namespaceSelector"));
	if (block.value && (peer->pods || peer->namespaces))
		field_refuse(*item, -EINVAL, "has an ipBlock and a selector");
	else if (block.value)
		block_decode(&block, peer);
	else if (!peer->pods && !peer->namespaces)
		field_refuse(*item, -EINVAL, "has neither an ipBlock nor a selector");
	return true;
}

/* A port's name holds a letter: "80" in quotes is a mistake that would match nothing. */
static void port_name_read(struct field f, struct policy_port *p)
{
	const char *c;

	p->kind = POLICY_PORT_NAME;
	p->name = field_name(f);
	for (c = p->name; *c && !isalpha((unsigned char)*c); c++)
		;
	if (!*c)
		field_refuse(f, -EINVAL, "\"%.64s\" is not the name of a port", p->name);
}

static void port_number_read(struct field port, struct field end, struct policy_port *p)
{
	p->kind = POLICY_PORT_NUMBER;
	p->port = field_port(port);
	p->end_port = end.value ? field_port(end) : p->port;
	if (p->end_port < p->port)
		field_refuse(end, -EINVAL, "%u is below port %u", p->end_port, p->port);
}

static bool port_read(const struct field *item, void *ret)
{
	struct policy_port *p = ret;
	struct field port = field_member(item, "port");
	struct field end = field_member(item, "endPort");

	p->protocol = field_protocol(field_member(item, "protocol"));
	if (!port.value)
		p->kind = POLICY_PORT_ANY;
	else if (json_is_string(port.value))
		port_name_read(port, p);
	else
		port_number_read(port, end, p);
	if (end.value && p->kind != POLICY_PORT_NUMBER)
		field_refuse(end, -EINVAL, "belongs to a port with a number");
	return true;
}

static void rule_decode(const struct field *item, const char *peers, struct policy_rule *rule)
{
	rule->peers = field_list(field_member(item, peers), POLICY_MAX_PEERS, sizeof(*rule->peers),
				 peer_read, &rule->n_peers);
	rule->ports = field_list(field_member(item, "ports"), POLICY_MAX_PORTS,
				 sizeof(*rule->ports), port_read, &rule->n_ports);
}

static bool ingress_rule_read(const struct field *item, void *ret)
{
	rule_decode(item, "from", ret);
	return true;
}

static bool egress_rule_read(const struct field *item, void *ret)
{
	rule_decode(item, "to", ret);
	return true;
}

/* Without policyTypes a policy is for ingress, and for egress when it has a rule for it. */
static void types_decode(const struct field *spec, struct network_policy *p)
{
	struct field list = field_member(spec, "policyTypes");
	size_t n = field_count(list, POLICY_MAX_TYPES);

	p->ingress = n == 0;
	p->egress = n == 0 && field_count(field_member(spec, "egress"), SIZE_MAX) > 0;
	for (size_t i = 0; i < n; i++) {
		int type = field_enum(field_item(&list, i), policy_types, TYPE_NONE);

		p->ingress |= type == TYPE_INGRESS;
		p->egress |= type == TYPE_EGRESS;
	}
}

/* Whether something was refused since the last call. A policy that is not understood must not be taken for
 * one that is not there: what it would open stays closed. */
static bool policy_is_wrong(struct decoder *d, struct network_policy *p)
{
	if (!d->error || d->error == -ENOMEM)
		return false;
	if (!p->problem) {
		const char *why = arena_strdup(d->arena, d->err->message);

		d->error = 0;
		if (decoder_out_of_memory(d, why))
			return false;
		p->problem = why;
	}
	d->error = 0;
	*d->err = (struct error){ 0 };
	return true;
}

static void rules_decode(const struct field *spec, struct network_policy *p)
{
	p->ingress_rules = field_list(field_member(spec, "ingress"), POLICY_MAX_RULES,
				      sizeof(*p->ingress_rules), ingress_rule_read,
				      &p->n_ingress_rules);
	p->egress_rules = field_list(field_member(spec, "egress"), POLICY_MAX_RULES,
				     sizeof(*p->egress_rules), egress_rule_read,
				     &p->n_egress_rules);
}

void network_policy_decode(const struct field *root, struct object *o)
{
	struct network_policy *p = (struct network_policy *)o;
	struct field spec = field_member(root, "spec");
	struct decoder *d = root->decoder;
	struct error *err = d->err, why = { 0 };

	d->err = &why;
	p->pods = field_selector(field_member(&spec, "podSelector"));
	if (policy_is_wrong(d, p))
		p->pods = (struct selector){ 0 };
	types_decode(&spec, p);
	if (policy_is_wrong(d, p))
		p->ingress = p->egress = true;
	rules_decode(&spec, p);
	policy_is_wrong(d, p);
	if (p->problem) {
		p->n_ingress_rules = 0;
		p->n_egress_rules = 0;
	}
	d->err = err;
	if (d->error)
		error_set(err, d->error, "%s", why.message);
}
