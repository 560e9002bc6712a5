#include "object/field.h"

#include <errno.h>
#include <string.h>

#include "base/arena.h"
#include "base/array.h"

static int text_cmp(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int requirement_cmp(const void *a, const void *b)
{
	const struct selector_requirement *x = a, *y = b;
	int c = strcmp(x->key, y->key);

	return c ? c : (int)x->op - (int)y->op;
}

/* Sorts @texts and drops what stands there twice. Returns how many are left. */
static size_t texts_unique(const char **texts, size_t n)
{
	return array_unique(texts, n, sizeof(*texts), text_cmp);
}

/* An empty string is a label value like any other. */
static bool value_read(const struct field *item, void *ret)
{
	*(const char **)ret = field_name(*item);
	return true;
}

static enum selector_operator operator_read(struct field f)
{
	static const struct enum_value operators[] = {
		{ "In", SELECTOR_IN },
		{ "NotIn", SELECTOR_NOT_IN },
		{ "Exists", SELECTOR_EXISTS },
		{ "DoesNotExist", SELECTOR_DOES_NOT_EXIST },
		{ NULL, -1 },
	};
	int op = field_enum(f, operators, -1);

	if (op >= 0)
		return (enum selector_operator)op;
	if (field_require(f))
		field_refuse(f, -EINVAL, "is not In, NotIn, Exists or DoesNotExist");
	return SELECTOR_IN;
}

static bool requirement_read(const struct field *item, void *ret)
{
	struct selector_requirement *r = ret;
	struct field key = field_member(item, "key");
	struct field list = field_member(item, "values");
	const char **values;
	bool wants_values;

	field_require(key);
	r->key = field_name(key);
	r->op = operator_read(field_member(item, "operator"));
	values = field_list(list, SELECTOR_MAX_VALUES, sizeof(*values), value_read, &r->n_values);
	wants_values = r->op == SELECTOR_IN || r->op == SELECTOR_NOT_IN;
	if (wants_values && r->n_values == 0)
		field_refuse(list, -EINVAL, "is empty");
	if (!wants_values && r->n_values > 0)
		field_refuse(list, -EINVAL, "belongs to In and NotIn only");
	if (item->decoder->error)
		return false;
	r->n_values = texts_unique(values, r->n_values);
	r->values = values;
	return true;
}

/* matchLabels: IN with one value each. */
static void labels_append(struct selector_requirement *requirements,
			  const struct key_values *labels)
{
	for (size_t i = 0; i < labels->n; i++)
		requirements[i] = (struct selector_requirement){
			.key = labels->items[i].key,
			.op = SELECTOR_IN,
			.values = &labels->items[i].value,
			.n_values = 1,
		};
}

struct selector field_selector(struct field f)
{
	static const struct map_limits limits = { .max_items = SELECTOR_MAX_REQUIREMENTS };
	struct key_values labels = field_key_values(field_member(&f, "matchLabels"), &limits);
	struct selector_requirement *expressions, *all;
	size_t n;

	expressions = field_list(field_member(&f, "matchExpressions"),
				 SELECTOR_MAX_REQUIREMENTS - labels.n, sizeof(*expressions),
				 requirement_read, &n);
	if (labels.n + n == 0 || f.decoder->error)
		return (struct selector){ 0 };

	all = arena_array(f.decoder->arena, labels.n + n, sizeof(*all));
	if (decoder_out_of_memory(f.decoder, all))
		return (struct selector){ 0 };
	labels_append(all, &labels);
	if (n > 0)
		memcpy(all + labels.n, expressions, n * sizeof(*all));
	array_sort(all, labels.n + n, sizeof(*all), requirement_cmp);
	return (struct selector){ .requirements = all, .n = labels.n + n };
}
