#include "json-request.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "decode-text.h"
#include "fail-alloc.h"

json_t *request_json(const struct http_exchange *x)
{
	json_error_t why;
	json_t *json;

	fail_alloc_suspend();
	json = json_loads(http_body(x), JSON_REJECT_DUPLICATES, &why);
	fail_alloc_resume();
	if (!json)
		fail_msg("%s: %s", why.text, http_body(x));
	return json;
}

void assert_json(const json_t *actual, const char *expected)
{
	json_auto_t *wanted = tree("%s", expected);

	if (!json_equal(actual, wanted)) {
		_cleanup_free_ char *text = json_dumps(actual, JSON_COMPACT);

		fail_msg("%s\nis not\n%s", text, expected);
	}
}

void assert_next(struct http_server *s, const char *expected, int status, const char *body)
{
	struct http_exchange *x = http_next(s);
	_cleanup_free_ char *text = strdup(body);
	char actual[1024];

	assert_non_null(text);
	snprintf(actual, sizeof(actual), "%s %s", http_method(x), http_target(x));
	assert_string_equal(actual, expected);
	for (char *p = text; *p; p++)
		if (*p == '\'')
			*p = '"';
	http_reply(x, status, NULL, text);
}

/* Calls from here are counted, and jansson calls them. */
static void *counted_malloc(size_t size)
{
	return malloc(size);
}

int jansson_counted(void **state)
{
	(void)state;
	json_set_alloc_funcs(counted_malloc, free);
	/* Draws the seed of the hash tables, which opens files. */
	json_decref(json_object());
	return 0;
}
