/* access.h - where the API server is and what proves who we are: as configured, nothing read yet.
 *
 * From a kubeconfig file (its current context) or from a pod's service account.
 * Source: kubeconfig v1 (k8s.io/client-go/tools/clientcmd/api/v1), "Accessing the API from a Pod",
 * client.authentication.k8s.io/v1.
 */
#ifndef KUBE_NFT_API_ACCESS_H
#define KUBE_NFT_API_ACCESS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"

struct arena;
struct error;
struct secret;

enum access_limit {
	KUBECONFIG_MAX_BYTES = 1024 * 1024,
	KUBECONFIG_MAX_ENTRIES = 1024, /* clusters, users, contexts: each */
	EXEC_MAX_ARGS = 64,
	EXEC_MAX_ENV = 64,
};

/* PEM in a file, or in memory when the kubeconfig had it inline. At most one of them is set. */
struct pem {
	const char *path;       /* absolute, or relative to where the agent was started */
	struct secret *content; /* of *-data, base64 taken off */
};

struct exec_env {
	const char *name, *value;
};

/* An exec credential plugin (KEP-541). */
struct exec_plugin {
	const char *api_version; /* client.authentication.k8s.io/v1 or v1beta1 */
	const char *command;     /* resolved against the kubeconfig's folder when it has a slash */
	const char *const *args; /* @n_args, without the command */
	size_t n_args;
	const struct exec_env *env; /* on top of the agent's own environment */
	size_t n_env;
	const char *install_hint; /* may be NULL */
	bool provide_cluster_info;
	const char *cluster_config; /* JSON, to go with the cluster's info; may be NULL */
};

struct api_access {
	struct arena *arena; /* owns the strings and this struct */
	const char *server;  /* "https://[fd00::1]:6443" or with a path; no slash at its end */
	const char *tls_server_name; /* NULL: the host of @server */
	bool insecure;               /* insecure-skip-tls-verify */
	struct pem ca;               /* neither: the system's */
	/* For curl; may hold a password. NULL: as the environment says (HTTPS_PROXY, NO_PROXY). */
	const char *proxy_url;

	/* None of these when @server is not encrypted. */
	struct pem certificate, key;
	struct secret *token;   /* inline; @token_file goes first */
	const char *token_file; /* read again every minute and after a 401 */
	const char *username;   /* basic authentication, may be NULL */
	struct secret *password;
	const struct exec_plugin *exec; /* NULL: none; only where nothing else is configured */
};

/* The current context of the kubeconfig @path. @master (may be NULL) replaces its server. Paths in it
 * are relative to its folder. -ENOENT, -EACCES, -EINVAL, -E2BIG; the sentence names the field, never a
 * secret's value. */
int access_read_kubeconfig(const char *path, const char *master, struct api_access **ret,
			   struct error *err);
/* As access_read_kubeconfig() from text; @folder is what its paths are relative to. */
int access_parse_kubeconfig(const char *text, size_t len, const char *folder, const char *master,
			    struct api_access **ret, struct error *err);
/* The service account of the pod that this runs in: KUBERNETES_SERVICE_HOST and
 * KUBERNETES_SERVICE_PORT, unless @master (may be NULL) is given; token and CA of
 * /var/run/secrets/kubernetes.io/serviceaccount. -ENOENT when this is no pod. */
int access_in_cluster(const char *master, struct api_access **ret, struct error *err);

/* NULL is fine; returns NULL. */
struct api_access *access_free(struct api_access *a);
DEFINE_CLEANUP(struct api_access, access_free);

#endif
