#include "source/capture.h"

#include <string.h>

void capture_reset(struct capture *c)
{
	c->len = 0;
}

/* It is not what it looks like. */
static void capture_spoil(struct capture *c)
{
	c->len = CAPTURE_BYTES;
}

static void capture_put(struct capture *c, const char *text, size_t len)
{
	if (len >= CAPTURE_BYTES - c->len || memchr(text, '\0', len)) {
		capture_spoil(c);
		return;
	}
	memcpy(c->text + c->len, text, len);
	c->len += len;
}

bool capture_is(const struct capture *c, const char *text)
{
	return c->len == strlen(text) && memcmp(c->text, text, c->len) == 0;
}

const char *capture_text(struct capture *c)
{
	c->text[c->len < CAPTURE_BYTES ? c->len : 0] = '\0';
	return c->text;
}

void json_string_begin(struct json_string *s, struct capture *capture)
{
	s->open = true;
	s->capture = capture;
	if (capture)
		capture_reset(capture);
}

const char *json_string_take(struct json_string *s, const char *p, const char *end)
{
	const char *start = p;
	bool plain = true;

	for (; p < end; p++) {
		if (s->escaped)
			s->escaped = false;
		else if (*p == '\\')
			plain = !(s->escaped = true);
		else if (*p == '"')
			break;
	}
	if (s->capture && plain)
		capture_put(s->capture, start, (size_t)(p - start));
	else if (s->capture)
		capture_spoil(s->capture);
	s->open = p == end;
	return s->open ? p : p + 1;
}
