/* line.h - one line of text in a bounded buffer, safe to show on a terminal.
 *
 * Escaped as \xNN, byte by byte: control characters of ASCII and Latin-1, line and paragraph
 * separators, bidirectional controls (Unicode UAX #9), and whatever is not UTF-8 (RFC 3629).
 * A character that does not fit whole ends the line; what is put behind it is dropped.
 */
#ifndef KUBE_NFT_BASE_LINE_H
#define KUBE_NFT_BASE_LINE_H

#include <stdbool.h>
#include <stddef.h>

struct line {
	char *data;  /* borrowed; always ends with a zero byte */
	size_t size; /* of @data, with the final zero; at least 1 */
	size_t len;
	bool cut; /* something did not fit */
};

/* An empty line in @data. */
struct line line_in(char *data, size_t size);
/* Append @text as it is, whole or not at all. */
void line_put(struct line *l, const char *text);
/* Append @text, escaped. */
void line_escape(struct line *l, const char *text);
/* Append @text, escaped and in double quotes, with a backslash before quotes and backslashes. When
 * the text is cut, the quotes are closed nevertheless. */
void line_quote(struct line *l, const char *text);

#endif
