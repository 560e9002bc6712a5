#include "base/line.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"

/* The forms of RFC 3629: bits of the first byte, and the least character that needs the form. */
static const struct {
	uint8_t mask, lead;
	uint32_t least;
} utf8_forms[] = {
	{ 0x80, 0x00, 0x0 },
	{ 0xe0, 0xc0, 0x80 },
	{ 0xf0, 0xe0, 0x800 },
	{ 0xf8, 0xf0, 0x10000 },
};

struct char_range {
	uint32_t first, last;
};

static const struct char_range not_characters[] = {
	{ 0xd800, 0xdfff }, /* surrogates */
	{ 0x110000, UINT32_MAX },
};

static const struct char_range unsafe[] = {
	{ 0x0000, 0x001f }, /* C0 controls, ESC among them */
	{ 0x007f, 0x009f }, /* DEL and C1 controls: U+009B begins an escape sequence, too */
	{ 0x061c, 0x061c }, /* bidirectional marks */
	{ 0x200e, 0x200f },
	{ 0x2028, 0x202e }, /* separators; bidirectional embeddings and overrides */
	{ 0x2066, 0x2069 }, /* bidirectional isolates */
};

static bool in_ranges(uint32_t c, const struct char_range *ranges, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (c >= ranges[i].first && c <= ranges[i].last)
			return true;
	return false;
}

/* How many bytes the character at @text has, 0 when it is none. @text ends with a zero byte, which
 * continues no character. */
static size_t utf8_decode(const char *text, uint32_t *ret)
{
	const uint8_t *s = (const uint8_t *)text;
	size_t form = 0;
	uint32_t c;

	while (form < ARRAY_SIZE(utf8_forms) &&
	       (s[0] & utf8_forms[form].mask) != utf8_forms[form].lead)
		form++;
	if (form == ARRAY_SIZE(utf8_forms))
		return 0;

	c = s[0] & (uint8_t)~utf8_forms[form].mask;
	for (size_t i = 1; i <= form; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	if (c < utf8_forms[form].least || in_ranges(c, not_characters, ARRAY_SIZE(not_characters)))
		return 0;

	*ret = c;
	return form + 1;
}

static void put_bytes(struct line *l, const char *bytes, size_t len)
{
	if (l->cut || len >= l->size - l->len) {
		l->cut = true;
		return;
	}
	memcpy(l->data + l->len, bytes, len);
	l->len += len;
	l->data[l->len] = '\0';
}

/* Append the character at @text, with a backslash when it is one of @special. Returns its length. */
static size_t put_char(struct line *l, const char *text, const char *special)
{
	char escape[sizeof("\\xNN")];
	uint32_t c;
	size_t len = utf8_decode(text, &c);

	if (len == 0 || in_ranges(c, unsafe, ARRAY_SIZE(unsafe))) {
		len = len ? len : 1;
		for (size_t i = 0; i < len; i++) {
			snprintf(escape, sizeof(escape), "\\x%02x", (uint8_t)text[i]);
			put_bytes(l, escape, strlen(escape));
		}
	} else if (len == 1 && strchr(special, text[0])) {
		put_bytes(l, (const char[]){ '\\', text[0] }, 2);
	} else {
		put_bytes(l, text, len);
	}
	return len;
}

struct line line_in(char *data, size_t size)
{
	data[0] = '\0';
	return (struct line){ .data = data, .size = size };
}

void line_put(struct line *l, const char *text)
{
	put_bytes(l, text, strlen(text));
}

static void escape(struct line *l, const char *text, const char *special)
{
	while (*text && !l->cut)
		text += put_char(l, text, special);
}

void line_escape(struct line *l, const char *text)
{
	escape(l, text, "");
}

void line_quote(struct line *l, const char *text)
{
	bool cut;

	if (l->cut || l->size - l->len < sizeof("\"\"")) {
		l->cut = true;
		return;
	}
	line_put(l, "\"");
	l->size--; /* kept for the closing quote */
	escape(l, text, "\"\\");
	l->size++;

	cut = l->cut;
	l->cut = false;
	line_put(l, "\"");
	l->cut = cut;
}
