/* exchange.h - one request and its whole answer: for single objects, not for lists and watches. */
#ifndef KUBE_NFT_API_EXCHANGE_H
#define KUBE_NFT_API_EXCHANGE_H

#include <stdint.h>

#include <jansson.h>

#include "api/client.h"

struct exchange;

enum exchange_limit { EXCHANGE_TIMEOUT_MS = 60 * 1000 /* from start to end */ };

/* Valid during the call that tells of it. */
struct answer {
	int status;              /* 0: no answer came */
	uint64_t retry_after_ms; /* 0: the server did not say */
	json_t *object;          /* borrowed; what a 2xx says; else NULL */
};

/* @r: 0: a 2xx. Or a negative errno with a sentence: -EPERM (403), -ENOENT (404), -EBUSY (409),
 * -EAGAIN (429, 5xx), -EACCES (401), -EINVAL (every other status), -EBADMSG (no JSON object), -E2BIG
 * (OBJECT_MAX_BYTES), -ENOMEM, and those of struct api_handlers. */
typedef void (*exchange_fn)(int r, const struct answer *a, const struct error *err, void *userdata);

/* @body is borrowed; NULL: none. @done is called once, and not before this has returned. @ret is valid
 * until then or until exchange_cancel(). -ENOMEM, -E2BIG (API_MAX_CALLS). */
int exchange_start(struct api_client *c, enum api_method method, const char *path,
		   const json_t *body, exchange_fn done, void *userdata, struct exchange **ret,
		   struct error *err);
/* Drop it without a word. NULL is fine; returns NULL. */
struct exchange *exchange_cancel(struct exchange *x);

#endif
