/* kubeconfig.h - a kubeconfig while it is read; inside of kubeconfig.c and its parts. */
#ifndef KUBE_NFT_API_KUBECONFIG_H
#define KUBE_NFT_API_KUBECONFIG_H

#include "object/field.h"

struct api_access;
struct pem;

struct kubeconfig {
	struct decoder decoder; /* its arena is the one of @access */
	struct api_access *access;
	const char *folder; /* what paths are relative to */
	struct field root;
	const json_t *exec_config; /* what the cluster has for exec plugins; NULL: nothing */
};

/* The member @key of @parent: NULL when it is absent or empty. */
const char *kubeconfig_text(const struct field *parent, const char *key);   /* of the tree */
const char *kubeconfig_string(const struct field *parent, const char *key); /* of the arena */
/* @path in the folder of the kubeconfig, unless it is absolute. NULL stays NULL. */
const char *kubeconfig_path(struct kubeconfig *k, const char *path);
/* The member @key, a path, or the member @data_key, base64. */
void kubeconfig_pem(struct kubeconfig *k, const struct field *parent, const char *key,
		    const char *data_key, struct pem *ret);

/* What @user says of who we are, in kubeconfig-user.c. */
void kubeconfig_read_user(struct kubeconfig *k, const struct field *user);
/* An exec plugin, in kubeconfig-exec.c. */
void kubeconfig_read_exec(struct kubeconfig *k, const struct field *exec);

#endif
