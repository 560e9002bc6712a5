#include "api/client.h"

#include <errno.h>
#include <string.h>

#include <curl/curl.h>
#include <utlist.h>

#include "api/access.h"
#include "api/call.h"
#include "api/credentials.h"
#include "api/http.h"
#include "api/server.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/loop.h"

struct api_client {
	struct loop *loop;
	struct arena *arena; /* owns the strings of @common and @server */
	struct server server;
	struct call_common common;
	bool curl; /* curl_global_init() was called */

	struct credentials *credentials;
	bool preparing;
	bool renewing; /* the preparation that runs is one after a 401 */
	uint64_t renewals;
	uint64_t tls_serial; /* of @http */

	struct http *http; /* for new calls; NULL: a new one has to be made */
	struct api_call *calls;
	size_t n_calls; /* without dropped ones */
	uint64_t n_numbers;
	struct loop_source *work;
};

/* The architecture as Go names it. */
#if defined(__x86_64__)
#define ARCHITECTURE "amd64"
#elif defined(__aarch64__)
#define ARCHITECTURE "arm64"
#elif defined(__arm__)
#define ARCHITECTURE "arm"
#elif defined(__i386__)
#define ARCHITECTURE "386"
#elif defined(__riscv)
#define ARCHITECTURE "riscv64"
#elif defined(__powerpc64__)
#define ARCHITECTURE "ppc64le"
#elif defined(__s390x__)
#define ARCHITECTURE "s390x"
#else
#define ARCHITECTURE "unknown"
#endif

static void work_soon(const struct api_client *c)
{
	loop_timer_arm(c->work, 0);
}

static void call_forget(struct api_client *c, struct api_call *call)
{
	if (call->state != CALL_DROPPED)
		c->n_calls--;
	DL_DELETE(c->calls, call);
	call_free(call);
}

/* The last that its caller hears. He may do to the client what he wants, but for freeing it. */
static void call_end(struct api_client *c, struct api_call *call, int r, const struct error *err)
{
	struct api_handlers handlers = call->handlers;

	call_forget(c, call);
	handlers.done(r, err, handlers.userdata);
}

/* End those of the calls that are in @state and were made before @number. */
static void calls_end(struct api_client *c, enum call_state state, uint64_t number, int r,
		      const struct error *err)
{
	struct api_call *call;

	do {
		DL_FOREACH(c->calls, call)
			if (call->state == state && call->number < number)
				break;
		if (call)
			call_end(c, call, r, err);
	} while (call);
}

/* The next calls are made over new connections; those that run stay where they are. */
static void connections_leave(struct api_client *c, const struct http *http)
{
	if (c->http == http)
		c->http = http_unref(c->http);
}

static void call_finished(struct api_client *c, struct api_call *call, CURLcode code)
{
	struct error err = { 0 };
	int r = call_result(call, code, &err);

	if (call->state == CALL_DROPPED) {
		call_forget(c, call);
		return;
	}
	/* Whatever it was, it may befall the next call over the same connection, too. */
	if (code != CURLE_OK && call->handler_result == 0)
		connections_leave(c, call->http);
	if (r == 0 && call->refused) {
		call_stop(call);
		call->renewed = true;
		call->state = CALL_WAITING;
		work_soon(c);
		return;
	}
	call_end(c, call, r, &err);
}

/* Of http.h: transfers may have ended. */
static void on_progress(struct http *http, void *userdata)
{
	struct api_client *c = userdata;
	struct error err = { 0 };
	CURLcode code;
	CURL *easy;

	while ((easy = http_finished(http, &code)))
		call_finished(c, call_of_transfer(easy), code);
	if (http_error(http) == 0)
		return;
	connections_leave(c, http);
	error_errno(&err, ENOMEM, "HTTP connections");
	calls_end(c, CALL_RUNNING, c->n_numbers, -ENOMEM, &err);
}

/* Of call.h. Of a server that is silent when it should not be, the connection may be dead as well. */
static void on_expired(struct api_call *call, const struct error *err)
{
	struct api_client *c = call->common->client;

	if (call->state == CALL_RUNNING)
		connections_leave(c, call->http);
	call_end(c, call, err->code, err);
}

/* Refused by the server, and with the credentials that we still have. */
static bool call_wants_renewal(const struct api_client *c, const struct api_call *call)
{
	return call->state == CALL_WAITING && call->renewed && call->credentials_age == c->renewals;
}

static int call_send(struct api_client *c, struct api_call *call,
		     const struct credentials_view *view, struct error *err)
{
	int r;

	if (!c->http) {
		r = http_new(c->loop, on_progress, c, &c->http, err);
		if (r < 0)
			return r;
	}
	call->credentials_age = c->renewals;
	return call_start(call, c->http, view, err);
}

static void calls_send(struct api_client *c, const struct credentials_view *view)
{
	struct error err = { 0 };
	struct api_call *call;
	uint64_t limit = c->n_numbers;
	int r;

	/* Only the calls that are there now: done() may make another one, which would fail as well. */
	do {
		DL_FOREACH(c->calls, call)
			if (call->state == CALL_WAITING && call->number < limit &&
			    !call_wants_renewal(c, call))
				break;
		r = call ? call_send(c, call, view, &err) : 0;
		if (r < 0)
			call_end(c, call, r, &err);
	} while (call);
}

/* What has been proved by another certificate, or to us by another CA, is not to be gone on with. */
static void connections_renew(struct api_client *c, uint64_t tls_serial)
{
	struct error err = { 0 };

	if (c->tls_serial == tls_serial)
		return;
	c->tls_serial = tls_serial;
	c->http = http_unref(c->http);
	error_set(&err, -ESTALE, "our certificate or the CA of %s was renewed", c->server.peer);
	calls_end(c, CALL_RUNNING, c->n_numbers, -ESTALE, &err);
}

static bool calls_wait(const struct api_client *c)
{
	const struct api_call *call;

	DL_FOREACH(c->calls, call)
		if (call->state == CALL_WAITING)
			return true;
	return false;
}

/* Of credentials.h. */
static void on_credentials(int r, const struct credentials_view *view, const struct error *err,
			   void *userdata)
{
	struct api_client *c = userdata;
	struct error why = { 0 };

	c->preparing = false;
	if (r < 0) {
		why = *err;
		r = error_wrap(&why, r == -ENOMEM ? r : -EACCES, "credentials for %s",
			       c->server.peer);
		calls_end(c, CALL_WAITING, c->n_numbers, r, &why);
	} else {
		c->renewals += c->renewing;
		connections_renew(c, view->tls_serial);
		calls_send(c, view);
	}
	if (calls_wait(c))
		work_soon(c);
}

static void credentials_ask(struct api_client *c)
{
	struct error err = { 0 };
	struct api_call *call;
	int r;

	c->preparing = true;
	c->renewing = false;
	DL_FOREACH(c->calls, call)
		c->renewing |= call_wants_renewal(c, call);
	r = credentials_prepare(c->credentials, c->renewing, on_credentials, c, &err);
	if (r < 0)
		on_credentials(r, NULL, &err, c);
}

static int on_work(void *userdata)
{
	struct api_client *c = userdata;
	struct api_call *call, *next;

	DL_FOREACH_SAFE(c->calls, call, next)
		if (call->state == CALL_DROPPED)
			call_forget(c, call);
	if (!c->preparing && calls_wait(c))
		credentials_ask(c);
	return 0;
}

/* NULL when memory is short. */
static const char *user_agent(struct arena *arena, const char *part)
{
	_cleanup_buf_ struct buf b = { 0 };

	buf_printf(&b, "kube-nft/%s (linux/%s) %s", KUBE_NFT_VERSION, ARCHITECTURE, part);
	return buf_error(&b) < 0 ? NULL : arena_strdup(arena, buf_text(&b));
}

static int client_open(struct api_client *c, const struct api_access *a, const char *part,
		       struct error *err)
{
	int r;

	c->arena = arena_new(1024);
	c->common = (struct call_common){
		.loop = c->loop,
		.server = &c->server,
		.insecure = a->insecure,
		.user_agent = c->arena ? user_agent(c->arena, part) : NULL,
		.client = c,
		.expired = on_expired,
	};
	c->curl = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
	if (!c->common.user_agent || !c->curl)
		return error_errno(err, ENOMEM, "API client");
	r = server_parse(a, c->arena, &c->server, err);
	if (r < 0)
		return r;
	r = credentials_new(c->loop, a, &c->credentials, err);
	if (r < 0)
		return r;
	return loop_add_timer(c->loop, on_work, c, &c->work, err);
}

int api_client_new(struct loop *loop, const struct api_access *a, const char *user_agent_part,
		   struct api_client **ret, struct error *err)
{
	_cleanup_(api_client_freep) struct api_client *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return error_errno(err, ENOMEM, "API client");
	c->loop = loop;
	r = client_open(c, a, user_agent_part, err);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(c);
	return 0;
}

struct api_client *api_client_free(struct api_client *c)
{
	struct api_call *call, *next;

	if (!c)
		return NULL;
	DL_FOREACH_SAFE(c->calls, call, next)
		call_free(call);
	http_unref(c->http);
	credentials_free(c->credentials);
	loop_source_free(c->work);
	arena_free(c->arena);
	if (c->curl)
		curl_global_cleanup();
	free(c);
	return NULL;
}

/* Nothing in it can end the request line or go elsewhere than to the server. */
static bool path_is_proper(const char *path)
{
	if (path[0] != '/')
		return false;
	for (; *path; path++)
		if (*path <= ' ' || *path >= 0x7f || *path == '#')
			return false;
	return true;
}

int api_call(struct api_client *c, const struct api_request *request,
	     const struct api_handlers *handlers, struct api_call **ret, struct error *err)
{
	struct api_call *call;
	int r;

	if (!path_is_proper(request->path))
		return error_set(err, -EINVAL, "HTTP request for %s: not percent-encoded",
				 request->path);
	if (c->n_calls >= API_MAX_CALLS)
		return error_set(err, -E2BIG, "more than %d HTTP requests at once", API_MAX_CALLS);
	r = call_new(&c->common, request, handlers, &call, err);
	if (r < 0)
		return r;
	call->number = c->n_numbers++;
	DL_APPEND(c->calls, call);
	c->n_calls++;
	work_soon(c);
	*ret = call;
	return 0;
}

struct api_call *api_call_cancel(struct api_call *call)
{
	struct api_client *c;

	if (!call)
		return NULL;
	/* libcurl may be on the stack; what is left of the call goes in the loop's next turn. */
	c = call->common->client;
	call->state = CALL_DROPPED;
	c->n_calls--;
	work_soon(c);
	return NULL;
}

void api_client_cover(const struct api_client *c, char *text)
{
	credentials_cover(c->credentials, text);
}
