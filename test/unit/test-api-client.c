/* What the header of the client promises of calls. */
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
#include "base/secret.h"

static void test_answer_is_told_piece_by_piece(void **state)
{
	struct api_world *w = *state;
	struct listener *l = api_get(w, "a", "/api/v1/services?watch=true");
	struct http_exchange *x = http_next(w->server);

	http_begin(x, 200, "Content-Type: application/json;stream=watch\r\n");
	http_settle(w->server);
	assert_heard(w, "a head 200 application/json 0\n");
	http_chunk(x, "{\"type\":");
	http_settle(w->server);
	assert_heard(w, "a body {\"type\":\n");
	http_chunk(x, "\"ADDED\"}");
	http_settle(w->server);
	assert_heard(w, "a body \"ADDED\"}\n");
	http_end(x);
	api_wait(l);
	assert_heard(w, "a done\n");
}

static void test_handlers_wait_for_the_loop(void **state)
{
	struct api_world *w = *state;
	struct listener *l;

	http_server_down(w->server);
	l = api_get(w, "a", "/");
	assert_heard(w, "");
	api_wait(l);
	assert_heard(w, "a done ECONNREFUSED: connect to SERVER: Connection refused\n");
}

static void test_request_says_who_asks_for_what(void **state)
{
	struct api_world *w = *state;
	struct http_exchange *x;

	w->access.token = secret_new("t0ken", 5);
	api_get(w, "a", "/api/./v1/../v2/services?fieldSelector=a%3Db");
	x = http_next(w->server);
	assert_string_equal(http_method(x), "GET");
	assert_string_equal(http_target(x), "/api/./v1/../v2/services?fieldSelector=a%3Db");
	assert_string_equal(http_header(x, "Host"), http_server_url(w->server) + strlen("http://"));
	assert_string_equal(http_header(x, "Authorization"), "Bearer t0ken");
	assert_string_equal(http_header(x, "Accept"), "application/json");
	assert_string_equal(http_header(x, "Accept-Encoding"), "gzip");
	assert_null(http_header(x, "Content-Type"));
	assert_null(http_header(x, "Content-Length"));
	assert_memory_equal(http_header(x, "User-Agent"), "kube-nft/" KUBE_NFT_VERSION " (linux/",
			    strlen("kube-nft/" KUBE_NFT_VERSION " (linux/"));
	assert_string_equal(strchr(http_header(x, "User-Agent"), ')'), ") test");
}

static void test_request_for_no_gzip(void **state)
{
	struct api_world *w = *state;

	api_ask(api_listener(w, "a"), &(struct api_request){ .path = "/", .uncompressed = true });
	assert_null(http_header(http_next(w->server), "Accept-Encoding"));
}

static void test_password_is_basic_authentication(void **state)
{
	struct api_world *w = *state;

	w->access.username = "admin";
	w->access.password = secret_new("p:w", 3);
	api_get(w, "a", "/");
	assert_string_equal(http_header(http_next(w->server), "Authorization"),
			    "Basic YWRtaW46cDp3");
}

static void assert_sent(struct api_world *w, enum api_method method, const char *body,
			const char *name, const char *type)
{
	struct listener *l = api_listener(w, "a");
	struct api_request request = { .method = method, .path = "/x", .body = body };
	struct http_exchange *x;

	request.body_len = body ? strlen(body) : 0;
	api_ask(l, &request);
	x = http_next(w->server);
	assert_string_equal(http_method(x), name);
	assert_string_equal(http_body(x), body ? body : "");
	assert_null(http_header(x, "Expect"));
	if (type)
		assert_string_equal(http_header(x, "Content-Type"), type);
	http_reply(x, 200, NULL, "{}");
	api_wait(l);
	assert_heard(w, "a head 200 application/json 0\na body {}\na done\n");
}

static void test_methods_and_their_bodies(void **state)
{
	struct api_world *w = *state;
	size_t large = (size_t)2 * 1024 * 1024;
	char *body = malloc(large + 1);

	assert_non_null(body);
	memset(body, 'x', large);
	body[large] = '\0';
	assert_sent(w, API_GET, NULL, "GET", NULL);
	assert_sent(w, API_POST, "{\"a\":1}", "POST", "application/json");
	assert_sent(w, API_POST, NULL, "POST", NULL);
	assert_sent(w, API_PUT, "{}", "PUT", "application/json");
	assert_sent(w, API_MERGE_PATCH, "{}", "PATCH", "application/merge-patch+json");
	assert_sent(w, API_DELETE, NULL, "DELETE", NULL);
	assert_sent(w, API_DELETE, "{}", "DELETE", "application/json");
	assert_sent(w, API_POST, body, "POST", "application/json");
	assert_int_equal(http_connections(w->server), 1);
	free(body);
}

static void test_request_is_copied(void **state)
{
	struct api_world *w = *state;
	char path[] = "/path", body[] = "body";
	struct http_exchange *x;

	api_ask(api_listener(w, "a"),
		&(struct api_request){
			.method = API_POST, .path = path, .body = body, .body_len = 4 });
	memset(path, 'X', 5);
	memset(body, 'X', 4);
	x = http_next(w->server);
	assert_string_equal(http_target(x), "/path");
	assert_string_equal(http_body(x), "body");
}

static void test_path_of_the_server_goes_first(void **state)
{
	struct api_world *w = *state;
	char url[100];

	snprintf(url, sizeof(url), "%s/k8s/cluster/", http_server_url(w->server));
	w->access.server = url;
	api_get(w, "a", "/api");
	assert_string_equal(http_target(http_next(w->server)), "/k8s/cluster/api");
}

static void test_what_is_no_url_is_refused(void **state)
{
	struct api_world *w = *state;

	w->access.server = "ftp://a/";
	assert_int_equal(api_client_new(w->loop, &w->access, "", &w->client, &w->err), -EINVAL);
	assert_string_equal(w->err.message, "URL of the API server: neither https nor http");
	w->access.server = "https://user:hush@a:99999/";
	assert_int_equal(api_client_new(w->loop, &w->access, "", &w->client, &w->err), -EINVAL);
	assert_null(strstr(w->err.message, "hush"));
}

/* What could end the request line, or name another server. */
static void test_paths_that_are_not_encoded_are_refused(void **state)
{
	struct api_world *w = *state;
	static const char *const paths[] = { "",           "api",   "@evil/",      "/a b",
					     "/a\r\nX: y", "/\tb",  "/a#b",        "/\x7f",
					     "/\xc3\xa4",  "/a\nb", "http://evil/" };
	struct api_handlers handlers = { 0 };
	struct api_call *call = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
		assert_int_equal(api_call(api_client(w), &(struct api_request){ .path = paths[i] },
					  &handlers, &call, &w->err),
				 -EINVAL);
	assert_null(call);
	http_settle(w->server);
	assert_int_equal(http_connections(w->server), 0);
}

static void test_token_that_would_be_more_headers_is_not_sent(void **state)
{
	struct api_world *w = *state;

	w->access.token = secret_new("hush\r\nX-Remote-User: admin", 26);
	api_wait(api_get(w, "a", "/"));
	assert_heard(w, "a done EACCES: the token holds a space or another character that none may "
			"have\n");
	assert_int_equal(http_connections(w->server), 0);
}

static void test_error_of_a_handler_ends_the_call(void **state)
{
	struct api_world *w = *state;
	struct listener *a = api_listener(w, "a"), *b = api_listener(w, "b");
	struct http_exchange *x;

	a->head_result = -EXDEV;
	api_ask(a, &(struct api_request){ .path = "/" });
	http_reply(http_next(w->server), 200, "", "body");
	api_wait(a);
	assert_heard(w, "a head 200  0\na done EXDEV: SERVER: its answer is not wanted: Invalid "
			"cross-device link\n");

	b->body_result = -E2BIG;
	api_ask(b, &(struct api_request){ .path = "/" });
	x = http_next(w->server);
	http_begin(x, 200, "");
	http_chunk(x, "one");
	api_wait(b);
	assert_heard(w, "b head 200  0\nb body one\nb done E2BIG: SERVER: its answer is not "
			"wanted: Argument list too long\n");
	http_settle(w->server);
	assert_true(http_gone(x));
}

static void test_cancelled_call_is_not_heard_of(void **state)
{
	struct api_world *w = *state;
	struct listener *l[4];
	struct http_exchange *x[4];

	api_call_cancel(api_get(w, "early", "/")->call);
	for (int i = 0; i < 3; i++)
		l[i] = api_listener(w, (const char *const[]){ "sent", "head", "body" }[i]);
	l[1]->cancel_in_head = true;
	l[2]->cancel_in_body = true;
	for (int i = 0; i < 3; i++) {
		api_ask(l[i], &(struct api_request){ .path = "/" });
		x[i] = http_next(w->server);
	}
	assert_null(api_call_cancel(l[0]->call));
	for (int i = 0; i < 3; i++) {
		http_begin(x[i], 200, "");
		http_chunk(x[i], "text");
	}
	http_settle(w->server);
	assert_heard(w, "head head 200  0\nbody head 200  0\nbody body text\n");
	for (int i = 0; i < 3; i++)
		assert_true(http_gone(x[i]));
	assert_int_equal(http_requests(w->server), 3);
	assert_null(api_call_cancel(NULL));
}

static void test_done_may_cancel_and_call(void **state)
{
	struct api_world *w = *state;
	struct listener *a = api_listener(w, "a"), *b = api_get(w, "b", "/");
	struct http_exchange *xb = http_next(w->server), *xa;

	a->cancel_in_done = b;
	a->again_in_done = true;
	api_ask(a, &(struct api_request){ .path = "/" });
	xa = http_next(w->server);
	http_reply(xa, 200, "", "");
	http_reply(xb, 200, "", "");
	xa = http_next(w->server);
	assert_string_equal(http_target(xa), "/again");
	http_reply(xa, 200, "", "");
	api_wait(a);
	assert_heard(w, "a head 200  0\na done\na head 200  0\na done\n");
}

static void test_freed_client_is_silent(void **state)
{
	struct api_world *w = *state;
	struct http_exchange *x;

	api_get(w, "running", "/");
	x = http_next(w->server);
	http_begin(x, 200, "");
	http_settle(w->server);
	api_get(w, "new", "/");
	w->client = api_client_free(w->client);
	http_settle(w->server);
	assert_heard(w, "running head 200  0\n");
	assert_true(http_gone(x));
	assert_null(api_client_free(NULL));
}

static void test_calls_have_a_limit(void **state)
{
	struct api_world *w = *state;
	struct api_handlers handlers = { 0 };
	struct api_call *call = NULL;

	for (int i = 0; i < API_MAX_CALLS; i++)
		api_get(w, "a", "/");
	assert_int_equal(api_call(w->client, &(struct api_request){ .path = "/" }, &handlers, &call,
				  &w->err),
			 -E2BIG);
	assert_string_equal(w->err.message, "more than 64 HTTP requests at once");
	assert_null(call);
	for (int i = 0; i < API_MAX_CALLS; i++)
		http_next(w->server);

	api_call_cancel(w->listeners[0].call);
	api_get(w, "b", "/one-more");
	assert_string_equal(http_target(http_next(w->server)), "/one-more");
}

static void test_connection_is_used_again(void **state)
{
	struct api_world *w = *state;
	struct listener *l = api_listener(w, "a");

	for (int i = 0; i < 3; i++) {
		struct http_exchange *x;

		api_ask(l, &(struct api_request){ .path = "/" });
		x = http_next(w->server);
		assert_int_equal(http_connection(x), 1);
		http_reply(x, 200, "", "");
		api_wait(l);
	}
}

static void test_closed_connection_is_not_used_again(void **state)
{
	struct api_world *w = *state;
	struct listener *l = api_get(w, "a", "/");

	http_reply(http_next(w->server), 200, "", "");
	api_wait(l);
	http_server_down(w->server);
	http_server_up(w->server);
	api_ask(l, &(struct api_request){ .path = "/" });
	http_reply(http_next(w->server), 200, "", "");
	api_wait(l);
	assert_heard(w, "a head 200  0\na done\na head 200  0\na done\n");
}

static void test_A14_server_may_have_a_name(void **state)
{
	struct api_world *w = *state;
	struct listener *l;
	char url[64];

	snprintf(url, sizeof(url), "http://localhost%s", strrchr(http_server_url(w->server), ':'));
	w->access.server = url;
	l = api_get(w, "a", "/");
	http_reply(http_next(w->server), 200, "", "");
	api_wait(l);
	assert_heard(w, "a head 200  0\na done\n");
}

/* Something has befallen one connection; an idle one to the same server is not trusted either. */
static void test_A12_after_a_failure_connections_are_new(void **state)
{
	struct api_world *w = *state;
	struct listener *a = api_get(w, "a", "/"), *b = api_get(w, "b", "/");
	struct http_exchange *xa = http_next(w->server), *xb = http_next(w->server);

	http_reply(xa, 200, "", "");
	api_wait(a);
	http_cut(xb);
	api_wait(b);
	api_ask(a, &(struct api_request){ .path = "/" });
	assert_int_equal(http_connection(http_next(w->server)), 3);
}

#define api_test(name) cmocka_unit_test_setup_teardown(name, api_setup, api_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		api_test(test_answer_is_told_piece_by_piece),
		api_test(test_handlers_wait_for_the_loop),
		api_test(test_request_says_who_asks_for_what),
		api_test(test_request_for_no_gzip),
		api_test(test_password_is_basic_authentication),
		api_test(test_methods_and_their_bodies),
		api_test(test_request_is_copied),
		api_test(test_path_of_the_server_goes_first),
		api_test(test_what_is_no_url_is_refused),
		api_test(test_paths_that_are_not_encoded_are_refused),
		api_test(test_token_that_would_be_more_headers_is_not_sent),
		api_test(test_error_of_a_handler_ends_the_call),
		api_test(test_cancelled_call_is_not_heard_of),
		api_test(test_done_may_cancel_and_call),
		api_test(test_freed_client_is_silent),
		api_test(test_calls_have_a_limit),
		api_test(test_connection_is_used_again),
		api_test(test_closed_connection_is_not_used_again),
		api_test(test_A14_server_may_have_a_name),
		api_test(test_A12_after_a_failure_connections_are_new),
	};

	return cmocka_run_group_tests_name("api client", tests, NULL, NULL);
}
