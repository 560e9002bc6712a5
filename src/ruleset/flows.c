#include "ruleset/flows.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"

_Static_assert(sizeof(struct flow) == 38, "a gap would be compared too");

int flow_cmp(const struct flow *a, const struct flow *b)
{
	return memcmp(a, b, sizeof(*a));
}

static int flow_cmp_qsort(const void *a, const void *b)
{
	return flow_cmp(a, b);
}

int flows_add(struct flows *f, const struct flow *one)
{
	int r = ARRAY_RESERVE(f->items, f->n, f->capacity);

	if (r == 0)
		f->items[f->n++] = *one;
	return r;
}

int flows_append(struct flows *f, const struct flows *more)
{
	int r;

	if (more->n == 0)
		return 0;
	r = array_grow((void **)&f->items, &f->capacity, f->n + more->n, sizeof(f->items[0]));
	if (r < 0)
		return r;
	memcpy(f->items + f->n, more->items, more->n * sizeof(f->items[0]));
	f->n += more->n;
	return 0;
}

void flows_settle(struct flows *f)
{
	f->n = array_unique(f->items, f->n, sizeof(f->items[0]), flow_cmp_qsort);
}

bool flows_have(const struct flows *f, const struct flow *one)
{
	return array_find(one, f->items, f->n, sizeof(*one), flow_cmp_qsort);
}

bool flows_have_kind(const struct flows *f, uint8_t family, uint8_t protocol)
{
	for (size_t i = 0; i < f->n; i++)
		if (f->items[i].family == family && f->items[i].protocol == protocol)
			return true;
	return false;
}

bool flows_equal(const struct flows *a, const struct flows *b)
{
	return a->n == b->n &&
	       (a->n == 0 || memcmp(a->items, b->items, a->n * sizeof(a->items[0])) == 0);
}

void flows_free(struct flows *f)
{
	free(f->items);
	*f = (struct flows){ 0 };
}

bool flow_is_frontend(const struct flow *one)
{
	return one->target_port == 0;
}

struct flow flow_frontend(const struct flow *one)
{
	struct flow frontend = *one;

	frontend.target_port = 0;
	memset(frontend.target, 0, sizeof(frontend.target));
	return frontend;
}
