#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/health-check-ports.h"
#include "base/buf.h"
#include "base/http-daemon.h"
#include "base/loop.h"
#include "fail-alloc.h"
#include "proxy/proxy.h"
#include "tcp-client.h"

enum { PORTS = 4 };

struct site {
	struct loop *loop;
	struct http_daemon *daemon;
	struct health_check_ports *health;
	bool unhealthy;
	struct buf told; /* "NAMESPACE/NAME TEXT\n" */
	int fds[PORTS];  /* reservations, the last one for IPv6 */
	uint16_t ports[PORTS];
};

static void on_failed(const char *namespace, const char *name, const char *text, void *userdata)
{
	buf_printf(&((struct site *)userdata)->told, "%s/%s %s\n", namespace, name, text);
}

static bool is_healthy(void *userdata)
{
	return !((struct site *)userdata)->unhealthy;
}

static int setup(void **state)
{
	struct site *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	assert_int_equal(loop_new(&s->loop, NULL), 0);
	assert_int_equal(http_daemon_new(s->loop, HTTP_DAEMON_DEADLINE_MS, &s->daemon, NULL), 0);
	assert_int_equal(health_check_ports_new(s->loop, s->daemon, is_healthy, on_failed, s,
						&s->health, NULL),
			 0);
	for (size_t i = 0; i < PORTS; i++)
		s->ports[i] = port_reserve(i == PORTS - 1 ? AF_INET6 : AF_INET, &s->fds[i]);
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	struct site *s = *state;

	health_check_ports_free(s->health);
	http_daemon_free(s->daemon);
	loop_free(s->loop);
	buf_free(&s->told);
	for (size_t i = 0; i < PORTS; i++)
		close(s->fds[i]);
	free(s);
	return 0;
}

/* Service @name in namespace "shop" with its port number @i. */
static struct health_check_port port(const struct site *s, const char *name, size_t i, unsigned n)
{
	return (struct health_check_port){
		.namespace = "shop",
		.name = name,
		.family = i == PORTS - 1 ? AF_INET6 : AF_INET,
		.port = s->ports[i],
		.local_endpoints = n,
	};
}

static void set(struct site *s, const struct health_check_port *ports, size_t n)
{
	assert_int_equal(health_check_ports_set(s->health, ports, n), 0);
}

#define SET(s, ...)                                                       \
	do {                                                              \
		const struct health_check_port _list[] = { __VA_ARGS__ }; \
		set(s, _list, sizeof(_list) / sizeof(_list[0]));          \
	} while (0)

static const char *ask(struct site *s, struct client *c, size_t i)
{
	if (client_open(c, i == PORTS - 1 ? AF_INET6 : AF_INET, s->ports[i]) == ECONNREFUSED)
		return "refused";
	client_say(c, "GET / HTTP/1.1\r\nHost: node\r\n\r\n");
	return client_finish(c, s->loop);
}

static void assert_answer(struct site *s, size_t i, const char *wanted)
{
	struct client c;
	const char *text = ask(s, &c, i);

	if (!strstr(text, wanted))
		fail_msg("\"%s\" is not in \"%s\"", wanted, text);
}

static void assert_told(struct site *s, const char *expected)
{
	assert_string_equal(buf_text(&s->told), expected);
	buf_reset(&s->told);
}

static void test_answers_as_kube_proxy_does(void **state)
{
	struct site *s = *state;

	SET(s, port(s, "web", 0, 2), port(s, "web", PORTS - 1, 0));
	assert_answer(s, 0, "HTTP/1.1 200 OK\r\n");
	assert_answer(s, 0, "\r\nContent-Type: application/json\r\n");
	assert_answer(s, 0, "\r\nX-Content-Type-Options: nosniff\r\n");
	assert_answer(s, 0, "\r\nX-Load-Balancing-Endpoint-Weight: 2\r\n");
	assert_answer(
		s, 0,
		"\r\n\r\n{\n\t\"service\": {\n\t\t\"namespace\": \"shop\",\n\t\t\"name\": "
		"\"web\"\n\t},\n\t\"localEndpoints\": 2,\n\t\"serviceProxyHealthy\": true\n}");
	assert_answer(s, PORTS - 1, "HTTP/1.1 503 Service Unavailable\r\n");
	assert_answer(s, PORTS - 1, "\r\nX-Load-Balancing-Endpoint-Weight: 0\r\n");
	assert_answer(s, PORTS - 1, "\t\"localEndpoints\": 0,\n");
	assert_told(s, "");
}

static void test_an_agent_that_is_not_healthy_takes_no_more(void **state)
{
	struct site *s = *state;

	SET(s, port(s, "web", 0, 2));
	s->unhealthy = true;
	assert_answer(s, 0, "HTTP/1.1 503 Service Unavailable\r\n");
	assert_answer(s, 0, "\t\"localEndpoints\": 2,\n\t\"serviceProxyHealthy\": false\n}");
	s->unhealthy = false;
	assert_answer(s, 0, "HTTP/1.1 200 OK\r\n");
}

static void test_counts_follow_without_another_listener(void **state)
{
	struct site *s = *state;
	struct client c;

	SET(s, port(s, "web", 0, 0));
	assert_int_equal(client_open(&c, AF_INET, s->ports[0]), 0);
	turn_since(s->loop, monotonic_us());
	SET(s, port(s, "web", 0, 3));
	client_say(&c, "GET / HTTP/1.1\r\nHost: node\r\n\r\n");
	assert_non_null(strstr(client_finish(&c, s->loop), "\t\"localEndpoints\": 3,\n"));
}

static void test_ports_come_and_go(void **state)
{
	struct site *s = *state;

	assert_answer(s, 0, "refused");
	SET(s, port(s, "a", 0, 1), port(s, "b", 1, 2), port(s, "c", 2, 0));
	assert_answer(s, 1, "\"b\"");
	SET(s, port(s, "a", 0, 1), port(s, "c", 2, 1));
	assert_answer(s, 0, "\"a\"");
	assert_answer(s, 1, "refused");
	assert_answer(s, 2, "200 OK");
	set(s, NULL, 0);
	for (size_t i = 0; i < PORTS; i++)
		assert_answer(s, i, "refused");
	assert_told(s, "");
}

static void test_a_port_is_edited(void **state)
{
	struct site *s = *state;

	SET(s, port(s, "web", 0, 1));
	SET(s, port(s, "web", 1, 1));
	assert_answer(s, 0, "refused");
	assert_answer(s, 1, "200 OK");
}

static void test_ports_change_hands(void **state)
{
	struct site *s = *state;

	SET(s, port(s, "a", 0, 1), port(s, "b", 1, 1));
	SET(s, port(s, "a", 1, 1), port(s, "b", 0, 1));
	assert_answer(s, 0, "\"b\"");
	assert_answer(s, 1, "\"a\"");
	assert_told(s, "");
}

static void test_a_port_in_use_is_told_once_and_costs_nobody_else(void **state)
{
	struct site *s = *state;
	char expected[256];

	assert_int_equal(listen(s->fds[1], 1), 0);
	snprintf(expected, sizeof(expected),
		 "shop/b health check port: listen on IPv4 TCP port %u: Address already in use\n",
		 s->ports[1]);
	SET(s, port(s, "a", 0, 1), port(s, "b", 1, 1), port(s, "c", 2, 1));
	assert_told(s, expected);
	assert_answer(s, 0, "200 OK");
	assert_answer(s, 2, "200 OK");
	SET(s, port(s, "a", 0, 1), port(s, "b", 1, 0), port(s, "c", 2, 1));
	assert_told(s, "");
	/* Another Service with that port is another trouble, and so is the old one when it comes back. */
	SET(s, port(s, "a", 0, 1), port(s, "c", 2, 1));
	SET(s, port(s, "a", 0, 1), port(s, "b", 1, 1), port(s, "c", 2, 1));
	assert_told(s, expected);
}

static void test_a_port_is_tried_again(void **state)
{
	struct site *s = *state;
	uint64_t started_us = monotonic_us();

	assert_int_equal(listen(s->fds[1], 1), 0);
	SET(s, port(s, "b", 1, 1));
	buf_reset(&s->told);
	close(s->fds[1]);
	SET(s, port(s, "b", 1, 1)); /* at the next sync */
	assert_answer(s, 1, "200 OK");
	set(s, NULL, 0);

	s->ports[1] = port_reserve(AF_INET, &s->fds[1]);
	assert_int_equal(listen(s->fds[1], 1), 0);
	SET(s, port(s, "b", 1, 1));
	buf_reset(&s->told);
	close(s->fds[1]);
	s->fds[1] = -1;
	for (bool there = false; !there;) { /* or by itself */
		struct client c;

		turn_since(s->loop, started_us);
		there = client_open(&c, AF_INET, s->ports[1]) == 0;
		if (there)
			close(c.fd);
	}
	assert_answer(s, 1, "200 OK");
	assert_told(s, "");
}

static void test_short_memory_is_made_good(void **state)
{
	struct site *s = *state;
	int r = -ENOMEM;

	for (unsigned n = 1; r < 0; n++) {
		const struct health_check_port ports[] = { port(s, "a", 0, 1), port(s, "b", 1, 1) };

		set(s, NULL, 0);
		fail_alloc_at(n);
		r = health_check_ports_set(s->health, ports, 2);
		if (fail_alloc_end())
			r = -ENOMEM;
		set(s, ports, 2);
		assert_answer(s, 0, "200 OK");
		assert_answer(s, 1, "200 OK");
		buf_reset(&s->told);
	}
}

#define site_test(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		site_test(test_answers_as_kube_proxy_does),
		site_test(test_an_agent_that_is_not_healthy_takes_no_more),
		site_test(test_counts_follow_without_another_listener),
		site_test(test_ports_come_and_go),
		site_test(test_a_port_is_edited),
		site_test(test_ports_change_hands),
		site_test(test_a_port_in_use_is_told_once_and_costs_nobody_else),
		site_test(test_a_port_is_tried_again),
		site_test(test_short_memory_is_made_good),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
