/* secret.h - bytes that must never be printed: tokens, passwords, keys (robustness row S7).
 *
 * The type is opaque, so that no format string takes it; who needs the bytes says so by
 * secret_reveal(). They are wiped when they are freed.
 */
#ifndef KUBE_NFT_BASE_SECRET_H
#define KUBE_NFT_BASE_SECRET_H

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"

struct secret;

enum { SECRET_NOTICED_BYTES = 16 };

/* A copy of @len bytes; the caller wipes his own (secret_wipe()). NULL when memory is short. */
struct secret *secret_new(const void *bytes, size_t len);
/* NULL is fine; returns NULL. */
struct secret *secret_free(struct secret *s);
DEFINE_CLEANUP(struct secret, secret_free);

/* The bytes, followed by a zero byte; borrowed. @ret_len may be NULL. */
const char *secret_reveal(const struct secret *s, size_t *ret_len);
/* NULL equals only NULL. */
bool secret_equal(const struct secret *a, const struct secret *b);

/* Put asterisks over it wherever it stands in @text, which somebody wrote who was shown it; also over a
 * beginning of it of SECRET_NOTICED_BYTES or more, as a text may have been cut. NULL is fine. */
void secret_cover(const struct secret *s, char *text);

/* Overwrite memory that held a secret, whatever the optimizer thinks of it. NULL is fine. */
void secret_wipe(void *bytes, size_t len);

#endif
