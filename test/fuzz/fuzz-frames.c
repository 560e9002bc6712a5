/* fuzz-frames.c - bodies of lists and watches in pieces.
 *
 * The first byte says what it is (bit 0: a watch), the second seeds where it is cut. However it is cut,
 * the same must be told; and of a list that is JSON, the very items that a parser finds.
 */
#include "object-check.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "source/frames.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PIECE_MAX_BYTES = 16 };

struct told {
	struct buf text;
	size_t n;
	const json_t *items; /* NULL: not known */
};

/* What is handed on has all of its brackets, and no quote is open. */
static void balance_check(const struct frame *frame)
{
	bool in_string = false;
	size_t depth = 0;

	for (size_t i = 0; i < frame->len; i++) {
		char c = frame->text[i];

		check(i == 0 || depth > 0);
		if (in_string && c == '\\')
			i++;
		else if (c == '"')
			in_string = !in_string;
		else if (!in_string && (c == '{' || c == '['))
			depth++;
		else if (!in_string && (c == '}' || c == ']'))
			depth--;
	}
	check(frame->len >= 2 && frame->text[0] == '{' && depth == 0 && !in_string);
}

/* As the scanner does. */
static void member_drop(json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);

	if (json_is_array(value) || json_is_object(value))
		json_object_set_new(object, key, json_null());
}

static void item_check(const struct frame *frame, json_t *item)
{
	json_t *parsed = NULL;

	check(json_parse(frame->text, frame->len, &parsed, NULL) == 0);
	member_drop(json_object_get(item, "metadata"), "managedFields");
	member_drop(json_object_get(item, "spec"), "volumes");
	check(json_equal(parsed, item));
	json_decref(parsed);
}

static int on_frame(const struct frame *frame, void *userdata)
{
	struct told *told = userdata;

	check(!frame->too_big);
	balance_check(frame);
	check(strlen(frame->namespace) < 256 && strlen(frame->name) < 256);
	buf_printf(&told->text, "\n%s %s %s %s\n", frame->type ? frame->type : "", frame->namespace,
		   frame->name, frame->resource_version);
	buf_append(&told->text, frame->text, frame->len);
	if (told->items)
		item_check(frame, json_array_get(told->items, told->n));
	told->n++;
	return 0;
}

/* As large as they are, so that a look beyond one is seen. */
static int piece_push(struct frames *f, const uint8_t *data, size_t len, struct error *err)
{
	_cleanup_free_ char *piece = malloc(len);

	check(piece || len == 0);
	if (len > 0)
		memcpy(piece, data, len);
	return frames_push(f, piece, len, err);
}

/* @seed 0: in one piece. */
static int body_read(enum frames_kind kind, const uint8_t *data, size_t size, unsigned seed,
		     struct told *told)
{
	_cleanup_(frames_freep) struct frames *f = NULL;
	struct error err = { 0 };
	struct list_head head;
	int r = 0;

	check(frames_new(kind, on_frame, told, &f) == 0);
	while (size > 0 && r == 0) {
		size_t len = seed ? (size_t)rand_r(&seed) % PIECE_MAX_BYTES : size;

		len = len < size ? len : size;
		r = piece_push(f, data, len, &err);
		data += len;
		size -= len;
	}
	if (r == 0)
		r = frames_end(f, &err);
	if (r < 0)
		error_check(&err, r);
	head = frames_list_head(f);
	if (r == 0)
		buf_printf(&told->text, "%s %s %s", head.kind, head.resource_version,
			   head.continue_token);
	return r;
}

/* The items of a list, when there is no doubt which they are: an escape may hide a key. */
static json_t *items_find(const json_t *root, const uint8_t *data, size_t size)
{
	json_t *items = json_object_get(root, "items"), *item;
	size_t i;

	if (!json_is_array(items) || memchr(data, '\\', size))
		return NULL;
	json_array_foreach(items, i, item) if (!json_is_object(item)) return NULL;
	return items;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct told whole = { 0 }, pieces = { 0 };
	enum frames_kind kind;
	json_t *root = NULL;
	int r;

	if (size < 2)
		return 0;
	kind = data[0] & 1 ? FRAMES_WATCH : FRAMES_LIST;
	if (kind == FRAMES_LIST && json_parse((const char *)data + 2, size - 2, &root, NULL) == 0)
		whole.items = items_find(root, data + 2, size - 2);
	r = body_read(kind, data + 2, size - 2, 0, &whole);
	if (whole.items)
		check(r == 0 && whole.n == json_array_size(whole.items));
	check(body_read(kind, data + 2, size - 2, 1U + data[1], &pieces) == r);
	check(pieces.n == whole.n && pieces.text.len == whole.text.len);
	check(whole.text.len == 0 ||
	      memcmp(whole.text.data, pieces.text.data, whole.text.len) == 0);

	json_decref(root);
	buf_free(&whole.text);
	buf_free(&pieces.text);
	return 0;
}
