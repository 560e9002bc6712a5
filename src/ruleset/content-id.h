/* content-id.h - a name for a set or a chain that follows from what is in it, so that a restart finds it
 * again and equal ones are the same. 80 bits of a SHA-256: tenants choose the content, and none may
 * find one that has another's name.
 */
#ifndef KUBE_NFT_RULESET_CONTENT_ID_H
#define KUBE_NFT_RULESET_CONTENT_ID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CONTENT_ID_BYTES = 10, CONTENT_ID_TEXT = 2 * CONTENT_ID_BYTES + 1 };

struct content_id {
	uint8_t bytes[CONTENT_ID_BYTES];
};

struct content_id content_id_of(const void *content, size_t len);
int content_id_cmp(const struct content_id *a, const struct content_id *b);
/* Hexadecimal. Returns @text. */
const char *content_id_format(const struct content_id *id, char text[static CONTENT_ID_TEXT]);
/* False when @text is anything else. */
bool content_id_parse(const char *text, struct content_id *ret);

#endif
