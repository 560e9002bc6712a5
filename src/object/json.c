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

/* jansson 2.14 calls a failed allocation a syntax error, or even loses a byte of a string or a key and goes
 * on. So we look at its allocations ourselves while it parses and prints. */
static struct {
	json_malloc_t malloc;
	json_free_t free;
	bool failed;
} watched;

static void *malloc_watched(size_t size)
{
	void *p = watched.malloc(size);

	watched.failed |= !p;
	return p;
}

static void watch_begin(void)
{
	json_get_alloc_funcs(&watched.malloc, &watched.free);
	watched.failed = false;
	json_set_alloc_funcs(malloc_watched, watched.free);
}

/* Whether no allocation failed. */
static bool watch_end(void)
{
	json_set_alloc_funcs(watched.malloc, watched.free);
	return !watched.failed;
}

int json_parse(const char *text, size_t len, json_t **ret, struct error *err)
{
	json_auto_t *root = NULL;
	json_error_t why;
	int r;

	if (len > OBJECT_MAX_BYTES)
		return error_set(err, -E2BIG, "%zu bytes, more than %d", len, OBJECT_MAX_BYTES);
	r = depth_check(text, len, err);
	if (r < 0)
		return r;

	watch_begin();
	/* Zero bytes are nowhere in what we read (field.h), but may be in what a pod gives its programs. */
	root = json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &why);
	if (!watch_end())
		return error_set(err, -ENOMEM, "out of memory");
	if (!root)
		return error_set(err, -EINVAL, "line %d column %d: %s", why.line, why.column,
				 why.text);
	*ret = TAKE_PTR(root);
	return 0;
}

int json_print(const json_t *json, char **ret)
{
	_cleanup_free_ char *text = NULL;

	watch_begin();
	text = json_dumps(json, JSON_COMPACT);
	if (!watch_end() || !text)
		return -ENOMEM;
	*ret = TAKE_PTR(text);
	return 0;
}
