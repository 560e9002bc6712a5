/* field-list.c - the readers of lists and maps. */
#include "object/field.h"

#include <errno.h>
#include <string.h>

#include "base/arena.h"
#include "base/array.h"

size_t field_count(struct field f, size_t limit)
{
	size_t n;

	if (!field_is(f, JSON_ARRAY))
		return 0;

	n = json_array_size(f.value);
	if (n <= limit)
		return n;
	field_refuse(f, -E2BIG, "has %zu items, more than %zu", n, limit);
	return 0;
}

void *field_list(struct field f, size_t limit, size_t size,
		 bool (*read)(const struct field *item, void *ret), size_t *ret_n)
{
	size_t n = field_count(f, limit), kept = 0;
	char *items;

	*ret_n = 0;
	if (n == 0)
		return NULL;
	items = arena_array(f.decoder->arena, n, size);
	if (decoder_out_of_memory(f.decoder, items))
		return NULL;

	for (size_t i = 0; i < n && !f.decoder->error; i++) {
		struct field item = field_item(&f, i);
		char *slot = items + kept * size;

		if (read(&item, slot))
			kept++;
		else
			memset(slot, 0, size);
	}
	*ret_n = kept;
	return kept > 0 ? items : NULL;
}

bool field_read_string(const struct field *item, void *ret)
{
	const char *text = field_string(*item);

	*(const char **)ret = text;
	return text && *text;
}

bool field_read_addr(const struct field *item, void *ret)
{
	struct addr *addr = ret;

	*addr = field_addr(*item);
	return addr->family != 0;
}

bool field_read_prefix(const struct field *item, void *ret)
{
	struct prefix *prefix = ret;

	*prefix = field_prefix(*item);
	return prefix->addr.family != 0;
}

bool field_read_valid_prefix(const struct field *item, void *ret)
{
	struct prefix *prefix = ret;

	*prefix = field_valid_prefix(*item);
	return prefix->addr.family != 0;
}

static int key_value_cmp(const void *a, const void *b)
{
	const struct key_value *x = a, *y = b;

	return strcmp(x->key, y->key);
}

static bool pair_is_kept(const struct map_limits *limits, const char *key, const json_t *value)
{
	return !limits->keep ||
	       (limits->keep(key) && (!json_is_string(value) || string_is_text(value)));
}

static size_t pairs_count(json_t *map, const struct map_limits *limits)
{
	const char *key;
	json_t *value;
	size_t n = 0;

	json_object_foreach(map, key, value) n += pair_is_kept(limits, key, value);
	return n;
}

/* Reads the pairs of @map, which is what @f holds, into @items, which has room for those that are kept. */
static size_t pairs_read(const struct field *f, json_t *map, const struct map_limits *limits,
			 struct key_value *items)
{
	size_t n = 0, bytes = 0;
	const char *key;
	json_t *value;

	json_object_foreach(map, key, value)
	{
		struct field pair = field_member(f, key);

		field_is(pair, JSON_STRING);
		bytes += strlen(key) + json_string_length(value);
		if (!pair_is_kept(limits, key, value))
			continue;
		items[n].key = arena_strdup(f->decoder->arena, key);
		items[n].value = field_name(pair);
		decoder_out_of_memory(f->decoder, items[n].key);
		if (f->decoder->error)
			return 0;
		n++;
	}
	if (limits->max_bytes > 0 && bytes > limits->max_bytes)
		field_refuse(*f, -E2BIG, "has %zu bytes, more than %zu", bytes, limits->max_bytes);
	return n;
}

struct key_values field_key_values(struct field f, const struct map_limits *limits)
{
	struct key_values map = { 0 };
	struct key_value *items;
	json_t *tree;
	size_t n;

	if (!field_is(f, JSON_OBJECT))
		return map;
	n = json_object_size(f.value);
	if (limits->max_items > 0 && n > limits->max_items) {
		field_refuse(f, -E2BIG, "has %zu items, more than %zu", n, limits->max_items);
		return map;
	}
	/* jansson walks an object by a pointer that is not const; its parent has one. */
	tree = json_object_get(f.parent->value, f.key);
	items = arena_array(f.decoder->arena, pairs_count(tree, limits), sizeof(*items));
	if (decoder_out_of_memory(f.decoder, items))
		return map;

	n = pairs_read(&f, tree, limits, items);
	if (f.decoder->error)
		return map;
	array_sort(items, n, sizeof(*items), key_value_cmp);
	map.items = items;
	map.n = n;
	return map;
}
