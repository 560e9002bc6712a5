/* access-cluster.c - a pod's service account. */
#include "api/access-internal.h"

#include <errno.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"

#define SERVICE_ACCOUNT_FOLDER "/var/run/secrets/kubernetes.io/serviceaccount"

static int server_from_environment(struct api_access *a, const char *host, const char *port,
				   struct error *err)
{
	_cleanup_buf_ struct buf url = { 0 };
	int r;

	if (!host || !*host || !port || !*port)
		return error_set(err, -ENOENT,
				 "this is no pod: KUBERNETES_SERVICE_HOST or "
				 "KUBERNETES_SERVICE_PORT is not set");
	buf_printf(&url, strchr(host, ':') ? "[%s]:%s" : "%s:%s", host, port);
	if (buf_error(&url) < 0)
		return error_set(err, -ENOMEM, "out of memory");
	r = access_set_server(a, buf_text(&url), err);
	return r < 0 ? error_wrap(err, r, "KUBERNETES_SERVICE_HOST:KUBERNETES_SERVICE_PORT") : 0;
}

static int path_join(struct api_access *a, const char *folder, const char *name, const char **ret,
		     struct error *err)
{
	_cleanup_buf_ struct buf path = { 0 };

	buf_printf(&path, "%s/%s", folder, name);
	*ret = buf_error(&path) < 0 ? NULL : arena_strdup(a->arena, buf_text(&path));
	return *ret ? 0 : error_set(err, -ENOMEM, "out of memory");
}

static int server_set(struct api_access *a, const char *host, const char *port, const char *master,
		      struct error *err)
{
	int r;

	if (!master || !*master)
		return server_from_environment(a, host, port, err);
	r = access_set_server(a, master, err);
	return r < 0 ? error_wrap(err, r, "--master") : 0;
}

int access_service_account(const char *folder, const char *host, const char *port,
			   const char *master, struct api_access **ret, struct error *err)
{
	_cleanup_(access_freep) struct api_access *a = NULL;
	const char *token;
	int r;

	r = access_new(&a, err);
	if (r < 0)
		return r;
	r = server_set(a, host, port, master, err);
	if (r < 0)
		return r;
	r = path_join(a, folder, "token", &token, err);
	if (r < 0)
		return r;
	if (access(token, F_OK) < 0)
		return error_errno(err, errno, "this is no pod: %s", token);
	if (access_is_encrypted(a)) {
		a->token_file = token;
		r = path_join(a, folder, "ca.crt", &a->ca.path, err);
	}
	if (r < 0)
		return r;
	*ret = TAKE_PTR(a);
	return 0;
}

int access_in_cluster(const char *master, struct api_access **ret, struct error *err)
{
	return access_service_account(SERVICE_ACCOUNT_FOLDER, getenv("KUBERNETES_SERVICE_HOST"),
				      getenv("KUBERNETES_SERVICE_PORT"), master, ret, err);
}
