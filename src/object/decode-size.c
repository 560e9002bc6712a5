/* How much memory an object will take, so that its arena is one chunk without much left over: there are tens
 * of thousands of them. What is rare is not counted, and costs another chunk. */
#include <string.h>

#include "object/decode-kinds.h"

/* What an arena rounds up to. */
static size_t rounded(size_t bytes)
{
	return (bytes + 7) & ~(size_t)7;
}

/* Of a copy of the string member @key. */
static size_t text_bytes(const json_t *object, const char *key)
{
	const json_t *text = json_object_get(object, key);

	return json_is_string(text) ? rounded(json_string_length(text) + 1) : 0;
}

/* Of what field_key_values() keeps. */
static size_t map_bytes(json_t *map, bool (*keep)(const char *key))
{
	size_t bytes = 0;
	const char *key;
	json_t *value;

	json_object_foreach(map, key, value)
	{
		if (!keep || keep(key))
			bytes += sizeof(struct key_value) + rounded(strlen(key) + 1) +
				 rounded(json_string_length(value) + 1);
	}
	return bytes;
}

/* Of a list of structs of @size bytes with the string member @key. */
static size_t list_bytes(const json_t *list, size_t limit, size_t size, const char *key)
{
	size_t n = json_array_size(list), bytes = rounded(n * size);

	if (n > limit)
		return 0; /* the object is refused */
	for (size_t i = 0; i < n; i++)
		bytes += text_bytes(json_array_get(list, i), key);
	return bytes;
}

/* The names of zones are few, and most of them kept once. */
static size_t endpoints_bytes(const json_t *endpoints)
{
	size_t n = json_array_size(endpoints);
	size_t bytes = 64 + n / 2 +
		       list_bytes(endpoints, SLICE_MAX_ENDPOINTS, sizeof(struct endpoint),
				  "nodeName");

	for (size_t i = 0; n <= SLICE_MAX_ENDPOINTS && i < n; i++) {
		const json_t *hints = json_object_get(json_array_get(endpoints, i), "hints");

		bytes += json_array_size(json_object_get(hints, "forZones")) * sizeof(char *);
		bytes += json_array_size(json_object_get(hints, "forNodes")) * sizeof(char *);
	}
	return bytes;
}

static size_t metadata_bytes(const json_t *meta, const struct kept_keys *kept)
{
	return text_bytes(meta, "namespace") + text_bytes(meta, "name") + text_bytes(meta, "uid") +
	       text_bytes(meta, "resourceVersion") +
	       map_bytes(json_object_get(meta, "labels"), kept->label) +
	       map_bytes(json_object_get(meta, "annotations"), kept->annotation);
}

size_t decode_size(enum object_kind kind, const struct kept_keys *kept, const json_t *root)
{
	static const size_t others[KIND_COUNT] = {
		[KIND_POD] = 128, [KIND_NODE] = 384, [KIND_NETWORK_POLICY] = 384
	};
	const json_t *spec = json_object_get(root, "spec");
	size_t bytes = metadata_bytes(json_object_get(root, "metadata"), kept) + others[kind];

	if (kind == KIND_SERVICE)
		bytes += map_bytes(json_object_get(spec, "selector"), NULL) +
			 list_bytes(json_object_get(spec, "ports"), SERVICE_MAX_PORTS,
				    sizeof(struct service_port), "name");
	if (kind == KIND_ENDPOINT_SLICE)
		bytes += endpoints_bytes(json_object_get(root, "endpoints")) +
			 list_bytes(json_object_get(root, "ports"), SLICE_MAX_PORTS,
				    sizeof(struct endpoint_port), "name");
	return bytes;
}
