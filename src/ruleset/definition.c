#include "ruleset/definition.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"

static const struct kind {
	const char *word;
	const char *prefix; /* of names; behind it an id, or a policy's name */
} kinds[DEFINITION_COUNT] = {
	[DEFINITION_PODS] = { "pods", "pods-" },
	[DEFINITION_BLOCK] = { "block", "block-" },
	[DEFINITION_PORTS] = { "ports", "ports-" },
	[DEFINITION_NAMED_PORTS] = { "named-ports", "named-ports-" },
	[DEFINITION_INGRESS_POLICY] = { "ingress-policy", "ingress/" },
	[DEFINITION_EGRESS_POLICY] = { "egress-policy", "egress/" },
	[DEFINITION_INGRESS] = { "ingress", "ingress-" },
	[DEFINITION_EGRESS] = { "egress", "egress-" },
};

static const char *const shape_words[RULE_SHAPES] = {
	[RULE_ANY] = "any",
	[RULE_PEER] = "peer",
	[RULE_PORTS] = "ports",
	[RULE_PEER_PORTS] = "peer-ports",
	[RULE_NAMED_PORTS] = "named-ports",
	[RULE_PEER_NAMED_PORTS] = "peer-named-ports",
	[RULE_RECALL] = "recall",
	[RULE_POLICY] = "policy",
	[RULE_EXCEPTIONS] = "exceptions",
	[RULE_LOG] = "log",
	[RULE_REFUSE] = "refuse",
};

#define PATTERN(name) "pattern-" name
#define PATTERN_POLICY_RULES                                                                      \
	{ .shape = RULE_ANY }, { .shape = RULE_PEER, .peer = PATTERN("pods") },                   \
		{ .shape = RULE_PORTS, .ports = PATTERN("ports") },                               \
		{ .shape = RULE_PEER_PORTS, .peer = PATTERN("pods"), .ports = PATTERN("ports") }, \
		{ .shape = RULE_NAMED_PORTS, .ports = PATTERN("named-ports") },                   \
	{                                                                                         \
		.shape = RULE_PEER_NAMED_PORTS, .peer = PATTERN("pods"),                          \
		.ports = PATTERN("named-ports")                                                   \
	}
#define PATTERN_POD_RULES(policy_)                                               \
	{ .shape = RULE_RECALL }, { .shape = RULE_POLICY, .policy = (policy_) }, \
		{ .shape = RULE_EXCEPTIONS }, { .shape = RULE_LOG },             \
	{                                                                        \
		.shape = RULE_REFUSE                                             \
	}

static const struct definition_rule policy_rules[] = { PATTERN_POLICY_RULES };
static const struct definition_rule ingress_rules[] = { PATTERN_POD_RULES(
	PATTERN("ingress-policy")) };
static const struct definition_rule egress_rules[] = { PATTERN_POD_RULES(
	PATTERN("egress-policy")) };

#define PATTERN_OF(kind_, name_) \
	.kind = (kind_), .name = PATTERN(name_), .comment = "pattern", .log_prefix = "pattern"
#define RULES_OF(rules_) .rules = (rules_), .n_rules = ARRAY_SIZE(rules_)

static const struct definition patterns[DEFINITION_COUNT] = {
	[DEFINITION_PODS] = { PATTERN_OF(DEFINITION_PODS, "pods") },
	[DEFINITION_BLOCK] = { PATTERN_OF(DEFINITION_BLOCK, "block") },
	[DEFINITION_PORTS] = { PATTERN_OF(DEFINITION_PORTS, "ports") },
	[DEFINITION_NAMED_PORTS] = { PATTERN_OF(DEFINITION_NAMED_PORTS, "named-ports") },
	[DEFINITION_INGRESS_POLICY] = { PATTERN_OF(DEFINITION_INGRESS_POLICY, "ingress-policy"),
					RULES_OF(policy_rules) },
	[DEFINITION_EGRESS_POLICY] = { PATTERN_OF(DEFINITION_EGRESS_POLICY, "egress-policy"),
				       RULES_OF(policy_rules) },
	[DEFINITION_INGRESS] = { PATTERN_OF(DEFINITION_INGRESS, "ingress"),
				 RULES_OF(ingress_rules) },
	[DEFINITION_EGRESS] = { PATTERN_OF(DEFINITION_EGRESS, "egress"), RULES_OF(egress_rules) },
};

const struct definition *definition_pattern(enum definition_kind kind)
{
	return &patterns[kind];
}

int definition_cmp(const struct definition *a, const struct definition *b)
{
	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	if (a->family != b->family)
		return a->family < b->family ? -1 : 1;
	return strcmp(a->name, b->name);
}

static bool text_same(const char *a, const char *b)
{
	return strcmp(a ? a : "", b ? b : "") == 0;
}

static bool rule_same(const struct definition_rule *a, const struct definition_rule *b)
{
	return a->shape == b->shape && text_same(a->peer, b->peer) &&
	       text_same(a->ports, b->ports) && text_same(a->policy, b->policy);
}

bool definition_same(const struct definition *a, const struct definition *b)
{
	if (a->n_rules != b->n_rules || !text_same(a->comment, b->comment) ||
	    !text_same(a->log_prefix, b->log_prefix))
		return false;
	for (size_t i = 0; i < a->n_rules; i++)
		if (!rule_same(&a->rules[i], &b->rules[i]))
			return false;
	return true;
}

bool definition_is_chain(const struct definition *d)
{
	return d->kind >= DEFINITION_FIRST_CHAIN;
}

enum set_id definition_set(enum definition_kind kind)
{
	return (enum set_id)(SET_PODS + kind);
}

_Static_assert(SET_NAMED_PORTS - SET_PODS == DEFINITION_NAMED_PORTS,
	       "dynamic sets and their definitions have one order");

const char *definition_word(enum definition_kind kind)
{
	return kinds[kind].word;
}

const char *rule_shape_word(enum rule_shape shape)
{
	return shape_words[shape];
}

enum rule_shape definition_first_shape(enum definition_kind kind)
{
	return kind < DEFINITION_INGRESS ? RULE_ANY : RULE_RECALL;
}

const char *definition_name(enum definition_kind kind, const struct content_id *id,
			    char text[static DEFINITION_NAME_BYTES])
{
	char hex[CONTENT_ID_TEXT];

	snprintf(text, DEFINITION_NAME_BYTES, "%s%s", kinds[kind].prefix,
		 content_id_format(id, hex));
	return text;
}

/* What the API server lets into a name: RFC 1123. */
static bool name_is_plain(const char *name)
{
	return *name && !name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789.-")];
}

/* Of both names: the byte between them is in neither. */
static struct content_id names_id(const char *namespace, const char *name)
{
	char both[2 * DEFINITION_NAME_BYTES];

	snprintf(both, sizeof(both), "%s\n%s", namespace, name);
	return content_id_of(both, strlen(both));
}

const char *definition_policy_name(enum definition_kind kind, const char *namespace,
				   const char *name, char text[static DEFINITION_NAME_BYTES])
{
	int len = snprintf(text, DEFINITION_NAME_BYTES, "%s%s/%s", kinds[kind].prefix, namespace,
			   name);
	char hex[CONTENT_ID_TEXT];
	struct content_id id;

	if (len < DEFINITION_NAME_BYTES && name_is_plain(namespace) && name_is_plain(name))
		return text;
	id = names_id(namespace, name);
	snprintf(text, DEFINITION_NAME_BYTES, "%s%s", kinds[kind].prefix,
		 content_id_format(&id, hex));
	return text;
}

enum definition_kind definition_kind_of(const char *name, bool is_chain)
{
	struct content_id id;

	for (unsigned k = 0; k < DEFINITION_COUNT; k++) {
		size_t len = strlen(kinds[k].prefix);

		if ((k >= DEFINITION_FIRST_CHAIN) != is_chain)
			continue;
		if (strcmp(name, patterns[k].name) == 0)
			return (enum definition_kind)k;
		if (strncmp(name, kinds[k].prefix, len) == 0 &&
		    (kinds[k].prefix[len - 1] == '/' || content_id_parse(name + len, &id)))
			return (enum definition_kind)k;
	}
	return DEFINITION_COUNT;
}

bool definition_id(const struct definition *d, struct content_id *ret)
{
	size_t len = strlen(kinds[d->kind].prefix);

	return strlen(d->name) > len && content_id_parse(d->name + len, ret);
}
