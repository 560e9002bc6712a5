#include "frames-text.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/error.h"

enum { ENOUGH_TEXT = 130 };

/* One line for each frame: "TYPE NAMESPACE/NAME@VERSION#UID LENGTH TEXT", what is not there left out. */
static int frame_print(const struct frame *frame, void *userdata)
{
	struct buf *out = userdata;

	if (frame->type)
		buf_printf(out, "%s ", frame->type);
	buf_printf(out, "%s/%s@%s", frame->namespace, frame->name, frame->resource_version);
	buf_printf(out, "%s%s ", *frame->uid ? "#" : "", frame->uid);
	if (frame->too_big)
		buf_puts(out, "too big ");
	if (frame->len < ENOUGH_TEXT)
		buf_append(out, frame->text, frame->len);
	else
		buf_printf(out, "%zu bytes", frame->len);
	buf_puts(out, "\n");
	return 0;
}

void frames_print(enum frames_kind kind, const char *body, size_t len, size_t first, size_t step,
		  struct buf *out)
{
	_cleanup_(frames_freep) struct frames *f = NULL;
	struct error err = { 0 };
	struct list_head head;
	int r = 0;

	assert_int_equal(frames_new(kind, frame_print, out, &f), 0);
	for (size_t at = 0, n = first; at < len && r == 0; at += n, n = step) {
		/* Of its own, so that a sanitizer sees a look beyond it. */
		n = n < len - at ? n : len - at;
		char *piece = malloc(n + (n == 0));

		assert_non_null(piece);
		memcpy(piece, body + at, n);
		r = frames_push(f, piece, n, &err);
		free(piece);
	}
	if (r == 0)
		r = frames_end(f, &err);
	if (r < 0) {
		assert_int_equal(err.code, r);
		buf_printf(out, "! %s\n", err.message);
		return;
	}
	head = frames_list_head(f);
	buf_printf(out, "= %s %s %s\n", head.kind, head.resource_version, head.continue_token);
}

static size_t lines_len(const struct buf *out)
{
	const char *last = strstr(buf_text(out), "! ");

	return last ? (size_t)(last + 2 - buf_text(out)) : out->len;
}

void assert_frames_of(enum frames_kind kind, const char *body, size_t len, const char *expected)
{
	_cleanup_buf_ struct buf whole = { 0 };

	frames_print(kind, body, len, len, len, &whole);
	assert_string_equal(buf_text(&whole), expected);
	for (size_t first = 0; first <= len; first++) {
		for (size_t step = 1; step <= len; step += len) {
			_cleanup_buf_ struct buf out = { 0 };

			frames_print(kind, body, len, first, step, &out);
			if (lines_len(&out) != lines_len(&whole) ||
			    memcmp(buf_text(&out), expected, lines_len(&out)) != 0)
				fail_msg("cut at %zu:\n%s\nnot\n%s", first, buf_text(&out),
					 expected);
		}
	}
}

void quotes_double(char *text)
{
	for (; *text; text++)
		if (*text == '\'')
			*text = '"';
		else if (*text == '`')
			*text = '\'';
}

void assert_frames(enum frames_kind kind, const char *body, const char *expected)
{
	_cleanup_free_ char *body_text = strdup(body), *expected_text = strdup(expected);

	assert_true(body_text && expected_text);
	quotes_double(body_text);
	quotes_double(expected_text);
	assert_frames_of(kind, body_text, strlen(body_text), expected_text);
}
