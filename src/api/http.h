/* http.h - a pool of connections: transfers of libcurl that run on the event loop.
 *
 * Transfers to one server share an HTTP/2 connection of the pool; it is left by making another pool.
 * Counted references: whoever has a transfer in it holds one.
 */
#ifndef KUBE_NFT_API_HTTP_H
#define KUBE_NFT_API_HTTP_H

#include <curl/curl.h>

#include "base/cleanup.h"

struct error;
struct http;
struct loop;

/* @progress: transfers may have ended; it fetches them by http_finished(), looks at http_error(), and is
 * never called from within libcurl. One reference, the caller's. */
int http_new(struct loop *loop, void (*progress)(struct http *h, void *userdata), void *userdata,
	     struct http **ret, struct error *err);
struct http *http_ref(struct http *h);
/* NULL is fine; returns NULL. With the last reference the connections are closed. */
struct http *http_unref(struct http *h);
DEFINE_CLEANUP(struct http, http_unref);

/* Both not from within libcurl's callbacks. @easy stays the caller's. */
int http_add(struct http *h, CURL *easy, struct error *err);
void http_remove(struct http *h, CURL *easy);
/* Run all transfers. libcurl 7.88 forgets one between the failure of an address and the try of the next,
 * since nothing happens to it there. Ends with @progress. */
void http_nudge(struct http *h);
/* A transfer that has ended and how, or NULL. It still has to be removed. */
CURL *http_finished(struct http *h, CURLcode *ret_code);
/* 0, or -ENOMEM: libcurl has given up, and so must all transfers. */
int http_error(const struct http *h);

#endif
