#include "firewall-fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/array.h"

static const char *keep(struct arena *arena, const char *text)
{
	return text ? arena_strdup(arena, text) : NULL;
}

static void note_definition(struct firewall_fixture *fx, const struct definition *d)
{
	struct defined_list *l = &fx->definitions;
	struct definition_rule *rules = arena_array(l->arena, d->n_rules, sizeof(*rules));
	struct defined *to;

	assert_int_equal(ARRAY_RESERVE(l->items, l->n, l->capacity), 0);
	to = &l->items[l->n++];
	*to = (struct defined){ .definition = *d };
	to->definition.name = keep(l->arena, d->name);
	to->definition.comment = keep(l->arena, d->comment);
	to->definition.rules = rules;
	to->counters = arena_array(l->arena, d->n_rules, sizeof(*to->counters));
	for (size_t i = 0; i < d->n_rules; i++)
		rules[i] = (struct definition_rule){
			.shape = d->rules[i].shape,
			.peer = keep(l->arena, d->rules[i].peer),
			.ports = keep(l->arena, d->rules[i].ports),
			.policy = keep(l->arena, d->rules[i].policy),
		};
}

static void note_element(struct firewall_fixture *fx, const struct element *e)
{
	struct dump *d = &fx->elements;

	assert_int_equal(ARRAY_RESERVE(d->elements, d->n, d->capacity), 0);
	d->elements[d->n] = *e;
	d->elements[d->n++].comment = keep(d->arena, e->comment);
}

static int defined_cmp(const void *a, const void *b)
{
	const struct defined *x = a, *y = b;

	return definition_cmp(&x->definition, &y->definition);
}

void fixture_read(struct firewall_fixture *fx, struct policy_world *w)
{
	policy_sync(w);
	assert_int_equal(defined_new(&fx->definitions), 0);
	assert_int_equal(dump_new(&fx->elements), 0);
	for (size_t i = 0; i < w->whole.n_definitions; i++)
		note_definition(fx, &w->whole.definitions[i].definition);
	for (size_t i = 0; i < w->whole.n_changes; i++)
		note_element(fx, &w->whole.changes[i].element);
	array_sort(fx->definitions.items, fx->definitions.n, sizeof(fx->definitions.items[0]),
		   defined_cmp);
	dump_settle(&fx->elements);
}

void fixture_free(struct firewall_fixture *fx)
{
	defined_free(&fx->definitions);
	dump_free(&fx->elements);
}

static struct defined *find(struct firewall_fixture *fx, uint8_t family, const char *name)
{
	struct defined *found = NULL;

	for (size_t i = 0; i < fx->definitions.n; i++) {
		struct defined *one = &fx->definitions.items[i];

		if (one->definition.family != family ||
		    strncmp(one->definition.name, name, strlen(name)) != 0)
			continue;
		assert_null(found);
		found = one;
	}
	assert_non_null(found);
	return found;
}

void fixture_count(struct firewall_fixture *fx, uint8_t family, const char *name, size_t i,
		   uint64_t packets)
{
	struct defined *to = find(fx, family, name);

	assert_true(i < to->definition.n_rules);
	to->counters[i] = (struct counter){ packets, 100 * packets };
}

struct definition *fixture_definition(struct firewall_fixture *fx, uint8_t family, const char *name)
{
	return &find(fx, family, name)->definition;
}

struct firewall *fixture_build(const struct firewall_fixture *fx)
{
	struct firewall *f;

	assert_int_equal(firewall_build(&fx->definitions, &fx->elements, &f), 0);
	return f;
}
