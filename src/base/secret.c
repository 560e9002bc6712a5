#include "base/secret.h"

#include <string.h>

struct secret {
	size_t len;
	char bytes[]; /* @len of them and a zero byte */
};

void secret_wipe(void *bytes, size_t len)
{
	if (bytes)
		explicit_bzero(bytes, len);
}

struct secret *secret_new(const void *bytes, size_t len)
{
	struct secret *s;
	size_t size;

	if (__builtin_add_overflow(len, sizeof(*s) + 1, &size))
		return NULL;
	s = malloc(size);
	if (!s)
		return NULL;
	s->len = len;
	if (len > 0)
		memcpy(s->bytes, bytes, len);
	s->bytes[len] = '\0';
	return s;
}

struct secret *secret_free(struct secret *s)
{
	if (s)
		secret_wipe(s->bytes, s->len);
	free(s);
	return NULL;
}

const char *secret_reveal(const struct secret *s, size_t *ret_len)
{
	if (ret_len)
		*ret_len = s->len;
	return s->bytes;
}

static size_t common_bytes(const struct secret *s, const char *text)
{
	size_t n = 0;

	while (n < s->len && text[n] && text[n] == s->bytes[n])
		n++;
	return n;
}

void secret_cover(const struct secret *s, char *text)
{
	size_t noticed, n;

	if (!s || s->len == 0)
		return;
	noticed = s->len < SECRET_NOTICED_BYTES ? s->len : SECRET_NOTICED_BYTES;
	for (; *text; text += n > 0 ? n : 1) {
		n = common_bytes(s, text);
		if (n < noticed)
			n = 0;
		memset(text, '*', n);
	}
}

bool secret_equal(const struct secret *a, const struct secret *b)
{
	if (!a || !b)
		return a == b;
	return a->len == b->len && memcmp(a->bytes, b->bytes, a->len) == 0;
}
