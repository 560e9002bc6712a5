#include "policy/combinations.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
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

static enum definition_kind combination_kind(const struct combination *c)
{
	return c->direction == INGRESS ? DEFINITION_INGRESS : DEFINITION_EGRESS;
}

static const char *combination_name(const struct combination *c,
				    char text[static DEFINITION_NAME_BYTES])
{
	return definition_name(combination_kind(c), &c->id, text);
}

static const char *log_prefix(struct block *block, const struct combination *c,
			      struct policy_state *const *policies, size_t n)
{
	_cleanup_buf_ struct buf b = { 0 };
	char safe[COMMENT_MAX_BYTES + 1];

	buf_puts(&b, c->direction == INGRESS ? "ingress " : "egress ");
	if (n > 1)
		buf_puts(&b, "isolated by: ");
	for (size_t i = 0; i < n; i++)
		buf_printf(&b, "%s/%s ", policies[i]->namespace, policies[i]->name);
	if (buf_error(&b) < 0)
		return NULL;
	comment_from(buf_text(&b), safe);
	return arena_strdup(block->arena, safe);
}

static int combination_rules(struct block *block, const struct combination *c,
			     struct policy_state *const *policies, size_t n, struct definition *d)
{
	static const enum rule_shape tail[] = { RULE_EXCEPTIONS, RULE_LOG, RULE_REFUSE };
	struct definition_rule *rules = arena_array(block->arena, 1 + n + ARRAY_SIZE(tail),
						    sizeof(*rules));
	char text[DEFINITION_NAME_BYTES];
	size_t k = 0;

	if (!rules)
		return -ENOMEM;
	rules[k++].shape = RULE_RECALL;
	for (size_t i = 0; i < n; i++, k++) {
		rules[k].shape = RULE_POLICY;
		rules[k].policy = arena_strdup(block->arena,
					       chain_name(policies[i], c->direction, text));
		if (!rules[k].policy)
			return -ENOMEM;
	}
	for (size_t i = 0; i < ARRAY_SIZE(tail); i++)
		rules[k++].shape = tail[i];
	d->rules = rules;
	d->n_rules = k;
	return 0;
}

static int define_combination(struct block *block, const struct combination *c, uint8_t family,
			      struct policy_state *const *policies, size_t n)
{
	struct definition *d = block_define(block);
	char text[DEFINITION_NAME_BYTES];

	if (!d)
		return -ENOMEM;
	d->kind = (uint8_t)combination_kind(c);
	d->family = family;
	d->name = arena_strdup(block->arena, combination_name(c, text));
	d->comment = block_comment(block, "pods that these policies select");
	d->log_prefix = log_prefix(block, c, policies, n);
	if (!d->name || !d->comment || !d->log_prefix)
		return -ENOMEM;
	return combination_rules(block, c, policies, n, d);
}

static int combination_build(struct policies *p, const struct combination *c,
			     struct policy_state *const *policies, size_t n, struct block **ret)
{
	_cleanup_(block_freep) struct block *block = NULL;
	uint8_t family;
	int r = block_new(0, &block);

	for (size_t i = 0; r == 0 && policies_family(p, i, &family); i++)
		r = define_combination(block, c, family, policies, n);
	if (r == 0)
		*ret = TAKE_PTR(block);
	return r;
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
	r = combination_build(p, c, policies, n, &block);
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
