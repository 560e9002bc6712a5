#include "api/server.h"

#include <errno.h>
#include <string.h>

#include <curl/curl.h>

#include "api/access.h"
#include "api/proxy.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"

/* What curl_url_get() made of a URL, and what curl_free() takes back. */
struct parts {
	char *scheme, *host, *port, *path; /* "https", "[fd00::1]", "6443", "/" */
};

static void parts_free(const struct parts *p)
{
	curl_free(p->scheme);
	curl_free(p->host);
	curl_free(p->port);
	curl_free(p->path);
}

static void url_free(CURLU **u)
{
	curl_url_cleanup(*u);
}

static int parts_parse(const char *url, struct parts *ret, struct error *err)
{
	_cleanup_(url_free) CURLU *u = curl_url();
	CURLUcode code;

	if (!u)
		return error_errno(err, ENOMEM, "URL of the API server");
	code = curl_url_set(u, CURLUPART_URL, url, 0);
	if (code == CURLUE_OK)
		code = curl_url_get(u, CURLUPART_SCHEME, &ret->scheme, 0);
	if (code == CURLUE_OK)
		code = curl_url_get(u, CURLUPART_HOST, &ret->host, 0);
	if (code == CURLUE_OK)
		code = curl_url_get(u, CURLUPART_PORT, &ret->port, CURLU_DEFAULT_PORT);
	if (code == CURLUE_OK)
		code = curl_url_get(u, CURLUPART_PATH, &ret->path, 0);
	if (code == CURLUE_OUT_OF_MEMORY)
		return error_errno(err, ENOMEM, "URL of the API server");
	/* Never the URL itself: somebody may have put a password into it. */
	if (code != CURLUE_OK)
		return error_set(err, -EINVAL, "URL of the API server: %s",
				 curl_url_strerror(code));
	if (strcmp(ret->scheme, "https") != 0 && strcmp(ret->scheme, "http") != 0)
		return error_set(err, -EINVAL, "URL of the API server: neither https nor http");
	return 0;
}

/* NULL when memory is short. */
static const char *join(struct arena *arena, const char *const *texts)
{
	_cleanup_buf_ struct buf b = { 0 };

	for (; *texts; texts++)
		buf_puts(&b, *texts);
	return buf_error(&b) < 0 ? NULL : arena_strdup(arena, buf_text(&b));
}

#define JOIN(arena, ...) join(arena, (const char *const[]){ __VA_ARGS__, NULL })

/* Without brackets. */
static const char *bare_host(struct arena *arena, const char *host)
{
	return host[0] == '[' ? arena_strndup(arena, host + 1, strlen(host) - 2) :
				arena_strdup(arena, host);
}

static const char *proxy_choose(const struct api_access *a, struct arena *arena,
				const struct parts *p, bool tls)
{
	const char *proxy = a->proxy_url, *host = bare_host(arena, p->host);

	if (!host)
		return NULL;
	if (!proxy)
		proxy = proxy_from_environment(tls, host, p->port);
	return arena_strdup(arena, proxy ? proxy : "");
}

/* libcurl takes the name for SNI and for the certificate from the URL. Another name than that of the
 * server goes there, then, and the server's own into the Host header and to where it connects. */
static bool tls_name_set(struct server *s, const struct api_access *a, struct arena *arena,
			 const struct parts *p)
{
	bool default_port = strcmp(p->port, s->tls ? "443" : "80") == 0;

	s->tls_name = a->tls_server_name;
	s->host = default_port ? arena_strdup(arena, p->host) : s->peer;
	s->connect_to = JOIN(arena, "::", s->peer);
	return s->host && s->connect_to;
}

static int server_fill(struct server *s, const struct api_access *a, struct arena *arena,
		       const struct parts *p)
{
	size_t path_len = strlen(p->path);
	const char *host = p->host, *path;

	while (path_len > 0 && p->path[path_len - 1] == '/')
		path_len--;
	path = arena_strndup(arena, p->path, path_len);
	s->tls = strcmp(p->scheme, "https") == 0;
	s->peer = JOIN(arena, p->host, ":", p->port);
	s->tls_name = bare_host(arena, p->host);
	s->proxy = proxy_choose(a, arena, p, s->tls);
	if (!path || !s->peer || !s->tls_name || !s->proxy)
		return -ENOMEM;
	if (s->tls && a->tls_server_name) {
		if (!tls_name_set(s, a, arena, p))
			return -ENOMEM;
		host = a->tls_server_name;
	}
	s->url = JOIN(arena, p->scheme, "://", host, ":", p->port, path);
	return s->url ? 0 : -ENOMEM;
}

int server_parse(const struct api_access *a, struct arena *arena, struct server *ret,
		 struct error *err)
{
	_cleanup_(parts_free) struct parts p = { 0 };
	struct server s = { 0 };
	int r;

	r = parts_parse(a->server, &p, err);
	if (r < 0)
		return r;
	r = server_fill(&s, a, arena, &p);
	if (r < 0)
		return error_errno(err, -r, "URL of the API server");
	*ret = s;
	return 0;
}
