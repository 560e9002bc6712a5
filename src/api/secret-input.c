#include "api/secret-input.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include "api/credentials.h"
#include "base/error.h"
#include "base/secret.h"

/* Memory that is overwritten before it is freed. */
struct scratch {
	char *bytes;
	size_t size;
};

static void scratch_free(struct scratch *s)
{
	secret_wipe(s->bytes, s->size);
	free(s->bytes);
}

static int scratch_take(struct scratch *s, size_t size, struct error *err)
{
	s->bytes = calloc(1, size);
	if (!s->bytes)
		return error_set(err, -ENOMEM, "out of memory");
	s->size = size;
	return 0;
}

static int secret_make(const char *bytes, size_t len, struct secret **ret, struct error *err)
{
	struct secret *s = secret_new(bytes, len);

	if (!s)
		return error_set(err, -ENOMEM, "out of memory");
	*ret = s;
	return 0;
}

/* A FIFO would let us wait for its writer, a device for ever. */
static int file_open(const char *path, int *ret, struct error *err)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return error_errno(err, errno, "open");
	if (fstat(fd, &st) < 0)
		return error_errno(err, errno, "stat");
	if (!S_ISREG(st.st_mode))
		return error_set(err, -EINVAL, "is not a regular file");
	*ret = TAKE_FD(fd);
	return 0;
}

/* Fills @s, or reads up to the end. */
static int file_read(int fd, const struct scratch *s, size_t *ret_len, struct error *err)
{
	size_t len = 0;
	ssize_t n;

	do {
		n = read(fd, s->bytes + len, s->size - len);
		if (n < 0 && errno != EINTR)
			return error_errno(err, errno, "read");
		len += n > 0 ? (size_t)n : 0;
	} while (n != 0 && len < s->size);
	*ret_len = len;
	return 0;
}

int secret_read_file(const char *path, size_t max_bytes, struct secret **ret, struct error *err)
{
	_cleanup_(scratch_free) struct scratch s = { 0 };
	_cleanup_close_ int fd = -EBADF;
	size_t len;
	int r;

	r = file_open(path, &fd, err);
	if (r < 0)
		return r;
	/* One more than allowed, to see that there is more. */
	r = scratch_take(&s, max_bytes + 1, err);
	if (r < 0)
		return r;
	r = file_read(fd, &s, &len, err);
	if (r < 0)
		return r;
	if (len > max_bytes)
		return error_set(err, -E2BIG, "has more than %zu bytes", max_bytes);
	return secret_make(s.bytes, len, ret, err);
}

static bool is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

int secret_read_token(const char *text, size_t len, struct secret **ret, struct error *err)
{
	while (len > 0 && is_blank(text[len - 1]))
		len--;
	for (; len > 0 && is_blank(*text); len--)
		text++;
	if (len == 0)
		return error_set(err, -EINVAL, "is empty");
	if (len > TOKEN_MAX_BYTES)
		return error_set(err, -E2BIG, "has more than %d bytes", TOKEN_MAX_BYTES);
	for (size_t i = 0; i < len; i++)
		if (text[i] <= ' ' || text[i] > '~')
			return error_set(err, -EINVAL, "holds a character that no token may have");
	return secret_make(text, len, ret, err);
}

/* The six bits that @c stands for; -1: none. */
static int base64_digit(char c)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *found = c ? strchr(digits, c) : NULL;

	return found ? (int)(found - digits) : -1;
}

/* Writes at most three quarters of @len bytes. */
static bool base64_decode(const char *text, size_t len, char *out, size_t *ret_len)
{
	size_t n_chars = 0, n_pads = 0, n = 0;
	unsigned n_bits = 0;
	uint32_t bits = 0;

	for (size_t i = 0; i < len; i++) {
		int digit = base64_digit(text[i]);

		if (text[i] == '\n' || text[i] == '\r')
			continue;
		if (digit < 0 ? text[i] != '=' : n_pads > 0)
			return false;
		n_chars++;
		n_pads += digit < 0;
		if (digit < 0)
			continue;
		bits = bits << 6 | (uint32_t)digit;
		n_bits += 6;
		if (n_bits >= 8) {
			n_bits -= 8;
			out[n++] = (char)(uint8_t)(bits >> n_bits);
		}
	}
	*ret_len = n;
	return n_chars % 4 == 0 && n_pads <= 2;
}

int secret_read_base64(const char *text, size_t len, struct secret **ret, struct error *err)
{
	_cleanup_(scratch_free) struct scratch s = { 0 };
	size_t n;
	int r;

	r = scratch_take(&s, len + 1, err);
	if (r < 0)
		return r;
	if (!base64_decode(text, len, s.bytes, &n))
		return error_set(err, -EINVAL, "is not base64");
	return secret_make(s.bytes, n, ret, err);
}

static void tree_wipe(json_t *value)
{
	/* jansson's own memory, lent to us as const. */
	if (json_is_string(value))
		secret_wipe((void *)(uintptr_t)json_string_value(value), json_string_length(value));
	for (size_t i = 0; i < json_array_size(value); i++)
		tree_wipe(json_array_get(value, i));
	for (void *i = json_object_iter(value); i; i = json_object_iter_next(value, i))
		tree_wipe(json_object_iter_value(i));
}

json_t *secret_tree_free(json_t *root)
{
	if (root)
		tree_wipe(root);
	json_decref(root);
	return NULL;
}
