#include "tcp-client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { HANG_S = 60 };

union address {
	struct sockaddr any;
	struct sockaddr_in ipv4;
	struct sockaddr_in6 ipv6;
};

static socklen_t address_of_host(uint8_t family, uint16_t port, union address *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->any.sa_family = family;
	if (family == AF_INET) {
		ret->ipv4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		ret->ipv4.sin_port = htons(port);
		return sizeof(ret->ipv4);
	}
	ret->ipv6.sin6_addr = in6addr_loopback;
	ret->ipv6.sin6_port = htons(port);
	return sizeof(ret->ipv6);
}

int client_open(struct client *c, uint8_t family, uint16_t port)
{
	union address address;
	socklen_t len = address_of_host(family, port, &address);
	int r = 0;

	*c = (struct client){ .fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0) };
	assert_true(c->fd >= 0);
	if (connect(c->fd, &address.any, len) < 0) {
		r = errno;
		close(c->fd);
	}
	return r;
}

void client_send(const struct client *c, const void *bytes, size_t len)
{
	(void)send(c->fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);
}

void client_say(const struct client *c, const char *text)
{
	client_send(c, text, strlen(text));
}

void client_poll(struct client *c)
{
	char rest[4096];
	bool room = c->len < sizeof(c->text) - 1;
	ssize_t n = room ? recv(c->fd, c->text + c->len, sizeof(c->text) - 1 - c->len,
				MSG_DONTWAIT) :
			   recv(c->fd, rest, sizeof(rest), MSG_DONTWAIT);

	if (n == 0 || (n < 0 && errno != EAGAIN))
		c->over = true;
	else if (n > 0 && room)
		c->len += (size_t)n;
	c->text[c->len] = '\0';
}

void turn_since(struct loop *loop, uint64_t started_us)
{
	assert_int_equal(loop_turn(loop, 1), 0);
	assert_true(monotonic_us() - started_us < HANG_S * UINT64_C(1000000));
}

const char *client_finish(struct client *c, struct loop *loop)
{
	uint64_t started_us = monotonic_us();

	while (!c->over) {
		turn_since(loop, started_us);
		client_poll(c);
	}
	close(c->fd);
	return c->text;
}

uint16_t port_reserve(uint8_t family, int *ret_fd)
{
	union address address;
	socklen_t len = address_of_host(family, 0, &address);
	const int on = 1;

	*ret_fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(*ret_fd >= 0);
	assert_int_equal(setsockopt(*ret_fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), 0);
	assert_int_equal(bind(*ret_fd, &address.any, len), 0);
	assert_int_equal(getsockname(*ret_fd, &address.any, &len), 0);
	return ntohs(family == AF_INET ? address.ipv4.sin_port : address.ipv6.sin6_port);
}
