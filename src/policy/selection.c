#include "policy/selection.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "policy/namespaces.h"

struct selection *selection_free(struct selection *s)
{
	if (!s)
		return NULL;
	free(s->buckets);
	arena_free(s->arena);
	free(s);
	return NULL;
}

static const char *const operator_words[] = {
	[SELECTOR_IN] = "in",
	[SELECTOR_NOT_IN] = "not in",
	[SELECTOR_EXISTS] = "exists",
	[SELECTOR_DOES_NOT_EXIST] = "is absent",
};

static void requirements_print(const struct selector *s, struct buf *out)
{
	for (size_t i = 0; s && i < s->n; i++) {
		const struct selector_requirement *r = &s->requirements[i];
		bool is = r->op == SELECTOR_IN && r->n_values == 1;

		buf_printf(out, "%s %s %s", i > 0 ? " and" : "", r->key,
			   is ? "is" : operator_words[r->op]);
		for (size_t j = 0; j < r->n_values; j++)
			buf_printf(out, " %s", r->values[j]);
	}
}

void selection_print(const struct selection_spec *spec, struct buf *out)
{
	for (size_t i = 0; i < spec->n_names; i++)
		buf_printf(out, "%s%s/%s", i > 0 ? " " : "port ", spec->names[i].name,
			   protocol_name(spec->names[i].protocol));
	if (spec->n_names > 0)
		buf_puts(out, " of ");
	buf_puts(out, "pods");
	if (spec->namespace)
		buf_printf(out, " of %s", spec->namespace);
	else if (spec->namespaces && spec->namespaces->n > 0)
		buf_puts(out, " of namespaces where");
	else
		buf_puts(out, " of all namespaces");
	if (!spec->namespace)
		requirements_print(spec->namespaces, out);
	if (spec->pods && spec->pods->n > 0)
		buf_puts(out, ":");
	requirements_print(spec->pods, out);
}

static void put_text(struct buf *b, const char *text)
{
	buf_append(b, text, strlen(text) + 1);
}

static void put_selector(struct buf *b, const struct selector *s)
{
	size_t n = s ? s->n : 0;

	buf_append(b, &n, sizeof(n));
	for (size_t i = 0; i < n; i++) {
		const struct selector_requirement *r = &s->requirements[i];

		buf_append(b, &r->op, sizeof(r->op));
		buf_append(b, &r->n_values, sizeof(r->n_values));
		put_text(b, r->key);
		for (size_t j = 0; j < r->n_values; j++)
			put_text(b, r->values[j]);
	}
}

/* Everything that makes a difference, in one way only: the same selector has the same id. */
static int spec_id(const struct selection_spec *spec, struct content_id *ret)
{
	const uint8_t head[] = { (uint8_t)spec->kind, spec->local, spec->namespace != NULL };
	_cleanup_buf_ struct buf b = { 0 };

	buf_append(&b, head, sizeof(head));
	put_text(&b, spec->namespace ? spec->namespace : "");
	put_selector(&b, spec->namespace ? NULL : spec->namespaces);
	put_selector(&b, spec->pods);
	for (size_t i = 0; i < spec->n_names; i++) {
		buf_append(&b, &spec->names[i].protocol, sizeof(spec->names[i].protocol));
		put_text(&b, spec->names[i].name);
	}
	*ret = content_id_of(buf_text(&b), b.len);
	return buf_error(&b);
}

static bool requirement_copy(struct arena *a, const struct selector_requirement *from,
			     struct selector_requirement *to)
{
	const char **values = arena_array(a, from->n_values + 1, sizeof(*values));

	if (!values)
		return false;
	for (size_t i = 0; i < from->n_values; i++) {
		values[i] = arena_strdup(a, from->values[i]);
		if (!values[i])
			return false;
	}
	*to = *from;
	to->values = values;
	to->key = arena_strdup(a, from->key);
	return to->key;
}

static bool selector_copy(struct arena *a, const struct selector *from, const struct selector **ret)
{
	struct selector_requirement *requirements;
	struct selector *s;

	*ret = NULL;
	if (!from || from->n == 0)
		return true;
	requirements = arena_array(a, from->n, sizeof(*requirements));
	s = arena_alloc(a, sizeof(*s));
	if (!requirements || !s)
		return false;
	for (size_t i = 0; i < from->n; i++)
		if (!requirement_copy(a, &from->requirements[i], &requirements[i]))
			return false;
	*s = (struct selector){ .requirements = requirements, .n = from->n };
	*ret = s;
	return true;
}

static bool names_copy(struct arena *a, const struct selection_spec *from,
		       struct selection_spec *to)
{
	struct port_name *names = arena_array(a, from->n_names + 1, sizeof(*names));

	if (!names)
		return false;
	for (size_t i = 0; i < from->n_names; i++) {
		names[i] = from->names[i];
		names[i].name = arena_strdup(a, from->names[i].name);
		if (!names[i].name)
			return false;
	}
	to->names = names;
	return true;
}

int selection_new(const struct selection_spec *spec, struct selection **ret)
{
	_cleanup_(selection_freep) struct selection *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->spec = *spec;
	s->arena = arena_new(256);
	if (!s->arena || spec_id(spec, &s->id) < 0 ||
	    !selector_copy(s->arena, spec->namespaces, &s->spec.namespaces) ||
	    !selector_copy(s->arena, spec->pods, &s->spec.pods) ||
	    !names_copy(s->arena, spec, &s->spec))
		return -ENOMEM;
	if (spec->namespace) {
		s->spec.namespace = arena_strdup(s->arena, spec->namespace);
		if (!s->spec.namespace)
			return -ENOMEM;
	}
	*ret = TAKE_PTR(s);
	return 0;
}

static bool selector_allows(const struct selector *s, const struct key_values *labels)
{
	return !s || selector_matches(s, labels);
}

bool selection_has(const struct selection *s, const struct pod_state *pod)
{
	const struct selection_spec *spec = &s->spec;

	if (!pod->counts || (spec->local && !pod->local))
		return false;
	if (spec->namespace ? strcmp(spec->namespace, pod->namespace->name) != 0 :
			      !selector_allows(spec->namespaces, &pod->namespace->labels))
		return false;
	return selector_allows(spec->pods, &pod->object->object.labels);
}

static int each_pod_of(struct namespace_state *ns, struct selection *s,
		       int (*visit)(struct policies *p, struct pod_state *pod, struct selection *s),
		       struct policies *p)
{
	int r = 0;

	for (size_t local = s->spec.local; r == 0 && local < 2; local++)
		for (struct pod_state *pod = ns->pods[local]; r == 0 && pod; pod = pod->next)
			if (selection_has(s, pod))
				r = visit(p, pod, s);
	return r;
}

int selection_each_pod(struct policies *p, struct selection *s,
		       int (*visit)(struct policies *p, struct pod_state *pod, struct selection *s))
{
	size_t position = 0;
	struct namespace_state *ns;
	int r = 0;

	if (s->spec.namespace) {
		ns = namespace_find(p, s->spec.namespace);
		return ns ? each_pod_of(ns, s, visit, p) : 0;
	}
	while (r == 0 && (ns = table_next(&p->namespaces, &position)))
		if (selector_allows(s->spec.namespaces, &ns->labels))
			r = each_pod_of(ns, s, visit, p);
	return r;
}
