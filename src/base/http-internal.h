/* http-internal.h - what http-daemon.c and http-listener.c share. */
#ifndef KUBE_NFT_BASE_HTTP_INTERNAL_H
#define KUBE_NFT_BASE_HTTP_INTERNAL_H

#include <stdint.h>

#include "base/http-daemon.h"

struct http_connection {
	int fd;                         /* libmicrohttpd's; -EBADF: this room is free */
	struct http_listener *listener; /* NULL: cut, and about to be closed */
	uint64_t deadline_us;
};

struct http_daemon {
	struct loop *loop;
	struct MHD_Daemon *mhd;
	uint64_t deadline_ms;
	struct loop_source *readable; /* a socket of libmicrohttpd's is ready */
	struct loop_source *work;     /* libmicrohttpd wants to be called though none is */
	struct loop_source *deadline; /* of the connection that has the first one */
	struct loop_source *resume;   /* accepting */
	struct http_connection connections[HTTP_DAEMON_MAX_CONNECTIONS];
	struct http_listener *listeners;
};

struct http_listener {
	struct http_daemon *daemon;
	int fd;
	struct loop_source *acceptable;
	http_answer_fn answer;
	void *userdata;
	struct http_listener *prev, *next;
};

/* Let libmicrohttpd do what there is to do. 0 or a negative errno of the loop. */
int http_daemon_run(struct http_daemon *d);
/* Serve the connection @fd, which is taken in any case. 0 or a negative errno of the loop. */
int http_daemon_adopt(struct http_daemon *d, int fd, struct http_listener *l);
/* End the connections of @l. */
void http_daemon_cut(struct http_daemon *d, const struct http_listener *l);
/* Accept again at all listeners, those that had paused. */
int http_listeners_resume(struct http_daemon *d);

#endif
