/* capture.h - strings of a JSON text that comes in pieces: the short ones that matter are kept, a key, a name. */
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

/* The string that the text is in. */
struct json_string {
	bool open;
	bool escaped; /* behind a backslash */
	struct capture *capture;
};

/* A string begins, which @capture keeps; NULL: nobody. */
void json_string_begin(struct json_string *s, struct capture *capture);
/* Read from @p up to behind the quote that closes the string, or to @end. Returns where. */
const char *json_string_take(struct json_string *s, const char *p, const char *end);

void capture_reset(struct capture *c);
bool capture_is(const struct capture *c, const char *text);
/* "" unless it is plain text: short, without an escape or a zero byte. Valid until the next change. */
const char *capture_text(struct capture *c);

#endif
