#include "source/frames.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "object/decode.h"
#include "source/capture.h"

enum {
	SHOWN_BYTES = 64,   /* of what was not expected */
	ENVELOPE_DEPTH = 2, /* most brackets around an object */
};

/* Where the scanner stands; each place lies inside of one above it. */
enum place {
	OUTSIDE,
	SHELL, /* the list or the event, without its objects */
	ITEMS, /* between the items of a list */
	OBJECT,
	METADATA, /* of the object */
	SPEC,     /* the same */
	DROPPED,  /* managedFields, volumes */
};

enum { ID_NAMESPACE, ID_NAME, ID_UID, ID_RESOURCE_VERSION, ID_COUNT };

static const char *const id_keys[ID_COUNT] = {
	[ID_NAMESPACE] = "namespace",
	[ID_NAME] = "name",
	[ID_UID] = "uid",
	[ID_RESOURCE_VERSION] = "resourceVersion",
};

struct frames {
	enum frames_kind kind;
	frame_fn fn;
	void *userdata;

	const char *piece, *end; /* what frames_push() was given last */
	const char *from;        /* bytes before it have gone to where they belong */
	size_t offset;           /* of @piece in the body */

	enum place place;
	enum place around; /* what is dropped */
	size_t depth, place_depth;
	/* The closing ones that are owed; deeper ones are only counted. */
	char brackets[ENVELOPE_DEPTH + FRAME_MAX_DEPTH];
	bool is_value;   /* behind a colon: a string here is no key */
	char item_after; /* what stood last between the items: '[', ',', or '}' of an item */

	struct json_string string;
	struct capture key, id[ID_COUNT]; /* of the place; of the object */
	struct buf shell, object;
	bool has_object, too_big;
	json_t *head; /* the list's shell as a tree; NULL: not there yet */
};

static int byte_refuse(const struct frames *f, const char *p, struct error *err)
{
	ptrdiff_t len = f->end - p;

	return error_set(err, -EINVAL, "byte %zu: \"%.*s\" is not expected here",
			 f->offset + (size_t)(p - f->piece),
			 (int)(len < SHOWN_BYTES ? len : SHOWN_BYTES), p);
}

/* Append to the text of where we are; between texts it is forgotten. */
static int text_put(struct frames *f, const char *text, size_t len, struct error *err)
{
	struct buf *b = f->place == SHELL ? &f->shell : &f->object;

	if (f->place == SHELL && len > FRAME_MAX_HEAD_BYTES - b->len)
		return error_set(err, -E2BIG, "more than %d bytes besides the objects",
				 FRAME_MAX_HEAD_BYTES);
	if (f->place == OUTSIDE || f->place == ITEMS || f->place == DROPPED)
		return 0;
	if (f->place != SHELL && len > FRAME_MAX_BYTES - b->len) {
		len = FRAME_MAX_BYTES - b->len;
		f->too_big = true;
	}
	buf_append(b, text, len);
	return buf_error(b) < 0 ? error_set(err, -ENOMEM, "out of memory") : 0;
}

/* What comes before @p belongs to where we are. */
static int text_take(struct frames *f, const char *p, struct error *err)
{
	const char *from = f->from;

	f->from = p;
	return text_put(f, from, (size_t)(p - from), err);
}

static const char *head_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

struct list_head frames_list_head(const struct frames *f)
{
	const json_t *metadata = json_object_get(f->head, "metadata");

	return (struct list_head){
		.kind = head_text(f->head, "kind"),
		.resource_version = head_text(metadata, "resourceVersion"),
		.continue_token = head_text(metadata, "continue"),
	};
}

static int frame_tell(struct frames *f, const char *type)
{
	const struct frame frame = {
		.type = type,
		.text = buf_text(&f->object),
		.len = f->object.len,
		.too_big = f->too_big,
		.namespace = capture_text(&f->id[ID_NAMESPACE]),
		.name = capture_text(&f->id[ID_NAME]),
		.uid = capture_text(&f->id[ID_UID]),
		.resource_version = capture_text(&f->id[ID_RESOURCE_VERSION]),
	};

	return f->fn(&frame, f->userdata);
}

/* The shell is closed: is it one? */
static int shell_parse(struct frames *f, json_t **ret, struct error *err)
{
	int r = json_parse(f->shell.data, f->shell.len, ret, err);

	return r < 0 ? error_wrap(err, r, "\"%.*s\"", SHOWN_BYTES, f->shell.data) : 0;
}

/* Where an array of items has been, null stands in the shell. */
static int list_end(struct frames *f, struct error *err)
{
	int r = shell_parse(f, &f->head, err);

	if (r < 0)
		return r;
	if (!json_is_null(json_object_get(f->head, "items")) &&
	    strcmp(frames_list_head(f).kind, "Status") != 0)
		return error_set(err, -EINVAL, "\"%.*s\" is not a list", SHOWN_BYTES,
				 f->shell.data);
	return 0;
}

static int event_end(struct frames *f, struct error *err)
{
	json_auto_t *shell = NULL;
	const char *type;
	int r;

	r = shell_parse(f, &shell, err);
	if (r < 0)
		return r;
	type = json_string_value(json_object_get(shell, "type"));
	if (!type || !f->has_object)
		return error_set(err, -EINVAL, "\"%.*s\" is not an event", SHOWN_BYTES,
				 f->shell.data);
	return frame_tell(f, type);
}

static void place_set(struct frames *f, enum place place)
{
	f->place = place;
	f->place_depth = f->depth;
}

static void object_begin(struct frames *f)
{
	buf_reset(&f->object);
	f->too_big = false;
	f->has_object = true;
	f->item_after = '}';
	for (size_t i = 0; i < ID_COUNT; i++)
		capture_reset(&f->id[i]);
}

/* Which place the value is that bracket @c opens; where we are when it is none of its own. */
static enum place place_inside(const struct frames *f, char c)
{
	bool list = f->kind == FRAMES_LIST;

	if (f->place == OUTSIDE)
		return SHELL;
	if (f->place == ITEMS)
		return OBJECT;
	if (f->depth != f->place_depth)
		return f->place;
	if (f->place == SHELL && list && c == '[' && capture_is(&f->key, "items"))
		return ITEMS;
	if (f->place == SHELL && !list && c == '{' && capture_is(&f->key, "object"))
		return OBJECT;
	if (f->place == OBJECT && c == '{' && capture_is(&f->key, "metadata"))
		return METADATA;
	if (f->place == OBJECT && c == '{' && capture_is(&f->key, "spec"))
		return SPEC;
	if ((f->place == METADATA && capture_is(&f->key, "managedFields")) ||
	    (f->place == SPEC && capture_is(&f->key, "volumes")))
		return DROPPED;
	return f->place;
}

static void place_begin(struct frames *f, enum place place)
{
	f->around = f->place;
	place_set(f, place);
	if (place == OBJECT)
		object_begin(f);
	if (place == ITEMS)
		f->item_after = '[';
	if (place == SHELL) {
		buf_reset(&f->shell);
		f->has_object = false;
	}
}

static int bracket_open(struct frames *f, const char *p, struct error *err)
{
	enum place inside = place_inside(f, *p);
	int r = inside == f->place ? 0 : text_take(f, p, err);

	if (r < 0)
		return r;
	if (f->depth < sizeof(f->brackets))
		f->brackets[f->depth] = *p == '{' ? '}' : ']';
	f->depth++;
	f->is_value = false;
	if (inside != f->place)
		place_begin(f, inside);
	return 0;
}

/* What was inside is over; where its text has gone another way, null stands in the text around it. */
static int place_leave(struct frames *f, const char *p, struct error *err)
{
	enum place left = f->place;
	int r = text_take(f, p, err);

	if (r < 0)
		return r;
	switch (left) {
	case DROPPED:
		place_set(f, f->around);
		return text_put(f, "null", 4, err);
	case METADATA:
	case SPEC:
		place_set(f, OBJECT);
		return 0;
	case OBJECT:
		place_set(f, f->kind == FRAMES_LIST ? ITEMS : SHELL);
		return f->kind == FRAMES_LIST ? frame_tell(f, NULL) : text_put(f, "null", 4, err);
	case ITEMS:
		place_set(f, SHELL);
		return text_put(f, "null", 4, err);
	case SHELL:
	case OUTSIDE:
		break;
	}
	place_set(f, OUTSIDE);
	return f->kind == FRAMES_LIST ? list_end(f, err) : event_end(f, err);
}

static int bracket_close(struct frames *f, const char *p, struct error *err)
{
	size_t depth = f->depth - 1;

	if (depth < sizeof(f->brackets) && f->brackets[depth] != *p)
		return byte_refuse(f, p, err);
	f->depth = depth;
	f->is_value = true;
	return depth < f->place_depth ? place_leave(f, p + 1, err) : 0;
}

/* Between texts no parser comes behind us to see what a byte is. */
static bool byte_fits(const struct frames *f, char c)
{
	if (f->place == OUTSIDE)
		return c == '{' && !f->head;
	return (c == '{' && f->item_after != '}') || (c == ',' && f->item_after == '}') ||
	       (c == ']' && f->item_after != ',');
}

static int byte_between(struct frames *f, const char *p, struct error *err)
{
	if (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t')
		return 0;
	if (!byte_fits(f, *p))
		return byte_refuse(f, p, err);
	if (*p == '{')
		return bracket_open(f, p, err);
	if (*p == ']')
		return bracket_close(f, p, err);
	f->item_after = ',';
	return 0;
}

/* Where the string that begins is to be kept, or NULL. */
static struct capture *string_capture(struct frames *f)
{
	if (f->depth != f->place_depth)
		return NULL;
	if (!f->is_value)
		return &f->key;
	for (size_t i = 0; i < ID_COUNT && f->place == METADATA; i++)
		if (capture_is(&f->key, id_keys[i]))
			return &f->id[i];
	return NULL;
}

static int byte_take(struct frames *f, const char *p, struct error *err)
{
	switch (*p) {
	case '"':
		json_string_begin(&f->string, string_capture(f));
		return 0;
	case ':':
		f->is_value = true;
		return 0;
	case ',':
		f->is_value = false;
		return 0;
	case '{':
	case '[':
		return bracket_open(f, p, err);
	case '}':
	case ']':
		return bracket_close(f, p, err);
	default:
		return 0;
	}
}

int frames_push(struct frames *f, const char *data, size_t len, struct error *err)
{
	const char *p = data;
	int r = 0;

	f->piece = f->from = data;
	f->end = data + len;
	while (p < f->end && r == 0) {
		if (f->string.open)
			p = json_string_take(&f->string, p, f->end);
		else if (f->place == OUTSIDE || f->place == ITEMS)
			r = byte_between(f, p++, err);
		else
			r = byte_take(f, p++, err);
	}
	if (r == 0)
		r = text_take(f, f->end, err);
	f->offset += len;
	return r;
}

int frames_end(struct frames *f, struct error *err)
{
	if (f->place != OUTSIDE)
		return error_set(err, -EINVAL, "breaks off after %zu bytes", f->offset);
	if (f->kind == FRAMES_LIST && !f->head)
		return error_set(err, -EINVAL, "is empty");
	return 0;
}

int frames_new(enum frames_kind kind, frame_fn fn, void *userdata, struct frames **ret)
{
	struct frames *f = calloc(1, sizeof(*f));

	if (!f)
		return -ENOMEM;
	f->kind = kind;
	f->fn = fn;
	f->userdata = userdata;
	*ret = f;
	return 0;
}

struct frames *frames_free(struct frames *f)
{
	if (!f)
		return NULL;
	buf_free(&f->shell);
	buf_free(&f->object);
	json_decref(f->head);
	free(f);
	return NULL;
}
