#include "ruleset/content-id.h"

#include <nettle/sha2.h>
#include <string.h>

static const char digits[] = "0123456789abcdef";

struct content_id content_id_of(const void *content, size_t len)
{
	struct content_id id;
	struct sha256_ctx sha;

	sha256_init(&sha);
	sha256_update(&sha, len, content);
	sha256_digest(&sha, sizeof(id.bytes), id.bytes);
	return id;
}

int content_id_cmp(const struct content_id *a, const struct content_id *b)
{
	return memcmp(a->bytes, b->bytes, sizeof(a->bytes));
}

const char *content_id_format(const struct content_id *id, char text[static CONTENT_ID_TEXT])
{
	for (size_t i = 0; i < CONTENT_ID_BYTES; i++) {
		text[2 * i] = digits[id->bytes[i] >> 4];
		text[2 * i + 1] = digits[id->bytes[i] & 15];
	}
	text[CONTENT_ID_TEXT - 1] = '\0';
	return text;
}

bool content_id_parse(const char *text, struct content_id *ret)
{
	if (strlen(text) != CONTENT_ID_TEXT - 1 || strspn(text, digits) != CONTENT_ID_TEXT - 1)
		return false;
	for (size_t i = 0; i < CONTENT_ID_BYTES; i++)
		ret->bytes[i] = (uint8_t)((strchr(digits, text[2 * i]) - digits) << 4 |
					  (strchr(digits, text[2 * i + 1]) - digits));
	return true;
}
