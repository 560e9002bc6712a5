#include "policy/combinations.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/buf.h"
#include "base/hash.h"
#include "policy/chains.h"
#include "ruleset/ruleset.h"

static uint64_t combination_hash(const void *item)
{
	const struct combination *c = item;

	return hash_bytes(c->id.bytes, sizeof(c->id.bytes)) + c->direction;
}

static bool combination_equal(const void *a, const void *b)
{
	const struct combination *x = a, *y = b;

	return x->direction == y->direction && content_id_cmp(&x->id, &y->id) == 0;
}

void combinations_init(struct policies *p)
{
	static const struct table_type type = { combination_hash, combination_equal };

	p->combinations.type = &type;
}

void combinations_close(struct policies *p)
{
	table_free_items(&p->combinations);
}

static const char *combination_name(const struct combination *c,
				    char text[static DEFINITION_NAME_BYTES])
{
	return definition_name(c->direction == INGRESS ? DEFINITION_INGRESS : DEFINITION_EGRESS,
			       &c->id, text);
}

static int combination_drop(struct policies *p, struct combination *c)
{
	char name[DEFINITION_NAME_BYTES];
	int r = 0;

	if (!c || --c->users > 0)
		return 0;
	r = ruleset_replace(p->ruleset, combination_name(c, name), NULL, p->tx, p->err);
	if (r < 0) {
		c->users++;
		return r;
	}
	free(table_take(&p->combinations, c));
	return 0;
}

static int policy_cmp(const void *a, const void *b)
{
	const struct policy_state *const *x = a, *const *y = b;
	int c = strcmp((*x)->namespace, (*y)->namespace);

	return c ? c : strcmp((*x)->name, (*y)->name);
}

/* Names hold no byte that is a border here. */
static int combination_id(struct policy_state *const *policies, size_t n, struct content_id *ret)
{
	_cleanup_buf_ struct buf b = { 0 };

	for (size_t i = 0; i < n; i++)
		buf_printf(&b, "%s/%s\n", policies[i]->namespace, policies[i]->name);
	*ret = content_id_of(buf_text(&b), b.len);
	return buf_error(&b);
}

static int combination_make(struct policies *p, const struct combination *probe,
			    struct policy_state *const *policies, size_t n,
			    struct combination **ret)
{
	_cleanup_free_ struct combination *c = malloc(sizeof(*c));
	char name[DEFINITION_NAME_BYTES];
	struct block *block;
	int r;

	if (!c || table_reserve(&p->combinations) < 0)
		return -ENOMEM;
	*c = *probe;
	r = chains_build_combination(p, c, policies, n, &block);
	if (r == 0)
		r = ruleset_replace(p->ruleset, combination_name(c, name), block, p->tx, p->err);
	if (r < 0)
		return r;
	table_put(&p->combinations, c);
	*ret = TAKE_PTR(c);
	return 0;
}

/* With one more user. NULL when no policy isolates it. */
static int combination_take(struct policies *p, enum direction direction,
			    struct policy_state **policies, size_t n, struct combination **ret)
{
	struct combination probe = { .direction = direction };
	int r;

	*ret = NULL;
	if (n == 0)
		return 0;
	array_sort(policies, n, sizeof(policies[0]), policy_cmp);
	r = combination_id(policies, n, &probe.id);
	if (r < 0)
		return r;
	*ret = table_find(&p->combinations, &probe);
	if (!*ret)
		r = combination_make(p, &probe, policies, n, ret);
	if (r == 0)
		(*ret)->users++;
	return r;
}

static int combination_assign(struct policies *p, struct pod_state *pod, enum direction direction)
{
	_cleanup_free_ struct policy_state **policies = calloc(pod->n_selections + 1,
							       sizeof(policies[0]));
	struct combination *c;
	size_t n = 0;
	int r;

	if (!policies)
		return -ENOMEM;
	for (size_t i = 0; i < pod->n_selections; i++) {
		struct policy_state *st = pod->selections[i]->policy;

		if (st && st->isolates[direction])
			policies[n++] = st;
	}
	r = combination_take(p, direction, policies, n, &c);
	if (r == 0)
		r = combination_drop(p, pod->combinations[direction]);
	if (r == 0)
		pod->combinations[direction] = c;
	return r;
}

int combinations_assign(struct policies *p, struct pod_state *pod)
{
	int r = combination_assign(p, pod, INGRESS);

	return r < 0 ? r : combination_assign(p, pod, EGRESS);
}
