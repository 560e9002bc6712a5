/* api-fixture.h - a client of the API, a scripted server, and a log of what the calls' handlers hear.
 *
 * One line each: "NAME head STATUS TYPE RETRY_AFTER_MS", "NAME body TEXT", "NAME done ERRNO: SENTENCE", or
 * "NAME done". The server's address is written as SERVER.
 */
#ifndef KUBE_NFT_TEST_API_FIXTURE_H
#define KUBE_NFT_TEST_API_FIXTURE_H

#include <stdbool.h>

#include "api/access.h"
#include "api/client.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/loop.h"
#include "http-server.h"

/* A call and what its handlers do besides logging. */
struct listener {
	struct api_world *world;
	const char *name;
	struct api_call *call;
	int head_result, body_result;
	bool cancel_in_head, cancel_in_body;
	bool again_in_done; /* the same call anew, once */
	struct listener *cancel_in_done;
	bool is_done;
};

struct api_world {
	struct loop *loop;
	struct http_server *server;
	struct api_access access;
	struct api_client *client;
	struct buf log;
	struct error err;
	struct listener listeners[API_MAX_CALLS + 1];
	size_t n_listeners;
};

int api_setup(void **state);
int api_teardown(void **state);

/* The client, made when it is first asked for, so that a test can set the access before. */
struct api_client *api_client(struct api_world *w);
struct listener *api_listener(struct api_world *w, const char *name);
/* Start a call with the client that is there: api_call(). */
int api_try(struct listener *l, const struct api_request *request);
/* Start a call that must start. */
void api_ask(struct listener *l, const struct api_request *request);
/* api_listener() and api_ask() of a GET. */
struct listener *api_get(struct api_world *w, const char *name, const char *path);
/* Turn the loop until the call is over. */
void api_wait(struct listener *l);
/* What was heard since the last call. */
void assert_heard(struct api_world *w, const char *expected);

#endif
