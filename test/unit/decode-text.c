#include "decode-text.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"

static json_t *tree_from(const char *format, va_list args) __attribute__((format(printf, 1, 0)));

static json_t *tree_from(const char *format, va_list args)
{
	struct error err = { 0 };
	json_t *root = NULL;
	char *text;
	int len;

	len = vasprintf(&text, format, args);
	assert_true(len >= 0);
	for (char *c = text; *c; c++)
		if (*c == '\'')
			*c = '"';
	if (json_parse(text, (size_t)len, &root, &err) < 0)
		fail_msg("%s: %s", err.message, text);
	free(text);
	return root;
}

json_t *tree(const char *format, ...)
{
	va_list args;
	json_t *root;

	va_start(args, format);
	root = tree_from(format, args);
	va_end(args);
	return root;
}

struct object *decode(const char *format, ...)
{
	struct error err = { 0 };
	struct object *o = NULL;
	json_t *root;
	va_list args;

	va_start(args, format);
	root = tree_from(format, args);
	va_end(args);
	if (object_decode(root, &o, NULL, &err) < 0)
		fail_msg("refused: %s", err.message);
	json_decref(root);
	return o;
}

void decode_count(struct decode_stats *stats, const char *text)
{
	json_t *root = tree("%s", text);
	struct object *o = NULL;

	assert_int_equal(object_decode(root, &o, stats, NULL), 0);
	object_free(o);
	json_decref(root);
}

/* A policy that can't be read is there nevertheless, with the reason and without a rule. */
static int policy_refusal(struct object *o, int code, struct error *err)
{
	const struct network_policy *p = (const struct network_policy *)o;

	assert_int_equal(o->kind, KIND_NETWORK_POLICY);
	assert_non_null(p->problem);
	assert_int_equal(p->n_ingress_rules + p->n_egress_rules, 0);
	assert_true(p->ingress || p->egress);
	return error_set(err, code, "NetworkPolicy %s/%s: %s", o->namespace, o->name, p->problem);
}

void assert_refused(int code, const char *message, const char *format, ...)
{
	_cleanup_(object_freep) struct object *o = NULL;
	struct error err = { 0 };
	json_t *root;
	va_list args;
	int r;

	va_start(args, format);
	root = tree_from(format, args);
	va_end(args);
	r = object_decode(root, &o, NULL, &err);
	if (r == 0)
		r = policy_refusal(o, code, &err);
	assert_int_equal(r, code);
	assert_string_equal(err.message, message);
	assert_int_equal(err.code, code);
	json_decref(root);
}

char *repeat(const char *item, size_t n)
{
	size_t len = strlen(item) + 1;
	char *text = malloc(n * len + 1);

	assert_non_null(text);
	for (size_t i = 0; i < n; i++) {
		memcpy(text + i * len, item, len - 1);
		text[(i + 1) * len - 1] = ',';
	}
	text[n > 0 ? n * len - 1 : 0] = '\0';
	return text;
}

void assert_list_limit(const char *path, const char *before, const char *item, size_t limit,
		       const char *behind)
{
	_cleanup_free_ char *fits = repeat(item, limit);
	_cleanup_free_ char *too_many = repeat(item, limit + 1);
	char message[ERROR_MAX_BYTES];

	object_free(decode("%s[%s]%s", before, fits, behind));
	snprintf(message, sizeof(message), "%s: has %zu items, more than %zu", path, limit + 1,
		 limit);
	assert_refused(-E2BIG, message, "%s[%s]%s", before, too_many, behind);
}

void assert_addr(const struct addr *a, const char *text)
{
	char actual[ADDR_TEXT_MAX];

	if (!text)
		assert_int_equal(a->family, 0);
	else
		assert_string_equal(addr_format(a, actual), text);
}
