/* kubeconfig-user.c - users[].user: what proves who we are. */
#include "api/kubeconfig.h"

#include <errno.h>
#include <string.h>

#include "api/access-internal.h"
#include "api/secret-input.h"
#include "base/error.h"
#include "base/secret.h"

/* What would be wrong to leave out. */
static void unsupported_refuse(const struct field *user)
{
	static const char *const impersonation[] = { "as", "as-uid", "as-groups", "as-user-extra" };
	struct field provider = field_member(user, "auth-provider");

	if (provider.value)
		field_refuse(provider, -EINVAL, "is not supported: use an exec plugin");
	for (size_t i = 0; i < ARRAY_SIZE(impersonation); i++) {
		struct field f = field_member(user, impersonation[i]);

		if (f.value)
			field_refuse(f, -EINVAL, "impersonation is not supported");
	}
}

static void certificate_read(struct kubeconfig *k, const struct field *user)
{
	struct pem *certificate = &k->access->certificate, *key = &k->access->key;

	kubeconfig_pem(k, user, "client-certificate", "client-certificate-data", certificate);
	kubeconfig_pem(k, user, "client-key", "client-key-data", key);
	if ((certificate->path || certificate->content) && !key->path && !key->content)
		field_refuse(field_member(user, "client-key"), -EINVAL,
			     "is missing beside a certificate");
	if ((key->path || key->content) && !certificate->path && !certificate->content)
		field_refuse(field_member(user, "client-certificate"), -EINVAL,
			     "is missing beside a key");
}

static void token_read(struct kubeconfig *k, const struct field *user)
{
	const char *token = kubeconfig_text(user, "token");
	struct error err;
	int r;

	k->access->token_file = kubeconfig_path(k, kubeconfig_string(user, "tokenFile"));
	if (!token)
		return;
	r = secret_read_token(token, strlen(token), &k->access->token, &err);
	if (r < 0)
		field_refuse(field_member(user, "token"), r, "%s", err.message);
}

static void password_read(struct kubeconfig *k, const struct field *user)
{
	const char *password = kubeconfig_text(user, "password");
	struct api_access *a = k->access;

	a->username = kubeconfig_string(user, "username");
	if (password && !a->username)
		field_refuse(field_member(user, "username"), -EINVAL,
			     "is missing beside a password");
	if (a->username && (a->token || a->token_file))
		field_refuse(field_member(user, "username"), -EINVAL, "stands beside a token");
	if (!password)
		return;
	a->password = secret_new(password, strlen(password));
	decoder_out_of_memory(&k->decoder, a->password);
}

void kubeconfig_read_user(struct kubeconfig *k, const struct field *user)
{
	const struct api_access *a = k->access;
	struct field exec = field_member(user, "exec");

	unsupported_refuse(user);
	certificate_read(k, user);
	token_read(k, user);
	password_read(k, user);
	/* As in client-go, a plugin is asked only where nothing else is configured. */
	if (exec.value && !a->certificate.path && !a->certificate.content && !a->token &&
	    !a->token_file && !a->username)
		kubeconfig_read_exec(k, &exec);
}
