/* options.c - the argument vector into struct options, as pflag reads it. */
#include "agent/options.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/options-table.h"
#include "base/error.h"

enum { NAME_MAX_BYTES = 64 }; /* what of an unknown flag is compared with the names */

struct arguments {
	char **items;
	int n;
	int next;
};

static const char *arguments_next(struct arguments *args)
{
	return args->next < args->n ? args->items[args->next++] : NULL;
}

/* Another flag is no value, though pflag takes it for one: refused as such it would be quoted, with a
 * password behind its '='. */
static const char *arguments_next_value(struct arguments *args)
{
	const char *text = arguments_next(args);

	return text && strncmp(text, "--", 2) == 0 ? NULL : text;
}

static size_t min_size(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Levenshtein: how many letters to add, drop or change. @len is at most NAME_MAX_BYTES. */
static size_t edit_distance(const char *name, size_t len, const char *other)
{
	size_t row[NAME_MAX_BYTES + 1];

	for (size_t i = 0; i <= len; i++)
		row[i] = i;
	for (size_t j = 0; other[j]; j++) {
		size_t diagonal = row[0];

		row[0] = j + 1;
		for (size_t i = 0; i < len; i++) {
			size_t changed = diagonal + (name[i] != other[j]);

			diagonal = row[i + 1];
			row[i + 1] = min_size(changed, min_size(row[i], row[i + 1]) + 1);
		}
	}
	return row[len];
}

/* The flag whose name is the nearest to @name; NULL when no name shares half of its letters. */
static const struct flag *flag_nearest(const char *name, size_t len)
{
	const struct flag *nearest = NULL;
	size_t best = SIZE_MAX;

	len = min_size(len, NAME_MAX_BYTES);
	for (const struct flag *f = flags; f < flags + n_flags; f++) {
		size_t distance = edit_distance(name, len, f->name);

		if (distance < best && distance <= strlen(f->name) / 2) {
			best = distance;
			nearest = f;
		}
	}
	return nearest;
}

/* What stands behind the '=' is not repeated: it may be a password. */
static int refuse_unknown(const char *name, size_t len, struct error *err)
{
	const struct flag *nearest = flag_nearest(name, len);
	int shown = (int)min_size(len, NAME_MAX_BYTES);

	if (!nearest)
		return error_set(err, -EINVAL, "unknown flag --%.*s; see kube-nft --help", shown,
				 name);
	return error_set(err, -EINVAL, "unknown flag --%.*s; did you mean --%s?", shown, name,
			 nearest->name);
}

static int refuse_letter(const char *letters, char letter, struct error *err)
{
	int shown = (int)min_size(strcspn(letters, "="), NAME_MAX_BYTES);

	return error_set(err, -EINVAL,
			 "unknown flag -%c in -%.*s; flags of more than one letter begin with --",
			 letter, shown, letters);
}

static size_t flag_row(const struct flag *f)
{
	return (size_t)(f - flags);
}

static bool row_given(const struct options *o, size_t row)
{
	return o->given[row / 64] >> (row % 64) & 1;
}

bool options_given(const struct options *o, const char *name)
{
	const struct flag *f = flag_find(name, strlen(name));

	return f && row_given(o, flag_row(f));
}

/* @value is what was joined to the flag, NULL: nothing. */
static int take_flag(struct options *o, const struct flag *f, const char *value,
		     struct arguments *args, struct error *err)
{
	size_t row = flag_row(f);

	if (!value)
		value = f->kind == FLAG_BOOL ? "true" : arguments_next_value(args);
	if (!value)
		return error_set(err, -EINVAL, "--%s needs a value: %s", f->name, flag_expected(f));
	o->given[row / 64] |= 1ULL << (row % 64);
	return flag_parse(f, o, value, err);
}

/* @text is what follows the two dashes. */
static int take_long(struct options *o, const char *text, struct arguments *args, struct error *err)
{
	size_t len = strcspn(text, "=");
	const struct flag *f = flag_find(text, len);

	if (!f)
		return refuse_unknown(text, len, err);
	return take_flag(o, f, text[len] ? text + len + 1 : NULL, args, err);
}

/* "-v2", "-v=2", "-v 2", "-Vh": @letters is what follows the dash. */
static int take_letters(struct options *o, const char *letters, struct arguments *args,
			struct error *err)
{
	int r = 0;

	for (const char *p = letters; r == 0 && *p; p++) {
		const struct flag *f = flag_by_letter(*p);

		if (!f)
			return refuse_letter(letters, *p, err);
		if (p[1] == '=')
			return take_flag(o, f, p + 2, args, err);
		if (p[1] && f->kind != FLAG_BOOL)
			return take_flag(o, f, p + 1, args, err);
		r = take_flag(o, f, NULL, args, err);
	}
	return r;
}

static int take_arguments(struct options *o, struct arguments *args, struct error *err)
{
	const char *text;
	int r = 0;

	while (r == 0 && (text = arguments_next(args))) {
		if (strcmp(text, "--") == 0)
			break;
		if (text[0] == '-' && text[1] == '-')
			r = take_long(o, text + 2, args, err);
		else if (text[0] == '-' && text[1])
			r = take_letters(o, text + 1, args, err);
		else if (!o->stray)
			o->stray = text;
	}
	if (r == 0 && !o->stray)
		o->stray = arguments_next(args);
	return r;
}

static int set_defaults(struct options *o, struct error *err)
{
	int r = 0;

	for (const struct flag *f = flags; r == 0 && f < flags + n_flags; f++)
		if (f->preset && !row_given(o, flag_row(f)))
			r = flag_parse(f, o, f->preset, err);
	return r;
}

int options_parse(struct options *o, int argc, char **argv, struct error *err)
{
	struct arguments args = { .items = argv, .n = argc, .next = 1 };
	int r;

	r = take_arguments(o, &args, err);
	if (r < 0)
		return r;
	r = set_defaults(o, err);
	if (r < 0 || o->help || o->version)
		return r;
	return options_check(o, err);
}

int options_node_name(const struct options *o, char **ret, struct error *err)
{
	char host[HOST_NAME_MAX + 1];
	const char *name = o->hostname_override;

	if (!name || !*name)
		name = getenv("NODE_NAME");
	if (!name || !*name) {
		if (gethostname(host, sizeof(host)) < 0)
			return error_errno(err, errno, "read the host name");
		name = host;
	}
	*ret = strdup(name);
	return *ret ? 0 : error_set(err, -ENOMEM, "node name: out of memory");
}

void options_init(struct options *o)
{
	*o = (struct options){ 0 };
}

void options_free(struct options *o)
{
	for (const struct flag *f = flags; f < flags + n_flags; f++)
		flag_release(f, o);
	options_init(o);
}
