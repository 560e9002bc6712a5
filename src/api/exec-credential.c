#include "api/exec-credential.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "api/access.h"
#include "api/secret-input.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/secret.h"
#include "object/field.h"

enum { CA_MAX_BYTES = 1024 * 1024 };

/* Which curl alone knows; see access_set_proxy(). */
#define SOCKS5H "socks5h://"
#define SOCKS5 "socks5://"

static void base64_append(struct buf *b, const char *bytes, size_t len)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < len; i += 3) {
		size_t n = len - i < 3 ? len - i : 3;
		uint32_t bits = 0;
		char out[4];

		for (size_t k = 0; k < 3; k++)
			bits = bits << 8 | (k < n ? (uint8_t)bytes[i + k] : 0);
		for (size_t k = 0; k < 4; k++)
			out[k] = k <= n ? digits[bits >> (18 - 6 * k) & 63] : '=';
		buf_append(b, out, sizeof(out));
	}
}

static int member_set(json_t *object, const char *key, json_t *value)
{
	return json_object_set_new(object, key, value) < 0 ? -ENOMEM : 0;
}

/* Absent when @text is NULL. */
static int text_set(json_t *object, const char *key, const char *text)
{
	return text ? member_set(object, key, json_string(text)) : 0;
}

static int ca_set(json_t *cluster, const struct pem *ca, struct error *err)
{
	_cleanup_(secret_freep) struct secret *file = NULL;
	_cleanup_buf_ struct buf text = { 0 };
	const char *bytes;
	size_t len;
	int r;

	if (!ca->path && !ca->content)
		return 0;
	r = ca->path ? secret_read_file(ca->path, CA_MAX_BYTES, &file, err) : 0;
	if (r < 0)
		return error_wrap(err, r, "certificate authority %s", ca->path);
	bytes = secret_reveal(file ? file : ca->content, &len);
	base64_append(&text, bytes, len);
	r = buf_error(&text);
	if (r == 0)
		r = text_set(cluster, "certificate-authority-data", buf_text(&text));
	return r < 0 ? error_set(err, r, "out of memory") : 0;
}

static int proxy_set(json_t *cluster, const char *url)
{
	_cleanup_buf_ struct buf plain = { 0 };

	if (!url || strncmp(url, SOCKS5H, strlen(SOCKS5H)) != 0)
		return text_set(cluster, "proxy-url", url);
	buf_printf(&plain, SOCKS5 "%s", url + strlen(SOCKS5H));
	return buf_error(&plain) < 0 ? -ENOMEM : text_set(cluster, "proxy-url", plain.data);
}

static int cluster_build(json_t *cluster, const struct api_access *a, struct error *err)
{
	const char *config = a->exec->cluster_config;
	int r;

	r = text_set(cluster, "server", a->server);
	if (r == 0)
		r = text_set(cluster, "tls-server-name", a->tls_server_name);
	if (r == 0 && a->insecure)
		r = member_set(cluster, "insecure-skip-tls-verify", json_true());
	if (r == 0)
		r = proxy_set(cluster, a->proxy_url);
	if (r == 0 && config)
		r = member_set(cluster, "config", json_loads(config, JSON_DECODE_ANY, NULL));
	return r < 0 ? error_set(err, r, "out of memory") : ca_set(cluster, &a->ca, err);
}

int exec_info_build(const struct api_access *a, char **ret, struct error *err)
{
	json_auto_t *spec = json_pack("{s:b}", "interactive", 0);
	json_auto_t *cluster = json_object();
	json_auto_t *info = NULL;
	int r;

	if (!spec || !cluster)
		return error_set(err, -ENOMEM, "out of memory");
	r = a->exec->provide_cluster_info ? cluster_build(cluster, a, err) : 0;
	if (r < 0)
		return r;
	if (a->exec->provide_cluster_info && json_object_set(spec, "cluster", cluster) < 0)
		return error_set(err, -ENOMEM, "out of memory");
	info = json_pack("{s:s, s:s, s:O}", "apiVersion", a->exec->api_version, "kind",
			 "ExecCredential", "spec", spec);
	*ret = info ? json_dumps(info, JSON_COMPACT) : NULL;
	return *ret ? 0 : error_set(err, -ENOMEM, "out of memory");
}

static void word_check(const struct field *root, const char *key, const char *expected)
{
	struct field f = field_member(root, key);
	const char *word = field_text(f);

	if (!word || strcmp(word, expected) != 0)
		field_refuse(f, -EINVAL, "is not \"%s\"", expected);
}

static const char *text_member(const struct field *parent, const char *key)
{
	const char *text = field_text(field_member(parent, key));

	return text && *text ? text : NULL;
}

static struct secret *token_read(const struct field *status)
{
	const char *text = text_member(status, "token");
	struct secret *token = NULL;
	struct error err;
	int r;

	r = text ? secret_read_token(text, strlen(text), &token, &err) : 0;
	if (r < 0)
		field_refuse(field_member(status, "token"), r, "%s", err.message);
	return token;
}

static struct secret *pem_read(const struct field *status, const char *key)
{
	const char *text = text_member(status, key);
	struct secret *pem = text ? secret_new(text, strlen(text)) : NULL;

	if (text)
		decoder_out_of_memory(status->decoder, pem);
	return pem;
}

static void status_read(const struct field *status, struct exec_credential *c)
{
	field_require(*status);
	c->token = token_read(status);
	c->certificate = pem_read(status, "clientCertificateData");
	c->key = pem_read(status, "clientKeyData");
	c->expires_s = field_time(field_member(status, "expirationTimestamp"));
	if (!c->certificate != !c->key)
		field_refuse(*status, -EINVAL, "has only one of certificate and key");
	if (!c->token && !c->certificate)
		field_refuse(*status, -EINVAL, "has neither token nor certificate");
}

int exec_credential_read(const struct exec_plugin *plugin, const char *text, size_t len,
			 struct exec_credential *ret, struct error *err)
{
	_cleanup_(exec_credential_free) struct exec_credential c = { 0 };
	_cleanup_(secret_tree_freep) json_t *tree = NULL;
	struct decoder d = { .err = err };
	struct field root, status;
	int r;

	/* The parser's sentences quote the text. */
	r = json_parse(text, len, &tree, NULL);
	if (r < 0)
		return error_set(err, r, r == -ENOMEM ? "out of memory" : "it wrote no JSON");
	root = field_root(&d, tree);
	word_check(&root, "kind", "ExecCredential");
	word_check(&root, "apiVersion", plugin->api_version);
	status = field_member(&root, "status");
	status_read(&status, &c);
	if (d.error < 0)
		return d.error;
	*ret = c;
	c = (struct exec_credential){ 0 };
	return 0;
}

void exec_credential_free(struct exec_credential *c)
{
	secret_free(c->token);
	secret_free(c->certificate);
	secret_free(c->key);
	*c = (struct exec_credential){ 0 };
}
