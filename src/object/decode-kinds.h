/* decode-kinds.h - the decoder of each kind. @o is zeroed but for its metadata; errors stick to the
 * decoder behind @root. */
#ifndef KUBE_NFT_OBJECT_DECODE_KINDS_H
#define KUBE_NFT_OBJECT_DECODE_KINDS_H

struct field;
struct object;

void service_decode(const struct field *root, struct object *o);
void endpoint_slice_decode(const struct field *root, struct object *o);
void pod_decode(const struct field *root, struct object *o);
void node_decode(const struct field *root, struct object *o);
void namespace_decode(const struct field *root, struct object *o);
void network_policy_decode(const struct field *root, struct object *o);

#endif
