#include "reflector-fixture.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "api/client.h"
#include "base/loop.h"
#include "fail-alloc.h"

enum { HOUR_MS = 60 * 60 * 1000, HANG_US = 30 * 1000 * 1000 };

/* Nothing ends by itself but what a test makes end; what begins well does so at once. */
static const struct reflector_limits short_limits = {
	.watch_min_s = 300,
	.watch_max_s = 300,
	.watch_margin_ms = HOUR_MS,
	.watch_short_ms = 0,
	.initial_quiet_ms = HOUR_MS,
	.list_ms = HOUR_MS,
	.refusal_ms = HOUR_MS,
	.patience_ms = HOUR_MS,
	.retry_after_max_ms = REFLECTOR_RETRY_AFTER_MAX_MS,
	.max_objects = REFLECTOR_MAX_OBJECTS,
	.max_pages = REFLECTOR_MAX_PAGES,
};

static int on_apply(struct object *o, void *userdata)
{
	struct reflected *f = userdata;
	int r = f->apply_error;

	fail_alloc_suspend();
	if (r == 0)
		buf_printf(&f->log, "apply %s/%s@%s\n", o->namespace, o->name,
			   o->resource_version ? o->resource_version : "");
	fail_alloc_resume();
	object_free(o);
	return r;
}

static void on_remove(enum object_kind kind, const char *namespace, const char *name,
		      void *userdata)
{
	struct reflected *f = userdata;

	assert_int_equal(kind, KIND_SERVICE);
	fail_alloc_suspend();
	buf_printf(&f->log, "remove %s/%s\n", namespace, name);
	fail_alloc_resume();
}

/* The port is another one every time. */
static void on_report(const char *where, const char *problem, void *userdata)
{
	struct reflected *f = userdata;
	const char *address = http_server_url(f->server) + strlen("http://");
	const char *p = strstr(problem, address);

	fail_alloc_suspend();
	if (p)
		buf_printf(&f->log, "report %s: %.*sSERVER%s\n", where, (int)(p - problem), problem,
			   p + strlen(address));
	else
		buf_printf(&f->log, "report %s: %s\n", where, problem);
	fail_alloc_resume();
}

/* How long it took is another matter every time. */
static void on_recovered(const char *where, const char *how, void *userdata)
{
	struct reflected *f = userdata;

	fail_alloc_suspend();
	buf_printf(&f->log, "recovered %s: ", where);
	for (; *how; how++)
		if (!isdigit((unsigned char)*how))
			buf_append(&f->log, how, 1);
		else if (!isdigit((unsigned char)how[1]))
			buf_puts(&f->log, "N");
	buf_puts(&f->log, "\n");
	fail_alloc_resume();
}

static void on_synced(enum object_kind kind, void *userdata)
{
	struct reflected *f = userdata;

	fail_alloc_suspend();
	buf_printf(&f->log, "synced %s\n", kind_name(kind));
	fail_alloc_resume();
}

struct source_events reflected_events(struct reflected *f)
{
	return (struct source_events){ .apply = on_apply,
				       .remove = on_remove,
				       .report = on_report,
				       .recovered = on_recovered,
				       .userdata = f };
}

static void ca_write(const struct reflected *f, const char *text)
{
	FILE *file = fopen(f->ca_path, "w");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

int reflected_setup(void **state)
{
	struct reflected *f = calloc(1, sizeof(*f));
	int fd;

	assert_non_null(f);
	strcpy(f->ca_path, "/tmp/kube-nft-ca-XXXXXX");
	fd = mkstemp(f->ca_path);
	assert_true(fd >= 0);
	close(fd);
	f->access.ca.path = f->ca_path;
	ca_write(f, "first");
	assert_int_equal(loop_new(&f->loop, NULL), 0);
	f->server = http_server_new(f->loop);
	f->access.server = http_server_url(f->server);
	assert_int_equal(api_client_new(f->loop, &f->access, "test", &f->client, NULL), 0);
	*state = f;
	return 0;
}

int reflected_teardown(void **state)
{
	struct reflected *f = *state;

	reflector_free(f->reflector);
	api_client_free(f->client);
	http_server_free(f->server);
	loop_free(f->loop);
	unlink(f->ca_path);
	buf_free(&f->log);
	free(f);
	return 0;
}

void reflected_start(struct reflected *f, bool watch_list)
{
	const struct reflector_config config = { .kind = KIND_SERVICE, .seed = 1 };
	struct source_events events = reflected_events(f);
	struct reflector *r;

	assert_int_equal(reflector_new(f->client, f->loop, &config, &events, on_synced, f,
				       &f->reflector, NULL),
			 0);
	r = f->reflector;
	r->limits = short_limits;
	r->backoff.first_ms = BACKOFF_FIRST_MS;
	r->backoff.max_ms = BACKOFF_MAX_MS;
	if (!watch_list) {
		r->no_watch_list = true;
		r->phase = PHASE_LIST;
	}
}

struct http_exchange *reflected_watch(struct reflected *f, const char *list)
{
	struct http_exchange *x;

	reflected_start(f, false);
	http_reply(next_request(f, SERVICES "?resourceVersion=0"), 200, NULL, list);
	x = http_next(f->server);
	buf_reset(&f->log);
	return x;
}

struct http_exchange *next_request(struct reflected *f, const char *target)
{
	struct http_exchange *x = http_next(f->server);

	assert_string_equal(http_method(x), "GET");
	assert_string_equal(http_target(x), target);
	/* Of a watch, an API server would compress each event by itself. */
	assert_int_equal(!http_header(x, "Accept-Encoding"), !!strstr(target, "watch=true"));
	return x;
}

struct http_exchange *next_stream(struct reflected *f, const char *target)
{
	struct http_exchange *x = next_request(f, target);

	http_begin(x, 200, NULL);
	return x;
}

static int on_head(const struct api_head *head, void *userdata)
{
	(void)head;
	(void)userdata;
	return 0;
}

static int on_body(const char *data, size_t len, void *userdata)
{
	(void)data;
	(void)len;
	(void)userdata;
	return 0;
}

static void on_done(int r, const struct error *err, void *userdata)
{
	(void)r;
	(void)err;
	(void)userdata;
}

void reflected_renew(struct reflected *f)
{
	const struct api_request request = { .path = "/version" };
	const struct api_handlers handlers = { .head = on_head, .body = on_body, .done = on_done };
	struct api_call *call;

	ca_write(f, "another");
	/* Any call makes the client look at its files. */
	assert_int_equal(api_call(f->client, &request, &handlers, &call, NULL), 0);
	http_reply(next_request(f, "/version"), 200, NULL, "{}");
}

struct trickle {
	struct http_server *server;
	struct http_exchange *exchange;
	size_t n_requests;
};

static bool trickle_is_over(void *userdata)
{
	const struct trickle *t = userdata;

	http_chunk(t->exchange, " ");
	return http_requests(t->server) > t->n_requests;
}

void reflected_trickle(struct reflected *f, struct http_exchange *x)
{
	struct trickle t = { f->server, x, http_requests(f->server) };

	http_wait(f->server, trickle_is_over, &t);
	assert_true(http_gone(x));
}

struct expectation {
	const struct buf *log;
	size_t len;
	uint64_t hang_us; /* then what is missing is shown */
};

static bool log_is_long(void *userdata)
{
	const struct expectation *e = userdata;

	return e->log->len >= e->len || monotonic_us() > e->hang_us;
}

void assert_reflected(struct reflected *f, const char *expected)
{
	struct expectation e = { &f->log, strlen(expected), monotonic_us() + HANG_US };

	http_wait(f->server, log_is_long, &e);
	http_settle(f->server);
	assert_string_equal(buf_text(&f->log), expected);
	buf_reset(&f->log);
}

void assert_backed_off(const struct reflected *f, uint64_t step_ms)
{
	assert_int_equal(f->reflector->backoff.step_ms, step_ms);
}

struct http_exchange *reflected_stream(struct reflected *f, const char *list)
{
	struct http_exchange *x = reflected_watch(f, list);

	http_begin(x, 200, NULL);
	return x;
}

struct reflector_stats reflected_stats(const struct reflected *f)
{
	return reflector_stats(f->reflector);
}
