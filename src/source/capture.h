/* capture.h - a short string of a JSON text, whatever pieces it comes in: a key, a name. */
#ifndef KUBE_NFT_SOURCE_CAPTURE_H
#define KUBE_NFT_SOURCE_CAPTURE_H

#include <stdbool.h>
#include <stddef.h>

enum {
	CAPTURE_BYTES = 256, /* more than any key or name that means something to us */
};

struct capture {
	size_t len; /* CAPTURE_BYTES: too long, or not plain */
	char text[CAPTURE_BYTES];
};

/* A string begins. */
void capture_reset(struct capture *c);
/* Append bytes of it as they stand in the text. */
void capture_put(struct capture *c, const char *text, size_t len);
/* It has an escape: it is not what it looks like. */
void capture_spoil(struct capture *c);

bool capture_is(const struct capture *c, const char *text);
/* "" unless it is plain text. Valid until the next change. */
const char *capture_text(struct capture *c);

#endif
