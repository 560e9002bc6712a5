/* exec-credential.h - what an exec plugin is told and what it answers: ExecCredential, as JSON.
 *
 * Source: client.authentication.k8s.io/v1 (KEP-541).
 */
#ifndef KUBE_NFT_API_EXEC_CREDENTIAL_H
#define KUBE_NFT_API_EXEC_CREDENTIAL_H

#include <stddef.h>
#include <stdint.h>

struct api_access;
struct error;
struct exec_plugin;
struct secret;

struct exec_credential {
	struct secret *token;             /* NULL: none */
	struct secret *certificate, *key; /* PEM; both or none */
	int64_t expires_s;                /* since the epoch; 0: never */
};

/* The text of KUBERNETES_EXEC_INFO for the plugin of @a, to be freed. Reads the CA file when the plugin
 * wants to know about the cluster. */
int exec_info_build(const struct api_access *a, char **ret, struct error *err);
/* What @plugin wrote. -EINVAL, -E2BIG, -ENOMEM; the sentence quotes none of it. */
int exec_credential_read(const struct exec_plugin *plugin, const char *text, size_t len,
			 struct exec_credential *ret, struct error *err);
void exec_credential_free(struct exec_credential *c);

#endif
