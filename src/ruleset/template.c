#include "ruleset/template.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/hash.h"
#include "ruleset/bindings.h"
#include "ruleset/definition.h"
#include "ruleset/element.h"
#include "ruleset/template-text.h"
#include "ruleset/transaction.h"

#define VARIABLE_MAX_BYTES 32

struct line {
	const char *text; /* not zero-terminated */
	size_t len;       /* without the newline */
};

struct printer {
	uint8_t family;
	const char *table;
	const char *flags;
	const struct transaction *whole;     /* NULL: the skeleton */
	const struct dispatch *chain;        /* that the line is in, or NULL */
	uint16_t target;                     /* ${target} */
	const struct definition *definition; /* ${name} ${comment} ${prefix} */
	const struct definition_rule *rule;  /* ${peer} ${ports} ${policy} */
	const char *body;                    /* of the pattern that the line is in */
	bool ruled;                          /* its rules are written */
	enum set_id set;                     /* the set or map that the line is in */
	struct buf *out;
};

static bool line_next(const char **pos, struct line *ret)
{
	const char *end;

	if (*pos >= template_text_end)
		return false;
	end = memchr(*pos, '\n', (size_t)(template_text_end - *pos));
	if (!end)
		end = template_text_end;
	*ret = (struct line){ .text = *pos, .len = (size_t)(end - *pos) };
	*pos = end + 1;
	return true;
}

static bool line_starts(const struct line *l, const char *word)
{
	return l->len >= strlen(word) && memcmp(l->text, word, strlen(word)) == 0;
}

const char *template_comment(char text[static TEMPLATE_COMMENT_MAX])
{
	size_t len = (size_t)(template_text_end - template_text);

	snprintf(text, TEMPLATE_COMMENT_MAX, "kube-nft skeleton %016" PRIx64,
		 hash_bytes(template_text, len));
	return text;
}

/* The elements of the printer's set. */
static void elements_print(const struct printer *p)
{
	struct element probe = { .set = (uint8_t)p->set, .family = p->family };
	const struct change *changes;
	size_t n;

	if (!p->whole || (p->definition && !definition_id(p->definition, &probe.id)))
		return;
	changes = transaction_set(p->whole, &probe, &n);
	for (size_t i = 0; i < n; i++) {
		buf_puts(p->out, i == 0 ? "\t\telements = {\n\t\t\t" : ",\n\t\t\t");
		element_print(&changes[i].element, p->out);
	}
	if (n > 0)
		buf_puts(p->out, "\n\t\t}\n");
}

static const char *definition_variable(const struct printer *p, const char *name)
{
	const struct definition *d = p->definition;
	const struct {
		const char *name, *value;
	} values[] = {
		{ "name", d ? d->name : NULL },
		{ "comment", d ? d->comment : NULL },
		{ "prefix", d ? d->log_prefix : NULL },
		{ "peer", p->rule ? p->rule->peer : NULL },
		{ "ports", p->rule ? p->rule->ports : NULL },
		{ "policy", p->rule ? p->rule->policy : NULL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(values); i++)
		if (values[i].value && strcmp(name, values[i].name) == 0)
			return values[i].value;
	return NULL;
}

static void chain_variable_print(const struct printer *p, const char *name)
{
	static const char *const words[BINDING_WORDS] = { "id1", "id2", "target-hash" };
	uint32_t ids[BINDING_WORDS] = { PATTERN_ID_FIRST, PATTERN_ID_SECOND, PATTERN_TARGET_HASH };
	char text[CHAIN_NAME_MAX_BYTES];

	if (strcmp(name, "n") == 0)
		buf_printf(p->out, "%" PRIu32, p->chain->number);
	else if (strcmp(name, "local") == 0)
		buf_puts(p->out, verdict_is_local(p->chain->verdict) ? "local-" : "");
	else if (strcmp(name, "own") == 0)
		buf_puts(p->out, dispatch_own_name(p->chain, text));
	else if (strcmp(name, "protocol") == 0)
		buf_puts(p->out, dispatch_protocol_name(p->chain));
	else if (strcmp(name, "target") == 0)
		buf_printf(p->out, "%u", p->target);
	if (p->whole)
		binding_words(p->chain, p->target, ids);
	for (size_t i = 0; i < BINDING_WORDS; i++)
		if (strcmp(name, words[i]) == 0)
			buf_printf(p->out, "%" PRIu32, ids[i]);
}

static void variable_print(const struct printer *p, const char *name)
{
	const char *defined = definition_variable(p, name);
	char comment[TEMPLATE_COMMENT_MAX];
	bool ipv4 = p->family == AF_INET;

	if (defined)
		buf_puts(p->out, defined);
	else if (strcmp(name, "ip") == 0)
		buf_puts(p->out, ipv4 ? "ip" : "ip6");
	else if (strcmp(name, "addr") == 0)
		buf_puts(p->out, ipv4 ? "ipv4_addr" : "ipv6_addr");
	else if (strcmp(name, "client") == 0)
		buf_puts(p->out, ipv4 ? "ip saddr" : "jhash ip6 saddr mod 4294967295 seed 0x1");
	else if (strcmp(name, "table") == 0)
		buf_puts(p->out, p->table);
	else if (strcmp(name, "flags") == 0)
		buf_puts(p->out, p->flags);
	else if (strcmp(name, "hash") == 0)
		buf_puts(p->out, strrchr(template_comment(comment), ' ') + 1);
	else if (strcmp(name, "affinity-size") == 0)
		buf_printf(p->out, "%d", BINDINGS_MAX);
	else if (p->chain)
		chain_variable_print(p, name);
}

static void line_print(const struct printer *p, struct line l)
{
	char name[VARIABLE_MAX_BYTES];
	const char *open, *close;

	while ((open = memmem(l.text, l.len, "${", 2))) {
		buf_append(p->out, l.text, (size_t)(open - l.text));
		l.len -= (size_t)(open + 2 - l.text);
		l.text = open + 2;
		close = memchr(l.text, '}', l.len);
		if (!close)
			break;
		snprintf(name, sizeof(name), "%.*s", (int)(close - l.text), l.text);
		variable_print(p, name);
		l.len -= (size_t)(close + 1 - l.text);
		l.text = close + 1;
	}
	buf_append(p->out, l.text, l.len);
	buf_puts(p->out, "\n");
}

/* "	map services {" and "	set hairpin {" open a set. */
static void line_track_set(struct printer *p, const struct line *l)
{
	char name[CHAIN_NAME_MAX_BYTES] = "";

	if (l->len < sizeof(name) && (line_starts(l, "\tmap ") || line_starts(l, "\tset "))) {
		memcpy(name, l->text + 5, l->len - 5);
		name[strcspn(name, " ")] = '\0';
		p->set = p->definition ? definition_set(p->definition->kind) : set_by_name(name);
	}
}

/* Take @mark and the tabulator behind it off the line's front; the latter stays. */
static bool line_take(struct line *l, const char *mark)
{
	size_t len = strlen(mark);

	if (!line_starts(l, mark) || (l->len > len && l->text[len] != '\t'))
		return false;
	l->text += len;
	l->len -= len;
	return true;
}

/* "%rule peer-ports<TAB>..." becomes what is behind the shape. */
static bool line_is_rule(struct line *l, const char *shape)
{
	size_t len = strlen("%rule ") + strlen(shape);

	if (!line_starts(l, "%rule ") || l->len <= len || l->text[len] != '\t' ||
	    memcmp(l->text + strlen("%rule "), shape, strlen(shape)) != 0)
		return false;
	l->text += len;
	l->len -= len;
	return true;
}

/* All rules of the definition, each by the line of its shape. */
static void rules_print(struct printer *p)
{
	for (size_t i = 0; i < p->definition->n_rules; i++) {
		const char *pos = p->body;
		struct line l;

		p->rule = &p->definition->rules[i];
		while (line_next(&pos, &l) && !line_starts(&l, "%end"))
			if (line_is_rule(&l, rule_shape_word(p->rule->shape)))
				line_print(p, l);
	}
	p->rule = NULL;
	p->ruled = true;
}

static void line_do(struct printer *p, struct line l)
{
	uint16_t targets[DISPATCH_MAX_TARGETS] = { 0 };
	size_t n = 1;

	if (p->definition && line_starts(&l, "%rule ")) {
		if (!p->ruled)
			rules_print(p);
		return;
	}
	line_take(&l, p->family == AF_INET ? "%ip" : "%ip6");
	if (p->chain && line_take(&l, "%target"))
		n = dispatch_targets(p->chain, targets);
	if (line_starts(&l, "%"))
		return; /* a comment, or the other family's */
	line_track_set(p, &l);
	if (line_starts(&l, "\t\t${elements}")) {
		elements_print(p);
		return;
	}
	for (size_t i = 0; i < n && (!line_starts(&l, "\t${flags}") || p->flags[0]); i++) {
		p->target = targets[i];
		line_print(p, l);
	}
}

/* The lines from @body up to %end, once; for the chain @d if it is a pattern of one. */
static void body_print(struct printer *p, const char *body, const struct dispatch *d)
{
	struct line l;

	p->chain = d;
	p->body = body;
	p->ruled = false;
	while (line_next(&body, &l) && !line_starts(&l, "%end"))
		line_do(p, l);
	p->chain = NULL;
}

/* The chains called @name. */
static void each_print(struct printer *p, const char *name, const char *body)
{
	struct dispatch pattern = { .family = p->family };

	for (unsigned v = VERDICT_FIRST_DISPATCH; v < VERDICT_COUNT; v++)
		if (strcmp(verdict_chain(v), name) == 0)
			pattern = dispatch_pattern(v, p->family);
	if (!p->whole)
		body_print(p, body, &pattern);
	for (size_t i = 0; p->whole && i < p->whole->n_chains; i++)
		if (p->whole->chains[i].verdict == pattern.verdict &&
		    p->whole->chains[i].family == p->family)
			body_print(p, body, &p->whole->chains[i]);
}

/* @head is "%each NAME NAME". */
static void each_name_print(struct printer *p, const struct line *head, const char *body)
{
	char names[2 * CHAIN_NAME_MAX_BYTES], *rest = names, *name;

	snprintf(names, sizeof(names), "%.*s", (int)head->len, head->text);
	strsep(&rest, " ");
	while ((name = strsep(&rest, " ")))
		each_print(p, name, body);
}

static void define_print(struct printer *p, const struct line *head, const char *body)
{
	const char *word = head->text + strlen("%define ");
	size_t len = head->len - strlen("%define ");
	unsigned kind = 0;

	while (kind < DEFINITION_COUNT && (strlen(definition_word(kind)) != len ||
					   memcmp(definition_word(kind), word, len) != 0))
		kind++;
	if (kind == DEFINITION_COUNT)
		return;
	p->definition = definition_pattern(kind);
	if (!p->whole)
		body_print(p, body, NULL);
	for (size_t i = 0; p->whole && i < p->whole->n_definitions; i++) {
		p->definition = &p->whole->definitions[i].definition;
		if (p->definition->kind == kind && p->definition->family == p->family)
			body_print(p, body, NULL);
	}
	p->definition = NULL;
}

static void printer_run(struct printer *p)
{
	const char *pos = template_text;
	bool in_body = false;
	struct line l;

	while (line_next(&pos, &l)) {
		if (line_starts(&l, "%each "))
			each_name_print(p, &l, pos);
		else if (line_starts(&l, "%define "))
			define_print(p, &l, pos);
		else if (!in_body && !line_starts(&l, "%end"))
			line_do(p, l);
		in_body = line_starts(&l, "%each ") || line_starts(&l, "%define ") ||
			  (in_body && !line_starts(&l, "%end"));
	}
}

void template_print(uint8_t family, const struct transaction *whole, struct buf *out)
{
	struct printer p = {
		.family = family,
		.table = TABLE_NAME,
		.flags = "",
		.whole = whole,
		.out = out,
	};

	printer_run(&p);
}

void template_print_skeleton(uint8_t family, const char *table, struct buf *out)
{
	struct printer p = {
		.family = family,
		.table = table,
		.flags = "flags dormant",
		.out = out,
	};

	printer_run(&p);
}
