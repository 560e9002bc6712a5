#include "object/field.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/hash.h"

enum {
	PATH_MAX_BYTES = 256,
	SENTENCE_MAX_BYTES = 256,
};

static const char *const type_names[] = {
	[JSON_OBJECT] = "an object",   [JSON_ARRAY] = "a list",    [JSON_STRING] = "a string",
	[JSON_INTEGER] = "an integer", [JSON_REAL] = "a fraction", [JSON_TRUE] = "a boolean",
	[JSON_FALSE] = "a boolean",    [JSON_NULL] = "null",
};

static size_t path_print(const struct field *f, char path[static PATH_MAX_BYTES])
{
	size_t len;
	int n;

	if (!f->parent)
		return 0;

	len = path_print(f->parent, path);
	if (f->key)
		n = snprintf(path + len, PATH_MAX_BYTES - len, "%s%s", len > 0 ? "." : "", f->key);
	else
		n = snprintf(path + len, PATH_MAX_BYTES - len, "[%zu]", f->index);
	if (n > 0)
		len += (size_t)n;
	return len < PATH_MAX_BYTES ? len : PATH_MAX_BYTES - 1;
}

void field_refuse(struct field f, int code, const char *format, ...)
{
	char path[PATH_MAX_BYTES] = "document";
	char sentence[SENTENCE_MAX_BYTES];
	va_list args;

	if (f.decoder->error)
		return;

	va_start(args, format);
	vsnprintf(sentence, sizeof(sentence), format, args);
	va_end(args);
	path_print(&f, path);
	f.decoder->error = error_set(f.decoder->err, code, "%s: %s", path, sentence);
}

bool decoder_out_of_memory(struct decoder *d, const void *p)
{
	if (!p && !d->error)
		d->error = error_set(d->err, -ENOMEM, "out of memory");
	return !p;
}

static const json_t *json_present(const json_t *value)
{
	return json_is_null(value) ? NULL : value;
}

struct field field_root(struct decoder *d, const json_t *root)
{
	return (struct field){ .decoder = d, .value = json_present(root) };
}

bool field_is(struct field f, json_type type)
{
	json_type actual;

	if (!f.value || f.decoder->error)
		return false;

	actual = json_is_false(f.value) ? JSON_TRUE : json_typeof(f.value);
	if (actual == type)
		return true;
	field_refuse(f, -EINVAL, "is %s, not %s", type_names[actual], type_names[type]);
	return false;
}

bool field_require(struct field f)
{
	if (f.value && !(json_is_string(f.value) && json_string_length(f.value) == 0))
		return true;
	field_refuse(f, -EINVAL, "is missing");
	return false;
}

struct field field_member(const struct field *parent, const char *key)
{
	struct field f = { .decoder = parent->decoder, .parent = parent, .key = key };

	if (field_is(*parent, JSON_OBJECT))
		f.value = json_present(json_object_get(parent->value, key));
	return f;
}

struct field field_item(const struct field *list, size_t index)
{
	struct field f = { .decoder = list->decoder, .parent = list, .index = index };

	if (field_is(*list, JSON_ARRAY))
		f.value = json_present(json_array_get(list->value, index));
	return f;
}

bool field_bool(struct field f, bool fallback)
{
	return field_is(f, JSON_TRUE) ? json_is_true(f.value) : fallback;
}

bool string_is_text(const json_t *string)
{
	return strlen(json_string_value(string)) == json_string_length(string);
}

const char *field_text(struct field f)
{
	if (!field_is(f, JSON_STRING))
		return NULL;
	if (string_is_text(f.value))
		return json_string_value(f.value);
	field_refuse(f, -EINVAL, "has a zero byte");
	return NULL;
}

const char *field_string(struct field f)
{
	const char *text = field_text(f);
	const char **recent;
	size_t len;

	if (!text)
		return NULL;

	len = json_string_length(f.value);
	recent = &f.decoder->recent_texts[hash_bytes(text, len) % DECODER_RECENT_TEXTS];
	if (!*recent || strcmp(*recent, text) != 0) {
		*recent = arena_strndup(f.decoder->arena, text, len);
		decoder_out_of_memory(f.decoder, *recent);
	}
	return *recent;
}

const char *field_name(struct field f)
{
	const char *name = field_string(f);

	return name ? name : "";
}

int64_t field_clamped(struct field f, int64_t min, int64_t max, int64_t fallback)
{
	int64_t value, inside;

	if (!field_is(f, JSON_INTEGER))
		return fallback;

	value = json_integer_value(f.value);
	inside = value < min ? min : value > max ? max : value;
	f.decoder->stats.clamped_values += inside != value;
	return inside;
}

int field_enum(struct field f, const struct enum_value *values, int fallback)
{
	const char *text = field_text(f);

	for (const struct enum_value *v = values; v->name; v++)
		if (strcmp(v->name, text ? text : "") == 0)
			return v->value;

	f.decoder->stats.unknown_enums += text && *text;
	return fallback;
}
