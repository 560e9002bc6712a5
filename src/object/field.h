/* field.h - a JSON tree read field by field, with the path of the one that is wrong.
 *
 * A field lives on the stack of its reader and knows its parent, so that a path is written only when
 * something is refused. The first refusal sticks to the decoder: the readers that follow return
 * their defaults, and the decoder's owner looks once, at the end. A decoder thus reads like a list
 * of fields. null is the same as absent.
 */
#ifndef KUBE_NFT_OBJECT_FIELD_H
#define KUBE_NFT_OBJECT_FIELD_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "object/decode.h"
#include "object/object.h"

struct arena;
struct error;

enum { DECODER_RECENT_TEXTS = 64 };

struct decoder {
	struct arena *arena; /* of the object */
	struct decode_stats stats;
	struct error *err; /* the first refusal; may be NULL */
	int error;         /* sticks: 0 or a negative errno */
	/* By hash: node names, zones and protocol words of one object are stored once. */
	const char *recent_texts[DECODER_RECENT_TEXTS];
};

struct field {
	struct decoder *decoder;
	const struct field *parent; /* NULL: the document itself */
	const char *key;            /* NULL: item @index of a list */
	size_t index;
	const json_t *value; /* NULL: absent or null */
};

struct field field_root(struct decoder *d, const json_t *root);
/* The member @key of the object @parent, which must outlive it. Absent when @parent is. */
struct field field_member(const struct field *parent, const char *key);
struct field field_item(const struct field *list, size_t index);

/* Refuse the object because of this field. The sentence goes behind the path. */
void field_refuse(struct field f, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Whether nothing of @string, which is one, lies behind a zero byte. */
bool string_is_text(const json_t *string);
/* Whether it is there. Another JSON type than @type is refused; JSON_TRUE stands for both booleans. */
bool field_is(struct field f, json_type type);
/* Whether it is there. An absent field or an empty string is refused. */
bool field_require(struct field f);
/* Memory is short: true when @p is NULL, and the decoder has failed. */
bool decoder_out_of_memory(struct decoder *d, const void *p);

/* Readers. An absent field gives @fallback, NULL, 0 or "no address"; a wrong JSON type is refused, and so is
 * a string with a zero byte. */
bool field_bool(struct field f, bool fallback);
const char *field_text(struct field f);   /* borrowed from the tree */
const char *field_string(struct field f); /* kept in the object */
const char *field_name(struct field f);   /* as field_string(), "" when absent */
/* A number out of bounds is moved to the nearer one, and counted. */
int64_t field_clamped(struct field f, int64_t min, int64_t max, int64_t fallback);
uint16_t field_port(struct field f);              /* required, 1 to 65535 */
uint16_t field_optional_port(struct field f);     /* 0: none */
int64_t field_time(struct field f);               /* RFC 3339, to seconds since the epoch */
struct addr field_addr(struct field f);           /* "" is absent */
struct prefix field_prefix(struct field f);       /* as field_addr() */
struct prefix field_valid_prefix(struct field f); /* the same, and absent when it is none */

/* A table of these ends with a name that is NULL. The value of an absent field may stand there
 * under the name "". */
struct enum_value {
	const char *name;
	int value;
};

/* A word that @values does not know is counted and gives @fallback. */
int field_enum(struct field f, const struct enum_value *values, int fallback);
/* TCP when absent. The API documents no default for a word it does not know: refused. */
enum protocol field_protocol(struct field f);

/* How many items the list has; 0 when absent. More than @limit: refused. */
size_t field_count(struct field f, size_t limit);
/* An array of items of @size bytes, read one by one. @read fills a zeroed one and says whether it is
 * kept. NULL when there are none. */
void *field_list(struct field f, size_t limit, size_t size,
		 bool (*read)(const struct field *item, void *ret), size_t *ret_n);
/* Ready-made @read functions: of a const char *, a struct addr, a struct prefix. Absent and empty
 * strings and addresses are left out. */
bool field_read_string(const struct field *item, void *ret);
bool field_read_addr(const struct field *item, void *ret);
bool field_read_prefix(const struct field *item, void *ret);
/* The same, leaving out what is no prefix. */
bool field_read_valid_prefix(const struct field *item, void *ret);

/* What a map may hold, 0: as much as the document has. */
struct map_limits {
	size_t max_items;
	size_t max_bytes; /* of all keys and values, kept or not */
	/* Which keys are kept, unless there is a zero byte in what they have; NULL: all. */
	bool (*keep)(const char *key);
};

/* A map of strings, sorted by key; a null value is "". @f is the member of an object. */
struct key_values field_key_values(struct field f, const struct map_limits *limits);
/* A LabelSelector; an absent one selects everything. */
struct selector field_selector(struct field f);

#endif
