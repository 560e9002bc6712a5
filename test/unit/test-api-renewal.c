/* What the client does with credentials, shown by ones that do as they are told: this file stands in for
 * the module of credentials.h. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api-fixture.h"
#include "api/credentials.h"
#include "base/secret.h"

struct credentials {
	struct secret *bearer; /* "t1", renewed "t2", ... */
	unsigned token, asked;
	bool bad;            /* the token can't be sent */
	bool slow;           /* as if a plugin had to run: until credentials_come() */
	int result, refusal; /* what is told, and what credentials_prepare() returns */
	uint64_t tls_serial;
	credentials_fn ready; /* set while one waits */
	void *userdata;
};

/* Those of the client under test. */
static struct credentials *made;

int credentials_new(struct loop *loop, const struct api_access *a, struct credentials **ret,
		    struct error *err)
{
	(void)loop;
	(void)a;
	(void)err;
	made = calloc(1, sizeof(*made));
	assert_non_null(made);
	made->token = 1;
	*ret = made;
	return 0;
}

struct credentials *credentials_free(struct credentials *c)
{
	secret_free(c->bearer);
	free(c);
	made = NULL;
	return NULL;
}

void credentials_cover(const struct credentials *c, char *text)
{
	secret_cover(c->bearer, text);
}

static void credentials_come(struct credentials *c)
{
	credentials_fn ready = c->ready;
	struct credentials_view view = { .tls_serial = c->tls_serial };
	struct error err = { 0 };
	char token[16];

	assert_non_null(ready);
	c->ready = NULL;
	snprintf(token, sizeof(token), "t%u%s", c->token, c->bad ? "\n" : "");
	secret_free(c->bearer);
	view.bearer = c->bearer = secret_new(token, strlen(token));
	if (c->result < 0)
		error_set(&err, c->result, "plugin: no");
	ready(c->result, c->result < 0 ? NULL : &view, &err, c->userdata);
}

int credentials_prepare(struct credentials *c, bool renew, credentials_fn ready, void *userdata,
			struct error *err)
{
	assert_null(c->ready);
	if (c->refusal < 0)
		return error_set(err, c->refusal, "no plugin");
	c->asked++;
	c->token += renew;
	c->ready = ready;
	c->userdata = userdata;
	if (!c->slow)
		credentials_come(c);
	return 0;
}

static struct credentials *credentials_of(struct api_world *w)
{
	api_client(w);
	return made;
}

static void assert_token(const struct http_exchange *x, const char *token)
{
	assert_memory_equal(http_header(x, "Authorization"), "Bearer ", 7);
	assert_string_equal(http_header(x, "Authorization") + 7, token);
}

static void test_A7_refused_token_is_renewed_unseen(void **state)
{
	struct api_world *w = *state;
	struct listener *l = api_get(w, "a", "/");
	struct http_exchange *x = http_next(w->server);

	assert_token(x, "t1");
	http_reply(x, 401, NULL, "Unauthorized");
	x = http_next(w->server);
	assert_token(x, "t2");
	assert_string_equal(http_target(x), "/");
	assert_int_equal(http_connection(x), 1);
	http_reply(x, 200, NULL, "{}");
	api_wait(l);
	assert_heard(w, "a head 200 application/json 0\na body {}\na done\n");
}

static void test_A7_second_refusal_is_told(void **state)
{
	struct api_world *w = *state;
	struct listener *l = api_get(w, "a", "/");

	http_reply(http_next(w->server), 401, NULL, "first");
	http_reply(http_next(w->server), 401, NULL, "second");
	api_wait(l);
	assert_heard(w, "a head 401 application/json 0\na body second\na done\n");
	assert_int_equal(credentials_of(w)->token, 2);
	assert_int_equal(http_requests(w->server), 2);
}

static void test_A7_body_is_sent_again(void **state)
{
	struct api_world *w = *state;
	struct http_exchange *x;

	api_ask(api_listener(w, "a"), &(struct api_request){ .method = API_MERGE_PATCH,
							     .path = "/a",
							     .body = "{\"b\":1}",
							     .body_len = 7 });
	http_reply(http_next(w->server), 401, NULL, "");
	x = http_next(w->server);
	assert_string_equal(http_method(x), "PATCH");
	assert_string_equal(http_body(x), "{\"b\":1}");
}

static void test_calls_queue_while_a_plugin_runs(void **state)
{
	struct api_world *w = *state;
	struct credentials *c = credentials_of(w);

	c->slow = true;
	api_get(w, "a", "/a");
	http_settle(w->server);
	api_get(w, "b", "/b");
	http_settle(w->server);
	assert_int_equal(c->asked, 1);
	assert_int_equal(http_connections(w->server), 0);
	credentials_come(c);
	http_next(w->server);
	http_next(w->server);
	assert_int_equal(c->asked, 1);
}

static void test_refused_calls_renew_once(void **state)
{
	struct api_world *w = *state;
	struct credentials *c = credentials_of(w);
	struct http_exchange *x[3];
	struct listener *l[3];

	for (int i = 0; i < 3; i++) {
		l[i] = api_get(w, "a", "/");
		x[i] = http_next(w->server);
	}
	http_reply(x[0], 401, NULL, "");
	http_reply(x[1], 401, NULL, "");
	for (int i = 0; i < 2; i++) {
		struct http_exchange *again = http_next(w->server);

		assert_token(again, "t2");
		http_reply(again, 200, NULL, "");
	}
	/* Sent with the token of before, which nobody has to renew again. */
	http_reply(x[2], 401, NULL, "");
	x[2] = http_next(w->server);
	assert_token(x[2], "t2");
	http_reply(x[2], 200, NULL, "");
	for (int i = 0; i < 3; i++)
		api_wait(l[i]);
	assert_int_equal(c->token, 2);
}

/* The preparation that runs is no renewal: another one has to follow, and only the new call may go. */
static void test_refusal_during_a_preparation_is_not_forgotten(void **state)
{
	struct api_world *w = *state;
	struct credentials *c = credentials_of(w);
	struct http_exchange *x;

	api_get(w, "a", "/refused");
	x = http_next(w->server);
	c->slow = true;
	api_get(w, "b", "/new");
	http_settle(w->server);
	http_reply(x, 401, NULL, "");
	http_settle(w->server);
	credentials_come(c);
	x = http_next(w->server);
	assert_string_equal(http_target(x), "/new");
	assert_token(x, "t1");
	http_settle(w->server);
	assert_int_equal(http_requests(w->server), 2);
	credentials_come(c);
	x = http_next(w->server);
	assert_string_equal(http_target(x), "/refused");
	assert_token(x, "t2");
}

static void test_without_credentials_no_call(void **state)
{
	struct api_world *w = *state;
	struct credentials *c = credentials_of(w);
	struct listener *a = api_listener(w, "a"), *b;

	c->result = -ENOENT;
	a->again_in_done = true;
	api_ask(a, &(struct api_request){ .path = "/" });
	b = api_get(w, "b", "/");
	api_wait(b);
	api_wait(a);
	http_settle(w->server);
	/* The call that done() made had a preparation of its own. */
	assert_int_equal(c->asked, 2);
	for (const char *p = buf_text(&w->log); *p; p = strchr(p, '\n') + 1)
		assert_memory_equal(p + 1, " done EACCES: credentials for SERVER: plugin: no\n",
				    48);
	buf_reset(&w->log);

	c->result = -ENOMEM;
	api_ask(a, &(struct api_request){ .path = "/" });
	api_wait(a);
	assert_heard(w, "a done ENOMEM: credentials for SERVER: plugin: no\n");
	c->refusal = -EBUSY;
	api_ask(a, &(struct api_request){ .path = "/" });
	api_wait(a);
	assert_heard(w, "a done EACCES: credentials for SERVER: no plugin\n");

	c->result = c->refusal = 0;
	api_ask(a, &(struct api_request){ .path = "/" });
	http_reply(http_next(w->server), 200, "", "");
	api_wait(a);
	assert_heard(w, "a head 200  0\na done\n");
}

static void test_call_that_cannot_be_sent_is_not_tried_for_ever(void **state)
{
	struct api_world *w = *state;
	struct credentials *c = credentials_of(w);
	struct listener *l = api_listener(w, "a");

	c->bad = true;
	l->again_in_done = true;
	api_ask(l, &(struct api_request){ .path = "/" });
	http_settle(w->server);
	assert_int_equal(c->asked, 2);
	assert_true(l->is_done);
}

static void test_A7_renewal_that_fails_is_told(void **state)
{
	struct api_world *w = *state;
	struct listener *l = api_get(w, "a", "/");
	struct http_exchange *x = http_next(w->server);

	made->result = -EACCES;
	http_reply(x, 401, NULL, "");
	api_wait(l);
	assert_heard(w, "a done EACCES: credentials for SERVER: plugin: no\n");
}

static void test_A13_renewed_certificate_ends_the_connections_of_before(void **state)
{
	struct api_world *w = *state;
	struct credentials *c = credentials_of(w);
	struct listener *watch = api_get(w, "a", "/"), *l = api_get(w, "b", "/");
	struct http_exchange *x = http_next(w->server);

	http_begin(x, 200, "");
	http_settle(w->server);
	http_reply(http_next(w->server), 200, "", "");
	api_wait(l);
	assert_heard(w, "a head 200  0\nb head 200  0\nb done\n");

	c->tls_serial = 1;
	api_ask(l, &(struct api_request){ .path = "/" });
	api_wait(watch);
	assert_heard(w, "a done ESTALE: our certificate or the CA of SERVER was renewed\n");
	assert_int_equal(http_connection(http_next(w->server)), 3);
	assert_true(http_gone(x));
}

static void test_cancelled_call_does_not_wait_for_credentials(void **state)
{
	struct api_world *w = *state;
	struct credentials *c = credentials_of(w);
	struct listener *l;

	c->slow = true;
	l = api_get(w, "a", "/");
	http_settle(w->server);
	api_call_cancel(l->call);
	http_settle(w->server);
	credentials_come(c);
	http_settle(w->server);
	assert_int_equal(http_connections(w->server), 0);
	assert_heard(w, "");
}

static void test_waiting_for_credentials_counts(void **state)
{
	struct api_world *w = *state;
	struct listener *l = api_listener(w, "a");

	credentials_of(w)->slow = true;
	api_ask(l, &(struct api_request){ .path = "/", .total_timeout_ms = 20 });
	api_wait(l);
	assert_heard(w, "a done ETIMEDOUT: SERVER: no whole answer within 20 ms\n");
}

static void test_client_is_freed_while_a_plugin_runs(void **state)
{
	struct api_world *w = *state;

	credentials_of(w)->slow = true;
	api_get(w, "a", "/");
	http_settle(w->server);
	w->client = api_client_free(w->client);
	http_settle(w->server);
	assert_heard(w, "");
}

#define api_test(name) cmocka_unit_test_setup_teardown(name, api_setup, api_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		api_test(test_A7_refused_token_is_renewed_unseen),
		api_test(test_A7_second_refusal_is_told),
		api_test(test_A7_body_is_sent_again),
		api_test(test_calls_queue_while_a_plugin_runs),
		api_test(test_refused_calls_renew_once),
		api_test(test_refusal_during_a_preparation_is_not_forgotten),
		api_test(test_without_credentials_no_call),
		api_test(test_call_that_cannot_be_sent_is_not_tried_for_ever),
		api_test(test_A7_renewal_that_fails_is_told),
		api_test(test_A13_renewed_certificate_ends_the_connections_of_before),
		api_test(test_cancelled_call_does_not_wait_for_credentials),
		api_test(test_waiting_for_credentials_counts),
		api_test(test_client_is_freed_while_a_plugin_runs),
	};

	return cmocka_run_group_tests_name("api renewal", tests, NULL, NULL);
}
