/* Where a request goes: the forms of a server's URL, and the way through a proxy. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api-fixture.h"
#include "api/proxy.h"
#include "api/server.h"
#include "base/arena.h"
#include "fail-alloc.h"

static const char *const variables[] = { "HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy",
					 "NO_PROXY",    "no_proxy",    "ALL_PROXY",  "all_proxy" };

static int setup(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(variables); i++)
		unsetenv(variables[i]);
	return api_setup(state);
}

static void test_environment_names_the_proxy(void **state)
{
	(void)state;
	assert_null(proxy_from_environment(true, "api", "443"));
	setenv("ALL_PROXY", "http://all", 1);
	assert_null(proxy_from_environment(true, "api", "443"));
	setenv("https_proxy", "http://small", 1);
	assert_string_equal(proxy_from_environment(true, "api", "443"), "http://small");
	setenv("HTTPS_PROXY", "http://tls", 1);
	assert_string_equal(proxy_from_environment(true, "api", "443"), "http://tls");
	assert_null(proxy_from_environment(false, "api", "80"));
	setenv("HTTP_PROXY", "http://plain", 1);
	assert_string_equal(proxy_from_environment(false, "api", "80"), "http://plain");
	setenv("HTTPS_PROXY", "", 1);
	assert_string_equal(proxy_from_environment(true, "api", "443"), "http://small");
}

static void test_own_machine_needs_no_proxy(void **state)
{
	static const char *const hosts[] = { "localhost", "LOCALHOST", "127.0.0.1", "127.9.9.9",
					     "::1" };

	(void)state;
	setenv("HTTPS_PROXY", "http://p", 1);
	for (size_t i = 0; i < ARRAY_SIZE(hosts); i++)
		assert_null(proxy_from_environment(true, hosts[i], "443"));
	assert_non_null(proxy_from_environment(true, "localhost.example", "443"));
	assert_non_null(proxy_from_environment(true, "128.0.0.1", "443"));
}

static void test_exceptions_from_the_proxy(void **state)
{
	static const struct {
		const char *no_proxy, *host;
		bool excepted;
	} cases[] = {
		{ "example.com", "example.com", true },
		{ "example.com", "EXAMPLE.com", true },
		{ "example.com", "api.example.com", true },
		{ "example.com", "notexample.com", false },
		{ "example.com", "example.com.evil", false },
		{ ".example.com", "example.com", false },
		{ ".example.com", "api.example.com", true },
		{ "*.example.com", "api.example.com", true },
		{ "*.example.com", "example.com", false },
		{ "*", "api.example.com", true },
		{ "*", "10.0.0.1", true },
		{ "a, \texample.com ,b", "example.com", true },
		{ "a,,", "example.com", false },
		{ ",", "example.com", false },
		{ ".", "example.com", false },
		{ "*.", "example.com", false },
		{ "example.com:6443", "example.com", true },
		{ "example.com:443", "example.com", false },
		{ "10.0.0.1", "10.0.0.1", true },
		{ "10.0.0.1:6443", "10.0.0.1", true },
		{ "10.0.0.1:443", "10.0.0.1", false },
		{ "10.0.0.1", "10.0.0.10", false },
		{ "0.0.1", "10.0.0.1", false },
		{ "10.0.0.0/8", "10.1.2.3", true },
		{ "10.0.0.0/8", "11.1.2.3", false },
		{ "10.0.0.0/8", "example.com", false },
		{ "10.0.0.0/99", "10.0.0.0", false },
		{ "fd00::/8", "fd12::1", true },
		{ "fd00::/8", "10.0.0.1", false },
		{ "fd00::1", "fd00::1", true },
		{ "fd00:0::1", "fd00::1", true },
		{ "[fd00::1]:6443", "fd00::1", true },
		{ "[fd00::1]", "fd00::1", true },
		{ "[fd00::1]:443", "fd00::1", false },
		{ "[", "fd00::1", false },
	};

	(void)state;
	setenv("HTTPS_PROXY", "http://p", 1);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		setenv("NO_PROXY", cases[i].no_proxy, 1);
		if (!proxy_from_environment(true, cases[i].host, "6443") != cases[i].excepted)
			fail_msg("NO_PROXY=%s %s", cases[i].no_proxy, cases[i].host);
	}
}

static void test_S11_overlong_exception_is_none(void **state)
{
	char name[600];

	(void)state;
	memset(name, 'a', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	setenv("HTTPS_PROXY", "http://p", 1);
	setenv("NO_PROXY", name, 1);
	assert_non_null(proxy_from_environment(true, "a", "443"));
	setenv("NO_PROXY", "b,a", 1);
	assert_null(proxy_from_environment(true, "a", "443"));
}

static void test_A14_forms_of_a_server(void **state)
{
	static const struct {
		const char *server, *tls_server_name;
		struct server expected;
	} cases[] = {
		{ "https://10.0.0.1:6443",
		  NULL,
		  { .peer = "10.0.0.1:6443",
		    .tls_name = "10.0.0.1",
		    .url = "https://10.0.0.1:6443",
		    .tls = true } },
		{ "https://[fd00::1]:6443",
		  NULL,
		  { .peer = "[fd00::1]:6443",
		    .tls_name = "fd00::1",
		    .url = "https://[fd00::1]:6443",
		    .tls = true } },
		{ "https://api.example/k8s/c/",
		  NULL,
		  { .peer = "api.example:443",
		    .tls_name = "api.example",
		    .url = "https://api.example:443/k8s/c",
		    .tls = true } },
		{ "http://[::1]",
		  NULL,
		  { .peer = "[::1]:80", .tls_name = "::1", .url = "http://[::1]:80" } },
		{ "https://[fd00::1]:6443/p",
		  "kubernetes",
		  { .peer = "[fd00::1]:6443",
		    .tls_name = "kubernetes",
		    .url = "https://kubernetes:6443/p",
		    .host = "[fd00::1]:6443",
		    .connect_to = "::[fd00::1]:6443",
		    .tls = true } },
		{ "https://api.example",
		  "kubernetes",
		  { .peer = "api.example:443",
		    .tls_name = "kubernetes",
		    .url = "https://kubernetes:443",
		    .host = "api.example",
		    .connect_to = "::api.example:443",
		    .tls = true } },
		{ "http://api.example",
		  "kubernetes",
		  { .peer = "api.example:80",
		    .tls_name = "api.example",
		    .url = "http://api.example:80" } },
		/* Whoever puts a password there: it goes nowhere. */
		{ "https://user:hush@api.example:1?a#b",
		  NULL,
		  { .peer = "api.example:1",
		    .tls_name = "api.example",
		    .url = "https://api.example:1",
		    .tls = true } },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct api_access a = { .server = cases[i].server,
					.tls_server_name = cases[i].tls_server_name };
		const struct server *e = &cases[i].expected;
		struct arena *arena = arena_new(256);
		struct server s;

		assert_int_equal(server_parse(&a, arena, &s, NULL), 0);
		assert_string_equal(s.peer, e->peer);
		assert_string_equal(s.tls_name, e->tls_name);
		assert_string_equal(s.url, e->url);
		assert_string_equal(s.host ? s.host : "", e->host ? e->host : "");
		assert_string_equal(s.connect_to ? s.connect_to : "",
				    e->connect_to ? e->connect_to : "");
		assert_string_equal(s.proxy, "");
		assert_int_equal(s.tls, e->tls);
		arena_free(arena);
	}
}

static void test_request_goes_through_the_proxy(void **state)
{
	struct api_world *w = *state;
	struct listener *l;
	struct http_exchange *x;

	w->access.proxy_url = w->access.server;
	w->access.server = "http://api.example:8080";
	setenv("NO_PROXY", "*", 1); /* of the environment's proxies only */
	l = api_get(w, "a", "/api");
	x = http_next(w->server);
	assert_string_equal(http_target(x), "http://api.example:8080/api");
	http_reply(x, 200, "", "");
	api_wait(l);
	assert_heard(w, "a head 200  0\na done\n");
}

static void test_TLS_goes_through_the_proxy_as_a_tunnel(void **state)
{
	struct api_world *w = *state;
	struct listener *l;
	struct http_exchange *x;

	setenv("HTTPS_PROXY", w->access.server, 1);
	w->access.server = "https://api.example:6443";
	w->access.tls_server_name = "kubernetes";
	l = api_get(w, "a", "/api");
	x = http_next(w->server);
	assert_string_equal(http_method(x), "CONNECT");
	assert_string_equal(http_target(x), "api.example:6443");
	assert_null(http_header(x, "Authorization"));
	http_reply(x, 407, "", "");
	api_wait(l);
	assert_heard(w, "a done ECONNREFUSED: connect to api.example:6443: the proxy answers "
			"407\n");
}

static void test_proxy_that_is_not_there(void **state)
{
	struct api_world *w = *state;
	struct listener *l;

	w->access.proxy_url = w->access.server;
	w->access.server = "https://api.example:6443";
	http_server_down(w->server);
	l = api_get(w, "a", "/api");
	api_wait(l);
	assert_heard(w, "a done ECONNREFUSED: connect to api.example:6443 through the proxy: "
			"Connection refused\n");
}

/* S7: its password is nobody's to read. */
static void test_S7_proxy_that_is_no_URL(void **state)
{
	struct api_world *w = *state;
	static const char *const urls[] = { "gopher://user:hush@proxy", "http://user:hush@a b:1",
					    "http://user:hush@proxy:99999" };

	w->access.server = "https://api.example:6443";
	for (size_t i = 0; i < ARRAY_SIZE(urls); i++) {
		w->access.proxy_url = urls[i];
		api_wait(api_get(w, "a", "/api"));
		assert_non_null(strstr(buf_text(&w->log), "a done E"));
		assert_null(strstr(buf_text(&w->log), "hush"));
		buf_reset(&w->log);
		w->client = api_client_free(w->client);
	}
}

#define api_test(name) cmocka_unit_test_setup_teardown(name, setup, api_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		api_test(test_environment_names_the_proxy),
		api_test(test_own_machine_needs_no_proxy),
		api_test(test_exceptions_from_the_proxy),
		api_test(test_S11_overlong_exception_is_none),
		api_test(test_A14_forms_of_a_server),
		api_test(test_request_goes_through_the_proxy),
		api_test(test_TLS_goes_through_the_proxy_as_a_tunnel),
		api_test(test_proxy_that_is_not_there),
		api_test(test_S7_proxy_that_is_no_URL),
	};

	return cmocka_run_group_tests_name("api proxy", tests, NULL, NULL);
}
