/* status.h - why the API server did not do it: a Status object, in an ERROR event or as the body of an answer
 * that is not 2xx.
 *
 * Source: Kubernetes API conventions, "Response Status Kind".
 */
#ifndef KUBE_NFT_API_STATUS_H
#define KUBE_NFT_API_STATUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum status_limit {
	STATUS_MAX_BYTES = 64 * 1024, /* of the text; what is longer is no Status */
	STATUS_REASON_BYTES = 64,
	STATUS_MESSAGE_BYTES = 256,
	STATUS_MAX_RETRY_S = 60 * 60, /* longer delays become this one */
};

struct api_status {
	int code; /* 410 ...; 0: not told */
	/* Both are one line, escaped, cut to their room, "" when absent. */
	char reason[STATUS_REASON_BYTES]; /* "Expired", a word for programs */
	char message
		[STATUS_MESSAGE_BYTES]; /* a sentence; the text's beginning when it is no Status */
	uint32_t retry_after_s;         /* 0: none */
	bool version_too_large;         /* the resourceVersion asked for is ahead of this server */
};

/* Whatever @text is, something can be said of it: proxies answer in HTML or in plain words. @http_code is
 * what stands when the text tells no code of its own; 0: none. */
struct api_status api_status_read(const char *text, size_t len, int http_code);

#endif
