#include "policy/references.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/hash.h"
#include "policy/pods.h"
#include "policy/selection.h"
#include "policy/selections.h"
#include "ruleset/ruleset.h"

static uint64_t set_hash(const void *item)
{
	const struct constant_set *s = item;

	return hash_bytes(s->id.bytes, sizeof(s->id.bytes)) + s->kind;
}

static bool set_equal(const void *a, const void *b)
{
	const struct constant_set *x = a, *y = b;

	return x->kind == y->kind && content_id_cmp(&x->id, &y->id) == 0;
}

void references_init(struct policies *p)
{
	static const struct table_type type = { set_hash, set_equal };

	p->sets.type = &type;
}

void references_close(struct policies *p)
{
	table_free_items(&p->sets);
}

/* A definition of set @name in the block. 0 or -ENOMEM. */
static int block_define_set(struct block *b, enum definition_kind kind, uint8_t family,
			    const char *name, const char *comment)
{
	struct definition *d = block_define(b);

	if (!d)
		return -ENOMEM;
	d->kind = (uint8_t)kind;
	d->family = family;
	d->name = block_comment(b, name);
	d->comment = block_comment(b, comment);
	return d->name && d->comment ? 0 : -ENOMEM;
}

/* Selections -------------------------------------------------------------------------------------- */

static enum definition_kind selection_definition(const struct selection *s)
{
	return s->spec.kind == SELECTION_PODS ? DEFINITION_PODS : DEFINITION_NAMED_PORTS;
}

static int selection_define(struct policies *p, const struct selection *s, const char *name)
{
	_cleanup_(block_freep) struct block *b = NULL;
	_cleanup_buf_ struct buf comment = { 0 };
	uint8_t family;
	int r = block_new(0, &b);

	selection_print(&s->spec, &comment);
	if (r == 0)
		r = buf_error(&comment);
	for (size_t i = 0; r == 0 && policies_family(p, i, &family); i++)
		r = block_define_set(b, selection_definition(s), family, name, buf_text(&comment));
	return r < 0 ? r : ruleset_replace(p->ruleset, name, TAKE_PTR(b), p->tx, p->err);
}

/* Nobody needs it: all pods leave it. */
static int selection_end(struct policies *p, struct selection *s)
{
	char name[DEFINITION_NAME_BYTES];
	int r = selection_each_pod(p, s, pod_leaves);

	if (r == 0)
		r = ruleset_replace(p->ruleset,
				    definition_name(selection_definition(s), &s->id, name), NULL,
				    p->tx, p->err);
	if (r < 0)
		return r;
	selections_take_out(p, s);
	selection_free(table_take(&p->selections, s));
	p->stats.selectors--;
	return 0;
}

/* When memory ends half way, the next who needs it goes on. */
static int selection_complete(struct policies *p, struct selection *s, const char *name)
{
	int r;

	if (s->complete)
		return 0;
	r = selection_define(p, s, name);
	if (r == 0)
		r = selection_each_pod(p, s, pod_enters);
	s->complete = r == 0;
	return r;
}

static int selection_begin(struct policies *p, struct selection *s)
{
	if (table_reserve(&p->selections) < 0 || selections_file(p, s) < 0)
		return -ENOMEM;
	table_put(&p->selections, s);
	p->stats.selectors++;
	return 0;
}

int references_add_selection(struct policies *p, struct references *refs,
			     const struct selection_spec *spec,
			     char ret_name[static DEFINITION_NAME_BYTES])
{
	_cleanup_(selection_freep) struct selection *new = NULL;
	struct selection *s;
	int r;

	if (ARRAY_RESERVE(refs->selections, refs->n_selections, refs->cap_selections) < 0)
		return -ENOMEM;
	r = selection_new(spec, &new);
	if (r < 0)
		return r;
	definition_name(selection_definition(new), &new->id, ret_name);
	s = table_find(&p->selections, new);
	if (!s) {
		r = selection_begin(p, new);
		s = r == 0 ? TAKE_PTR(new) : NULL;
	}
	if (r == 0)
		r = selection_complete(p, s, ret_name);
	if (r < 0)
		return r;
	s->users++;
	refs->selections[refs->n_selections++] = s;
	return 0;
}

/* Sets whose content is their name ---------------------------------------------------------------- */

static int constant_set_find(struct policies *p, struct references *refs, enum definition_kind kind,
			     const void *content, size_t len, struct constant_set **ret,
			     bool *ret_new)
{
	struct constant_set probe = { .kind = kind, .id = content_id_of(content, len) };
	struct constant_set *s = table_find(&p->sets, &probe);

	*ret_new = !s;
	if (ARRAY_RESERVE(refs->sets, refs->n_sets, refs->cap_sets) < 0)
		return -ENOMEM;
	if (!s) {
		if (table_reserve(&p->sets) < 0)
			return -ENOMEM;
		s = malloc(sizeof(*s));
		if (!s)
			return -ENOMEM;
		*s = probe;
		table_put(&p->sets, s);
	}
	*ret = s;
	return 0;
}

/* @b is the block of a new set; NULL: it is not new. */
static int constant_set_add(struct policies *p, struct references *refs, struct constant_set *s,
			    struct block *b, const char *name)
{
	int r = b ? ruleset_replace(p->ruleset, name, b, p->tx, p->err) : 0;

	if (r < 0) {
		free(table_take(&p->sets, s));
		return r;
	}
	s->users++;
	refs->sets[refs->n_sets++] = s;
	return 0;
}

static int block_of_ranges(const struct ranges *ranges, const struct content_id *id,
			   const char *name, struct block **ret)
{
	_cleanup_(block_freep) struct block *b = NULL;
	uint8_t family = ranges->items[0].first.family;
	int r = block_new(ranges->n, &b);

	if (r == 0)
		r = block_define_set(b, DEFINITION_BLOCK, family, name,
				     "an ipBlock without its exceptions");
	for (size_t i = 0; r == 0 && i < ranges->n; i++) {
		struct element *e = block_add(b);

		if (!e)
			return -ENOMEM;
		e->set = SET_BLOCK;
		e->family = family;
		e->id = *id;
		memcpy(e->addr, ranges->items[i].first.bytes, sizeof(e->addr));
		memcpy(e->other, ranges->items[i].last.bytes, sizeof(e->other));
	}
	if (r == 0)
		*ret = TAKE_PTR(b);
	return r;
}

int references_add_block(struct policies *p, struct references *refs, const struct ranges *ranges,
			 char ret_name[static DEFINITION_NAME_BYTES])
{
	struct constant_set *s = NULL;
	struct block *b = NULL;
	bool new;
	int r = constant_set_find(p, refs, DEFINITION_BLOCK, ranges->items,
				  ranges->n * sizeof(ranges->items[0]), &s, &new);

	if (r < 0)
		return r;
	definition_name(DEFINITION_BLOCK, &s->id, ret_name);
	if (new)
		r = block_of_ranges(ranges, &s->id, ret_name, &b);
	if (r < 0) {
		free(table_take(&p->sets, s));
		return r;
	}
	return constant_set_add(p, refs, s, b, ret_name);
}

static int span_cmp(const void *a, const void *b)
{
	const struct port_span *x = a, *y = b;

	if (x->protocol != y->protocol)
		return x->protocol < y->protocol ? -1 : 1;
	return x->first < y->first ? -1 : x->first > y->first;
}

size_t port_spans_settle(struct port_span *spans, size_t n)
{
	size_t kept = 0;

	array_sort(spans, n, sizeof(*spans), span_cmp);
	for (size_t i = 0; i < n; i++) {
		struct port_span *last = kept > 0 ? &spans[kept - 1] : NULL;

		if (!last || last->protocol != spans[i].protocol ||
		    spans[i].first > (uint32_t)last->last + 1)
			spans[kept++] = spans[i];
		else if (spans[i].last > last->last)
			last->last = spans[i].last;
	}
	return kept;
}

static int block_add_ports(struct block *b, uint8_t family, const struct content_id *id,
			   const struct port_span *spans, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct element *e = block_add(b);

		if (!e)
			return -ENOMEM;
		e->set = SET_PORTS;
		e->family = family;
		e->id = *id;
		e->protocol = (uint8_t)spans[i].protocol;
		e->port = spans[i].first;
		e->target_port = spans[i].last;
	}
	return 0;
}

static int block_of_ports(const struct policies *p, const struct port_span *spans, size_t n,
			  const struct content_id *id, const char *name, struct block **ret)
{
	_cleanup_(block_freep) struct block *b = NULL;
	uint8_t family;
	int r = block_new(2 * n, &b);

	for (size_t i = 0; r == 0 && policies_family(p, i, &family); i++) {
		r = block_define_set(b, DEFINITION_PORTS, family, name, "protocols and ports");
		if (r == 0)
			r = block_add_ports(b, family, id, spans, n);
	}
	if (r == 0)
		*ret = TAKE_PTR(b);
	return r;
}

int references_add_ports(struct policies *p, struct references *refs, const struct port_span *spans,
			 size_t n, char ret_name[static DEFINITION_NAME_BYTES])
{
	struct constant_set *s = NULL;
	struct block *b = NULL;
	bool new;
	int r = constant_set_find(p, refs, DEFINITION_PORTS, spans, n * sizeof(*spans), &s, &new);

	if (r < 0)
		return r;
	definition_name(DEFINITION_PORTS, &s->id, ret_name);
	if (new)
		r = block_of_ports(p, spans, n, &s->id, ret_name, &b);
	if (r < 0) {
		free(table_take(&p->sets, s));
		return r;
	}
	return constant_set_add(p, refs, s, b, ret_name);
}

int references_drop(struct policies *p, struct references *refs)
{
	char name[DEFINITION_NAME_BYTES];
	int r = 0;

	while (r == 0 && refs->n_selections > 0) {
		struct selection *s = refs->selections[refs->n_selections - 1];

		if (s->users == 1)
			r = selection_end(p, s);
		else
			s->users--;
		refs->n_selections -= r == 0;
	}
	while (r == 0 && refs->n_sets > 0) {
		struct constant_set *s = refs->sets[refs->n_sets - 1];

		if (s->users == 1) {
			definition_name(s->kind, &s->id, name);
			r = ruleset_replace(p->ruleset, name, NULL, p->tx, p->err);
			if (r == 0)
				free(table_take(&p->sets, s));
		} else {
			s->users--;
		}
		refs->n_sets -= r == 0;
	}
	if (r == 0) {
		free(refs->selections);
		free(refs->sets);
		*refs = (struct references){ 0 };
	}
	return r;
}
