/* json-request.h - what an API client asked for and sent, compared as JSON. */
#ifndef KUBE_NFT_TEST_JSON_REQUEST_H
#define KUBE_NFT_TEST_JSON_REQUEST_H

#include <jansson.h>

#include "http-server.h"

/* The body of a request, to be freed by the caller. */
json_t *request_json(const struct http_exchange *x);
/* @expected is written with single quotes. */
void assert_json(const json_t *actual, const char *expected);
/* What the next request is, "METHOD PATH"; answer it with @status and @body, where single quotes stand for
 * double ones. */
void assert_next(struct http_server *s, const char *expected, int status, const char *body);
/* For the setup of a group: jansson's allocations are counted by fail_alloc_at(), too. */
int jansson_counted(void **state);

#endif
