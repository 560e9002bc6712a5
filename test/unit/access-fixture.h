/* access-fixture.h - kubeconfigs that are accepted or refused.
 *
 * Secrets in them are all called "canary", in plain or in base64; no sentence may hold them.
 */
#ifndef KUBE_NFT_TEST_ACCESS_FIXTURE_H
#define KUBE_NFT_TEST_ACCESS_FIXTURE_H

#include "api/access-internal.h"

struct error;
struct secret;

#define CANARY_BASE64 "Y2FuYXJ5" /* "canary" */

#define SERVER "server: 'https://10.0.0.1:6443'"
#define EXEC_V1 "apiVersion: client.authentication.k8s.io/v1, interactiveMode: Never"

/* A kubeconfig of one cluster and one user, in flow style, whose lines may be replaced. */
struct config {
	const char *cluster, *user, *rest;
};

/* Valid until the next call. */
const char *config_text(struct config c);

/* What access_parse_kubeconfig() says of it. */
int config_parse(const char *text, const char *master, struct api_access **ret, struct error *err);
/* It is taken. The caller frees it. */
struct api_access *config_accept_with(struct config c, const char *master);
struct api_access *config_accept(struct config c);
/* It is refused, in these words. */
void config_refuse_text(const char *text, int code, const char *sentence);
void config_refuse(struct config c, const char *sentence);

void assert_secret(const struct secret *s, const char *text);

#endif
