/* definition.h - sets and chains that come and go with the cluster: all there is of one but its elements.
 *
 * The template has a pattern of each kind ("%define pods"), and in a chain's pattern a rule of each
 * shape ("%rule peer-ports"). A definition names what stands in their places. docs/ruleset.md says
 * what each is for.
 */
#ifndef KUBE_NFT_RULESET_DEFINITION_H
#define KUBE_NFT_RULESET_DEFINITION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ruleset/content-id.h"
#include "ruleset/element.h"

/* In the order in which they must be made: each refers to earlier ones only. */
enum definition_kind {
	DEFINITION_PODS,           /* set pods-ID */
	DEFINITION_BLOCK,          /* set block-ID */
	DEFINITION_PORTS,          /* set ports-ID */
	DEFINITION_NAMED_PORTS,    /* set named-ports-ID */
	DEFINITION_INGRESS_POLICY, /* chain ingress/NAMESPACE/NAME */
	DEFINITION_EGRESS_POLICY,  /* chain egress/NAMESPACE/NAME */
	DEFINITION_INGRESS,        /* chain ingress-ID: the policies of a pod */
	DEFINITION_EGRESS,         /* chain egress-ID */
	DEFINITION_COUNT,
};
#define DEFINITION_FIRST_CHAIN DEFINITION_INGRESS_POLICY

/* The shapes of rules, in the order in which they stand in the template. */
enum rule_shape {
	/* What a policy allows. */
	RULE_ANY,
	RULE_PEER,
	RULE_PORTS,
	RULE_PEER_PORTS,
	RULE_NAMED_PORTS,
	RULE_PEER_NAMED_PORTS,
	/* What a pod's policies do. */
	RULE_RECALL,
	RULE_POLICY,
	RULE_EXCEPTIONS,
	RULE_LOG,
	RULE_REFUSE,
	RULE_SHAPES,
};

enum definition_limit {
	DEFINITION_NAME_BYTES = 256, /* with the zero; the kernel's own limit */
	LOG_PREFIX_BYTES = 128,      /* with the zero; the kernel's own limit */
};

struct definition_rule {
	enum rule_shape shape;
	const char *peer;   /* a set of addresses */
	const char *ports;  /* a set of ports, or of named ports */
	const char *policy; /* a policy's chain */
};

/* The comment of the chain of a policy that could not be rendered. */
#define DEFINITION_CLOSED_COMMENT "it could not be rendered: it allows nothing"

/* Texts are owned by the block and safe: see comment_from(). */
struct definition {
	uint8_t kind; /* enum definition_kind */
	uint8_t family;
	const char *name;
	const char *comment;
	const char *log_prefix; /* of a pod's policies */
	const struct definition_rule *rules;
	size_t n_rules;
};

/* Order: kind, family, name. 0 means the same set or chain. */
int definition_cmp(const struct definition *a, const struct definition *b);
/* Whether there is no difference, the names being the same. */
bool definition_same(const struct definition *a, const struct definition *b);
bool definition_is_chain(const struct definition *d);
/* In which the elements of a set are: set_is_dynamic(). */
enum set_id definition_set(enum definition_kind kind);

/* "pods", "named-ports", "ingress-policy", ... as in the template. */
const char *definition_word(enum definition_kind kind);
const char *rule_shape_word(enum rule_shape shape);
/* The first shape that the rules of a chain of @kind may have. */
enum rule_shape definition_first_shape(enum definition_kind kind);

/* "pods-0123456789abcdef0123", by what is in it. Returns @text. */
const char *definition_name(enum definition_kind kind, const struct content_id *id,
			    char text[static DEFINITION_NAME_BYTES]);
/* "ingress/default/allow-web"; a name that nft could not read is hashed. Returns @text. */
const char *definition_policy_name(enum definition_kind kind, const char *namespace,
				   const char *name, char text[static DEFINITION_NAME_BYTES]);
/* What a set or a chain of that name is; DEFINITION_COUNT: none of these. */
enum definition_kind definition_kind_of(const char *name, bool is_chain);
/* The id in the name of a set. False when there is none. */
bool definition_id(const struct definition *d, struct content_id *ret);

/* What the template's pattern is called in the compiled skeleton, and a chain with a rule of each shape. */
const struct definition *definition_pattern(enum definition_kind kind);

#endif
