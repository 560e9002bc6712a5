#include "api/credentials.h"

#include <errno.h>

#include "api/access.h"
#include "api/credentials-files.h"
#include "base/error.h"
#include "base/secret.h"

struct credentials {
	const struct api_access *access;
	struct pem_file ca, certificate, key;
	struct token_file token;
	struct credentials_view view;
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

	(void)loop;
	if (!c)
		return error_set(err, -ENOMEM, "out of memory");
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

static void view_fill(struct credentials *c)
{
	const struct api_access *a = c->access;

	c->view.bearer = c->token.token ? c->token.token : a->token;
	c->view.username = a->username;
	c->view.password = a->password;
	c->view.certificate_path = c->certificate.path;
	c->view.key_path = c->key.path;
	c->view.ca_path = c->ca.path;
}

int credentials_prepare(struct credentials *c, bool renew, credentials_fn ready, void *userdata,
			struct error *err)
{
	struct error why = { 0 };
	int r;

	(void)err;
	r = files_follow(c, renew, &why);
	view_fill(c);
	ready(r, r < 0 ? NULL : &c->view, r < 0 ? &why : NULL, userdata);
	return 0;
}
