/* options-table.h - one row for every flag. Parsing, rules, usage text and the check of the man
 * page all read it. For the options-*.c files and their tests.
 */
#ifndef KUBE_NFT_AGENT_OPTIONS_TABLE_H
#define KUBE_NFT_AGENT_OPTIONS_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;
struct options;

enum flag_kind {
	FLAG_BOOL,
	FLAG_U8,
	FLAG_U16,
	FLAG_U32,
	FLAG_DURATION, /* in the field: milliseconds */
	FLAG_TEXT,
	FLAG_PORT_RANGE,
	FLAG_TEXT_LIST,
	FLAG_PREFIX_LIST,
	FLAG_ADDR_LIST,
	FLAG_NUMBER_LIST,
	FLAG_KIND_COUNT,
};

struct flag {
	const char *heading; /* of the group that begins with this row; else NULL */
	const char *name;    /* without dashes */
	const char *preset;  /* the default, as it would be typed; NULL: false, 0 or empty */
	const char *word;    /* stands for the value in the usage text; NULL: the kind's */
	const char *help;
	/* These take it, and no other flags but the general switches; NULL: the others do. */
	const char *commands[2];
	enum flag_kind kind; /* of its value */
	size_t offset;       /* of its field in struct options */
	char letter;         /* short form; 0: none */
	bool ours;           /* kube-router does not have it */
	bool secret;         /* its value is never printed */
};

/* In the order of the usage text. */
extern const struct flag flags[];
extern const size_t n_flags;

/* NULL when there is none. @name has @len bytes. */
const struct flag *flag_find(const char *name, size_t len);
const struct flag *flag_by_letter(char letter);

/* Give @f's field the value @text, replacing a scalar, adding to a list.
 * -EINVAL with a sentence when @text can't be read. -ENOMEM. */
int flag_parse(const struct flag *f, struct options *o, const char *text, struct error *err);
/* Forget @f's value. */
void flag_release(const struct flag *f, struct options *o);
/* The value of a bool, number or duration. */
uint64_t flag_number(const struct flag *f, const struct options *o);
/* Whether a bool, number, duration or text is something else than false, 0 or empty. */
bool flag_is_on(const struct flag *f, const struct options *o);
/* What a value of @f looks like: "a whole number from 0 to 255". */
const char *flag_expected(const struct flag *f);
/* The word for a value in the usage text: "DURATION"; NULL for a bool. */
const char *flag_word(const struct flag *f);

/* The rules between flags and for single values. -EDOM with a sentence. */
int options_check(const struct options *o, struct error *err);

#endif
