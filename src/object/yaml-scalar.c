#include "object/yaml-scalar.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"

enum scalar_type {
	SCALAR_STRING,
	SCALAR_NULL,
	SCALAR_TRUE,
	SCALAR_FALSE,
	SCALAR_DECIMAL,
	SCALAR_OCTAL,
	SCALAR_HEXADECIMAL,
	SCALAR_REAL,
	SCALAR_NO_JSON, /* infinity and "not a number" */
};

static const struct word {
	const char *text;
	enum scalar_type type;
} words[] = {
	{ "", SCALAR_NULL },        { "~", SCALAR_NULL },       { "null", SCALAR_NULL },
	{ "Null", SCALAR_NULL },    { "NULL", SCALAR_NULL },    { "true", SCALAR_TRUE },
	{ "True", SCALAR_TRUE },    { "TRUE", SCALAR_TRUE },    { "false", SCALAR_FALSE },
	{ "False", SCALAR_FALSE },  { "FALSE", SCALAR_FALSE },  { ".nan", SCALAR_NO_JSON },
	{ ".NaN", SCALAR_NO_JSON }, { ".NAN", SCALAR_NO_JSON },
};

static const char digits[] = "0123456789";

static bool is_infinity(const char *text)
{
	text += *text == '-' || *text == '+';
	return strcmp(text, ".inf") == 0 || strcmp(text, ".Inf") == 0 || strcmp(text, ".INF") == 0;
}

static bool consists_of(const char *text, const char *chars)
{
	return *text && text[strspn(text, chars)] == '\0';
}

/* Where the digits of an exponent end that starts at @p; @p when there is none. */
static const char *exponent_skip(const char *p)
{
	size_t sign = p[0] && (p[1] == '-' || p[1] == '+');
	size_t n;

	if (*p != 'e' && *p != 'E')
		return p;
	n = strspn(p + 1 + sign, digits);
	return n > 0 ? p + 1 + sign + n : p;
}

static enum scalar_type number_type(const char *text)
{
	const char *p = text + (*text == '-' || *text == '+');
	size_t whole = strspn(p, digits), fraction = 0;

	if (strncmp(text, "0o", 2) == 0 && consists_of(text + 2, "01234567"))
		return SCALAR_OCTAL;
	if (strncmp(text, "0x", 2) == 0 && consists_of(text + 2, "0123456789abcdefABCDEF"))
		return SCALAR_HEXADECIMAL;

	p += whole;
	if (whole > 0 && !*p)
		return SCALAR_DECIMAL;
	if (*p == '.') {
		fraction = strspn(p + 1, digits);
		p += 1 + fraction;
	}
	if (whole + fraction == 0 || *exponent_skip(p))
		return SCALAR_STRING;
	return SCALAR_REAL;
}

static enum scalar_type scalar_type(const yaml_event_t *event)
{
	const char *text = (const char *)event->data.scalar.value;

	if (event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
		return SCALAR_STRING;
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (strcmp(text, words[i].text) == 0)
			return words[i].type;
	return is_infinity(text) ? SCALAR_NO_JSON : number_type(text);
}

bool yaml_scalar_is_string(const yaml_event_t *event)
{
	return scalar_type(event) == SCALAR_STRING;
}

static int integer_build(const char *text, int base, json_t **ret, struct error *err)
{
	size_t sigil_bytes = base == 10 ? 0 : strlen("0x");
	long long number;

	errno = 0;
	number = strtoll(text + sigil_bytes, NULL, base);
	if (errno == ERANGE)
		return error_set(err, -EINVAL, "%.64s is beyond 64 bits", text);
	*ret = json_integer(number);
	return 0;
}

static int string_build(const yaml_event_t *event, json_t **ret, struct error *err)
{
	const char *text = (const char *)event->data.scalar.value;
	size_t len = event->data.scalar.length;

	if (strlen(text) != len)
		return error_set(err, -EINVAL, "a string holds a zero byte");
	*ret = json_stringn(text, len);
	return 0;
}

static int real_build(const char *text, json_t **ret, struct error *err)
{
	double number = strtod(text, NULL);

	if (__builtin_isinf(number))
		return error_set(err, -EINVAL, "%.64s is too big", text);
	*ret = json_real(number);
	return 0;
}

static int value_build(const yaml_event_t *event, json_t **ret, struct error *err)
{
	const char *text = (const char *)event->data.scalar.value;

	switch (scalar_type(event)) {
	case SCALAR_NULL:
		*ret = json_null();
		return 0;
	case SCALAR_TRUE:
	case SCALAR_FALSE:
		*ret = json_boolean(scalar_type(event) == SCALAR_TRUE);
		return 0;
	case SCALAR_DECIMAL:
		return integer_build(text, 10, ret, err);
	case SCALAR_OCTAL:
		return integer_build(text, 8, ret, err);
	case SCALAR_HEXADECIMAL:
		return integer_build(text, 16, ret, err);
	case SCALAR_REAL:
		return real_build(text, ret, err);
	case SCALAR_NO_JSON:
		return error_set(err, -EINVAL, "%s is not a number that JSON knows", text);
	case SCALAR_STRING:
		break;
	}
	return string_build(event, ret, err);
}

int yaml_scalar_build(const yaml_event_t *event, json_t **ret, struct error *err)
{
	json_t *value = NULL;
	int r;

	r = value_build(event, &value, err);
	if (r < 0)
		return r;
	if (!value)
		return error_set(err, -ENOMEM, "out of memory");
	*ret = value;
	return 0;
}
