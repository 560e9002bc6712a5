#include "base/buf.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"

void *buf_reserve(struct buf *b, size_t len)
{
	size_t wanted;

	if (b->error)
		return NULL;
	/* One more for the final zero. */
	if (__builtin_add_overflow(b->len, len, &wanted) ||
	    __builtin_add_overflow(wanted, 1, &wanted) ||
	    ARRAY_RESERVE(b->data, wanted - 1, b->capacity) < 0) {
		b->error = -ENOMEM;
		return NULL;
	}
	return b->data + b->len;
}

void buf_advance(struct buf *b, size_t len)
{
	b->len += len;
	b->data[b->len] = '\0';
}

void buf_append(struct buf *b, const void *data, size_t len)
{
	void *room = buf_reserve(b, len);

	if (!room)
		return;
	memcpy(room, data, len);
	buf_advance(b, len);
}

void buf_puts(struct buf *b, const char *text)
{
	buf_append(b, text, strlen(text));
}

void buf_printf(struct buf *b, const char *format, ...)
{
	va_list args;
	char *room;
	int len;

	va_start(args, format);
	len = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (len < 0)
		return;

	room = buf_reserve(b, (size_t)len);
	if (!room)
		return;
	va_start(args, format);
	vsnprintf(room, (size_t)len + 1, format, args);
	va_end(args);
	buf_advance(b, (size_t)len);
}

int buf_error(const struct buf *b)
{
	return b->error;
}

const char *buf_text(const struct buf *b)
{
	return b->len > 0 ? b->data : "";
}

void buf_reset(struct buf *b)
{
	b->len = 0;
	b->error = 0;
}

void buf_free(struct buf *b)
{
	free(b->data);
	*b = (struct buf){ 0 };
}
