#include "api/call.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "api/http.h"
#include "api/server.h"
#include "base/loop.h"
#include "base/secret.h"

/* How long a connection in the making is left to itself. */
enum { NUDGE_MS = 250 };

static uint64_t later_us(uint64_t begin_us, uint64_t delay_ms)
{
	return delay_ms > (UINT64_MAX - begin_us) / 1000 ? UINT64_MAX : begin_us + delay_ms * 1000;
}

static uint64_t phase_timeout_ms(const struct api_call *call)
{
	switch (call->phase) {
	case PHASE_HEAD:
		return call->request.head_timeout_ms;
	case PHASE_BODY:
		/* Who watches waits for ever, but not for the body of a 401 that nobody reads. */
		if (call->refused && call->request.idle_timeout_ms > API_IDLE_TIMEOUT_MS)
			return API_IDLE_TIMEOUT_MS;
		return call->request.idle_timeout_ms;
	case PHASE_CONNECT:
	default:
		/* Not only libcurl's: it lets calls that share a connection in the making try one after
		 * the other when it fails. */
		return call->state == CALL_RUNNING ? API_CONNECT_TIMEOUT_MS : UINT64_MAX;
	}
}

static bool call_is_late(const struct api_call *call, uint64_t now_us)
{
	return now_us >= later_us(call->begin_us, call->request.total_timeout_ms);
}

static uint64_t deadline_us(const struct api_call *call)
{
	uint64_t total = later_us(call->begin_us, call->request.total_timeout_ms);
	uint64_t phase = later_us(call->phase_begin_us, phase_timeout_ms(call));

	return total < phase ? total : phase;
}

static bool call_is_connecting(const struct api_call *call)
{
	return call->state == CALL_RUNNING && call->phase == PHASE_CONNECT;
}

static void timer_arm(const struct api_call *call)
{
	uint64_t now = monotonic_us(), deadline = deadline_us(call);

	if (call_is_connecting(call) && deadline > now + NUDGE_MS * 1000)
		deadline = now + NUDGE_MS * 1000;
	if (deadline == UINT64_MAX)
		loop_timer_disarm(call->timer);
	else
		loop_timer_arm(call->timer, deadline > now ? (deadline - now) / 1000 + 1 : 0);
}

static void phase_begin(struct api_call *call, enum call_phase phase)
{
	call->phase = phase;
	call->phase_begin_us = monotonic_us();
	timer_arm(call);
}

static void expiry_tell(const struct api_call *call, uint64_t now_us, struct error *err)
{
	const char *peer = call->common->server->peer;

	if (call_is_late(call, now_us))
		error_set(err, -ETIMEDOUT, "%s: no whole answer within %llu ms", peer,
			  (unsigned long long)call->request.total_timeout_ms);
	else if (call->phase == PHASE_CONNECT)
		call_result(call, CURLE_OPERATION_TIMEDOUT, err);
	else
		error_set(err, -ETIMEDOUT, "%s has %s %llu ms", peer,
			  call->phase == PHASE_BODY ? "sent nothing more for" :
						      "not answered within",
			  (unsigned long long)phase_timeout_ms(call));
}

static int on_timer(void *userdata)
{
	struct api_call *call = userdata;
	uint64_t now = monotonic_us();
	struct error err = { 0 };

	if (call->state == CALL_DROPPED)
		return 0;
	if (now >= deadline_us(call)) {
		expiry_tell(call, now, &err);
		call->common->expired(call, &err);
		return 0;
	}
	/* Too early: pieces of a body move the deadline, but not the timer. */
	timer_arm(call);
	if (call_is_connecting(call))
		http_nudge(call->http); /* may end the call */
	return 0;
}

/* CURLOPT_PREREQFUNCTION: the connection is there, the request goes out. */
static int on_connected(void *userdata, char *peer, char *local, int peer_port, int local_port)
{
	(void)peer;
	(void)local;
	(void)peer_port;
	(void)local_port;
	phase_begin(userdata, PHASE_HEAD);
	return CURL_PREREQFUNC_OK;
}

/* Seconds. A date is no use: our clock may differ from the server's. */
static uint64_t retry_after_ms(CURL *easy)
{
	struct curl_header *h;
	unsigned long seconds;
	char *end;

	if (curl_easy_header(easy, "Retry-After", 0, CURLH_HEADER, -1, &h) != CURLHE_OK ||
	    strspn(h->value, "0123456789") == 0)
		return 0;
	seconds = strtoul(h->value, &end, 10);
	return *end || seconds > UINT32_MAX ? 0 : seconds * 1000;
}

/* One coding makes up to a thousand bytes of one, and libcurl takes off several in a row: without an end in
 * one turn of the loop. */
static bool is_coded_once(CURL *easy, const char *name)
{
	struct curl_header *h;

	return curl_easy_header(easy, name, 0, CURLH_HEADER, -1, &h) != CURLHE_OK ||
	       (h->amount == 1 && !strchr(h->value, ','));
}

static int head_tell(const struct api_call *call, int status)
{
	char type[128] = "";
	struct api_head head = { .status = status, .content_type = type };
	struct curl_header *h;

	if (curl_easy_header(call->easy, "Content-Type", 0, CURLH_HEADER, -1, &h) == CURLHE_OK)
		snprintf(type, sizeof(type), "%.*s", (int)strcspn(h->value, "; \t"), h->value);
	head.retry_after_ms = retry_after_ms(call->easy);
	return call->handlers.head(&head, call->handlers.userdata);
}

/* CURLOPT_HEADERFUNCTION: a line. Anything but @len ends the transfer. */
static size_t on_header(char *line, size_t size, size_t len, void *userdata)
{
	struct api_call *call = userdata;
	long status = 0;

	(void)size;
	if (call->state == CALL_DROPPED)
		return 0;
	/* The end of the head, of the last one: neither of a 1xx nor of trailers. */
	if (call->phase == PHASE_BODY || (line[0] != '\r' && line[0] != '\n'))
		return len;
	curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
	if (status < 200)
		return len;

	call->refused = status == 401 && !call->renewed;
	phase_begin(call, PHASE_BODY);
	if (!is_coded_once(call->easy, "Content-Encoding") ||
	    !is_coded_once(call->easy, "Transfer-Encoding"))
		call->handler_result = -EBADMSG;
	else if (!call->refused)
		call->handler_result = head_tell(call, (int)status);
	return call->handler_result < 0 ? 0 : len;
}

/* CURLOPT_WRITEFUNCTION. */
static size_t on_body(char *data, size_t size, size_t len, void *userdata)
{
	struct api_call *call = userdata;

	(void)size;
	if (call->state == CALL_DROPPED)
		return CURL_WRITEFUNC_ERROR;
	/* Nobody needs the body of a 401 that is answered by another attempt: no piece moves its deadline. */
	if (call->refused)
		return len;
	call->phase_begin_us = monotonic_us();
	if (len == 0)
		return len;
	call->handler_result = call->handlers.body(data, len, call->handlers.userdata);
	return call->handler_result < 0 ? CURL_WRITEFUNC_ERROR : len;
}

static void callbacks_set(struct api_call *call)
{
	curl_easy_setopt(call->easy, CURLOPT_PRIVATE, call);
	curl_easy_setopt(call->easy, CURLOPT_PREREQFUNCTION, on_connected);
	curl_easy_setopt(call->easy, CURLOPT_PREREQDATA, call);
	curl_easy_setopt(call->easy, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(call->easy, CURLOPT_HEADERDATA, call);
	curl_easy_setopt(call->easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(call->easy, CURLOPT_WRITEDATA, call);
}

int call_start(struct api_call *call, struct http *http, const struct credentials_view *view,
	       struct error *err)
{
	int r;

	call->easy = curl_easy_init();
	if (!call->easy)
		return error_errno(err, ENOMEM, "HTTP request");
	callbacks_set(call);
	r = call_configure(call, view, err);
	if (r >= 0)
		r = http_add(http, call->easy, err);
	if (r < 0) {
		call_stop(call);
		return r;
	}
	call->http = http_ref(http);
	call->state = CALL_RUNNING;
	phase_begin(call, PHASE_CONNECT);
	return 0;
}

void call_stop(struct api_call *call)
{
	if (call->http)
		http_remove(call->http, call->easy);
	curl_easy_cleanup(call->easy);
	call->easy = NULL;
	for (struct curl_slist *h = call->headers; h; h = h->next)
		secret_wipe(h->data, strlen(h->data));
	curl_slist_free_all(call->headers);
	curl_slist_free_all(call->connect_to);
	call->headers = call->connect_to = NULL;
	call->http = http_unref(call->http);
	call->refused = false;
	call->phase = PHASE_CONNECT;
}

struct api_call *call_of_transfer(CURL *easy)
{
	char *call = NULL;

	curl_easy_getinfo(easy, CURLINFO_PRIVATE, &call);
	return (struct api_call *)(void *)call;
}

static uint64_t timeout_or(uint64_t ms, uint64_t standard_ms)
{
	return ms ? ms : standard_ms;
}

static int request_copy(struct api_call *call, const struct api_request *request)
{
	call->path = strdup(request->path);
	if (request->body) {
		call->body = malloc(request->body_len + 1);
		if (call->body)
			memcpy(call->body, request->body, request->body_len);
	}
	if (!call->path || (request->body && !call->body))
		return -ENOMEM;
	call->request = *request;
	call->request.path = call->path;
	call->request.body = call->body;
	call->request.head_timeout_ms = timeout_or(request->head_timeout_ms, API_HEAD_TIMEOUT_MS);
	call->request.idle_timeout_ms = timeout_or(request->idle_timeout_ms, API_IDLE_TIMEOUT_MS);
	call->request.total_timeout_ms = timeout_or(request->total_timeout_ms, UINT64_MAX);
	return 0;
}

int call_new(const struct call_common *common, const struct api_request *request,
	     const struct api_handlers *handlers, struct api_call **ret, struct error *err)
{
	_cleanup_(call_freep) struct api_call *call = calloc(1, sizeof(*call));
	int r;

	if (!call)
		return error_errno(err, ENOMEM, "HTTP request");
	call->common = common;
	call->handlers = *handlers;
	call->begin_us = monotonic_us();
	r = request_copy(call, request);
	if (r < 0)
		return error_errno(err, -r, "HTTP request");
	r = loop_add_timer(common->loop, on_timer, call, &call->timer, err);
	if (r < 0)
		return r;
	timer_arm(call);
	*ret = TAKE_PTR(call);
	return 0;
}

struct api_call *call_free(struct api_call *call)
{
	if (!call)
		return NULL;
	call_stop(call);
	loop_source_free(call->timer);
	free(call->path);
	free(call->body);
	free(call);
	return NULL;
}
