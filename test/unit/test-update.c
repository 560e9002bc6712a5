#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api-fixture.h"
#include "api/update.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "fail-alloc.h"
#include "json-request.h"

#define PATH "/api/v1/namespaces/default/services/web"
#define OBJECT(version) "{'metadata':{'resourceVersion':'" version "'},'more':[1,{'x':null}]}"

struct world {
	struct api_world *api;
	struct update *update; /* NULL when it is done */
	const char *path, *subresource;
	int verdict; /* of change() */
	unsigned n_conflicts;
	unsigned n_changes, n_done;
	int r;
	json_t *object;
	struct error err;
};

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	void *api;

	assert_non_null(w);
	assert_int_equal(api_setup(&api), 0);
	w->api = api;
	w->path = PATH;
	api_client(w->api);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;
	void *api = w->api;

	update_cancel(w->update);
	api_teardown(&api);
	json_decref(w->object);
	free(w);
	return 0;
}

static int change(json_t *object, void *userdata)
{
	struct world *w = userdata;

	w->n_changes++;
	assert_null(json_object_get(object, "changed"));
	fail_alloc_suspend();
	assert_int_equal(json_object_set_new(object, "changed", json_integer(w->n_changes)), 0);
	fail_alloc_resume();
	return w->verdict;
}

static void on_done(int r, const json_t *object, const struct error *err, void *userdata)
{
	struct world *w = userdata;

	fail_alloc_suspend();
	w->update = NULL;
	w->n_done++;
	w->r = r;
	json_decref(w->object);
	w->object = object ? json_deep_copy(object) : NULL;
	w->err = err ? *err : (struct error){ 0 };
	fail_alloc_resume();
}

static int try_start(struct world *w)
{
	const struct update_handlers handlers = {
		.change = change,
		.done = on_done,
		.userdata = w,
	};

	return update_start(w->api->client, w->api->loop, w->path, w->subresource, 1, &handlers,
			    &w->update, &w->err);
}

static void start(struct world *w)
{
	assert_int_equal(try_start(w), 0);
	assert_int_equal(w->n_done, 0);
}

static bool is_done(void *userdata)
{
	const struct world *w = userdata;

	return !w->update;
}

static void assert_done(struct world *w, int r)
{
	http_wait(w->api->server, is_done, w);
	assert_int_equal(w->n_done, 1);
	assert_int_equal(w->r, r);
	assert_int_equal(w->object != NULL, r >= 0);
}

/* The object goes back with its version and with all that nobody here knows. */
static void assert_put(struct world *w, const char *body, int status, const char *answer)
{
	struct http_exchange *x = http_next(w->api->server);
	json_auto_t *sent = request_json(x);

	assert_string_equal(http_method(x), "PUT");
	assert_string_equal(http_target(x), PATH);
	assert_json(sent, body);
	http_reply(x, status, NULL, answer);
}

static void test_read_change_write(void **state)
{
	struct world *w = *state;

	start(w);
	assert_next(w->api->server, "GET " PATH, 200, OBJECT("7"));
	assert_put(w, "{'metadata':{'resourceVersion':'7'},'more':[1,{'x':null}],'changed':1}", 200,
		   "{\"a\":8}");
	assert_done(w, UPDATE_WRITE);
	assert_json(w->object, "{'a':8}");
	assert_int_equal(http_requests(w->api->server), 2);
}

/* It is read where everybody may read it. */
static void test_subresource(void **state)
{
	struct world *w = *state;

	w->subresource = "status";
	start(w);
	for (int i = 0; i < 2; i++) {
		assert_next(w->api->server, "GET " PATH, 200, OBJECT("7"));
		assert_next(w->api->server, "PUT " PATH "/status", i == 0 ? 409 : 200, "{}");
	}
	assert_done(w, UPDATE_WRITE);
}

static void test_nothing_to_do(void **state)
{
	struct world *w = *state;

	w->verdict = UPDATE_NOT_NEEDED;
	start(w);
	assert_next(w->api->server, "GET " PATH, 200, OBJECT("7"));
	assert_done(w, UPDATE_NOT_NEEDED);
	http_settle(w->api->server);
	assert_int_equal(http_requests(w->api->server), 1);
}

static void test_conflicts_begin_again(void **state)
{
	struct world *w = *state;

	start(w);
	assert_next(w->api->server, "GET " PATH, 200, OBJECT("7"));
	assert_put(w, "{'metadata':{'resourceVersion':'7'},'more':[1,{'x':null}],'changed':1}", 409,
		   "{}");
	assert_next(w->api->server, "GET " PATH, 200, OBJECT("8"));
	assert_put(w, "{'metadata':{'resourceVersion':'8'},'more':[1,{'x':null}],'changed':2}", 409,
		   "{}");
	assert_next(w->api->server, "GET " PATH, 200, OBJECT("9"));
	assert_put(w, "{'metadata':{'resourceVersion':'9'},'more':[1,{'x':null}],'changed':3}", 200,
		   "{}");
	assert_done(w, UPDATE_WRITE);
	assert_int_equal(w->n_changes, 3);
}

/* A write of the like that somebody else has made is none of ours any more. */
static void test_conflict_makes_it_needless(void **state)
{
	struct world *w = *state;

	start(w);
	assert_next(w->api->server, "GET " PATH, 200, OBJECT("7"));
	assert_next(w->api->server, "PUT " PATH, 409, "{}");
	w->verdict = UPDATE_NOT_NEEDED;
	assert_next(w->api->server, "GET " PATH, 200, OBJECT("8"));
	assert_done(w, UPDATE_NOT_NEEDED);
}

static void test_A20_conflicts_have_an_end(void **state)
{
	struct world *w = *state;

	start(w);
	for (int i = 0; i < UPDATE_MAX_ATTEMPTS; i++) {
		assert_next(w->api->server, "GET " PATH, 200, OBJECT("7"));
		assert_next(w->api->server, "PUT " PATH, 409,
			    "{'kind':'Status','message':'too late'}");
	}
	assert_done(w, -EBUSY);
	assert_string_equal(w->err.message, "PUT " PATH ": status 409: too late");
	http_settle(w->api->server);
	assert_int_equal(http_requests(w->api->server), 2 * UPDATE_MAX_ATTEMPTS);
}

static void test_refusals_end_it(void **state)
{
	static const struct {
		int status, r;
	} rows[] = { { 404, -ENOENT }, { 403, -EPERM }, { 422, -EINVAL }, { 503, -EAGAIN } };
	struct world *w = *state;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		w->n_done = 0;
		start(w);
		assert_next(w->api->server, "GET " PATH, rows[i].status, "{}");
		assert_done(w, rows[i].r);
		assert_int_equal(w->n_changes, i);

		w->n_done = 0;
		start(w);
		assert_next(w->api->server, "GET " PATH, 200, OBJECT("7"));
		assert_next(w->api->server, "PUT " PATH, rows[i].status,
			    "{'kind':'Status','message':'sorry'}");
		assert_done(w, rows[i].r);
		assert_non_null(strstr(w->err.message, "PUT " PATH ": status "));
		assert_non_null(strstr(w->err.message, ": sorry"));
	}
}

/* Even with an error that is a conflict when the server says it. */
static void test_change_refuses(void **state)
{
	static const int errors[] = { -EDOM, -EBUSY };
	struct world *w = *state;

	for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
		w->n_done = 0;
		w->verdict = errors[i];
		start(w);
		assert_next(w->api->server, "GET " PATH, 200, OBJECT("7"));
		assert_done(w, errors[i]);
	}
	http_settle(w->api->server);
	assert_int_equal(http_requests(w->api->server), 2);
}

static void test_A9_no_version(void **state)
{
	static const char *const bodies[] = {
		"{}",
		"{'metadata':{}}",
		"{'metadata':{'resourceVersion':''}}",
		"{'metadata':{'resourceVersion':7}}",
		"{'metadata':[]}",
		"<html>",
	};
	struct world *w = *state;

	for (size_t i = 0; i < ARRAY_SIZE(bodies); i++) {
		w->n_done = 0;
		start(w);
		assert_next(w->api->server, "GET " PATH, 200, bodies[i]);
		assert_done(w, -EBADMSG);
	}
	assert_int_equal(w->n_changes, 0);
	assert_int_equal(http_requests(w->api->server), ARRAY_SIZE(bodies));
}

static void test_cancelled_on_its_way(void **state)
{
	struct world *w = *state;
	struct http_exchange *x;

	start(w); /* reading */
	x = http_next(w->api->server);
	w->update = update_cancel(w->update);
	http_settle(w->api->server);
	assert_true(http_gone(x));

	start(w); /* writing */
	assert_next(w->api->server, "GET " PATH, 200, OBJECT("7"));
	x = http_next(w->api->server);
	w->update = update_cancel(w->update);
	http_settle(w->api->server);
	assert_true(http_gone(x));

	assert_int_equal(w->n_changes, 1);
	assert_int_equal(w->n_done, 0);
	assert_null(update_cancel(NULL));
}

/* One object is always changed by somebody else; later attempts to write it are not even answered. */
static void answer_contested(struct http_exchange *x, void *userdata)
{
	bool is_put = strcmp(http_method(x), "PUT") == 0;
	struct world *w = userdata;

	if (!is_put)
		http_reply(x, 200, NULL, "{\"metadata\":{\"resourceVersion\":\"7\"}}");
	else if (strcmp(http_target(x), PATH) == 0)
		http_reply(x, 200, NULL, "{}");
	else if (w->n_conflicts++ == 0)
		http_reply(x, 409, NULL, "{}");
}

static bool is_contested(void *userdata)
{
	const struct world *w = userdata;

	return w->n_conflicts > 0;
}

/* The updates of another object pass the time until the first has heard of its conflict, and until it would
 * try again. */
static void test_cancelled_while_it_waits(void **state)
{
	struct world *w = *state;
	struct update *contested;

	http_answer(w->api->server, answer_contested, w);
	w->path = "/contested";
	start(w);
	http_wait(w->api->server, is_contested, w);
	contested = TAKE_PTR(w->update);

	w->path = PATH;
	for (int i = 0; i < 20; i++) {
		w->n_done = 0;
		start(w);
		assert_done(w, UPDATE_WRITE);
		contested = update_cancel(contested);
	}
}

static void answer_both(struct http_exchange *x, void *userdata)
{
	(void)userdata;
	if (strcmp(http_method(x), "GET") == 0) {
		http_reply(x, 200, NULL, "{\"metadata\":{\"resourceVersion\":\"7\"}}");
		return;
	}
	assert_string_equal(http_body(x),
			    "{\"metadata\":{\"resourceVersion\":\"7\"},\"changed\":1}");
	http_reply(x, 200, NULL, "{\"a\":\"b\"}");
}

static void test_H1_short_memory(void **state)
{
	struct world *w = *state;
	int r;

	http_answer(w->api->server, answer_both, NULL);
	for (unsigned n = 1;; n++) {
		w->n_changes = 0;
		fail_alloc_at(n);
		r = try_start(w);
		if (r == 0) {
			http_wait(w->api->server, is_done, w);
			r = w->r;
		}
		if (!fail_alloc_end())
			break;
		assert_int_equal(r, -ENOMEM);
		assert_null(w->update);
	}
	assert_int_equal(r, UPDATE_WRITE);
	assert_json(w->object, "{'a':'b'}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_read_change_write, setup, teardown),
		cmocka_unit_test_setup_teardown(test_subresource, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nothing_to_do, setup, teardown),
		cmocka_unit_test_setup_teardown(test_conflicts_begin_again, setup, teardown),
		cmocka_unit_test_setup_teardown(test_conflict_makes_it_needless, setup, teardown),
		cmocka_unit_test_setup_teardown(test_A20_conflicts_have_an_end, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refusals_end_it, setup, teardown),
		cmocka_unit_test_setup_teardown(test_change_refuses, setup, teardown),
		cmocka_unit_test_setup_teardown(test_A9_no_version, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cancelled_on_its_way, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cancelled_while_it_waits, setup, teardown),
		cmocka_unit_test_setup_teardown(test_H1_short_memory, setup, teardown),
	};

	return cmocka_run_group_tests(tests, jansson_counted, NULL);
}
