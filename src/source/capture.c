#include "source/capture.h"

#include <string.h>

void capture_reset(struct capture *c)
{
	c->len = 0;
}

void capture_put(struct capture *c, const char *text, size_t len)
{
	if (len >= CAPTURE_BYTES - c->len || memchr(text, '\0', len)) {
		capture_spoil(c);
		return;
	}
	memcpy(c->text + c->len, text, len);
	c->len += len;
}

void capture_spoil(struct capture *c)
{
	c->len = CAPTURE_BYTES;
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
