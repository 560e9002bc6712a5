#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "api/call.h"
#include "api/credentials.h"
#include "api/server.h"
#include "base/buf.h"
#include "base/secret.h"

/* A silent peer is probed from @KEEPALIVE_IDLE_S on, and given up at a probe, so that the last one before
 * API_DEAD_PEER_MS has to be late enough for TCP_USER_TIMEOUT. */
enum {
	KEEPALIVE_IDLE_S = 15,
	KEEPALIVE_INTERVAL_S = 5,
	USER_TIMEOUT_MS = API_DEAD_PEER_MS - KEEPALIVE_INTERVAL_S * 1000,
};

/* Each of the functions that set options: true when memory was short. */
#define OPTION(option, value) (curl_easy_setopt(easy, (option), (value)) != CURLE_OK)

/* CURLOPT_SOCKOPTFUNCTION. */
static int on_socket_made(void *userdata, curl_socket_t fd, curlsocktype purpose)
{
	unsigned timeout_ms = USER_TIMEOUT_MS;

	(void)userdata;
	(void)purpose;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof(timeout_ms));
	return CURL_SOCKOPT_OK;
}

static bool connection_configure(const struct api_call *call, CURL *easy)
{
	const struct server *s = call->common->server;

	return OPTION(CURLOPT_PROTOCOLS_STR, "http,https") ||
	       /* A server that has no TLS can't say that it has HTTP/2. */
	       OPTION(CURLOPT_HTTP_VERSION,
		      s->tls ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1) ||
	       OPTION(CURLOPT_PIPEWAIT, 1L) ||
	       OPTION(CURLOPT_CONNECTTIMEOUT_MS, (long)API_CONNECT_TIMEOUT_MS) ||
	       OPTION(CURLOPT_DNS_CACHE_TIMEOUT, 0L) ||
	       /* Without it, who drops a call waits until the resolver's thread has given up. */
	       OPTION(CURLOPT_QUICK_EXIT, 1L) || OPTION(CURLOPT_NOSIGNAL, 1L) ||
	       OPTION(CURLOPT_TCP_KEEPALIVE, 1L) ||
	       OPTION(CURLOPT_TCP_KEEPIDLE, (long)KEEPALIVE_IDLE_S) ||
	       OPTION(CURLOPT_TCP_KEEPINTVL, (long)KEEPALIVE_INTERVAL_S) ||
	       OPTION(CURLOPT_SOCKOPTFUNCTION, on_socket_made) ||
	       /* Neither the environment nor NO_PROXY is libcurl's to read: proxy.h. */
	       OPTION(CURLOPT_PROXY, s->proxy) || OPTION(CURLOPT_NOPROXY, "") ||
	       OPTION(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
}

static bool tls_configure(const struct api_call *call, CURL *easy,
			  const struct credentials_view *view)
{
	if (OPTION(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) ||
	    OPTION(CURLOPT_PROXY_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2))
		return true;
	if (call->common->insecure &&
	    (OPTION(CURLOPT_SSL_VERIFYPEER, 0L) || OPTION(CURLOPT_SSL_VERIFYHOST, 0L) ||
	     OPTION(CURLOPT_PROXY_SSL_VERIFYPEER, 0L) || OPTION(CURLOPT_PROXY_SSL_VERIFYHOST, 0L)))
		return true;
	/* The system's folder of CAs is trusted beside the file unless it is taken away. */
	if (view->ca_path &&
	    (OPTION(CURLOPT_CAINFO, view->ca_path) || OPTION(CURLOPT_CAPATH, NULL) ||
	     OPTION(CURLOPT_PROXY_CAINFO, view->ca_path) || OPTION(CURLOPT_PROXY_CAPATH, NULL)))
		return true;
	return view->certificate_path && (OPTION(CURLOPT_SSLCERT, view->certificate_path) ||
					  OPTION(CURLOPT_SSLKEY, view->key_path));
}

static bool method_configure(const struct api_call *call, CURL *easy)
{
	static const char *const names[] = {
		[API_GET] = NULL,        [API_POST] = NULL,
		[API_PUT] = "PUT",       [API_MERGE_PATCH] = "PATCH",
		[API_DELETE] = "DELETE",
	};
	const struct api_request *request = &call->request;
	const char *name = names[request->method];

	if (request->body || request->method == API_POST) {
		if (OPTION(CURLOPT_POST, 1L) ||
		    OPTION(CURLOPT_POSTFIELDS, request->body ? request->body : "") ||
		    OPTION(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_len))
			return true;
	}
	return name && OPTION(CURLOPT_CUSTOMREQUEST, name);
}

static bool request_configure(struct api_call *call, CURL *easy)
{
	const struct server *s = call->common->server;
	_cleanup_buf_ struct buf url = { 0 };

	buf_printf(&url, "%s%s", s->url, call->request.path);
	return buf_error(&url) < 0 || OPTION(CURLOPT_URL, buf_text(&url)) ||
	       OPTION(CURLOPT_PATH_AS_IS, 1L) || method_configure(call, easy) ||
	       (!call->request.uncompressed && OPTION(CURLOPT_ACCEPT_ENCODING, "gzip")) ||
	       OPTION(CURLOPT_USERAGENT, call->common->user_agent) ||
	       OPTION(CURLOPT_ERRORBUFFER, call->curl_error);
}

/* True when memory was short. */
static bool list_append(struct curl_slist **list, const char *text)
{
	struct curl_slist *longer = curl_slist_append(*list, text);

	if (!longer)
		return true;
	*list = longer;
	return false;
}

/* Printable ASCII without space: what can't end a header. */
static bool is_header_word(const char *text)
{
	for (; *text; text++)
		if (*text <= ' ' || *text >= 0x7f)
			return false;
	return true;
}

/* Made in one piece, so that no other copy is left behind. */
static bool bearer_append(struct api_call *call, const struct secret *bearer)
{
	static const char start[] = "Authorization: Bearer ";
	size_t len, size;
	const char *token = secret_reveal(bearer, &len);
	char *line;
	bool failed;

	size = sizeof(start) + len;
	line = malloc(size);
	if (!line)
		return true;
	snprintf(line, size, "%s%s", start, token);
	failed = list_append(&call->headers, line);
	secret_wipe(line, size);
	free(line);
	return failed;
}

static bool headers_configure(struct api_call *call, CURL *easy,
			      const struct credentials_view *view)
{
	const struct server *s = call->common->server;
	char host[300];

	if (s->host) {
		snprintf(host, sizeof(host), "Host: %s", s->host);
		if (list_append(&call->headers, host))
			return true;
	}
	if (list_append(&call->headers, "Accept: application/json") ||
	    /* Or libcurl waits a second for a "100 Continue" before it sends much. */
	    list_append(&call->headers, "Expect:"))
		return true;
	if (call->request.body &&
	    list_append(&call->headers, call->request.method == API_MERGE_PATCH ?
						"Content-Type: application/merge-patch+json" :
						"Content-Type: application/json"))
		return true;
	return (view->bearer && bearer_append(call, view->bearer)) ||
	       OPTION(CURLOPT_HTTPHEADER, call->headers);
}

static bool password_configure(CURL *easy, const struct credentials_view *view)
{
	return OPTION(CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC) ||
	       OPTION(CURLOPT_USERNAME, view->username) ||
	       OPTION(CURLOPT_PASSWORD, view->password ? secret_reveal(view->password, NULL) : "");
}

static bool address_configure(struct api_call *call, CURL *easy)
{
	const char *connect_to = call->common->server->connect_to;

	return connect_to && (list_append(&call->connect_to, connect_to) ||
			      OPTION(CURLOPT_CONNECT_TO, call->connect_to));
}

int call_configure(struct api_call *call, const struct credentials_view *view, struct error *err)
{
	CURL *easy = call->easy;

	if (view->bearer && !is_header_word(secret_reveal(view->bearer, NULL)))
		return error_set(err, -EACCES,
				 "the token holds a space or another character that none may have");
	if (connection_configure(call, easy) || address_configure(call, easy) ||
	    tls_configure(call, easy, view) || request_configure(call, easy) ||
	    headers_configure(call, easy, view) ||
	    (view->username && !view->bearer && password_configure(easy, view)))
		return error_errno(err, ENOMEM, "HTTP request");
	return 0;
}
