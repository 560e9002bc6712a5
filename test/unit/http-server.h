/* http-server.h - a scripted HTTP/1.1 server in the test's own loop, on a port of 127.0.0.1.
 *
 * The test is a story, told from top to bottom; nothing happens behind its back:
 *
 *     struct http_server *s = http_server_new(loop);
 *     ... whoever is tested asks http_server_url(s) ...
 *     struct http_exchange *x = http_next(s);
 *     assert_string_equal(http_target(x), "/api/v1/services?watch=true");
 *     http_begin(x, 200, NULL);
 *     http_chunk(x, "{\"type\":");
 *     http_settle(s);
 *     http_chunk(x, "\"ADDED\"}");
 *     http_end(x);
 *
 * Every function fails the test when it can't do its job. Exchanges and their texts live until
 * http_server_free(); what is sent to a client that has gone is dropped. The server's own allocations
 * are hidden from fail_alloc_at().
 */
#ifndef KUBE_NFT_TEST_HTTP_SERVER_H
#define KUBE_NFT_TEST_HTTP_SERVER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/loop.h"

struct http_exchange;
struct http_server;

struct http_server *http_server_new(struct loop *loop);
struct http_server *http_server_free(struct http_server *s); /* NULL is fine; returns NULL */
/* "http://127.0.0.1:PORT" */
const char *http_server_url(const struct http_server *s);
/* Connections are refused from now on, and those that are there are closed. */
void http_server_down(struct http_server *s);
/* Again, on the same port. */
void http_server_up(struct http_server *s);

/* Requests that have come whole, since the beginning; connections likewise. */
size_t http_requests(const struct http_server *s);
size_t http_connections(const struct http_server *s);
/* The first request that was not yet handed out: turns the loop until it is there. */
struct http_exchange *http_next(struct http_server *s);
/* Instead of http_next(): @answer is called for each request as soon as it has come whole. It may answer
 * at once or keep @x for later. */
void http_answer(struct http_server *s, void (*answer)(struct http_exchange *x, void *userdata),
		 void *userdata);

/* Turn the loop until @condition holds; fails the test when it never does. */
void http_wait(struct http_server *s, bool (*condition)(void *userdata), void *userdata);
/* Turn the loop until all that was sent has been heard. */
void http_settle(struct http_server *s);

const char *http_method(const struct http_exchange *x);
const char *http_target(const struct http_exchange *x); /* as sent: path and query */
/* NULL when there is none. @name without regard to case. */
const char *http_header(const struct http_exchange *x, const char *name);
const char *http_body(const struct http_exchange *x); /* "" when there was none */
/* 1 is the first connection to this server. */
size_t http_connection(const struct http_exchange *x);
/* The client has closed the connection before the answer was complete. */
bool http_gone(const struct http_exchange *x);

/* The whole answer. @headers: lines that end in \r\n; NULL: "Content-Type: application/json". */
void http_reply(struct http_exchange *x, int status, const char *headers, const char *body);
/* The answer by and by: head, pieces, end. */
void http_begin(struct http_exchange *x, int status, const char *headers);
void http_chunk(struct http_exchange *x, const char *text);
void http_chunk_bytes(struct http_exchange *x, const void *bytes, size_t len);
void http_end(struct http_exchange *x);
/* Bytes as they are, for what no server should say; http_cut() behind them ends the answer. */
void http_raw(struct http_exchange *x, const void *bytes, size_t len);
/* Close the connection, in order or by a reset, wherever the answer is. */
void http_cut(struct http_exchange *x);
void http_reset(struct http_exchange *x);

#endif
