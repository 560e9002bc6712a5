#include "api/exchange.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/status.h"
#include "base/buf.h"
#include "base/error.h"
#include "object/decode.h"

struct exchange {
	struct api_call *call;
	enum api_method method;
	char *path;
	struct answer answer;
	struct buf body;
	exchange_fn done;
	void *userdata;
};

static struct exchange *exchange_free(struct exchange *x)
{
	if (!x)
		return NULL;
	json_decref(x->answer.object);
	buf_free(&x->body);
	free(x->path);
	free(x);
	return NULL;
}
DEFINE_CLEANUP(struct exchange, exchange_free);

static int status_error(int status)
{
	switch (status) {
	case 401:
		return -EACCES;
	case 403:
		return -EPERM;
	case 404:
		return -ENOENT;
	case 409:
		return -EBUSY;
	case 429:
		return -EAGAIN;
	default:
		return status >= 500 ? -EAGAIN : -EINVAL;
	}
}

static int exchange_refused(struct exchange *x, struct error *err)
{
	struct api_status s = api_status_read(buf_text(&x->body), x->body.len, x->answer.status);

	if (x->answer.retry_after_ms == 0)
		x->answer.retry_after_ms = (uint64_t)s.retry_after_s * 1000;
	return error_set(err, status_error(x->answer.status), "status %d%s%s", x->answer.status,
			 s.message[0] ? ": " : "", s.message);
}

/* What came, as the caller will hear it. */
static int exchange_read(struct exchange *x, struct error *err)
{
	json_auto_t *object = NULL;
	int r;

	if (x->answer.status < 200 || x->answer.status >= 300)
		return exchange_refused(x, err);
	r = json_parse(buf_text(&x->body), x->body.len, &object, err);
	if (r == -ENOMEM)
		return r;
	if (r < 0)
		return error_wrap(err, -EBADMSG, "the answer is no JSON");
	if (!json_is_object(object))
		return error_set(err, -EBADMSG, "the answer is no JSON object");
	x->answer.object = TAKE_PTR(object);
	return 0;
}

static int on_head(const struct api_head *head, void *userdata)
{
	struct exchange *x = userdata;

	x->answer.status = head->status;
	x->answer.retry_after_ms = head->retry_after_ms;
	return 0;
}

static int on_body(const char *data, size_t len, void *userdata)
{
	struct exchange *x = userdata;

	if (len > OBJECT_MAX_BYTES - x->body.len)
		return -E2BIG;
	buf_append(&x->body, data, len);
	return buf_error(&x->body);
}

static void on_done(int r, const struct error *err, void *userdata)
{
	static const char *const methods[] = {
		[API_GET] = "GET",           [API_POST] = "POST",     [API_PUT] = "PUT",
		[API_MERGE_PATCH] = "PATCH", [API_DELETE] = "DELETE",
	};
	_cleanup_(exchange_freep) struct exchange *x = userdata;
	struct error why = { 0 };

	if (r == 0)
		r = exchange_read(x, &why);
	else if (r == -E2BIG)
		error_set(&why, r, "the answer has more than %d bytes", OBJECT_MAX_BYTES);
	else if (err)
		why = *err;
	if (r < 0)
		error_wrap(&why, r, "%s %s", methods[x->method], x->path);
	x->done(r, &x->answer, &why, x->userdata);
}

static int exchange_call(struct exchange *x, struct api_client *c, const char *body,
			 struct error *err)
{
	const struct api_handlers handlers = {
		.head = on_head,
		.body = on_body,
		.done = on_done,
		.userdata = x,
	};
	const struct api_request request = {
		.method = x->method,
		.path = x->path,
		.body = body,
		.body_len = body ? strlen(body) : 0,
		.total_timeout_ms = EXCHANGE_TIMEOUT_MS,
	};

	return api_call(c, &request, &handlers, &x->call, err);
}

int exchange_start(struct api_client *c, enum api_method method, const char *path,
		   const json_t *body, exchange_fn done, void *userdata, struct exchange **ret,
		   struct error *err)
{
	_cleanup_(exchange_freep) struct exchange *x = calloc(1, sizeof(*x));
	_cleanup_free_ char *text = NULL;
	int r;

	if (!x)
		return error_set(err, -ENOMEM, "out of memory");
	x->method = method;
	x->done = done;
	x->userdata = userdata;
	x->path = strdup(path);
	if (!x->path || (body && json_print(body, &text) < 0))
		return error_set(err, -ENOMEM, "out of memory");

	r = exchange_call(x, c, text, err);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(x);
	return 0;
}

struct exchange *exchange_cancel(struct exchange *x)
{
	if (x)
		api_call_cancel(x->call);
	return exchange_free(x);
}
