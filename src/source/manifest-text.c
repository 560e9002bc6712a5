#include "source/manifest-text.h"

#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <string.h>

#include "base/error.h"
#include "base/hash.h"
#include "object/decode.h"
#include "object/yaml.h"

static const char list_suffix[] = "List";

/* Where we are: what all functions below are told. */
struct reading {
	const struct manifest_visitor *visitor;
	struct decode_stats *stats;
	unsigned line;
};

static int tell_problem(const struct reading *r, const struct error *err,
			const struct object_id *about)
{
	const struct manifest_problem p = { .line = r->line, .text = err->message, .about = about };

	return r->visitor->problem(&p, r->visitor->userdata);
}

/* Which object @document means to be, as far as it can be told of one that does not decode. */
static bool document_identify(const json_t *document, struct object_id *ret)
{
	const char *kind = json_string_value(json_object_get(document, "kind"));
	const json_t *meta = json_object_get(document, "metadata");
	const char *name = json_string_value(json_object_get(meta, "name"));
	const char *namespace = json_string_value(json_object_get(meta, "namespace"));
	size_t i = 0;

	if (!kind || !name)
		return false;
	while (i < KIND_COUNT && strcmp(kind, kind_name((enum object_kind)i)) != 0)
		i++;
	if (i == KIND_COUNT)
		return false;
	*ret = object_id((enum object_kind)i, namespace, name);
	return true;
}

static int document_hash(const json_t *document, uint64_t *ret)
{
	_cleanup_free_ char *text = json_dumps(document, JSON_COMPACT | JSON_SORT_KEYS);

	if (!text)
		return -ENOMEM;
	*ret = hash_bytes(text, strlen(text));
	return 0;
}

/* @item: the place in a list, for the problem's text; negative outside of lists. */
static int object_read(const struct reading *r, const json_t *document, ssize_t item)
{
	_cleanup_(object_freep) struct object *o = NULL;
	struct object_id id;
	struct error err;
	uint64_t content;
	int ret;

	ret = object_decode(document, &o, r->stats, &err);
	if (ret == -ENOENT)
		return 0;
	if (ret == -ENOMEM)
		return ret;
	if (ret < 0) {
		if (item >= 0)
			error_wrap(&err, ret, "items[%zd]", item);
		return tell_problem(r, &err, document_identify(document, &id) ? &id : NULL);
	}
	ret = document_hash(document, &content);
	if (ret < 0)
		return ret;
	return r->visitor->object(TAKE_PTR(o), content, r->line, r->visitor->userdata);
}

/* The items of @document when its kind ends in "List"; NULL when it has none. */
static json_t *document_items(const json_t *document)
{
	const char *kind = json_string_value(json_object_get(document, "kind"));
	size_t len = kind ? strlen(kind) : 0, suffix_len = strlen(list_suffix);

	if (len < suffix_len || strcmp(kind + len - suffix_len, list_suffix) != 0)
		return NULL;
	return json_object_get(document, "items");
}

static int item_default(json_t *item, const char *key, json_t *value)
{
	if (!value || json_object_get(item, key))
		return 0;
	return json_object_set(item, key, value) < 0 ? -ENOMEM : 0;
}

/* Items of a typed list leave out what the list's own kind says. */
static int item_complete(json_t *item, const json_t *list)
{
	const json_t *list_kind = json_object_get(list, "kind");
	size_t len = json_string_length(list_kind) - strlen(list_suffix);
	json_t *kind;
	int r;

	if (!json_is_object(item) || len == 0)
		return 0;
	kind = json_stringn(json_string_value(list_kind), len);
	if (!kind)
		return -ENOMEM;
	r = item_default(item, "kind", kind);
	json_decref(kind);
	if (r < 0)
		return r;
	return item_default(item, "apiVersion", json_object_get(list, "apiVersion"));
}

static int document_read(const struct reading *r, json_t *document, ssize_t item)
{
	json_t *items = document_items(document), *child;
	size_t i;
	int ret;

	if (!items)
		return object_read(r, document, item);
	/* A list in a list is nobody's habit but costs nothing: the parsers bound the depth. */
	json_array_foreach(items, i, child)
	{
		ret = item_complete(child, document);
		if (ret == 0)
			ret = document_read(r, child, (ssize_t)i);
		if (ret < 0)
			return ret;
	}
	return 0;
}

/* Go on with what a parser gave: a tree, which is dropped here, or an error. */
static int parsed_read(const struct reading *r, int parsed, json_t *document,
		       const struct error *err)
{
	int ret = 0;

	if (parsed == -ENOMEM)
		return parsed;
	if (parsed < 0)
		return tell_problem(r, err, NULL);
	if (document)
		ret = document_read(r, document, -1);
	json_decref(document);
	return ret;
}

static int yaml_text_read(struct reading *r, const char *text, size_t len)
{
	_cleanup_(yaml_reader_freep) struct yaml_reader *reader = NULL;
	struct error err;
	int parsed, ret;

	ret = yaml_reader_new(text, len, &reader, &err);
	if (ret < 0)
		return ret;
	do {
		json_t *document = NULL;

		parsed = yaml_reader_next(reader, &document, &r->line, &err);
		ret = parsed == 0 ? 0 : parsed_read(r, parsed, document, &err);
	} while (parsed != 0 && ret == 0);
	return ret;
}

/* Bytes of the JSON document that @text starts with: up to the bracket that closes its first one,
 * all when it is no object or array or when that bracket is missing. */
static size_t json_document_len(const char *text, size_t len)
{
	unsigned depth = 0;
	bool quoted = false;

	for (size_t i = 0; i < len; i++) {
		char c = text[i];

		if (quoted && c == '\\')
			i++;
		else if (c == '"')
			quoted = !quoted;
		else if (!quoted && (c == '{' || c == '['))
			depth++;
		else if (!quoted && depth > 0 && (c == '}' || c == ']') && --depth == 0)
			return i + 1;
	}
	return len;
}

/* Skip @n bytes of *@text and count their lines. */
static void text_advance(struct reading *r, const char **text, size_t n)
{
	for (const char *end = *text + n; *text < end; ++*text)
		r->line += **text == '\n';
}

static size_t blanks_len(const char *text, const char *end)
{
	const char *p = text;

	while (p < end && (*p == ' ' || *p == '\t' || *p == '\r' || *p == '\n'))
		p++;
	return (size_t)(p - text);
}

static int json_text_read(struct reading *r, const char *text, size_t len)
{
	const char *end = text + len;

	r->line = 1;
	for (text_advance(r, &text, blanks_len(text, end)); text < end;
	     text_advance(r, &text, blanks_len(text, end))) {
		json_t *document = NULL;
		struct error err;
		int ret;

		len = json_document_len(text, (size_t)(end - text));
		ret = json_parse(text, len, &document, &err);
		ret = parsed_read(r, ret, document, &err);
		if (ret < 0)
			return ret;
		text_advance(r, &text, len);
	}
	return 0;
}

int manifest_text_read(const char *text, size_t len, enum manifest_format format,
		       const struct manifest_visitor *visitor, struct decode_stats *stats)
{
	struct reading r = { .visitor = visitor, .stats = stats };

	return format == MANIFEST_JSON ? json_text_read(&r, text, len) :
					 yaml_text_read(&r, text, len);
}
