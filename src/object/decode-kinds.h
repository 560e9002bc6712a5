/* decode-kinds.h - the decoder of each kind. @o is zeroed but for its metadata; errors stick to the
 * decoder behind @root. */
#ifndef KUBE_NFT_OBJECT_DECODE_KINDS_H
#define KUBE_NFT_OBJECT_DECODE_KINDS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "object/object.h"

struct field;

void service_decode(const struct field *root, struct object *o);
void endpoint_slice_decode(const struct field *root, struct object *o);
void pod_decode(const struct field *root, struct object *o);
void node_decode(const struct field *root, struct object *o);
void namespace_decode(const struct field *root, struct object *o);
void network_policy_decode(const struct field *root, struct object *o);

bool service_label_is_kept(const char *key);
bool endpoint_slice_label_is_kept(const char *key);

/* Which keys of metadata's maps are kept. NULL: all. */
struct kept_keys {
	bool (*label)(const char *key);
	bool (*annotation)(const char *key);
};

/* About how many bytes the object will take behind its struct. @root may be anything. */
size_t decode_size(enum object_kind kind, const struct kept_keys *kept, const json_t *root);

#endif
