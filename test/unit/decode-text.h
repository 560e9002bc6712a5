/* decode-text.h - objects from JSON written with single quotes, for tests of the decoders. */
#ifndef KUBE_NFT_TEST_DECODE_TEXT_H
#define KUBE_NFT_TEST_DECODE_TEXT_H

#include <stddef.h>

#include "base/error.h"
#include "object/decode.h"

/* A tree that the caller owns; fails the test when the text is not JSON. */
json_t *tree(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* An object that the caller owns; fails the test when it is refused. */
struct object *decode(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Decodes, then frees. @stats as it was counted. */
void decode_count(struct decode_stats *stats, const char *text);

/* Fails the test unless the object is refused with exactly this code and message. */
void assert_refused(int code, const char *message, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* @n times @item, with commas between; freed by the caller. */
char *repeat(const char *item, size_t n);

/* Fails unless a list of @limit times @item, between @before and @behind, is read, and one of one more
 * is refused with @path and -E2BIG. */
void assert_list_limit(const char *path, const char *before, const char *item, size_t limit,
		       const char *behind);

/* Fails unless @a is the address @text; NULL: none. */
void assert_addr(const struct addr *a, const char *text);

#endif
