#include "api/access-internal.h"

#include <curl/curl.h>
#include <errno.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/secret.h"

enum { ARENA_BYTES = 1024 };

#define HTTPS "https://"

int access_new(struct api_access **ret, struct error *err)
{
	struct arena *arena = arena_new(ARENA_BYTES);
	struct api_access *a = arena ? arena_alloc(arena, sizeof(*a)) : NULL;

	if (!a) {
		arena_free(arena);
		return error_set(err, -ENOMEM, "out of memory");
	}
	a->arena = arena;
	*ret = a;
	return 0;
}

struct api_access *access_free(struct api_access *a)
{
	if (!a)
		return NULL;
	secret_free(a->ca.content);
	secret_free(a->certificate.content);
	secret_free(a->key.content);
	secret_free(a->token);
	secret_free(a->password);
	arena_free(a->arena);
	return NULL;
}

static int url_error(CURLUcode code, struct error *err)
{
	switch (code) {
	case CURLUE_OK:
		return 0;
	case CURLUE_OUT_OF_MEMORY:
		return error_set(err, -ENOMEM, "out of memory");
	case CURLUE_USER_NOT_ALLOWED:
		return error_set(err, -EINVAL, "holds a user name");
	default:
		return error_set(err, -EINVAL, "is not a URL: %s", curl_url_strerror(code));
	}
}

/* Sets *@ret to a copy of @part in the arena of @a. */
static int url_keep(struct api_access *a, CURLU *url, CURLUPart part, const char **ret,
		    struct error *err)
{
	char *text = NULL;
	int r;

	r = url_error(curl_url_get(url, part, &text, 0), err);
	if (r < 0)
		return r;
	*ret = arena_strdup(a->arena, text);
	curl_free(text);
	return *ret ? 0 : error_set(err, -ENOMEM, "out of memory");
}

static int url_parse(const char *text, unsigned flags, CURLU **ret, struct error *err)
{
	CURLU *url = curl_url();
	int r;

	if (!url)
		return error_set(err, -ENOMEM, "out of memory");
	r = url_error(curl_url_set(url, CURLUPART_URL, text, flags), err);
	if (r < 0)
		curl_url_cleanup(url);
	else
		*ret = url;
	return r;
}

static void url_freep(CURLU **url)
{
	curl_url_cleanup(*url);
}

/* The words end with NULL. */
static int scheme_check(struct api_access *a, CURLU *url, const char *const *words,
			const char **ret, struct error *err)
{
	int r;

	r = url_keep(a, url, CURLUPART_SCHEME, ret, err);
	if (r < 0)
		return r;
	for (; *words; words++)
		if (strcmp(*ret, *words) == 0)
			return 0;
	return error_set(err, -EINVAL, "has a scheme that is not supported");
}

int access_set_server(struct api_access *a, const char *url, struct error *err)
{
	static const char *const schemes[] = { "http", "https", NULL };
	_cleanup_(url_freep) CURLU *parts = NULL;
	const char *scheme, *server;
	size_t len;
	int r;

	r = url_parse(url, CURLU_DEFAULT_SCHEME | CURLU_DISALLOW_USER | CURLU_NON_SUPPORT_SCHEME,
		      &parts, err);
	if (r < 0)
		return r;
	r = scheme_check(a, parts, schemes, &scheme, err);
	if (r < 0)
		return r;
	curl_url_set(parts, CURLUPART_QUERY, NULL, 0);
	curl_url_set(parts, CURLUPART_FRAGMENT, NULL, 0);
	r = url_keep(a, parts, CURLUPART_URL, &server, err);
	if (r < 0)
		return r;
	for (len = strlen(server); len > 0 && server[len - 1] == '/';)
		len--;
	a->server = arena_strndup(a->arena, server, len);
	return a->server ? 0 : error_set(err, -ENOMEM, "out of memory");
}

int access_set_proxy(struct api_access *a, const char *url, struct error *err)
{
	static const char *const schemes[] = { "http", "https", "socks5", NULL };
	_cleanup_(url_freep) CURLU *parts = NULL;
	const char *scheme;
	int r;

	r = url_parse(url, CURLU_NON_SUPPORT_SCHEME, &parts, err);
	if (r < 0)
		return r;
	r = scheme_check(a, parts, schemes, &scheme, err);
	if (r < 0)
		return r;
	/* To others "socks5" means that the proxy looks up names, which curl calls "socks5h". */
	if (strcmp(scheme, "socks5") == 0)
		r = url_error(curl_url_set(parts, CURLUPART_SCHEME, "socks5h",
					   CURLU_NON_SUPPORT_SCHEME),
			      err);
	return r < 0 ? r : url_keep(a, parts, CURLUPART_URL, &a->proxy_url, err);
}

bool access_is_encrypted(const struct api_access *a)
{
	return strncmp(a->server, HTTPS, strlen(HTTPS)) == 0;
}
