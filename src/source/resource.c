#include "source/resource.h"

#include <string.h>

#include "base/buf.h"

static const struct {
	const char *group; /* and version */
	const char *name;
} resources[KIND_COUNT] = {
	[KIND_SERVICE] = { "/api/v1", "services" },
	[KIND_ENDPOINT_SLICE] = { "/apis/discovery.k8s.io/v1", "endpointslices" },
	[KIND_POD] = { "/api/v1", "pods" },
	[KIND_NODE] = { "/api/v1", "nodes" },
	[KIND_NAMESPACE] = { "/api/v1", "namespaces" },
	[KIND_NETWORK_POLICY] = { "/apis/networking.k8s.io/v1", "networkpolicies" },
};

const char *resource_name(enum object_kind kind)
{
	return resources[kind].name;
}

void resource_path(struct buf *path, enum object_kind kind)
{
	buf_puts(path, resources[kind].group);
	buf_puts(path, "/");
	buf_puts(path, resources[kind].name);
}

void resource_query(struct buf *path, const char *name, const char *value)
{
	/* RFC 3986: the characters that never need encoding. */
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789-._~";

	if (!value)
		return;
	buf_puts(path, strchr(buf_text(path), '?') ? "&" : "?");
	buf_puts(path, name);
	buf_puts(path, "=");
	while (*value) {
		size_t n = strspn(value, plain);

		buf_append(path, value, n);
		value += n;
		if (*value)
			buf_printf(path, "%%%02X", (unsigned char)*value++);
	}
}
