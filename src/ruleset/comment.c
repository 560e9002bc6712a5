#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "ruleset/element.h"

/* The bytes that neither nft's lexer nor a terminal takes for something else. nft text has no escape
 * character inside quotes, so what is not on this list must not get there. */
static bool comment_byte_is_safe(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c && strchr(" ._:/-", c));
}

void comment_from(const char *text, char ret[static COMMENT_MAX_BYTES + 1])
{
	size_t len = strlen(text), i;
	bool changed = len > COMMENT_MAX_BYTES;

	for (i = 0; i < len && i < COMMENT_MAX_BYTES; i++) {
		changed |= !comment_byte_is_safe(text[i]);
		ret[i] = comment_byte_is_safe(text[i]) ? text[i] : '_';
	}
	ret[i] = '\0';
	if (!changed)
		return;

	/* Eighteen bytes: a dash, sixteen digits, the zero. */
	if (i > COMMENT_MAX_BYTES - 17)
		i = COMMENT_MAX_BYTES - 17;
	snprintf(ret + i, COMMENT_MAX_BYTES + 1 - i, "-%016" PRIx64, hash_bytes(text, len));
}
