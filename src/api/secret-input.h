/* secret-input.h - secrets in the forms in which they come: files, tokens, base64, parsed documents.
 *
 * No sentence quotes what was read. White space, control characters and whatever else can't stand in
 * a header field never gets into a token.
 */
#ifndef KUBE_NFT_API_SECRET_INPUT_H
#define KUBE_NFT_API_SECRET_INPUT_H

#include <jansson.h>
#include <stddef.h>

#include "base/cleanup.h"

struct error;
struct secret;

/* All of a regular file: -EINVAL when it is something else, -E2BIG beyond @max_bytes, -ENOMEM, or what
 * open() and read() say. The sentence does not name @path. */
int secret_read_file(const char *path, size_t max_bytes, struct secret **ret, struct error *err);
/* A bearer token, without the white space around it. -EINVAL, -E2BIG (TOKEN_MAX_BYTES), -ENOMEM. */
int secret_read_token(const char *text, size_t len, struct secret **ret, struct error *err);
/* RFC 4648, chapter 4: padded; line ends are skipped. -EINVAL, -ENOMEM. */
int secret_read_base64(const char *text, size_t len, struct secret **ret, struct error *err);

/* Overwrite the strings of a tree that nobody else refers to, and free it. NULL is fine; returns NULL. */
json_t *secret_tree_free(json_t *root);
DEFINE_CLEANUP(json_t, secret_tree_free);

#endif
