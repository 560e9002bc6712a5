/* options-value.c - the text of a flag's value into its field, by the flag's kind. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/options-table.h"
#include "agent/options.h"
#include "base/addr.h"
#include "base/array.h"
#include "base/cleanup.h"
#include "base/error.h"

enum { NS_PER_MS = 1000000 };

static int parse_bool(void *field, const char *text)
{
	static const char *const words[2][6] = {
		{ "false", "0", "f", "F", "FALSE", "False" },
		{ "true", "1", "t", "T", "TRUE", "True" },
	};

	for (size_t value = 0; value < ARRAY_SIZE(words); value++)
		for (size_t i = 0; i < ARRAY_SIZE(words[value]); i++)
			if (strcmp(text, words[value][i]) == 0) {
				*(bool *)field = value;
				return 0;
			}
	return -EINVAL;
}

/* Decimal digits, up to @max. A leading zero is refused: kube-router would read an octal number. */
static int parse_decimal(const char *text, uint64_t max, uint64_t *ret)
{
	uint64_t value = 0;

	if (!*text || (text[0] == '0' && text[1]))
		return -EINVAL;
	for (; *text; text++) {
		if (!isdigit((unsigned char)*text))
			return -EINVAL;
		value = value * 10 + (uint64_t)(*text - '0');
		if (value > max)
			return -EINVAL;
	}
	*ret = value;
	return 0;
}

#define DEFINE_PARSE_NUMBER(name, type, max)                \
	static int name(void *field, const char *text)      \
	{                                                   \
		uint64_t value;                             \
		int r = parse_decimal(text, (max), &value); \
                                                            \
		if (r == 0)                                 \
			*(type *)field = (type)value;       \
		return r;                                   \
	}                                                   \
	struct name##_needs_a_semicolon

DEFINE_PARSE_NUMBER(parse_u8, uint8_t, UINT8_MAX);
DEFINE_PARSE_NUMBER(parse_u16, uint16_t, UINT16_MAX);
DEFINE_PARSE_NUMBER(parse_u32, uint32_t, UINT32_MAX);

/* Nanoseconds of the unit in the first @len bytes of @text; 0 when it is none. */
static uint64_t duration_unit(const char *text, size_t len)
{
	static const struct {
		const char *name;
		uint64_t ns;
	} units[] = {
		{ "ns", 1 },
		{ "us", 1000 },
		{ "\u00b5s", 1000 }, /* micro sign */
		{ "\u03bcs", 1000 }, /* Greek mu */
		{ "ms", NS_PER_MS },
		{ "s", 1000ULL * NS_PER_MS },
		{ "m", 60000ULL * NS_PER_MS },
		{ "h", 3600000ULL * NS_PER_MS },
	};

	for (size_t i = 0; i < ARRAY_SIZE(units); i++)
		if (strlen(units[i].name) == len && memcmp(units[i].name, text, len) == 0)
			return units[i].ns;
	return 0;
}

/* Add one "1.5h" in front of *@text to *@ns and step behind it. */
static int duration_step(const char **text, uint64_t *ns)
{
	const char *whole = *text;
	size_t n_whole = strspn(whole, "0123456789");
	const char *fraction = whole + n_whole + (whole[n_whole] == '.');
	size_t n_fraction = fraction > whole + n_whole ? strspn(fraction, "0123456789") : 0;
	const char *unit_text = fraction + n_fraction;
	size_t n_unit = strcspn(unit_text, ".0123456789");
	uint64_t unit = duration_unit(unit_text, n_unit);
	uint64_t value = 0;

	if (n_whole + n_fraction == 0 || unit == 0)
		return -EINVAL;
	for (size_t i = 0; i < n_whole; i++)
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(whole[i] - '0'), &value))
			return -EINVAL;
	if (__builtin_mul_overflow(value, unit, &value))
		return -EINVAL;
	for (size_t i = 0; i < n_fraction; i++) {
		uint64_t part = (uint64_t)(fraction[i] - '0') * unit / 10;

		unit /= 10;
		if (__builtin_add_overflow(value, part, &value))
			return -EINVAL;
	}
	*text = unit_text + n_unit;
	return __builtin_add_overflow(*ns, value, ns) || *ns > INT64_MAX ? -EINVAL : 0;
}

/* As Go's time.ParseDuration, but nothing negative. Rounded up, so that what is more than 0 (or
 * more than a limit) stays so in milliseconds. */
static int parse_duration(void *field, const char *text)
{
	uint64_t ns = 0;
	int r = 0;

	if (*text == '+')
		text++;
	if (!*text)
		return -EINVAL;
	if (strcmp(text, "0") != 0)
		while (r == 0 && *text)
			r = duration_step(&text, &ns);
	if (r < 0)
		return r;
	*(uint64_t *)field = ns / NS_PER_MS + (ns % NS_PER_MS != 0);
	return 0;
}

static int parse_text(void *field, const char *text)
{
	char **value = field;
	char *copy = strdup(text);

	if (!copy)
		return -ENOMEM;
	free(*value);
	*value = copy;
	return 0;
}

/* "30000-32767" or "30000:32767". */
static int parse_port_range(void *field, const char *text)
{
	struct port_range *range = field;
	_cleanup_free_ char *first = strdup(text);
	uint64_t from, to;
	char *last;

	if (!first)
		return -ENOMEM;
	last = first + strcspn(first, "-:");
	if (!*last)
		return -EINVAL;
	*last++ = '\0';
	if (parse_decimal(first, UINT16_MAX, &from) < 0 || parse_decimal(last, UINT16_MAX, &to) < 0)
		return -EINVAL;
	*range = (struct port_range){ (uint16_t)from, (uint16_t)to };
	return 0;
}

/* Put @item behind the others of @list. 0 or -ENOMEM. */
#define LIST_ADD(list, item)                                             \
	(ARRAY_RESERVE((list)->items, (list)->n, (list)->capacity) < 0 ? \
		 -ENOMEM :                                               \
		 ((list)->items[(list)->n++] = (item), 0))

static int parse_text_item(void *field, const char *text)
{
	_cleanup_free_ char *item = strdup(text);
	int r;

	if (!item)
		return -ENOMEM;
	r = LIST_ADD((struct text_list *)field, item);
	if (r == 0)
		TAKE_PTR(item);
	return r;
}

static int parse_prefix_item(void *field, const char *text)
{
	struct prefix item;
	int r = prefix_parse(text, &item);

	return r < 0 ? r : LIST_ADD((struct prefix_list *)field, item);
}

static int parse_addr_item(void *field, const char *text)
{
	struct addr item;
	int r = addr_parse(text, &item);

	return r < 0 ? r : LIST_ADD((struct addr_list *)field, item);
}

static int parse_number_item(void *field, const char *text)
{
	uint32_t item = 0;
	int r = parse_u32(&item, text);

	return r < 0 ? r : LIST_ADD((struct number_list *)field, item);
}

static void release_text(void *field)
{
	free(*(char **)field);
}

static void release_text_list(void *field)
{
	struct text_list *list = field;

	for (size_t i = 0; i < list->n; i++)
		free(list->items[i]);
	free(list->items);
}

static void release_prefix_list(void *field)
{
	free(((struct prefix_list *)field)->items);
}

static void release_addr_list(void *field)
{
	free(((struct addr_list *)field)->items);
}

static void release_number_list(void *field)
{
	free(((struct number_list *)field)->items);
}

static const struct kind {
	const char *word;
	const char *expected;
	bool list; /* @parse adds one item */
	int (*parse)(void *field, const char *text);
	void (*release)(void *field); /* NULL: nothing to release */
} kinds[FLAG_KIND_COUNT] = {
	[FLAG_BOOL] = { NULL, "true or false", false, parse_bool, NULL },
	[FLAG_U8] = { "N", "a whole number from 0 to 255", false, parse_u8, NULL },
	[FLAG_U16] = { "N", "a whole number from 0 to 65535", false, parse_u16, NULL },
	[FLAG_U32] = { "N", "a whole number from 0 to 4294967295", false, parse_u32, NULL },
	[FLAG_DURATION] = { "DURATION", "a duration of 0 or more, such as 300ms, 90s or 1h30m",
			    false, parse_duration, NULL },
	[FLAG_TEXT] = { "TEXT", "a text", false, parse_text, release_text },
	[FLAG_PORT_RANGE] = { "FIRST-LAST", "two ports such as 30000-32767", false,
			      parse_port_range, NULL },
	[FLAG_TEXT_LIST] = { "TEXT,...", "texts separated by commas", true, parse_text_item,
			     release_text_list },
	[FLAG_PREFIX_LIST] = { "CIDR,...", "ranges such as 10.0.0.0/8,fd00::/8", true,
			       parse_prefix_item, release_prefix_list },
	[FLAG_ADDR_LIST] = { "ADDRESS,...", "addresses such as 10.0.0.1,fd00::1", true,
			     parse_addr_item, release_addr_list },
	[FLAG_NUMBER_LIST] = { "N,...", "whole numbers from 0 to 4294967295, separated by commas",
			       true, parse_number_item, release_number_list },
};

const char *flag_word(const struct flag *f)
{
	return f->word ? f->word : kinds[f->kind].word;
}

const char *flag_expected(const struct flag *f)
{
	return kinds[f->kind].expected;
}

static int flag_parse_one(const struct flag *f, struct options *o, const char *text,
			  struct error *err)
{
	int r = kinds[f->kind].parse((char *)o + f->offset, text);

	if (r == -ENOMEM)
		return error_set(err, r, "--%s: out of memory", f->name);
	if (r < 0)
		return error_set(err, r, "--%s takes %s, not \"%s\"", f->name, flag_expected(f),
				 text);
	return 0;
}

/* Without the spaces around it, then without a pair of double quotes, as lists in the arguments of
 * a manifest often have them. */
static char *item_trim(char *item)
{
	size_t len;

	item += strspn(item, " \t");
	len = strlen(item);
	while (len > 0 && strchr(" \t", item[len - 1]))
		len--;
	if (len >= 2 && item[0] == '"' && item[len - 1] == '"') {
		item++;
		len -= 2;
	}
	item[len] = '\0';
	return item;
}

int flag_parse(const struct flag *f, struct options *o, const char *text, struct error *err)
{
	_cleanup_free_ char *copy = NULL;
	char *item, *rest;
	int r = 0;

	if (!kinds[f->kind].list)
		return flag_parse_one(f, o, text, err);
	copy = strdup(text);
	if (!copy)
		return error_set(err, -ENOMEM, "--%s: out of memory", f->name);
	rest = *copy ? copy : NULL;
	while (r == 0 && (item = strsep(&rest, ",")))
		r = flag_parse_one(f, o, item_trim(item), err);
	return r;
}

void flag_release(const struct flag *f, struct options *o)
{
	if (kinds[f->kind].release)
		kinds[f->kind].release((char *)o + f->offset);
}

uint64_t flag_number(const struct flag *f, const struct options *o)
{
	const void *field = (const char *)o + f->offset;

	switch (f->kind) {
	case FLAG_BOOL:
		return *(const bool *)field;
	case FLAG_U8:
		return *(const uint8_t *)field;
	case FLAG_U16:
		return *(const uint16_t *)field;
	case FLAG_U32:
		return *(const uint32_t *)field;
	case FLAG_DURATION:
		return *(const uint64_t *)field;
	default:
		return 0;
	}
}

bool flag_is_on(const struct flag *f, const struct options *o)
{
	const char *text;

	if (f->kind != FLAG_TEXT)
		return flag_number(f, o) != 0;
	text = *(char *const *)((const char *)o + f->offset);
	return text && *text;
}
