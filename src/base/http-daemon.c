#include "base/http-daemon.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdbool.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/error.h"
#include "base/http-internal.h"
#include "base/loop.h"

int http_daemon_run(struct http_daemon *d)
{
	MHD_UNSIGNED_LONG_LONG wait_ms;

	(void)MHD_run(d->mhd);
	if (MHD_get_timeout(d->mhd, &wait_ms) == MHD_YES)
		return loop_timer_arm(d->work, wait_ms);
	return loop_timer_disarm(d->work);
}

static int on_readable(int fd, uint32_t epoll_events, void *userdata)
{
	(void)fd;
	(void)epoll_events;
	return http_daemon_run(userdata);
}

static int on_work(void *userdata)
{
	return http_daemon_run(userdata);
}

static int on_resume(void *userdata)
{
	return http_listeners_resume(userdata);
}

/* libmicrohttpd sees its end and closes it; until then its room is taken. */
static void connection_cut(struct http_connection *c)
{
	c->listener = NULL;
	(void)shutdown(c->fd, SHUT_RDWR);
}

/* NULL when there is none. */
static struct http_connection *connection_find(struct http_daemon *d, int fd)
{
	for (size_t i = 0; i < HTTP_DAEMON_MAX_CONNECTIONS; i++)
		if (d->connections[i].fd == fd)
			return &d->connections[i];
	return NULL;
}

static struct http_connection *connection_of(struct http_daemon *d, struct MHD_Connection *of)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(
		of, MHD_CONNECTION_INFO_CONNECTION_FD);

	return info ? connection_find(d, info->connect_fd) : NULL;
}

static void on_connection(void *userdata, struct MHD_Connection *of, void **context,
			  enum MHD_ConnectionNotificationCode what)
{
	struct http_connection *c = connection_of(userdata, of);

	(void)context;
	if (c && what == MHD_CONNECTION_NOTIFY_CLOSED)
		*c = (struct http_connection){ .fd = -EBADF };
}

static size_t connections_of(const struct http_daemon *d, const struct http_listener *l)
{
	size_t n = 0;

	for (size_t i = 0; i < HTTP_DAEMON_MAX_CONNECTIONS; i++)
		n += d->connections[i].listener == l;
	return n;
}

/* Whether @a goes rather than @b. Both have a listener. */
static bool connection_goes_first(const struct http_daemon *d, const struct http_connection *a,
				  const struct http_connection *b)
{
	size_t one = connections_of(d, a->listener), other = connections_of(d, b->listener);

	return one != other ? one > other : a->deadline_us < b->deadline_us;
}

static void connections_shed_one(struct http_daemon *d)
{
	struct http_connection *victim = NULL, *c;

	for (size_t i = 0; i < HTTP_DAEMON_MAX_CONNECTIONS; i++) {
		c = &d->connections[i];
		if (c->listener && (!victim || connection_goes_first(d, c, victim)))
			victim = c;
	}
	if (victim)
		connection_cut(victim);
}

void http_daemon_cut(struct http_daemon *d, const struct http_listener *l)
{
	for (size_t i = 0; i < HTTP_DAEMON_MAX_CONNECTIONS; i++)
		if (d->connections[i].listener == l)
			connection_cut(&d->connections[i]);
}

/* The first deadline of all, UINT64_MAX: none. Connections that are past theirs are cut. */
static uint64_t connections_check(struct http_daemon *d, uint64_t now_us)
{
	uint64_t first_us = UINT64_MAX;

	for (size_t i = 0; i < HTTP_DAEMON_MAX_CONNECTIONS; i++) {
		struct http_connection *c = &d->connections[i];

		if (c->listener && c->deadline_us <= now_us)
			connection_cut(c);
		else if (c->listener && c->deadline_us < first_us)
			first_us = c->deadline_us;
	}
	return first_us;
}

static int on_deadline(void *userdata)
{
	struct http_daemon *d = userdata;
	uint64_t now_us = monotonic_us(), first_us = connections_check(d, now_us);
	int r = http_daemon_run(d);

	if (r == 0 && first_us != UINT64_MAX)
		r = loop_timer_arm(d->deadline, (first_us - now_us) / 1000 + 1);
	return r;
}

int http_daemon_adopt(struct http_daemon *d, int fd, struct http_listener *l)
{
	bool alone = connections_check(d, 0) == UINT64_MAX; /* then the timer may not be armed */
	struct http_connection *c = connection_find(d, -EBADF);
	int r = 0;

	if (!c) {
		connections_shed_one(d);
		r = http_daemon_run(d);
		c = connection_find(d, -EBADF);
	}
	if (r < 0 || !c) {
		close(fd);
		return r;
	}
	c->fd = fd;
	c->listener = l;
	c->deadline_us = monotonic_us() + d->deadline_ms * 1000;
	if (MHD_add_connection(d->mhd, fd, NULL, 0) != MHD_YES) /* @fd is closed */
		*c = (struct http_connection){ .fd = -EBADF };
	return alone ? loop_timer_arm(d->deadline, d->deadline_ms) : 0;
}

size_t http_daemon_connections(const struct http_daemon *d)
{
	size_t n = 0;

	for (size_t i = 0; i < HTTP_DAEMON_MAX_CONNECTIONS; i++)
		n += d->connections[i].fd >= 0;
	return n;
}

static bool response_add(struct MHD_Response *response, const char *name, const char *value)
{
	return MHD_add_response_header(response, name, value) == MHD_YES;
}

/* Takes the body. NULL when memory is short. */
static struct MHD_Response *response_new(struct http_answer *a)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(a->body.len, a->body.data,
									MHD_RESPMEM_MUST_FREE);

	if (!response)
		return NULL;
	a->body = (struct buf){ .data = NULL };
	if (response_add(response, "Content-Type", a->content_type) &&
	    response_add(response, "X-Content-Type-Options", "nosniff") &&
	    response_add(response, "Connection", "close") &&
	    (!a->header || response_add(response, a->header, a->header_value)))
		return response;
	MHD_destroy_response(response);
	return NULL;
}

static enum MHD_Result answer_send(struct MHD_Connection *to, struct http_answer *a)
{
	struct MHD_Response *response;
	enum MHD_Result result = MHD_NO; /* closes the connection */

	if (buf_error(&a->body) < 0) {
		buf_free(&a->body);
		a->status = MHD_HTTP_INTERNAL_SERVER_ERROR;
	}
	response = response_new(a);
	if (response) {
		result = MHD_queue_response(to, a->status, response);
		MHD_destroy_response(response);
	}
	buf_free(&a->body);
	return result;
}

/* Called when the head of a request has come, again for each piece of its body, and once more when it is
 * there as a whole. */
static enum MHD_Result on_request(void *userdata, struct MHD_Connection *of, const char *path,
				  const char *method, const char *version, const char *piece,
				  size_t *piece_bytes, void **seen)
{
	const struct http_connection *c = connection_of(userdata, of);
	struct http_answer answer = { .status = MHD_HTTP_OK, .content_type = "text/plain" };

	(void)method;
	(void)version;
	(void)piece;
	if (!c || !c->listener)
		return MHD_NO;
	if (!*seen || *piece_bytes > 0) {
		*seen = userdata;
		*piece_bytes = 0;
		return MHD_YES;
	}
	c->listener->answer(path, &answer, c->listener->userdata);
	return answer_send(of, &answer);
}

static int http_daemon_start(struct http_daemon *d, struct error *err)
{
	const union MHD_DaemonInfo *info;

	d->mhd = MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET, 0, NULL, NULL,
				  on_request, d, MHD_OPTION_NOTIFY_CONNECTION, on_connection, d,
				  MHD_OPTION_CONNECTION_LIMIT, HTTP_DAEMON_MAX_CONNECTIONS,
				  MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HTTP_DAEMON_MAX_BYTES,
				  MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);
	info = d->mhd ? MHD_get_daemon_info(d->mhd, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
	if (!info)
		return error_set(err, -EIO, "libmicrohttpd can't be started");
	return loop_add_fd(d->loop, info->epoll_fd, EPOLLIN, on_readable, d, &d->readable, err);
}

int http_daemon_new(struct loop *loop, uint64_t deadline_ms, struct http_daemon **ret,
		    struct error *err)
{
	_cleanup_(http_daemon_freep) struct http_daemon *d = calloc(1, sizeof(*d));
	int r;

	if (!d)
		return error_set(err, -ENOMEM, "out of memory");
	d->loop = loop;
	d->deadline_ms = deadline_ms;
	for (size_t i = 0; i < HTTP_DAEMON_MAX_CONNECTIONS; i++)
		d->connections[i].fd = -EBADF;
	r = loop_add_timer(loop, on_work, d, &d->work, err);
	if (r == 0)
		r = loop_add_timer(loop, on_deadline, d, &d->deadline, err);
	if (r == 0)
		r = loop_add_timer(loop, on_resume, d, &d->resume, err);
	if (r == 0)
		r = http_daemon_start(d, err);
	if (r < 0)
		return error_wrap(err, r, "HTTP");
	*ret = TAKE_PTR(d);
	return 0;
}

struct http_daemon *http_daemon_free(struct http_daemon *d)
{
	if (!d)
		return NULL;
	loop_source_free(d->readable);
	loop_source_free(d->work);
	loop_source_free(d->deadline);
	loop_source_free(d->resume);
	if (d->mhd)
		MHD_stop_daemon(d->mhd);
	free(d);
	return NULL;
}
