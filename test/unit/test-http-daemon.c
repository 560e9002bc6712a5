#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/http-daemon.h"
#include "base/loop.h"
#include "tcp-client.h"

enum { LONG_MS = 600 * 1000, MANY = 3 * HTTP_DAEMON_MAX_CONNECTIONS };

/* A daemon with two listeners, IPv4 and IPv6, that answer with their own name and the path. */
struct site {
	struct loop *loop;
	struct http_daemon *daemon;
	struct http_listener *ipv4, *ipv6;
	unsigned status;
	size_t asked;
	bool body_fails;
	bool body_is_large;
};

static struct site *site;

static void answer_with(const char *who, const char *path, struct http_answer *a)
{
	site->asked++;
	a->status = site->status;
	a->header = "X-Who";
	snprintf(a->header_value, sizeof(a->header_value), "%s", who);
	buf_printf(&a->body, "%s at %s\n", who, path);
	if (site->body_fails)
		a->body.error = -ENOMEM;
	for (int i = 0; site->body_is_large && i < 300000; i++)
		buf_puts(&a->body, "a body that no socket takes at once: its reader must read\n");
}

static void answer_ipv4(const char *path, struct http_answer *a, void *userdata)
{
	assert_ptr_equal(userdata, site);
	answer_with("four", path, a);
}

static void answer_ipv6(const char *path, struct http_answer *a, void *userdata)
{
	assert_ptr_equal(userdata, site);
	answer_with("six", path, a);
}

static void site_open(uint64_t deadline_ms)
{
	struct error err = { 0 };

	site = calloc(1, sizeof(*site));
	assert_non_null(site);
	site->status = 200;
	assert_int_equal(loop_new(&site->loop, &err), 0);
	assert_int_equal(http_daemon_new(site->loop, deadline_ms, &site->daemon, &err), 0);
	assert_int_equal(http_listener_new(site->daemon, AF_INET, 0, answer_ipv4, site, &site->ipv4,
					   &err),
			 0);
	assert_int_equal(http_listener_new(site->daemon, AF_INET6, 0, answer_ipv6, site,
					   &site->ipv6, &err),
			 0);
}

static void site_close(void)
{
	http_listener_free(site->ipv4);
	http_listener_free(site->ipv6);
	http_daemon_free(site->daemon);
	loop_free(site->loop);
	free(site);
}

static void client_connect(struct client *c, const struct http_listener *l)
{
	uint8_t family = l == site->ipv4 ? AF_INET : AF_INET6;

	assert_int_equal(client_open(c, family, http_listener_port(l)), 0);
}

static void turn(uint64_t started_us)
{
	turn_since(site->loop, started_us);
}

static const char *ask(struct client *c, const struct http_listener *l, const char *request)
{
	client_connect(c, l);
	client_say(c, request);
	return client_finish(c, site->loop);
}

static void assert_has(const char *text, const char *wanted)
{
	if (!strstr(text, wanted))
		fail_msg("\"%s\" is not in \"%s\"", wanted, text);
}

static void assert_serves(const struct http_listener *l)
{
	struct client c;

	assert_has(ask(&c, l, "GET /x HTTP/1.1\r\nHost: n\r\n\r\n"), "HTTP/1.1 200 OK\r\n");
}

static void test_answers(void **state)
{
	struct client c;
	const char *text;

	(void)state;
	site_open(LONG_MS);
	site->status = 503;
	text = ask(&c, site->ipv4, "GET /healthz?a=b HTTP/1.1\r\nHost: node\r\n\r\n");
	assert_has(text, "HTTP/1.1 503 Service Unavailable\r\n");
	assert_has(text, "\r\nContent-Type: text/plain\r\n");
	assert_has(text, "\r\nX-Content-Type-Options: nosniff\r\n");
	assert_has(text, "\r\nX-Who: four\r\n");
	assert_has(text, "\r\n\r\nfour at /healthz\n");
	site->status = 200;
	assert_has(ask(&c, site->ipv6, "GET / HTTP/1.0\r\n\r\n"), "\r\n\r\nsix at /\n");
	assert_int_equal(site->asked, 2);
	site_close();
}

static void test_head_has_no_body(void **state)
{
	struct client c;
	const char *text;

	(void)state;
	site_open(LONG_MS);
	text = ask(&c, site->ipv4, "HEAD / HTTP/1.1\r\nHost: node\r\n\r\n");
	assert_has(text, "HTTP/1.1 200 OK\r\n");
	assert_has(text, "\r\nContent-Length: 10\r\n");
	assert_null(strstr(text, "four at"));
	site_close();
}

static void test_any_method_is_answered(void **state)
{
	static const char *const methods[] = { "GET", "POST", "PUT", "DELETE", "OPTIONS", "BREW" };
	char request[128];
	struct client c;

	(void)state;
	site_open(LONG_MS);
	for (size_t i = 0; i < ARRAY_SIZE(methods); i++) {
		snprintf(request, sizeof(request),
			 "%s /x HTTP/1.1\r\nHost: n\r\nContent-Length: 4\r\n\r\nbody", methods[i]);
		assert_has(ask(&c, site->ipv4, request), "\r\n\r\nfour at /x\n");
		assert_int_equal(site->asked, i + 1);
	}
	site_close();
}

static void test_a_request_in_pieces(void **state)
{
	const char *request = "GET /piece HTTP/1.1\r\nHost: node\r\n\r\n";
	struct client c;

	(void)state;
	site_open(LONG_MS);
	client_connect(&c, site->ipv4);
	for (const char *byte = request; *byte; byte++) {
		client_send(&c, byte, 1);
		turn(monotonic_us());
	}
	assert_has(client_finish(&c, site->loop), "four at /piece\n");
	site_close();
}

static void test_short_memory_is_a_server_error(void **state)
{
	struct client c;

	(void)state;
	site_open(LONG_MS);
	site->body_fails = true;
	assert_has(ask(&c, site->ipv4, "GET / HTTP/1.1\r\nHost: n\r\n\r\n"), "HTTP/1.1 500 ");
	site_close();
}

static void test_one_request_a_connection(void **state)
{
	struct client c;

	(void)state;
	site_open(LONG_MS);
	assert_has(ask(&c, site->ipv4,
		       "GET /1 HTTP/1.1\r\nHost: n\r\n\r\nGET /2 HTTP/1.1\r\nHost: n\r\n\r\n"),
		   "four at /1\n");
	assert_int_equal(site->asked, 1);
	site_close();
}

/* A byte now and then keeps no connection. */
static void test_H10_slow_request_has_a_deadline(void **state)
{
	uint64_t started_us = monotonic_us();
	struct client c;

	(void)state;
	site_open(100);
	client_connect(&c, site->ipv4);
	client_say(&c, "GET / HTTP/1.1\r\n");
	while (!c.over) {
		client_say(&c, "A: b\r\n");
		turn(started_us);
		client_poll(&c);
		if (c.len == 0 && !c.over)
			usleep(1000);
	}
	assert_true(monotonic_us() - started_us >= 100 * 1000);
	close(c.fd);
	assert_int_equal(site->asked, 0);
	assert_int_equal(http_daemon_connections(site->daemon), 0);
	assert_serves(site->ipv4);
	site_close();
}

static void test_H10_silent_clients_have_a_deadline(void **state)
{
	struct client c[3];

	(void)state;
	site_open(50);
	for (size_t i = 0; i < 3; i++)
		client_connect(&c[i], i == 1 ? site->ipv6 : site->ipv4);
	for (size_t i = 0; i < 3; i++)
		assert_string_equal(client_finish(&c[i], site->loop), "");
	/* And those that come after a time without any. */
	client_connect(&c[0], site->ipv4);
	assert_string_equal(client_finish(&c[0], site->loop), "");
	site_close();
}

static void test_H10_slow_reader_has_a_deadline(void **state)
{
	uint64_t started_us = monotonic_us();
	struct client c;

	(void)state;
	site_open(200);
	site->body_is_large = true;
	client_connect(&c, site->ipv4);
	client_say(&c, "GET / HTTP/1.1\r\nHost: n\r\n\r\n");
	while (site->asked == 0)
		turn(started_us);
	assert_int_equal(http_daemon_connections(site->daemon), 1);
	while (http_daemon_connections(site->daemon) > 0)
		turn(started_us);
	close(c.fd);
	site_close();
}

static void test_a_large_answer_arrives(void **state)
{
	struct client c;

	(void)state;
	site_open(LONG_MS);
	site->body_is_large = true;
	assert_has(ask(&c, site->ipv4, "GET / HTTP/1.1\r\nHost: n\r\n\r\n"), "HTTP/1.1 200 OK");
	site_close();
}

static void test_H10_large_heads_are_refused(void **state)
{
	uint64_t started_us = monotonic_us();
	struct client c;

	(void)state;
	site_open(LONG_MS);
	client_connect(&c, site->ipv4);
	client_say(&c, "GET / HTTP/1.1\r\nHost: n\r\n");
	while (!c.over) {
		client_say(&c, "X-Much: ooooooooooooooooooooooooooooooooooooooooooooooooooooo\r\n");
		turn(started_us);
		client_poll(&c);
	}
	close(c.fd);
	assert_int_equal(site->asked, 0);
	assert_serves(site->ipv4);
	site_close();
}

static void test_H10_garbage(void **state)
{
	static const char *const garbage[] = {
		"\r\n\r\n\r\n\r\n",
		"GET\r\n\r\n",
		"GET / HTTP/9.9\r\n\r\n",
		"\x16\x03\x01\x02",
		": : :\r\n\r\n",
		"GET / HTTP/1.1\r\nHost\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: n\r\nContent-Length: -1\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: n\r\nTransfer-Encoding: chunked\r\n\r\nzzz\r\n",
	};
	struct client c;
	char noise[512];

	(void)state;
	site_open(100);
	for (size_t i = 0; i < sizeof(garbage) / sizeof(garbage[0]); i++)
		ask(&c, site->ipv4, garbage[i]);
	srandom(10);
	for (int i = 0; i < 50; i++) {
		for (size_t j = 0; j < sizeof(noise); j++)
			noise[j] = (char)random();
		client_connect(&c, site->ipv6);
		client_send(&c, noise, sizeof(noise));
		client_finish(&c, site->loop);
	}
	site_close();
	site_open(LONG_MS);
	assert_serves(site->ipv4);
	site_close();
}

static void test_H10_many_connections_shed_the_oldest(void **state)
{
	static struct client many[MANY];

	(void)state;
	site_open(LONG_MS);
	for (size_t i = 0; i < MANY; i++) {
		client_connect(&many[i], site->ipv4);
		turn(monotonic_us());
		assert_true(http_daemon_connections(site->daemon) <= HTTP_DAEMON_MAX_CONNECTIONS);
	}
	assert_serves(site->ipv4);
	for (size_t i = 0; i < MANY; i++)
		client_poll(&many[i]);
	assert_true(many[0].over);
	assert_false(many[MANY - 1].over);
	client_say(&many[MANY - 1], "GET / HTTP/1.1\r\nHost: n\r\n\r\n");
	assert_has(client_finish(&many[MANY - 1], site->loop), "200 OK");
	for (size_t i = 0; i < MANY - 1; i++)
		close(many[i].fd);
	site_close();
}

static void test_H10_a_flood_at_one_port_spares_the_other(void **state)
{
	static struct client many[MANY];
	struct client other;

	(void)state;
	site_open(LONG_MS);
	client_connect(&other, site->ipv6);
	turn(monotonic_us());
	for (size_t i = 0; i < MANY; i++) {
		client_connect(&many[i], site->ipv4);
		turn(monotonic_us());
	}
	client_say(&other, "GET / HTTP/1.1\r\nHost: n\r\n\r\n");
	assert_has(client_finish(&other, site->loop), "six at /\n");
	for (size_t i = 0; i < MANY; i++)
		close(many[i].fd);
	site_close();
}

static void test_clients_that_vanish(void **state)
{
	const struct linger reset = { .l_onoff = 1 };
	uint64_t started_us = monotonic_us();
	struct client c;

	(void)state;
	site_open(LONG_MS);
	for (int i = 0; i < 20; i++) {
		client_connect(&c, site->ipv4);
		if (i % 2)
			client_say(&c, "GET / HTTP/1.1\r\nHost: n\r\n\r\n");
		if (i % 3)
			turn(started_us);
		setsockopt(c.fd, SOL_SOCKET, SO_LINGER, &reset, i % 5 ? sizeof(reset) : 0);
		close(c.fd);
	}
	assert_serves(site->ipv4);
	while (http_daemon_connections(site->daemon) > 0)
		turn(started_us);
	site_close();
}

static void test_a_listener_ends_with_its_connections(void **state)
{
	struct client c, other;
	uint16_t port;

	(void)state;
	site_open(LONG_MS);
	client_connect(&c, site->ipv4);
	client_connect(&other, site->ipv6);
	turn(monotonic_us());
	turn(monotonic_us());
	assert_int_equal(http_daemon_connections(site->daemon), 2);
	port = http_listener_port(site->ipv4);
	site->ipv4 = http_listener_free(site->ipv4);
	client_say(&c, "GET / HTTP/1.1\r\nHost: n\r\n\r\n");
	assert_string_equal(client_finish(&c, site->loop), "");
	assert_int_equal(site->asked, 0);
	client_say(&other, "GET / HTTP/1.1\r\nHost: n\r\n\r\n");
	assert_has(client_finish(&other, site->loop), "six at /\n");
	/* Nobody listens there, and who wants to can. */
	assert_int_equal(http_listener_new(site->daemon, AF_INET, port, answer_ipv4, site,
					   &site->ipv4, NULL),
			 0);
	assert_int_equal(http_listener_port(site->ipv4), port);
	assert_serves(site->ipv4);
	site_close();
}

static void test_a_port_that_is_in_use(void **state)
{
	struct http_listener *second;
	struct error err = { 0 };
	uint16_t port;
	char expected[128];

	(void)state;
	site_open(LONG_MS);
	port = http_listener_port(site->ipv4);
	assert_int_equal(http_listener_new(site->daemon, AF_INET, port, answer_ipv4, site, &second,
					   &err),
			 -EADDRINUSE);
	snprintf(expected, sizeof(expected), "listen on IPv4 TCP port %u: Address already in use",
		 port);
	assert_string_equal(err.message, expected);
	/* The families do not get into each other's way. */
	assert_int_equal(http_listener_new(site->daemon, AF_INET6, port, answer_ipv6, site, &second,
					   NULL),
			 0);
	http_listener_free(second);
	assert_serves(site->ipv4);
	site_close();
}

/* The lowest limit under which no further descriptor can be had. */
static void descriptors_exhaust(struct rlimit *before)
{
	int free_fd = dup(0);
	struct rlimit none;

	assert_true(free_fd >= 0);
	close(free_fd);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, before), 0);
	none = (struct rlimit){ .rlim_cur = (rlim_t)free_fd, .rlim_max = before->rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	assert_int_equal(dup(0), -1);
}

static void test_H3_without_descriptors_clients_wait(void **state)
{
	uint64_t started_us = monotonic_us();
	struct rlimit before;
	struct client c;
	unsigned turns = 0;

	(void)state;
	site_open(LONG_MS);
	client_connect(&c, site->ipv4);
	client_say(&c, "GET / HTTP/1.1\r\nHost: n\r\n\r\n");
	descriptors_exhaust(&before);
	/* Not one turn after the other: accepting pauses. */
	for (; turns < 3; turns++)
		assert_int_equal(loop_turn(site->loop, 50), 0);
	assert_true(monotonic_us() - started_us >= 100 * 1000);
	assert_int_equal(site->asked, 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_has(client_finish(&c, site->loop), "four at /\n");
	site_close();
}

static void test_H3_listeners_leave_descriptors(void **state)
{
	struct http_listener *more = NULL;
	struct rlimit before, half;
	int next;

	(void)state;
	site_open(LONG_MS);
	next = dup(0);
	close(next);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	half = (struct rlimit){ .rlim_cur = 2 * (rlim_t)next, .rlim_max = before.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &half), 0);
	assert_int_equal(http_listener_new(site->daemon, AF_INET, 0, answer_ipv4, site, &more,
					   NULL),
			 -EMFILE);
	half.rlim_cur += 2;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &half), 0);
	assert_int_equal(
		http_listener_new(site->daemon, AF_INET, 0, answer_ipv4, site, &more, NULL), 0);
	http_listener_free(more);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	site_close();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_head_has_no_body),
		cmocka_unit_test(test_any_method_is_answered),
		cmocka_unit_test(test_a_request_in_pieces),
		cmocka_unit_test(test_short_memory_is_a_server_error),
		cmocka_unit_test(test_one_request_a_connection),
		cmocka_unit_test(test_H10_slow_request_has_a_deadline),
		cmocka_unit_test(test_H10_silent_clients_have_a_deadline),
		cmocka_unit_test(test_H10_slow_reader_has_a_deadline),
		cmocka_unit_test(test_a_large_answer_arrives),
		cmocka_unit_test(test_H10_large_heads_are_refused),
		cmocka_unit_test(test_H10_garbage),
		cmocka_unit_test(test_H10_many_connections_shed_the_oldest),
		cmocka_unit_test(test_H10_a_flood_at_one_port_spares_the_other),
		cmocka_unit_test(test_clients_that_vanish),
		cmocka_unit_test(test_a_listener_ends_with_its_connections),
		cmocka_unit_test(test_a_port_that_is_in_use),
		cmocka_unit_test(test_H3_without_descriptors_clients_wait),
		cmocka_unit_test(test_H3_listeners_leave_descriptors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
