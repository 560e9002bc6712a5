/* client.h - calls to the Kubernetes API server, any number at once over one HTTP/2 connection.
 *
 * Nothing here blocks the loop, and every phase has a deadline. A 401 is answered by renewed
 * credentials and one more attempt before the caller hears of it. What the server sends is handed on in
 * pieces, gzip taken off. Nothing secret is in any sentence.
 */
#ifndef KUBE_NFT_API_CLIENT_H
#define KUBE_NFT_API_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"

struct api_access;
struct api_call;
struct api_client;
struct error;
struct loop;

enum api_limit {
	API_CONNECT_TIMEOUT_MS = 10 * 1000, /* TCP and TLS together */
	API_HEAD_TIMEOUT_MS = 30 * 1000,    /* from the request to the status line */
	API_IDLE_TIMEOUT_MS = 30 * 1000,    /* without a byte of the body, when one is on its way */
	API_DEAD_PEER_MS = 30 * 1000,       /* a silent connection: keepalive, TCP_USER_TIMEOUT */
	API_MAX_CALLS = 64,
};

enum api_method { API_GET, API_POST, API_PUT, API_MERGE_PATCH, API_DELETE };

struct api_request {
	enum api_method method;
	const char *path; /* "/api/v1/services?watch=true", percent-encoded; copied */
	const char *body; /* JSON; copied; NULL: none */
	size_t body_len;
	/* No gzip, for a watch: there the API server packs each event by itself, and libcurl takes off
	 * only the first of several. */
	bool uncompressed;
	uint64_t head_timeout_ms;  /* 0: API_HEAD_TIMEOUT_MS */
	uint64_t idle_timeout_ms;  /* 0: API_IDLE_TIMEOUT_MS; UINT64_MAX: none (a watch) */
	uint64_t total_timeout_ms; /* 0: none */
};

struct api_head {
	int status;               /* 200 ... */
	const char *content_type; /* without parameters, "" when absent */
	uint64_t retry_after_ms;  /* 0: none */
};

/* None is called from within api_call(). */
struct api_handlers {
	/* The status line and the headers are there. A negative errno ends the call with it. */
	int (*head)(const struct api_head *head, void *userdata);
	/* Bytes of the body, of whatever status. A negative errno ends the call with it. */
	int (*body)(const char *data, size_t len, void *userdata);
	/* The last that is heard of a call. @r: 0 when the answer came whole, whatever its status; what a
	 * handler returned; -ETIMEDOUT, -ECONNREFUSED, -ECONNRESET (the body broke off), -EPROTO (TLS),
	 * -ESTALE (our certificate or CA was renewed: start again), -EACCES (no credentials),
	 * -EHOSTUNREACH (no address, or the name is not known), -EBADMSG (no proper HTTP), -ENOMEM. */
	void (*done)(int r, const struct error *err, void *userdata);
	void *userdata;
};

/* @a is borrowed and must outlive it; @user_agent_part goes behind "kube-nft/VERSION (linux/ARCH)". No
 * connection is made yet. */
int api_client_new(struct loop *loop, const struct api_access *a, const char *user_agent_part,
		   struct api_client **ret, struct error *err);
/* Calls that run are dropped without a word. Not from within a handler. NULL is fine; returns NULL. */
struct api_client *api_client_free(struct api_client *c);
DEFINE_CLEANUP(struct api_client, api_client_free);

/* Start a call; @handlers are copied. @ret is borrowed and valid until done() or api_call_cancel().
 * -ENOMEM, -E2BIG (API_MAX_CALLS), -EINVAL (a path that is not percent-encoded). */
int api_call(struct api_client *c, const struct api_request *request,
	     const struct api_handlers *handlers, struct api_call **ret, struct error *err);
/* Drop the call; no handler is called any more. NULL is fine; returns NULL. May be called from its own
 * handlers. */
struct api_call *api_call_cancel(struct api_call *call);

/* Cover our token and password in @text, which may repeat what a server says. */
void api_client_cover(const struct api_client *c, char *text);

#endif
