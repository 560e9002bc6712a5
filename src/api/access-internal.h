/* access-internal.h - what the two ways to an api_access have in common. */
#ifndef KUBE_NFT_API_ACCESS_INTERNAL_H
#define KUBE_NFT_API_ACCESS_INTERNAL_H

#include "api/access.h"

struct error;

int access_new(struct api_access **ret, struct error *err);
/* A URL, or HOST[:PORT] for https. Queries and fragments are dropped. -EINVAL, -ENOMEM; the sentence
 * does not quote the URL, which may hold a password. */
int access_set_server(struct api_access *a, const char *url, struct error *err);
/* http, https or socks5. */
int access_set_proxy(struct api_access *a, const char *url, struct error *err);
/* What proves who we are is for an encrypted connection only. */
bool access_is_encrypted(const struct api_access *a);

/* As access_in_cluster(): the service account in @folder, the API server at @host and @port, each of
 * which may be NULL. */
int access_service_account(const char *folder, const char *host, const char *port,
			   const char *master, struct api_access **ret, struct error *err);

#endif
