/* call.h - one call to the API server: its transfer in libcurl, its deadlines, what became of it.
 *
 * The client says when an attempt is made, and makes another one after a 401.
 */
#ifndef KUBE_NFT_API_CALL_H
#define KUBE_NFT_API_CALL_H

#include <stdbool.h>
#include <stdint.h>

#include <curl/curl.h>

#include "api/client.h"
#include "base/cleanup.h"
#include "base/error.h"

struct credentials_view;
struct http;
struct loop_source;
struct server;

enum call_state {
	CALL_WAITING, /* for credentials */
	CALL_RUNNING,
	CALL_DROPPED, /* nobody wants to hear of it */
};

enum call_phase { PHASE_CONNECT, PHASE_HEAD, PHASE_BODY };

/* What all calls of a client have in common; borrowed. */
struct call_common {
	struct loop *loop;
	const struct server *server;
	bool insecure;
	const char *user_agent;
	struct api_client *client;
	/* A deadline has passed: -ETIMEDOUT and the sentence. */
	void (*expired)(struct api_call *call, const struct error *err);
};

struct api_call {
	const struct call_common *common;
	struct api_handlers handlers;
	struct api_request request; /* with all timeouts; its texts are @path and @body */
	char *path, *body;
	enum call_state state;
	uint64_t number; /* later calls have higher ones */

	/* Of the attempt that runs. */
	CURL *easy;
	struct curl_slist *headers, *connect_to;
	struct http *http;
	enum call_phase phase;
	uint64_t phase_begin_us;
	bool head_told;
	bool refused;       /* the first 401, kept from the caller */
	int handler_result; /* a negative errno ended it */
	char curl_error[CURL_ERROR_SIZE];

	bool renewed;             /* this is the attempt after the first 401 */
	uint64_t credentials_age; /* of the attempt: how often they had been renewed */
	struct loop_source *timer;
	uint64_t begin_us;
	struct api_call *prev, *next;
};

int call_new(const struct call_common *common, const struct api_request *request,
	     const struct api_handlers *handlers, struct api_call **ret, struct error *err);
/* NULL is fine; returns NULL. */
struct api_call *call_free(struct api_call *call);
DEFINE_CLEANUP(struct api_call, call_free);

/* Make the attempt with what @view says. */
int call_start(struct api_call *call, struct http *http, const struct credentials_view *view,
	       struct error *err);
/* End the attempt. Not from within libcurl's callbacks. */
void call_stop(struct api_call *call);
/* Of a transfer that http_finished() has told. */
struct api_call *call_of_transfer(CURL *easy);
/* Set the options of call->easy. 0, -ENOMEM, or -EACCES when @view holds what no header may. */
int call_configure(struct api_call *call, const struct credentials_view *view, struct error *err);
/* What a transfer that ended with @code is to the caller: 0, or a negative errno and its sentence. */
int call_result(const struct api_call *call, CURLcode code, struct error *err);

#endif
