#include "api/update.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "api/exchange.h"
#include "base/backoff.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/loop.h"

struct update {
	struct api_client *client;
	char *path, *write_path;
	struct update_handlers handlers;
	struct exchange *exchange; /* that runs, or NULL */
	struct loop_source *retry;
	unsigned attempts; /* that came to nothing */
	struct backoff backoff;
};

struct update *update_cancel(struct update *u)
{
	if (!u)
		return NULL;
	exchange_cancel(u->exchange);
	loop_source_free(u->retry);
	free(u->path);
	free(u->write_path);
	free(u);
	return NULL;
}
DEFINE_CLEANUP(struct update, update_cancel);

static void update_finish(struct update *u, int r, const json_t *object, const struct error *err)
{
	u->handlers.done(r, object, err, u->handlers.userdata);
	update_cancel(u);
}

/* Begin again after a conflict. After -ESTALE nobody knows whether the object was written: reading it will
 * tell. */
static void update_fail(struct update *u, int r, const struct error *err)
{
	bool again = (r == -EBUSY || r == -ESTALE) && ++u->attempts < UPDATE_MAX_ATTEMPTS;

	if (again && loop_timer_arm(u->retry, backoff_next(&u->backoff, monotonic_us(), 0)) == 0)
		return;
	update_finish(u, r, NULL, err);
}

static void on_written(int r, const struct answer *a, const struct error *err, void *userdata)
{
	struct update *u = userdata;

	u->exchange = NULL;
	if (r < 0)
		update_fail(u, r, err);
	else
		update_finish(u, UPDATE_WRITE, a->object, NULL);
}

/* Without a version the server would overwrite what somebody else has written. */
static int update_change(struct update *u, json_t *object, struct error *err)
{
	json_t *version = json_object_get(json_object_get(object, "metadata"), "resourceVersion");
	int r;

	if (json_string_length(version) == 0)
		return error_set(err, -EBADMSG, "GET %s: an object without resourceVersion",
				 u->path);
	r = u->handlers.change(object, u->handlers.userdata);
	return r < 0 ? error_wrap(err, r, "change %s", u->path) : r;
}

static void on_read(int r, const struct answer *a, const struct error *read_err, void *userdata)
{
	struct update *u = userdata;
	struct error err = { 0 };

	u->exchange = NULL;
	if (r < 0) {
		update_fail(u, r, read_err);
		return;
	}
	r = update_change(u, a->object, &err);
	if (r == UPDATE_WRITE)
		r = exchange_start(u->client, API_PUT, u->write_path, a->object, on_written, u,
				   &u->exchange, &err);
	if (r != 0)
		update_finish(u, r, r < 0 ? NULL : a->object, &err);
}

static int update_read(struct update *u, struct error *err)
{
	return exchange_start(u->client, API_GET, u->path, NULL, on_read, u, &u->exchange, err);
}

static int on_retry(void *userdata)
{
	struct update *u = userdata;
	struct error err = { 0 };
	int r = update_read(u, &err);

	if (r < 0)
		update_fail(u, r, &err);
	return 0;
}

static int update_set_paths(struct update *u, const char *path, const char *subresource)
{
	struct buf write_path = { 0 };

	buf_printf(&write_path, "%s%s%s", path, subresource ? "/" : "",
		   subresource ? subresource : "");
	u->write_path = write_path.data;
	u->path = strdup(path);
	return u->path ? buf_error(&write_path) : -ENOMEM;
}

int update_start(struct api_client *c, struct loop *loop, const char *path, const char *subresource,
		 uint64_t seed, const struct update_handlers *handlers, struct update **ret,
		 struct error *err)
{
	_cleanup_(update_cancelp) struct update *u = calloc(1, sizeof(*u));
	int r;

	if (!u)
		return error_set(err, -ENOMEM, "out of memory");
	u->client = c;
	u->handlers = *handlers;
	u->backoff = (struct backoff){
		.first_ms = UPDATE_RETRY_FIRST_MS,
		.max_ms = UPDATE_RETRY_MAX_MS,
		.healthy_ms = UINT32_MAX,
		.random = seed,
	};
	r = update_set_paths(u, path, subresource);
	if (r < 0)
		return error_set(err, -ENOMEM, "out of memory");
	r = loop_add_timer(loop, on_retry, u, &u->retry, err);
	if (r == 0)
		r = update_read(u, err);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(u);
	return 0;
}
