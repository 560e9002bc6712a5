#include "http-server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <utlist.h>

#include "base/buf.h"
#include "fail-alloc.h"

enum { HANG_US = 60 * 1000 * 1000, TURN_MS = 100, SETTLE_TURNS = 64, READ_BYTES = 65536 };

struct connection {
	struct http_server *server;
	int fd;
	size_t number;
	struct loop_source *source;
	struct buf in, out;
	struct http_exchange *exchange; /* not yet answered whole */
	struct connection *prev, *next;
};

struct http_exchange {
	struct connection *connection; /* NULL: answered, or the client has gone */
	size_t number;
	bool gone;
	char *text; /* the request, its lines cut into strings */
	const char *method, *target, *headers, *body;
	struct http_exchange *prev, *next;
};

struct http_server {
	struct loop *loop;
	int fd;
	struct sockaddr_in address;
	struct loop_source *source;
	char url[64];
	struct connection *connections;
	struct http_exchange *exchanges, *last;
	size_t n_connections, n_exchanges, n_handed_out;
	void (*answer)(struct http_exchange *x, void *userdata);
	void *userdata;
};

static void suspend_end(const int *unused)
{
	(void)unused;
	fail_alloc_resume();
}

/* Until the end of the scope. */
#define ALLOCATE_SAFELY                                                \
	_cleanup_(suspend_end) __attribute__((unused)) int safely = 0; \
	fail_alloc_suspend()

static void connection_close(struct connection *c)
{
	if (c->exchange) {
		c->exchange->connection = NULL;
		c->exchange->gone = true;
	}
	loop_source_free(c->source);
	close(c->fd);
	buf_free(&c->in);
	buf_free(&c->out);
	DL_DELETE(c->server->connections, c);
	free(c);
}

/* Send what the socket takes; the loop does the rest. */
static void connection_flush(struct connection *c)
{
	size_t sent = 0;

	while (sent < c->out.len) {
		ssize_t n = send(c->fd, c->out.data + sent, c->out.len - sent,
				 MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0) /* the client has gone: reading will tell */
			n = (ssize_t)(c->out.len - sent);
		sent += (size_t)n;
	}
	if (sent > 0)
		memmove(c->out.data, c->out.data + sent, c->out.len - sent);
	c->out.len -= sent;
	assert_int_equal(loop_fd_set_events(c->source, c->out.len ? EPOLLIN | EPOLLOUT : EPOLLIN),
			 0);
}

static size_t content_length(const char *head, const char *end)
{
	const char *field = strcasestr(head, "\r\nContent-Length:");

	return field && field < end ? strtoul(field + strlen("\r\nContent-Length:"), NULL, 10) : 0;
}

/* Cut "GET /path HTTP/1.1\r\nName: value\r\n...\r\n\r\nbody" into strings; @body is where the body is. */
static void exchange_cut(struct http_exchange *x, char *body)
{
	char *rest = x->text, *line;

	body[-2] = '\0'; /* the empty line */
	x->body = body;
	line = strsep(&rest, "\n");
	x->method = strsep(&line, " ");
	x->target = strsep(&line, " ");
	assert_non_null(line);
	assert_string_equal(line, "HTTP/1.1\r");
	x->headers = rest;
	for (char *p = rest; *p; p++)
		if (*p == '\r' || *p == '\n')
			*p = '\0';
	/* Lines are now separated by two zero bytes; the last is followed by three. */
}

/* The next request, when it has come whole. NULL otherwise. */
static struct http_exchange *exchange_read(struct connection *c)
{
	const char *end = c->in.len ? strstr(c->in.data, "\r\n\r\n") : NULL;
	struct http_exchange *x;
	size_t head, len;

	if (!end || c->exchange)
		return NULL;
	head = (size_t)(end + 4 - c->in.data);
	len = head + content_length(c->in.data, end);
	if (c->in.len < len)
		return NULL;

	x = calloc(1, sizeof(*x));
	assert_non_null(x);
	x->text = calloc(1, len + 1);
	assert_non_null(x->text);
	memcpy(x->text, c->in.data, len);
	exchange_cut(x, x->text + head);
	x->connection = c;
	x->number = c->number;
	memmove(c->in.data, c->in.data + len, c->in.len + 1 - len);
	c->in.len -= len;
	return x;
}

static void connection_serve(struct connection *c)
{
	struct http_server *s = c->server;
	struct http_exchange *x = exchange_read(c);

	if (!x)
		return;
	c->exchange = x;
	DL_APPEND(s->exchanges, x);
	s->n_exchanges++;
	if (s->answer)
		s->answer(x, s->userdata);
}

static int on_connection(int fd, uint32_t epoll_events, void *userdata)
{
	struct connection *c = userdata;
	char bytes[READ_BYTES];
	ssize_t n;

	ALLOCATE_SAFELY;
	if (epoll_events & EPOLLOUT)
		connection_flush(c);
	n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
	if (n < 0 && errno == EAGAIN)
		return 0;
	if (n <= 0) {
		connection_close(c);
		return 0;
	}
	buf_append(&c->in, bytes, (size_t)n);
	assert_int_equal(buf_error(&c->in), 0);
	connection_serve(c);
	return 0;
}

static int on_listener(int fd, uint32_t epoll_events, void *userdata)
{
	struct http_server *s = userdata;
	struct connection *c;
	int one = 1;

	(void)epoll_events;
	ALLOCATE_SAFELY;
	c = calloc(1, sizeof(*c));
	assert_non_null(c);
	c->server = s;
	c->number = ++s->n_connections;
	c->fd = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	assert_true(c->fd >= 0);
	/* Pieces go out as they are sent: else each waits 40 ms for the one before to be acknowledged. */
	assert_int_equal(setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)), 0);
	assert_int_equal(loop_add_fd(s->loop, c->fd, EPOLLIN, on_connection, c, &c->source, NULL),
			 0);
	DL_APPEND(s->connections, c);
	return 0;
}

void http_server_up(struct http_server *s)
{
	struct sockaddr *address = (struct sockaddr *)&s->address;
	socklen_t len = sizeof(s->address);
	int one = 1;

	ALLOCATE_SAFELY;
	s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_true(s->fd >= 0);
	assert_int_equal(setsockopt(s->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)), 0);
	assert_int_equal(bind(s->fd, address, len), 0);
	assert_int_equal(listen(s->fd, SOMAXCONN), 0);
	assert_int_equal(getsockname(s->fd, address, &len), 0);
	assert_int_equal(loop_add_fd(s->loop, s->fd, EPOLLIN, on_listener, s, &s->source, NULL), 0);
}

void http_server_down(struct http_server *s)
{
	struct connection *c, *next;

	s->source = loop_source_free(s->source);
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -EBADF;
	DL_FOREACH_SAFE(s->connections, c, next)
		connection_close(c);
}

struct http_server *http_server_new(struct loop *loop)
{
	struct http_server *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	s->loop = loop;
	s->fd = -EBADF;
	s->address.sin_family = AF_INET;
	s->address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	http_server_up(s);
	snprintf(s->url, sizeof(s->url), "http://127.0.0.1:%u", ntohs(s->address.sin_port));
	return s;
}

struct http_server *http_server_free(struct http_server *s)
{
	struct http_exchange *x, *next;

	if (!s)
		return NULL;
	http_server_down(s);
	DL_FOREACH_SAFE(s->exchanges, x, next) {
		free(x->text);
		free(x);
	}
	free(s);
	return NULL;
}

const char *http_server_url(const struct http_server *s)
{
	return s->url;
}

size_t http_requests(const struct http_server *s)
{
	return s->n_exchanges;
}

size_t http_connections(const struct http_server *s)
{
	return s->n_connections;
}

void http_answer(struct http_server *s, void (*answer)(struct http_exchange *x, void *userdata),
		 void *userdata)
{
	s->answer = answer;
	s->userdata = userdata;
}

void http_wait(struct http_server *s, bool (*condition)(void *userdata), void *userdata)
{
	uint64_t begin = monotonic_us();

	while (!condition(userdata)) {
		if (monotonic_us() - begin > HANG_US)
			fail_msg("waited too long");
		assert_int_equal(loop_turn(s->loop, TURN_MS), 0);
	}
}

void http_settle(struct http_server *s)
{
	for (int i = 0; i < SETTLE_TURNS; i++)
		assert_int_equal(loop_turn(s->loop, 0), 0);
}

static bool request_is_there(void *userdata)
{
	const struct http_server *s = userdata;

	return s->n_exchanges > s->n_handed_out;
}

struct http_exchange *http_next(struct http_server *s)
{
	http_wait(s, request_is_there, s);
	s->n_handed_out++;
	s->last = s->last ? s->last->next : s->exchanges;
	return s->last;
}

const char *http_method(const struct http_exchange *x)
{
	return x->method;
}

const char *http_target(const struct http_exchange *x)
{
	return x->target;
}

const char *http_header(const struct http_exchange *x, const char *name)
{
	size_t len = strlen(name);

	for (const char *line = x->headers; *line; line += strlen(line) + 2)
		if (strncasecmp(line, name, len) == 0 && line[len] == ':')
			return line + len + 1 + strspn(line + len + 1, " ");
	return NULL;
}

const char *http_body(const struct http_exchange *x)
{
	return x->body;
}

size_t http_connection(const struct http_exchange *x)
{
	return x->number;
}

bool http_gone(const struct http_exchange *x)
{
	return x->gone;
}

void http_raw(struct http_exchange *x, const void *bytes, size_t len)
{
	ALLOCATE_SAFELY;
	if (!x->connection)
		return;
	buf_append(&x->connection->out, bytes, len);
	assert_int_equal(buf_error(&x->connection->out), 0);
	connection_flush(x->connection);
}

static void exchange_end(struct http_exchange *x)
{
	struct connection *c = x->connection;

	if (!c)
		return;
	x->connection = NULL;
	c->exchange = NULL;
	connection_serve(c); /* when the client has asked on in the meantime */
}

static void exchange_head(struct http_exchange *x, int status, const char *headers,
			  const char *framing)
{
	_cleanup_buf_ struct buf head = { 0 };

	buf_printf(&head, "HTTP/1.1 %d Whatever\r\n%s%s\r\n\r\n", status,
		   headers ? headers : "Content-Type: application/json\r\n", framing);
	http_raw(x, buf_text(&head), head.len);
}

void http_reply(struct http_exchange *x, int status, const char *headers, const char *body)
{
	char framing[64];

	ALLOCATE_SAFELY;
	snprintf(framing, sizeof(framing), "Content-Length: %zu", strlen(body));
	exchange_head(x, status, headers, framing);
	http_raw(x, body, strlen(body));
	exchange_end(x);
}

void http_begin(struct http_exchange *x, int status, const char *headers)
{
	ALLOCATE_SAFELY;
	exchange_head(x, status, headers, "Transfer-Encoding: chunked");
}

void http_chunk_bytes(struct http_exchange *x, const void *bytes, size_t len)
{
	_cleanup_buf_ struct buf chunk = { 0 };

	ALLOCATE_SAFELY;
	buf_printf(&chunk, "%zx\r\n", len);
	buf_append(&chunk, bytes, len);
	buf_puts(&chunk, "\r\n");
	http_raw(x, chunk.data, chunk.len);
}

void http_chunk(struct http_exchange *x, const char *text)
{
	http_chunk_bytes(x, text, strlen(text));
}

void http_end(struct http_exchange *x)
{
	ALLOCATE_SAFELY;
	http_raw(x, "0\r\n\r\n", 5);
	exchange_end(x);
}

void http_cut(struct http_exchange *x)
{
	if (x->connection)
		connection_close(x->connection);
}

void http_reset(struct http_exchange *x)
{
	struct linger at_once = { .l_onoff = 1 };

	if (!x->connection)
		return;
	assert_int_equal(
		setsockopt(x->connection->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)), 0);
	connection_close(x->connection);
}
