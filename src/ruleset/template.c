#include "ruleset/template.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/hash.h"
#include "ruleset/definition.h"
#include "ruleset/element.h"
#include "ruleset/template-text.h"
#include "ruleset/transaction.h"

#define SKELETON_NUMBER 1

struct line {
	const char *text; /* not zero-terminated */
	size_t len;       /* without the newline */
};

struct printer {
	uint8_t family;
	const char *table;
	const char *flags;
	const struct transaction *whole;     /* NULL: the skeleton */
	uint32_t number;                     /* ${n} */
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

static const char *definition_variable(const struct printer *p, const char *name, size_t len)
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
		if (values[i].value && len == strlen(values[i].name) &&
		    memcmp(name, values[i].name, len) == 0)
			return values[i].value;
	return NULL;
}

static void variable_print(const struct printer *p, const char *name, size_t len)
{
	const char *defined = definition_variable(p, name, len);
	char comment[TEMPLATE_COMMENT_MAX];
	bool ipv4 = p->family == AF_INET;

	if (defined) {
		buf_puts(p->out, defined);
		return;
	}
#define NAME_IS(word) (len == strlen(word) && memcmp(name, word, len) == 0)
	if (NAME_IS("ip"))
		buf_puts(p->out, ipv4 ? "ip" : "ip6");
	else if (NAME_IS("addr"))
		buf_puts(p->out, ipv4 ? "ipv4_addr" : "ipv6_addr");
	else if (NAME_IS("table"))
		buf_puts(p->out, p->table);
	else if (NAME_IS("flags"))
		buf_puts(p->out, p->flags);
	else if (NAME_IS("hash"))
		buf_puts(p->out, strrchr(template_comment(comment), ' ') + 1);
	else if (NAME_IS("n"))
		buf_printf(p->out, "%" PRIu32, p->number);
#undef NAME_IS
}

static void line_print(const struct printer *p, struct line l)
{
	const char *open, *close;

	while ((open = memmem(l.text, l.len, "${", 2))) {
		buf_append(p->out, l.text, (size_t)(open - l.text));
		l.len -= (size_t)(open + 2 - l.text);
		l.text = open + 2;
		close = memchr(l.text, '}', l.len);
		if (!close)
			break;
		variable_print(p, l.text, (size_t)(close - l.text));
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

/* Take "%ip" or "%ip6" off the line's front. False: it isn't part of this family's table. */
static bool line_is_for(uint8_t family, struct line *l)
{
	const char *own = family == AF_INET ? "%ip" : "%ip6";
	size_t len = strlen(own);

	if (!line_starts(l, own) || (l->len > len && l->text[len] != '\t'))
		return !line_starts(l, "%");
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

static void line_do(struct printer *p, struct line *l)
{
	if (p->definition && line_starts(l, "%rule ")) {
		if (!p->ruled)
			rules_print(p);
		return;
	}
	if (!line_is_for(p->family, l))
		return;
	line_track_set(p, l);
	if (line_starts(l, "\t\t${elements}"))
		elements_print(p);
	else if (!line_starts(l, "\t${flags}") || p->flags[0])
		line_print(p, *l);
}

/* The lines from @body up to %end, once. */
static void body_print(struct printer *p, const char *body)
{
	struct line l;

	p->body = body;
	p->ruled = false;
	while (line_next(&body, &l) && !line_starts(&l, "%end"))
		line_do(p, &l);
}

static void each_print(struct printer *p, const struct line *head, const char *body)
{
	const char *name = head->text + strlen("%each ");
	size_t len = head->len - strlen("%each ");
	uint32_t none;
	char chain[CHAIN_NAME_MAX_BYTES];
	enum verdict v;

	snprintf(chain, sizeof(chain), "%.*s-1", (int)len, name);
	v = verdict_by_chain_name(chain, &none);
	p->number = SKELETON_NUMBER;
	if (!p->whole)
		body_print(p, body);
	for (size_t i = 0; p->whole && i < p->whole->n_chains; i++) {
		p->number = p->whole->chains[i].number;
		if (p->whole->chains[i].verdict == v && p->whole->chains[i].family == p->family)
			body_print(p, body);
	}
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
		body_print(p, body);
	for (size_t i = 0; p->whole && i < p->whole->n_definitions; i++) {
		p->definition = &p->whole->definitions[i].definition;
		if (p->definition->kind == kind && p->definition->family == p->family)
			body_print(p, body);
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
			each_print(p, &l, pos);
		else if (line_starts(&l, "%define "))
			define_print(p, &l, pos);
		else if (!in_body && !line_starts(&l, "%end"))
			line_do(p, &l);
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
