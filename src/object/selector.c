#include "object/object.h"

#include <string.h>

#include "base/array.h"

static int value_cmp(const void *text, const void *item)
{
	return strcmp(text, *(const char *const *)item);
}

static bool values_contain(const struct selector_requirement *r, const char *text)
{
	return array_find(text, r->values, r->n_values, sizeof(r->values[0]), value_cmp);
}

static bool requirement_holds(const struct selector_requirement *r, const struct key_values *labels)
{
	const char *value = key_values_get(labels, r->key);

	switch (r->op) {
	case SELECTOR_IN:
		return value && values_contain(r, value);
	case SELECTOR_NOT_IN:
		return !value || !values_contain(r, value);
	case SELECTOR_EXISTS:
		return value;
	case SELECTOR_DOES_NOT_EXIST:
		break;
	}
	return !value;
}

bool selector_matches(const struct selector *s, const struct key_values *labels)
{
	for (size_t i = 0; i < s->n; i++)
		if (!requirement_holds(&s->requirements[i], labels))
			return false;
	return true;
}
