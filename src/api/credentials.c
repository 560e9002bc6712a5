#include "api/credentials.h"

#include <errno.h>
#include <time.h>

#include "api/access.h"
#include "api/credentials-exec.h"
#include "api/credentials-files.h"
#include "api/exec-credential.h"
#include "base/child.h"
#include "base/error.h"
#include "base/secret.h"

/* A credential is renewed this long before it expires, so that it does not on its way. */
enum { EXPIRY_MARGIN_S = 10 };

struct credentials {
	struct loop *loop;
	const struct api_access *access;
	struct pem_file ca, certificate, key; /* from files, from memory, or from the plugin */
	struct token_file token;
	struct child *plugin; /* NULL: it does not run */
	struct secret *plugin_token;
	bool plugin_answered; /* and the server has not refused it */
	int64_t plugin_expires_s;
	struct credentials_view view;
	credentials_fn ready; /* NULL: nobody waits */
	void *userdata;
};

static int content_put(struct pem_file *p, const struct pem *pem, struct error *err)
{
	struct secret *copy;
	const char *bytes;
	bool changed;
	size_t len;

	if (!pem->content)
		return 0;
	bytes = secret_reveal(pem->content, &len);
	copy = secret_new(bytes, len);
	if (!copy)
		return error_set(err, -ENOMEM, "out of memory");
	return pem_file_put(p, copy, &changed, err);
}

int credentials_new(struct loop *loop, const struct api_access *a, struct credentials **ret,
		    struct error *err)
{
	_cleanup_(credentials_freep) struct credentials *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return error_set(err, -ENOMEM, "out of memory");
	c->loop = loop;
	c->access = a;
	c->ca = c->certificate = c->key = PEM_FILE_NONE;
	c->token.path = a->token_file;
	r = content_put(&c->ca, &a->ca, err);
	if (r == 0)
		r = content_put(&c->certificate, &a->certificate, err);
	if (r == 0)
		r = content_put(&c->key, &a->key, err);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(c);
	return 0;
}

struct credentials *credentials_free(struct credentials *c)
{
	if (!c)
		return NULL;
	child_free(c->plugin);
	secret_free(c->plugin_token);
	pem_file_close(&c->ca);
	pem_file_close(&c->certificate);
	pem_file_close(&c->key);
	token_file_close(&c->token);
	free(c);
	return NULL;
}

static int pem_follow(struct pem_file *p, const struct pem *pem, const char *what, bool *changed,
		      struct error *err)
{
	int r = pem->path ? pem_file_follow(p, pem->path, changed, err) : 0;

	return r < 0 ? error_wrap(err, r, "%s", what) : 0;
}

static int files_follow(struct credentials *c, bool renew, struct error *err)
{
	const struct api_access *a = c->access;
	bool changed = false;
	int r;

	r = pem_follow(&c->ca, &a->ca, "certificate authority", &changed, err);
	if (r == 0)
		r = pem_follow(&c->certificate, &a->certificate, "client certificate", &changed,
			       err);
	if (r == 0)
		r = pem_follow(&c->key, &a->key, "client key", &changed, err);
	c->view.tls_serial += changed;
	if (r < 0 || !a->token_file)
		return r;
	r = token_file_follow(&c->token, renew, err);
	/* As in client-go, the inline token is for as long as the file has not been read. */
	return r == -ENOMEM || c->token.token || !a->token ? r : 0;
}

static const struct secret *bearer_of(const struct credentials *c)
{
	if (c->token.token)
		return c->token.token;
	return c->access->token ? c->access->token : c->plugin_token;
}

static void view_fill(struct credentials *c)
{
	const struct api_access *a = c->access;

	c->view.bearer = bearer_of(c);
	c->view.username = a->username;
	c->view.password = a->password;
	c->view.certificate_path = c->certificate.path;
	c->view.key_path = c->key.path;
	c->view.ca_path = c->ca.path;
}

/* The last thing that is done with @c: who is told may free it. */
static void credentials_tell(struct credentials *c, int r, const struct error *err)
{
	credentials_fn ready = c->ready;

	c->ready = NULL;
	view_fill(c);
	ready(r, r < 0 ? NULL : &c->view, r < 0 ? err : NULL, c->userdata);
}

void credentials_cover(const struct credentials *c, char *text)
{
	/* Not those of the view: they may be gone by now. */
	secret_cover(bearer_of(c), text);
	secret_cover(c->access->password, text);
}

static int answer_take(struct credentials *c, const char *output, size_t len, struct error *err)
{
	_cleanup_(exec_credential_free) struct exec_credential new = { 0 };
	bool changed = false;
	int r;

	r = exec_credential_read(c->access->exec, output, len, &new, err);
	if (r < 0)
		return r;
	r = pem_file_put(&c->certificate, TAKE_PTR(new.certificate), &changed, err);
	if (r == 0)
		r = pem_file_put(&c->key, TAKE_PTR(new.key), &changed, err);
	c->view.tls_serial += changed;
	if (r < 0)
		return r;
	secret_free(c->plugin_token);
	c->plugin_token = TAKE_PTR(new.token);
	c->plugin_expires_s = new.expires_s;
	c->plugin_answered = true;
	return 0;
}

static void on_plugin(int r, const char *output, size_t len, const struct error *err,
		      void *userdata)
{
	struct credentials *c = userdata;
	struct error why = { 0 };

	if (r < 0)
		why = *err;
	else
		r = answer_take(c, output, len, &why);
	if (r < 0)
		error_wrap(&why, r, "exec plugin %s", c->access->exec->command);
	c->plugin = child_free(c->plugin);
	credentials_tell(c, r, &why);
}

static bool plugin_is_needed(const struct credentials *c, bool renew)
{
	if (!c->access->exec)
		return false;
	if (renew || !c->plugin_answered)
		return true;
	return c->plugin_expires_s != 0 && time(NULL) + EXPIRY_MARGIN_S >= c->plugin_expires_s;
}

int credentials_prepare(struct credentials *c, bool renew, credentials_fn ready, void *userdata,
			struct error *err)
{
	struct error why = { 0 };
	int r;

	if (c->ready)
		return error_set(err, -EBUSY, "credentials are being prepared");
	c->ready = ready;
	c->userdata = userdata;
	r = files_follow(c, renew, &why);
	if (r == 0 && plugin_is_needed(c, renew)) {
		c->plugin_answered = false;
		r = plugin_start(c->loop, c->access, on_plugin, c, &c->plugin, &why);
		if (r == 0)
			return 0;
		error_wrap(&why, r, "exec plugin %s", c->access->exec->command);
	}
	credentials_tell(c, r, &why);
	return 0;
}
