#include "api-fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/secret.h"
#include "fail-alloc.h"

int api_setup(void **state)
{
	struct api_world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	assert_int_equal(loop_new(&w->loop, NULL), 0);
	w->server = http_server_new(w->loop);
	w->access.server = http_server_url(w->server);
	*state = w;
	return 0;
}

int api_teardown(void **state)
{
	struct api_world *w = *state;

	api_client_free(w->client);
	http_server_free(w->server);
	secret_free(w->access.token);
	secret_free(w->access.password);
	loop_free(w->loop);
	buf_free(&w->log);
	free(w);
	return 0;
}

struct api_client *api_client(struct api_world *w)
{
	if (!w->client && api_client_new(w->loop, &w->access, "test", &w->client, &w->err) < 0)
		fail_msg("%s", w->err.message);
	return w->client;
}

struct listener *api_listener(struct api_world *w, const char *name)
{
	struct listener *l = &w->listeners[w->n_listeners++];

	assert_true(w->n_listeners <= ARRAY_SIZE(w->listeners));
	*l = (struct listener){ .world = w, .name = name };
	return l;
}

static int on_head(const struct api_head *head, void *userdata)
{
	struct listener *l = userdata;

	fail_alloc_suspend();
	buf_printf(&l->world->log, "%s head %d %s %llu\n", l->name, head->status,
		   head->content_type, (unsigned long long)head->retry_after_ms);
	fail_alloc_resume();
	if (l->cancel_in_head)
		l->call = api_call_cancel(l->call);
	return l->head_result;
}

static int on_body(const char *data, size_t len, void *userdata)
{
	struct listener *l = userdata;

	assert_true(len > 0);
	fail_alloc_suspend();
	buf_printf(&l->world->log, "%s body %.*s\n", l->name, (int)len, data);
	fail_alloc_resume();
	if (l->cancel_in_body)
		l->call = api_call_cancel(l->call);
	return l->body_result;
}

/* The port is another one every time. */
static void log_sentence(struct api_world *w, const char *sentence)
{
	const char *address = http_server_url(w->server) + strlen("http://");
	const char *p;

	for (; (p = strstr(sentence, address)); sentence = p + strlen(address))
		buf_printf(&w->log, "%.*sSERVER", (int)(p - sentence), sentence);
	buf_puts(&w->log, sentence);
}

static void on_done(int r, const struct error *err, void *userdata)
{
	struct listener *l = userdata;
	struct api_world *w = l->world;

	assert_false(l->is_done);
	l->call = NULL;
	l->is_done = true;
	fail_alloc_suspend();
	buf_printf(&w->log, "%s done", l->name);
	if (r < 0) {
		assert_int_equal(err->code, r);
		buf_printf(&w->log, " %s: ", strerrorname_np(-r));
		log_sentence(w, err->message);
	}
	buf_puts(&w->log, "\n");
	fail_alloc_resume();
	if (l->cancel_in_done)
		l->cancel_in_done->call = api_call_cancel(l->cancel_in_done->call);
	if (l->again_in_done) {
		l->again_in_done = false;
		api_ask(l, &(struct api_request){ .path = "/again" });
	}
}

int api_try(struct listener *l, const struct api_request *request)
{
	struct api_handlers handlers = {
		.head = on_head, .body = on_body, .done = on_done, .userdata = l
	};

	l->is_done = false;
	return api_call(l->world->client, request, &handlers, &l->call, &l->world->err);
}

void api_ask(struct listener *l, const struct api_request *request)
{
	api_client(l->world);
	if (api_try(l, request) < 0)
		fail_msg("%s", l->world->err.message);
}

struct listener *api_get(struct api_world *w, const char *name, const char *path)
{
	struct listener *l = api_listener(w, name);

	api_ask(l, &(struct api_request){ .path = path });
	return l;
}

static bool listener_is_done(void *userdata)
{
	const struct listener *l = userdata;

	return l->is_done;
}

void api_wait(struct listener *l)
{
	http_wait(l->world->server, listener_is_done, l);
}

void assert_heard(struct api_world *w, const char *expected)
{
	assert_string_equal(buf_text(&w->log), expected);
	buf_reset(&w->log);
}
