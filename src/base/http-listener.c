#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <utlist.h>

#include "base/error.h"
#include "base/http-internal.h"
#include "base/loop.h"

/* In one turn of the loop: a flood must not keep the agent from its work. */
enum { ACCEPT_MAX = 16 };

union address {
	struct sockaddr any;
	struct sockaddr_in ipv4;
	struct sockaddr_in6 ipv6;
};

/* Not one client's trouble but this host's. */
static bool is_shortage(int errnum)
{
	return errnum == EMFILE || errnum == ENFILE || errnum == ENOBUFS || errnum == ENOMEM;
}

/* The connections that wait would wake the loop again and again. */
static int listeners_pause(struct http_daemon *d)
{
	struct http_listener *l;
	int r = loop_timer_arm(d->resume, HTTP_DAEMON_PAUSE_MS);

	DL_FOREACH(d->listeners, l)
		if (r == 0)
			r = loop_fd_set_events(l->acceptable, 0);
	return r;
}

int http_listeners_resume(struct http_daemon *d)
{
	struct http_listener *l;
	int r = 0;

	DL_FOREACH(d->listeners, l)
		if (r == 0)
			r = loop_fd_set_events(l->acceptable, EPOLLIN);
	return r;
}

static int on_acceptable(int fd, uint32_t epoll_events, void *userdata)
{
	struct http_listener *l = userdata;
	int r = 0;

	(void)epoll_events;
	for (int i = 0; r == 0 && i < ACCEPT_MAX; i++) {
		int connection = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (connection < 0) {
			r = is_shortage(errno) ? listeners_pause(l->daemon) : 0;
			break;
		}
		r = http_daemon_adopt(l->daemon, connection, l);
	}
	return r < 0 ? r : http_daemon_run(l->daemon);
}

static socklen_t address_any(uint8_t family, uint16_t port, union address *ret)
{
	*ret = (union address){ .any.sa_family = family };
	if (family == AF_INET) {
		ret->ipv4.sin_port = htons(port);
		return sizeof(ret->ipv4);
	}
	ret->ipv6.sin6_port = htons(port);
	return sizeof(ret->ipv6);
}

/* Listeners take half of the descriptors at most: what else the process does needs some, too. */
static bool is_left_to_others(int fd)
{
	struct rlimit limit;

	return getrlimit(RLIMIT_NOFILE, &limit) == 0 && (rlim_t)fd >= limit.rlim_cur / 2;
}

static int listen_at(uint8_t family, uint16_t port, int *ret_fd)
{
	_cleanup_close_ int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	union address address;
	socklen_t len = address_any(family, port, &address);
	const int on = 1;

	if (fd < 0)
		return -errno;
	if (is_left_to_others(fd))
		return -EMFILE;
	/* Connections of a former listener that are not quite over are no obstacle. */
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
		return -errno;
	/* The other family has a listener of its own. */
	if (family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) < 0)
		return -errno;
	if (bind(fd, &address.any, len) < 0 || listen(fd, HTTP_DAEMON_BACKLOG) < 0)
		return -errno;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

int http_listener_new(struct http_daemon *d, uint8_t family, uint16_t port, http_answer_fn answer,
		      void *userdata, struct http_listener **ret, struct error *err)
{
	_cleanup_(http_listener_freep) struct http_listener *l = calloc(1, sizeof(*l));
	int r;

	if (!l)
		return error_set(err, -ENOMEM, "out of memory");
	*l = (struct http_listener){
		.daemon = d, .fd = -EBADF, .answer = answer, .userdata = userdata
	};
	DL_APPEND(d->listeners, l);
	r = listen_at(family, port, &l->fd);
	if (r < 0)
		return error_errno(err, -r, "listen on %s TCP port %u",
				   family == AF_INET ? "IPv4" : "IPv6", port);
	r = loop_add_fd(d->loop, l->fd, EPOLLIN, on_acceptable, l, &l->acceptable, err);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(l);
	return 0;
}

struct http_listener *http_listener_free(struct http_listener *l)
{
	if (!l)
		return NULL;
	loop_source_free(l->acceptable);
	closep(&l->fd);
	http_daemon_cut(l->daemon, l);
	(void)http_daemon_run(l->daemon);
	DL_DELETE(l->daemon->listeners, l);
	free(l);
	return NULL;
}

uint16_t http_listener_port(const struct http_listener *l)
{
	union address address = { .any.sa_family = AF_UNSPEC };
	socklen_t len = sizeof(address);

	if (getsockname(l->fd, &address.any, &len) < 0)
		return 0;
	return ntohs(address.any.sa_family == AF_INET ? address.ipv4.sin_port :
							address.ipv6.sin6_port);
}
