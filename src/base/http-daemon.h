/* http-daemon.h - answering HTTP on ports of this host, by libmicrohttpd on the event loop.
 *
 * One daemon has any number of listeners, each with an address family, a port and who answers there. A
 * connection is for one request, of any method, and has a deadline from its beginning to its end that no
 * byte sent moves. When connections are too many, the oldest one of the listener that has most of them
 * goes: a flood at one port leaves the others alone. What a client sends costs a bounded amount of
 * memory, and is never logged.
 */
#ifndef KUBE_NFT_BASE_HTTP_DAEMON_H
#define KUBE_NFT_BASE_HTTP_DAEMON_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/cleanup.h"

struct error;
struct http_daemon;
struct http_listener;
struct loop;

enum http_daemon_limit {
	HTTP_DAEMON_MAX_CONNECTIONS = 64, /* of all listeners together */
	HTTP_DAEMON_MAX_BYTES = 8192,     /* a connection: what was read and the answer's head */
	HTTP_DAEMON_DEADLINE_MS = 10000,  /* of a connection, as a rule */
	HTTP_DAEMON_BACKLOG = 64,         /* connections of one listener that wait to be accepted */
	HTTP_DAEMON_PAUSE_MS = 1000, /* without accepting, when descriptors or memory are short */
};

/* Filled by who answers. */
struct http_answer {
	unsigned status;          /* 200 when given */
	const char *content_type; /* a literal; "text/plain" when given */
	const char *header;       /* one more, a literal; NULL: none */
	char header_value[64];
	struct buf body; /* empty when given; one that could not grow is answered by 500 */
};

/* Answer a request for @path (as sent, without its query). Must not free listeners. */
typedef void (*http_answer_fn)(const char *path, struct http_answer *answer, void *userdata);

/* Nothing listens yet. @deadline_ms: of each connection. */
int http_daemon_new(struct loop *loop, uint64_t deadline_ms, struct http_daemon **ret,
		    struct error *err);
/* Closes all connections; the listeners must be gone. NULL is fine; returns NULL. */
struct http_daemon *http_daemon_free(struct http_daemon *d);
DEFINE_CLEANUP(struct http_daemon, http_daemon_free);
/* How many connections there are. */
size_t http_daemon_connections(const struct http_daemon *d);

/* Listen at @port (0: any that is free) of all addresses of @family. -EADDRINUSE and other errors of
 * socket, bind, listen; -EMFILE already when half of the process's descriptors are in use. */
int http_listener_new(struct http_daemon *d, uint8_t family, uint16_t port, http_answer_fn answer,
		      void *userdata, struct http_listener **ret, struct error *err);
/* Its connections end with it. NULL is fine; returns NULL. */
struct http_listener *http_listener_free(struct http_listener *l);
DEFINE_CLEANUP(struct http_listener, http_listener_free);
uint16_t http_listener_port(const struct http_listener *l);

#endif
