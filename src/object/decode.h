/* decode.h - from a JSON tree to a typed object.
 *
 * YAML comes here too, through object/yaml.h. Unknown fields are ignored. An unknown enum value gets
 * the default that the API documents and is counted in decode_stats. A bad object is refused whole,
 * with kind, namespace/name and the path of the field in the error:
 *     "Service default/web: spec.ports[1].port: 70000 is not a port (1 to 65535)"
 */
#ifndef KUBE_NFT_OBJECT_DECODE_H
#define KUBE_NFT_OBJECT_DECODE_H

#include <jansson.h>
#include <stdint.h>

#include "object/object.h"

struct error;

struct decode_stats {
	uint64_t unknown_enums;  /* values replaced by their documented default */
	uint64_t clamped_values; /* not refused, put inside its limits (affinity timeout) */
};

/* Decode one object. @root is borrowed. Does not accept lists.
 * Errors: -EINVAL (a field), -E2BIG (a named limit), -ENOENT (apiVersion and kind that the agent does
 * not read: the caller skips it), -ENOMEM. @stats may be NULL. */
int object_decode(const json_t *root, struct object **ret, struct decode_stats *stats,
		  struct error *err);
/* As object_decode() for a document of which it is known what it is; whether it says so itself makes no
 * difference, but when it says that it is something else it is refused. */
int object_decode_kind(const json_t *root, enum object_kind kind, struct object **ret,
		       struct decode_stats *stats, struct error *err);

/* Parse @len bytes of JSON text, with OBJECT_MAX_BYTES and OBJECT_MAX_DEPTH, duplicate keys refused,
 * into a tree that the caller owns. -EINVAL with line and column, -E2BIG, -ENOMEM. */
int json_parse(const char *text, size_t len, json_t **ret, struct error *err);
/* The text of an array or an object on one line, to be freed by the caller. -ENOMEM. */
int json_print(const json_t *json, char **ret);

#endif
