#include "object/decode.h"

#include <errno.h>
#include <stdbool.h>

#include "base/error.h"

/* jansson itself would go 2048 levels deep. Brackets inside of strings do not count; whether the rest
 * is JSON at all is left to the parser. */
static int depth_check(const char *text, size_t len, struct error *err)
{
	bool in_string = false;
	unsigned line = 1;
	int depth = 0;

	for (size_t i = 0; i < len; i++) {
		char c = text[i];

		if (c == '"')
			in_string = !in_string;
		else if (c == '\\' && in_string)
			i++;
		else if (c == '\n')
			line++;
		else if (!in_string && (c == '[' || c == '{'))
			depth++;
		else if (!in_string && (c == ']' || c == '}'))
			depth--;
		if (depth > OBJECT_MAX_DEPTH)
			return error_set(err, -E2BIG, "line %u: more than %d levels deep", line,
					 OBJECT_MAX_DEPTH);
	}
	return 0;
}

/* jansson says nothing at all when some of its allocations fail. */
static bool is_out_of_memory(const json_error_t *e)
{
	return json_error_code(e) == json_error_out_of_memory ||
	       json_error_code(e) == json_error_unknown;
}

int json_parse(const char *text, size_t len, json_t **ret, struct error *err)
{
	json_error_t why;
	json_t *root;
	int r;

	if (len > OBJECT_MAX_BYTES)
		return error_set(err, -E2BIG, "%zu bytes, more than %d", len, OBJECT_MAX_BYTES);
	r = depth_check(text, len, err);
	if (r < 0)
		return r;

	root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &why);
	if (!root && is_out_of_memory(&why))
		return error_set(err, -ENOMEM, "out of memory");
	if (!root)
		return error_set(err, -EINVAL, "line %d column %d: %s", why.line, why.column,
				 why.text);
	*ret = root;
	return 0;
}
