#include "api/http.h"

#include <errno.h>
#include <sys/epoll.h>

#include "base/error.h"
#include "base/loop.h"

struct http {
	struct loop *loop;
	CURLM *multi;
	struct loop_source *timer;
	void (*progress)(struct http *h, void *userdata);
	void *userdata;
	unsigned references;
	int error;
};

/* libcurl has run and said @code. */
static void http_ran(struct http *h, CURLMcode code)
{
	if (code != CURLM_OK)
		h->error = -ENOMEM;
	http_ref(h);
	h->progress(h, h->userdata);
	http_unref(h);
}

static int on_socket_event(int fd, uint32_t epoll_events, void *userdata)
{
	struct http *h = userdata;
	int events = 0, running;

	if (epoll_events & EPOLLIN)
		events |= CURL_CSELECT_IN;
	if (epoll_events & EPOLLOUT)
		events |= CURL_CSELECT_OUT;
	if (epoll_events & (EPOLLERR | EPOLLHUP))
		events |= CURL_CSELECT_ERR;
	http_ran(h, curl_multi_socket_action(h->multi, fd, events, &running));
	return 0;
}

static int on_timer(void *userdata)
{
	struct http *h = userdata;
	int running;

	http_ran(h, curl_multi_socket_action(h->multi, CURL_SOCKET_TIMEOUT, 0, &running));
	return 0;
}

/* libcurl wants to wait for something else: CURLMOPT_SOCKETFUNCTION. After a -1 all its transfers fail. */
static int on_socket(CURL *easy, curl_socket_t fd, int what, void *userdata, void *socket_data)
{
	struct loop_source *source = socket_data;
	struct http *h = userdata;
	uint32_t events = 0;

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		loop_source_free(source);
		return 0;
	}
	if (what & CURL_POLL_IN)
		events |= EPOLLIN;
	if (what & CURL_POLL_OUT)
		events |= EPOLLOUT;
	if (source)
		return loop_fd_set_events(source, events) < 0 ? -1 : 0;
	if (loop_add_fd(h->loop, fd, events, on_socket_event, h, &source, NULL) < 0)
		return -1;
	/* Can't fail for the socket that we are asked about. */
	curl_multi_assign(h->multi, fd, source);
	return 0;
}

/* CURLMOPT_TIMERFUNCTION. */
static int on_timeout(CURLM *multi, long timeout_ms, void *userdata)
{
	struct http *h = userdata;
	int r;

	(void)multi;
	if (timeout_ms < 0)
		r = loop_timer_disarm(h->timer);
	else
		r = loop_timer_arm(h->timer, (uint64_t)timeout_ms);
	return r < 0 ? -1 : 0;
}

int http_new(struct loop *loop, void (*progress)(struct http *h, void *userdata), void *userdata,
	     struct http **ret, struct error *err)
{
	_cleanup_(http_unrefp) struct http *h = calloc(1, sizeof(*h));
	int r;

	if (!h)
		return error_errno(err, ENOMEM, "HTTP connections");
	*h = (struct http){
		.loop = loop, .progress = progress, .userdata = userdata, .references = 1
	};
	r = loop_add_timer(loop, on_timer, h, &h->timer, err);
	if (r < 0)
		return r;
	h->multi = curl_multi_init();
	if (!h->multi)
		return error_errno(err, ENOMEM, "HTTP connections");

	curl_multi_setopt(h->multi, CURLMOPT_PIPELINING, CURLPIPE_MULTIPLEX);
	curl_multi_setopt(h->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
	curl_multi_setopt(h->multi, CURLMOPT_SOCKETDATA, h);
	curl_multi_setopt(h->multi, CURLMOPT_TIMERFUNCTION, on_timeout);
	curl_multi_setopt(h->multi, CURLMOPT_TIMERDATA, h);
	*ret = TAKE_PTR(h);
	return 0;
}

struct http *http_ref(struct http *h)
{
	h->references++;
	return h;
}

struct http *http_unref(struct http *h)
{
	if (!h || --h->references > 0)
		return NULL;
	/* First libcurl, which still tells the loop what it lets go. */
	curl_multi_cleanup(h->multi);
	loop_source_free(h->timer);
	free(h);
	return NULL;
}

int http_add(struct http *h, CURL *easy, struct error *err)
{
	if (curl_multi_add_handle(h->multi, easy) != CURLM_OK)
		return error_errno(err, ENOMEM, "HTTP request");
	return 0;
}

void http_remove(struct http *h, CURL *easy)
{
	curl_multi_remove_handle(h->multi, easy);
}

void http_nudge(struct http *h)
{
	CURLMcode code;
	int running;

	/* It is out of favour, but the only one that runs a transfer without socket and timer. */
	CURL_IGNORE_DEPRECATION(code = curl_multi_socket_all(h->multi, &running);)
	http_ran(h, code);
}

CURL *http_finished(struct http *h, CURLcode *ret_code)
{
	const CURLMsg *message;
	int left;

	do
		message = curl_multi_info_read(h->multi, &left);
	while (message && message->msg != CURLMSG_DONE);
	if (!message)
		return NULL;
	*ret_code = message->data.result;
	return message->easy_handle;
}

int http_error(const struct http *h)
{
	return h->error;
}
