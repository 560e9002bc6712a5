#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api-fixture.h"
#include "api/exchange.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "decode-text.h"
#include "fail-alloc.h"
#include "json-request.h"
#include "object/object.h"

struct world {
	struct api_world *api;
	struct exchange *exchange; /* NULL when it is done */
	unsigned n_done;
	int r;
	int status;
	uint64_t retry_after_ms;
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
	api_client(w->api);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;
	void *api = w->api;

	exchange_cancel(w->exchange);
	api_teardown(&api);
	json_decref(w->object);
	free(w);
	return 0;
}

static void on_done(int r, const struct answer *a, const struct error *err, void *userdata)
{
	struct world *w = userdata;

	fail_alloc_suspend();
	w->exchange = NULL;
	w->n_done++;
	w->r = r;
	w->status = a->status;
	w->retry_after_ms = a->retry_after_ms;
	json_decref(w->object);
	w->object = json_incref(a->object);
	w->err = *err;
	fail_alloc_resume();
}

static int try_start(struct world *w, enum api_method method, const char *body)
{
	json_auto_t *json = body ? tree("%s", body) : NULL;

	return exchange_start(w->api->client, method, "/apis/x/v1/things/one", json, on_done, w,
			      &w->exchange, &w->err);
}

static void start(struct world *w, enum api_method method, const char *body)
{
	assert_int_equal(try_start(w, method, body), 0);
	assert_non_null(w->exchange);
}

static bool is_done(void *userdata)
{
	const struct world *w = userdata;

	return !w->exchange;
}

static void wait_done(struct world *w)
{
	http_wait(w->api->server, is_done, w);
}

static void test_object_comes_in_pieces(void **state)
{
	struct world *w = *state;
	struct http_exchange *x;

	start(w, API_GET, NULL);
	x = http_next(w->api->server);
	assert_string_equal(http_method(x), "GET");
	assert_string_equal(http_target(x), "/apis/x/v1/things/one");
	assert_string_equal(http_body(x), "");
	http_begin(x, 200, NULL);
	http_chunk(x, "{\"a\":");
	http_settle(w->api->server);
	assert_int_equal(w->n_done, 0);
	http_chunk(x, "12}");
	http_end(x);
	wait_done(w);
	assert_int_equal(w->r, 0);
	assert_int_equal(w->status, 200);
	assert_json(w->object, "{'a':12}");
	assert_int_equal(w->n_done, 1);
}

static void test_methods_and_bodies(void **state)
{
	static const struct {
		enum api_method method;
		const char *name, *type;
	} rows[] = {
		{ API_POST, "POST", "application/json" },
		{ API_PUT, "PUT", "application/json" },
		{ API_MERGE_PATCH, "PATCH", "application/merge-patch+json" },
	};
	struct world *w = *state;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct http_exchange *x;
		json_auto_t *sent = NULL;

		start(w, rows[i].method, "{'a':'\\u00fc\\\"','b':9007199254740993}");
		x = http_next(w->api->server);
		assert_string_equal(http_method(x), rows[i].name);
		assert_string_equal(http_header(x, "content-type"), rows[i].type);
		sent = request_json(x);
		assert_json(sent, "{'a':'\\u00fc\\\"','b':9007199254740993}");
		http_reply(x, 201, NULL, "{}");
		wait_done(w);
		assert_int_equal(w->r, 0);
		assert_int_equal(w->status, 201);
	}
}

static void test_refusals(void **state)
{
	static const struct {
		int status, r;
	} rows[] = {
		{ 400, -EINVAL }, { 403, -EPERM },  { 404, -ENOENT }, { 409, -EBUSY },
		{ 410, -EINVAL }, { 422, -EINVAL }, { 429, -EAGAIN }, { 500, -EAGAIN },
		{ 503, -EAGAIN }, { 504, -EAGAIN },
	};
	struct world *w = *state;
	char expected[128];

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		start(w, API_PUT, "{}");
		assert_next(w->api->server, "PUT /apis/x/v1/things/one", rows[i].status,
			    "{'kind':'Status','message':'no, thanks'}");
		wait_done(w);
		assert_int_equal(w->r, rows[i].r);
		assert_int_equal(w->err.code, rows[i].r);
		assert_int_equal(w->status, rows[i].status);
		assert_null(w->object);
		snprintf(expected, sizeof(expected),
			 "PUT /apis/x/v1/things/one: status %d: no, thanks", rows[i].status);
		assert_string_equal(w->err.message, expected);
	}
}

static void test_A6_retry_after_is_told(void **state)
{
	struct world *w = *state;

	start(w, API_POST, "{}");
	http_reply(http_next(w->api->server), 429, "Retry-After: 7\r\n", "");
	wait_done(w);
	assert_int_equal(w->r, -EAGAIN);
	assert_int_equal(w->retry_after_ms, 7000);

	start(w, API_POST, "{}");
	assert_next(w->api->server, "POST /apis/x/v1/things/one", 429,
		    "{'kind':'Status','details':{'retryAfterSeconds':9}}");
	wait_done(w);
	assert_int_equal(w->retry_after_ms, 9000);
}

/* What is no JSON object is nothing: pages of a proxy, halves, other values. */
static void test_A9_garbage(void **state)
{
	static const struct {
		int status;
		const char *body;
		int r;
		const char *message;
	} rows[] = {
		{ 200, "<html>", -EBADMSG,
		  "GET /apis/x/v1/things/one: the answer is no JSON: line 1 column 1: "
		  "'[' or '{' expected near '<'" },
		{ 200, "", -EBADMSG, NULL },
		{ 200, "{\"a\":", -EBADMSG, NULL },
		{ 200, "{\"a\":1,\"a\":2}", -EBADMSG, NULL },
		{ 200, "[]", -EBADMSG, "GET /apis/x/v1/things/one: the answer is no JSON object" },
		{ 403, "<html>\n", -EPERM, "GET /apis/x/v1/things/one: status 403: <html>" },
		{ 403, "", -EPERM, "GET /apis/x/v1/things/one: status 403" },
		{ 403, "{\"kind\":\"Status\",\"message\":7}", -EPERM,
		  "GET /apis/x/v1/things/one: status 403" },
	};
	struct world *w = *state;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		start(w, API_GET, NULL);
		http_reply(http_next(w->api->server), rows[i].status, NULL, rows[i].body);
		wait_done(w);
		assert_int_equal(w->r, rows[i].r);
		assert_null(w->object);
		if (rows[i].message)
			assert_string_equal(w->err.message, rows[i].message);
	}
}

static void test_A9_truncated(void **state)
{
	struct world *w = *state;
	struct http_exchange *x;

	start(w, API_GET, NULL);
	x = http_next(w->api->server);
	http_begin(x, 200, NULL);
	http_chunk(x, "{}");
	http_cut(x);
	wait_done(w);
	assert_int_equal(w->r, -ECONNRESET);
	assert_null(w->object);
	assert_non_null(strstr(w->err.message, "GET /apis/x/v1/things/one: "));
}

static void test_A10_answers_have_a_limit(void **state)
{
	_cleanup_free_ char *body = malloc(OBJECT_MAX_BYTES + 2);
	struct world *w = *state;

	assert_non_null(body);
	for (size_t excess = 0; excess <= 1; excess++) {
		size_t len = OBJECT_MAX_BYTES + excess;

		memset(body, ' ', len);
		memcpy(body, "{}", 2);
		body[len] = '\0';
		start(w, API_GET, NULL);
		http_reply(http_next(w->api->server), 200, NULL, body);
		wait_done(w);
		assert_int_equal(w->r, excess ? -E2BIG : 0);
	}
	assert_string_equal(w->err.message, "GET /apis/x/v1/things/one: the answer has more than "
					    "10485760 bytes");
}

static void test_nobody_listens(void **state)
{
	struct world *w = *state;

	http_server_down(w->api->server);
	start(w, API_GET, NULL);
	wait_done(w);
	assert_int_equal(w->r, -ECONNREFUSED);
	assert_int_equal(w->status, 0);
}

static void test_cancelled(void **state)
{
	struct world *w = *state;
	struct http_exchange *x;

	start(w, API_GET, NULL);
	w->exchange = exchange_cancel(w->exchange);
	start(w, API_GET, NULL);
	x = http_next(w->api->server);
	http_begin(x, 200, NULL);
	http_chunk(x, "{");
	http_settle(w->api->server);
	w->exchange = exchange_cancel(w->exchange);
	http_settle(w->api->server);
	assert_int_equal(w->n_done, 0);
	assert_true(http_gone(x));
	assert_null(exchange_cancel(NULL));
}

static void answer_put(struct http_exchange *x, void *userdata)
{
	(void)userdata;
	assert_string_equal(http_body(x), "{\"a\":{\"b\":[\"c\",1]}}");
	http_reply(x, 200, NULL, "{\"d\":[\"e\",{}]}");
}

static void test_H1_short_memory(void **state)
{
	struct world *w = *state;
	int r;

	http_answer(w->api->server, answer_put, NULL);
	for (unsigned n = 1;; n++) {
		json_auto_t *body = tree("{'a':{'b':['c',1]}}");

		fail_alloc_at(n);
		r = exchange_start(w->api->client, API_PUT, "/x", body, on_done, w, &w->exchange,
				   &w->err);
		if (r == 0) {
			wait_done(w);
			r = w->r;
		}
		if (!fail_alloc_end())
			break;
		assert_int_equal(r, -ENOMEM);
		assert_null(w->exchange);
	}
	assert_int_equal(r, 0);
	assert_json(w->object, "{'d':['e',{}]}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_object_comes_in_pieces, setup, teardown),
		cmocka_unit_test_setup_teardown(test_methods_and_bodies, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refusals, setup, teardown),
		cmocka_unit_test_setup_teardown(test_A6_retry_after_is_told, setup, teardown),
		cmocka_unit_test_setup_teardown(test_A9_garbage, setup, teardown),
		cmocka_unit_test_setup_teardown(test_A9_truncated, setup, teardown),
		cmocka_unit_test_setup_teardown(test_A10_answers_have_a_limit, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nobody_listens, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cancelled, setup, teardown),
		cmocka_unit_test_setup_teardown(test_H1_short_memory, setup, teardown),
	};

	return cmocka_run_group_tests(tests, jansson_counted, NULL);
}
