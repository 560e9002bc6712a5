/* resource.h - where the API server keeps the objects of a kind, and how it is asked for them.
 *
 * Source: Kubernetes API concepts (kubernetes.io/docs/reference/using-api/api-concepts).
 */
#ifndef KUBE_NFT_SOURCE_RESOURCE_H
#define KUBE_NFT_SOURCE_RESOURCE_H

#include "object/object.h"

struct buf;

/* "services", "endpointslices", ... */
const char *resource_name(enum object_kind kind);
/* Write "/api/v1/services" to @path: those of all namespaces. */
void resource_path(struct buf *path, enum object_kind kind);
/* Append "?NAME=VALUE", or "&NAME=VALUE" when @path has a query; the value is percent-encoded. Nothing
 * when @value is NULL. */
void resource_query(struct buf *path, const char *name, const char *value);

#endif
