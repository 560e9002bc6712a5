#include "object/yaml.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <yaml.h>

#include "base/error.h"
#include "object/object.h"
#include "object/yaml-scalar.h"

/* The text is cut before every line "---", and each part has a parser of its own: what is wrong in
 * one part can't spread to the next. A part holds one document, or none; libyaml takes nothing but
 * a "---" behind the "..." that may end it. */
struct yaml_reader {
	const char *text;
	size_t len;
	size_t offset;      /* of the next part */
	unsigned next_line; /* its first line, from 0 */
	size_t part;        /* where the part starts that is in the parser */
	unsigned part_line; /* its first line */
	yaml_parser_t parser;
	bool parsing;
	unsigned line; /* where the last event was, from 1 */
};

static int node_build(struct yaml_reader *r, const yaml_event_t *event, int depth, json_t **ret,
		      struct error *err);

int yaml_reader_new(const char *text, size_t len, struct yaml_reader **ret, struct error *err)
{
	struct yaml_reader *r = calloc(1, sizeof(*r));

	if (!r)
		return error_set(err, -ENOMEM, "out of memory");
	r->text = text;
	r->len = len;
	*ret = r;
	return 0;
}

static void part_close(struct yaml_reader *r)
{
	if (r->parsing)
		yaml_parser_delete(&r->parser);
	r->parsing = false;
}

struct yaml_reader *yaml_reader_free(struct yaml_reader *r)
{
	if (r)
		part_close(r);
	free(r);
	return NULL;
}

/* Whether a document starts at @offset, the start of a line: "---", then a blank or nothing. */
static bool is_separator(const struct yaml_reader *r, size_t offset)
{
	static const char blanks[] = { ' ', '\t', '\r', '\n' };

	if (r->len - offset < 3 || memcmp(r->text + offset, "---", 3) != 0)
		return false;
	return r->len - offset == 3 || memchr(blanks, r->text[offset + 3], sizeof(blanks));
}

/* Moves to the next separator, or to the end. Returns the bytes passed. */
static size_t part_skip(struct yaml_reader *r)
{
	size_t start = r->offset;

	do {
		const char *rest = r->text + r->offset;
		const char *newline = memchr(rest, '\n', r->len - r->offset);

		r->offset += newline ? (size_t)(newline - rest) + 1 : r->len - r->offset;
		r->next_line += newline != NULL;
	} while (r->offset < r->len && !is_separator(r, r->offset));
	return r->offset - start;
}

/* Puts the next part into the parser. */
static int part_open(struct yaml_reader *r, struct error *err)
{
	size_t len;

	r->part = r->offset;
	r->part_line = r->next_line;
	r->line = r->part_line + 1;
	len = part_skip(r);
	if (len > OBJECT_MAX_BYTES)
		return error_set(err, -E2BIG, "document of %zu bytes, more than %d", len,
				 OBJECT_MAX_BYTES);
	if (!yaml_parser_initialize(&r->parser))
		return error_set(err, -ENOMEM, "out of memory");
	yaml_parser_set_encoding(&r->parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&r->parser, (const unsigned char *)r->text + r->part, len);
	r->parsing = true;
	return 0;
}

/* The line behind @n_lines of the part. libyaml sees the end of a text on a line of its own, and takes
 * more characters for line ends than '\n'. */
static unsigned line_behind(const struct yaml_reader *r, size_t n_lines)
{
	size_t line = r->part_line + n_lines + 1;
	unsigned last = r->next_line + (r->text[r->offset - 1] != '\n');

	return line < last ? (unsigned)line : last;
}

static size_t newlines_count(const char *text, size_t len)
{
	size_t n = 0;

	for (const char *end = text + len; (text = memchr(text, '\n', (size_t)(end - text)));
	     text++)
		n++;
	return n;
}

static int parser_error(struct yaml_reader *r, struct error *err)
{
	const yaml_parser_t *p = &r->parser;
	size_t n_lines = p->problem_mark.line;

	if (p->error == YAML_MEMORY_ERROR)
		return error_set(err, -ENOMEM, "out of memory");
	if (p->error == YAML_READER_ERROR) /* of a byte that is no text only the offset is known */
		n_lines = newlines_count(r->text + r->part, p->problem_offset);
	r->line = line_behind(r, n_lines);
	return error_set(err, -EINVAL, "%s%s%s", p->context ? p->context : "",
			 p->context ? ": " : "", p->problem ? p->problem : "not YAML");
}

static int event_next(struct yaml_reader *r, yaml_event_t *event, struct error *err)
{
	if (!yaml_parser_parse(&r->parser, event))
		return parser_error(r, err);
	r->line = line_behind(r, event->start_mark.line);
	return 0;
}

static int tag_refuse(const yaml_char_t *tag, struct error *err)
{
	return tag ? error_set(err, -EINVAL, "tag \"%.64s\": tags are not read", tag) : 0;
}

static int sequence_build(struct yaml_reader *r, int depth, json_t **ret, struct error *err)
{
	json_auto_t *list = json_array();

	if (!list)
		return error_set(err, -ENOMEM, "out of memory");
	for (;;) {
		_cleanup_(yaml_event_delete) yaml_event_t event;
		json_t *item;
		int k;

		k = event_next(r, &event, err);
		if (k < 0)
			return k;
		if (event.type == YAML_SEQUENCE_END_EVENT)
			break;
		k = node_build(r, &event, depth, &item, err);
		if (k < 0)
			return k;
		if (json_array_append_new(list, item) < 0)
			return error_set(err, -ENOMEM, "out of memory");
	}
	*ret = TAKE_PTR(list);
	return 0;
}

/* A key is a string that is new to @map. A merge key would bring in what an alias stands for. */
static int key_check(const json_t *map, const yaml_event_t *event, struct error *err)
{
	const char *key = (const char *)event->data.scalar.value;
	int k;

	if (event->type != YAML_SCALAR_EVENT)
		return error_set(err, -EINVAL, "a key is not a string");
	k = tag_refuse(event->data.scalar.tag, err);
	if (k < 0)
		return k;
	if (!yaml_scalar_is_string(event) || strcmp(key, "<<") == 0)
		return error_set(err, -EINVAL, "key \"%.64s\" is not a string", key);
	if (strlen(key) != event->data.scalar.length)
		return error_set(err, -EINVAL, "a key holds a zero byte");
	if (json_object_get(map, key))
		return error_set(err, -EINVAL, "key \"%.64s\" stands there twice", key);
	return 0;
}

static int pair_build(struct yaml_reader *r, json_t *map, const yaml_event_t *key, int depth,
		      struct error *err)
{
	_cleanup_(yaml_event_delete) yaml_event_t event;
	json_t *value;
	int k;

	event = (yaml_event_t){ 0 };
	k = key_check(map, key, err);
	if (k < 0)
		return k;
	k = event_next(r, &event, err);
	if (k < 0)
		return k;
	k = node_build(r, &event, depth, &value, err);
	if (k < 0)
		return k;
	if (json_object_set_new(map, (const char *)key->data.scalar.value, value) < 0)
		return error_set(err, -ENOMEM, "out of memory");
	return 0;
}

static int mapping_build(struct yaml_reader *r, int depth, json_t **ret, struct error *err)
{
	json_auto_t *map = json_object();

	if (!map)
		return error_set(err, -ENOMEM, "out of memory");
	for (;;) {
		_cleanup_(yaml_event_delete) yaml_event_t event;
		int k;

		k = event_next(r, &event, err);
		if (k < 0)
			return k;
		if (event.type == YAML_MAPPING_END_EVENT)
			break;
		k = pair_build(r, map, &event, depth, err);
		if (k < 0)
			return k;
	}
	*ret = TAKE_PTR(map);
	return 0;
}

static int collection_build(struct yaml_reader *r, const yaml_event_t *event, int depth,
			    json_t **ret, struct error *err)
{
	bool is_map = event->type == YAML_MAPPING_START_EVENT;
	int k;

	k = tag_refuse(is_map ? event->data.mapping_start.tag : event->data.sequence_start.tag,
		       err);
	if (k < 0)
		return k;
	if (depth == OBJECT_MAX_DEPTH)
		return error_set(err, -E2BIG, "more than %d levels deep", OBJECT_MAX_DEPTH);
	return is_map ? mapping_build(r, depth + 1, ret, err) :
			sequence_build(r, depth + 1, ret, err);
}

/* The tree whose first event is @event and that is @depth levels down. */
static int node_build(struct yaml_reader *r, const yaml_event_t *event, int depth, json_t **ret,
		      struct error *err)
{
	int k;

	switch (event->type) {
	case YAML_MAPPING_START_EVENT:
	case YAML_SEQUENCE_START_EVENT:
		return collection_build(r, event, depth, ret, err);
	case YAML_SCALAR_EVENT:
		k = tag_refuse(event->data.scalar.tag, err);
		return k < 0 ? k : yaml_scalar_build(event, ret, err);
	default:
		return error_set(err, -EINVAL, "an alias: aliases are not read");
	}
}

/* The document whose start was read last: its root, and its end, where more may be wrong. */
static int document_build(struct yaml_reader *r, json_t **ret, unsigned *ret_line,
			  struct error *err)
{
	_cleanup_(yaml_event_delete) yaml_event_t first;
	_cleanup_(yaml_event_delete) yaml_event_t end;
	json_auto_t *root = NULL;
	unsigned line;
	int k;

	end = (yaml_event_t){ 0 };
	k = event_next(r, &first, err);
	if (k < 0)
		return k;
	line = r->line;
	k = node_build(r, &first, 0, &root, err);
	if (k < 0)
		return k;
	k = event_next(r, &end, err);
	if (k < 0)
		return k;

	*ret_line = line;
	*ret = json_is_null(root) ? NULL : TAKE_PTR(root);
	return 1;
}

/* As yaml_reader_next(), but says -EAGAIN at the end of a part, and leaves the line to the caller
 * when something is wrong. */
static int part_next(struct yaml_reader *r, json_t **ret, unsigned *ret_line, struct error *err)
{
	yaml_event_type_t type;
	int k;

	do {
		yaml_event_t event;

		k = event_next(r, &event, err);
		if (k < 0)
			return k;
		type = event.type;
		yaml_event_delete(&event);
	} while (type == YAML_STREAM_START_EVENT);
	return type == YAML_DOCUMENT_START_EVENT ? document_build(r, ret, ret_line, err) : -EAGAIN;
}

int yaml_reader_next(struct yaml_reader *r, json_t **ret, unsigned *ret_line, struct error *err)
{
	int k;

	for (;;) {
		if (!r->parsing && r->offset == r->len)
			return 0;
		k = r->parsing ? 0 : part_open(r, err);
		if (k == 0)
			k = part_next(r, ret, ret_line, err);
		if (k > 0)
			return k;
		part_close(r);
		if (k < 0 && k != -EAGAIN) {
			*ret_line = r->line;
			return k;
		}
	}
}
