#include "api/proxy.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/addr.h"

enum { NAME_MAX_BYTES = 256 };

/* A piece of NO_PROXY. */
struct pattern {
	char host[NAME_MAX_BYTES];
	const char *port; /* NULL: any */
};

static const char *environment(const char *name, const char *small_name)
{
	const char *value = getenv(name);

	if (!value || !value[0])
		value = getenv(small_name);
	return value && value[0] ? value : NULL;
}

/* Cut the port off: "name:port", "1.2.3.4:port", "[addr]:port", "[addr]"; "addr" is an IPv6 address. */
static void pattern_cut(struct pattern *p)
{
	char *colon = strrchr(p->host, ':'), *bracket = strchr(p->host, ']');
	struct addr a;

	p->port = NULL;
	if (addr_parse(p->host, &a) == 0 || strchr(p->host, '/'))
		return;
	if (colon && (!bracket || colon > bracket)) {
		*colon = '\0';
		p->port = colon + 1;
	}
	if (p->host[0] == '[' && bracket) {
		*bracket = '\0';
		memmove(p->host, p->host + 1, strlen(p->host));
	}
}

static bool address_matches(const char *pattern, const struct addr *a)
{
	struct prefix prefix;
	struct addr other;

	if (strchr(pattern, '/'))
		return prefix_parse(pattern, &prefix) == 0 && prefix_contains(&prefix, a);
	return addr_parse(pattern, &other) == 0 && addr_equal(&other, a);
}

/* "example.com" and all names below it; ".example.com" and "*.example.com" only what is below. */
static bool name_matches(const char *pattern, const char *host)
{
	bool below_only = pattern[0] == '*' || pattern[0] == '.';
	size_t len, host_len = strlen(host);

	pattern += pattern[0] == '*' ? 1 : 0;
	pattern += pattern[0] == '.' ? 1 : 0;
	len = strlen(pattern);
	if (len == 0 || host_len < len || strcasecmp(host + host_len - len, pattern) != 0)
		return false;
	return host_len == len ? !below_only : host[host_len - len - 1] == '.';
}

static bool pattern_matches(const char *text, size_t len, const char *host, const char *port)
{
	struct pattern p;
	struct addr a;

	while (len > 0 && strchr(" \t", *text)) {
		text++;
		len--;
	}
	while (len > 0 && strchr(" \t", text[len - 1]))
		len--;
	if (len == 0 || len >= sizeof(p.host))
		return false;
	memcpy(p.host, text, len);
	p.host[len] = '\0';
	if (strcmp(p.host, "*") == 0)
		return true;

	pattern_cut(&p);
	if (p.port && strcmp(p.port, port) != 0)
		return false;
	return addr_parse(host, &a) == 0 ? address_matches(p.host, &a) : name_matches(p.host, host);
}

static bool host_is_excepted(const char *host, const char *port)
{
	const char *rest = environment("NO_PROXY", "no_proxy");
	struct addr a;

	if (strcasecmp(host, "localhost") == 0 ||
	    (addr_parse(host, &a) == 0 && addr_is_loopback(&a)))
		return true;
	while (rest && *rest) {
		size_t len = strcspn(rest, ",");

		if (pattern_matches(rest, len, host, port))
			return true;
		rest += len + (rest[len] ? 1 : 0);
	}
	return false;
}

const char *proxy_from_environment(bool tls, const char *host, const char *port)
{
	const char *proxy = tls ? environment("HTTPS_PROXY", "https_proxy") :
				  environment("HTTP_PROXY", "http_proxy");

	return proxy && !host_is_excepted(host, port) ? proxy : NULL;
}
