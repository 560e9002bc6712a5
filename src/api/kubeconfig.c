#include "api/kubeconfig.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "api/access-internal.h"
#include "api/secret-input.h"
#include "base/arena.h"
#include "base/error.h"
#include "base/secret.h"
#include "object/yaml.h"

enum { KEY_MAX_BYTES = 128 };

#define EXEC_EXTENSION "client.authentication.k8s.io/exec"

const char *kubeconfig_text(const struct field *parent, const char *key)
{
	const char *text = field_text(field_member(parent, key));

	return text && *text ? text : NULL;
}

const char *kubeconfig_string(const struct field *parent, const char *key)
{
	const char *text = field_string(field_member(parent, key));

	return text && *text ? text : NULL;
}

const char *kubeconfig_path(struct kubeconfig *k, const char *path)
{
	size_t size;
	char *resolved;

	if (!path || path[0] == '/')
		return path;
	size = strlen(k->folder) + strlen("/") + strlen(path) + 1;
	resolved = arena_alloc(k->decoder.arena, size);
	if (!decoder_out_of_memory(&k->decoder, resolved))
		snprintf(resolved, size, "%s/%s", k->folder, path);
	return resolved;
}

void kubeconfig_pem(struct kubeconfig *k, const struct field *parent, const char *key,
		    const char *data_key, struct pem *ret)
{
	struct field data = field_member(parent, data_key);
	const char *text = kubeconfig_text(parent, data_key);
	struct error err;
	int r;

	ret->path = kubeconfig_path(k, kubeconfig_string(parent, key));
	if (!text)
		return;
	if (ret->path)
		field_refuse(data, -EINVAL, "stands beside %s", key);
	r = secret_read_base64(text, strlen(text), &ret->content, &err);
	if (r < 0)
		field_refuse(data, r, "%s", err.message);
}

/* "users[name=x].user", to be shown in paths. */
static const char *entry_key(struct kubeconfig *k, const char *list, const char *name,
			     const char *member)
{
	char text[KEY_MAX_BYTES];
	const char *key;

	snprintf(text, sizeof(text), "%s[name=%.64s].%s", list, name, member);
	key = arena_strdup(k->decoder.arena, text);
	return decoder_out_of_memory(&k->decoder, key) ? "" : key;
}

/* The member @member of the item of @list_key that is called @name. */
static struct field entry_find(struct kubeconfig *k, const char *list_key, const char *name,
			       const char *member)
{
	struct field list = field_member(&k->root, list_key);
	size_t n = field_count(list, KUBECONFIG_MAX_ENTRIES);
	struct field entry = { .decoder = &k->decoder, .parent = &k->root };
	bool found = false;

	entry.key = entry_key(k, list_key, name, member);
	for (size_t i = 0; i < n; i++) {
		struct field item = field_item(&list, i);
		const char *item_name = field_text(field_member(&item, "name"));

		if (!item_name || strcmp(item_name, name) != 0)
			continue;
		if (found)
			field_refuse(entry, -EINVAL, "stands there twice");
		entry.value = field_member(&item, member).value;
		found = true;
	}
	if (!found)
		field_refuse(list, -EINVAL, "has no item named \"%.64s\"", name);
	return entry;
}

/* @master goes before the server of the cluster. */
static void server_read(struct kubeconfig *k, const struct field *cluster, const char *master)
{
	struct field server = { .decoder = &k->decoder, .parent = &k->root, .key = "--master" };
	struct error err;
	int r;

	if (!master)
		server = field_member(cluster, "server");
	if (!master && !field_require(server))
		return;
	r = access_set_server(k->access, master ? master : field_text(server), &err);
	if (r < 0)
		field_refuse(server, r, "%s", err.message);
}

static void proxy_read(struct kubeconfig *k, const struct field *cluster)
{
	const char *url = kubeconfig_text(cluster, "proxy-url");
	struct error err;
	int r;

	if (!url)
		return;
	r = access_set_proxy(k->access, url, &err);
	if (r < 0)
		field_refuse(field_member(cluster, "proxy-url"), r, "%s", err.message);
}

static void exec_config_read(struct kubeconfig *k, const struct field *cluster)
{
	struct field extensions = field_member(cluster, "extensions");
	size_t n = field_count(extensions, KUBECONFIG_MAX_ENTRIES);

	for (size_t i = 0; i < n; i++) {
		struct field item = field_item(&extensions, i);
		const char *name = field_text(field_member(&item, "name"));

		if (name && strcmp(name, EXEC_EXTENSION) == 0)
			k->exec_config = field_member(&item, "extension").value;
	}
}

static void cluster_read(struct kubeconfig *k, const struct field *cluster, const char *master)
{
	struct field insecure = field_member(cluster, "insecure-skip-tls-verify");
	struct api_access *a = k->access;

	server_read(k, cluster, master);
	proxy_read(k, cluster);
	exec_config_read(k, cluster);
	kubeconfig_pem(k, cluster, "certificate-authority", "certificate-authority-data", &a->ca);
	a->insecure = field_bool(insecure, false);
	if (a->insecure && (a->ca.path || a->ca.content))
		field_refuse(insecure, -EINVAL, "stands beside a certificate authority");
	/* The name is the one of the server that @master replaces. */
	if (!master)
		a->tls_server_name = kubeconfig_string(cluster, "tls-server-name");
}

/* Both may be left out. */
static void kind_check(const struct field *root)
{
	static const char *const expected[][2] = { { "kind", "Config" }, { "apiVersion", "v1" } };

	for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
		const char *word = kubeconfig_text(root, expected[i][0]);

		if (word && strcmp(word, expected[i][1]) != 0)
			field_refuse(field_member(root, expected[i][0]), -EINVAL,
				     "is not \"%s\": this is no kubeconfig", expected[i][1]);
	}
}

static void config_read(struct kubeconfig *k, const char *master)
{
	struct field current = field_member(&k->root, "current-context");
	struct field context, cluster_name, cluster, user;
	const char *user_name;

	kind_check(&k->root);
	if (!field_require(current) || k->decoder.error)
		return;
	context = entry_find(k, "contexts", field_text(current), "context");
	cluster_name = field_member(&context, "cluster");
	if (!field_require(cluster_name) || k->decoder.error)
		return;
	cluster = entry_find(k, "clusters", field_text(cluster_name), "cluster");
	cluster_read(k, &cluster, master);

	/* As in client-go, a connection that is not encrypted gets to see no credentials. */
	user_name = kubeconfig_text(&context, "user");
	if (!user_name || k->decoder.error || !access_is_encrypted(k->access))
		return;
	user = entry_find(k, "users", user_name, "user");
	kubeconfig_read_user(k, &user);
}

/* Sentences of the YAML reader quote the text, which is full of secrets. */
static int tree_read(const char *text, size_t len, json_t **ret, struct error *err)
{
	_cleanup_(yaml_reader_freep) struct yaml_reader *reader = NULL;
	json_t *root = NULL;
	unsigned line;
	int r;

	if (len > KUBECONFIG_MAX_BYTES)
		return error_set(err, -E2BIG, "has more than %d bytes", KUBECONFIG_MAX_BYTES);
	r = yaml_reader_new(text, len, &reader, err);
	if (r < 0)
		return r;
	r = yaml_reader_next(reader, &root, &line, NULL);
	if (r == -ENOMEM)
		return error_set(err, r, "out of memory");
	if (r < 0)
		return error_set(
			err, r,
			"line %u is not YAML, or YAML that is not read here (aliases, tags, "
			"a key twice)",
			line);
	if (!root)
		return error_set(err, -EINVAL, "is empty");
	*ret = root;
	return 0;
}

int access_parse_kubeconfig(const char *text, size_t len, const char *folder, const char *master,
			    struct api_access **ret, struct error *err)
{
	_cleanup_(access_freep) struct api_access *a = NULL;
	_cleanup_(secret_tree_freep) json_t *root = NULL;
	struct kubeconfig k = { .folder = folder, .decoder.err = err };
	int r;

	r = tree_read(text, len, &root, err);
	if (r < 0)
		return r;
	r = access_new(&a, err);
	if (r < 0)
		return r;
	k.access = a;
	k.decoder.arena = a->arena;
	k.root = field_root(&k.decoder, root);
	config_read(&k, master && *master ? master : NULL);
	if (k.decoder.error < 0)
		return k.decoder.error;
	*ret = TAKE_PTR(a);
	return 0;
}

/* What stands before the last slash of @path: "." when there is none. */
static char *folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return strdup(".");
	return strndup(path, slash > path ? (size_t)(slash - path) : 1);
}

int access_read_kubeconfig(const char *path, const char *master, struct api_access **ret,
			   struct error *err)
{
	_cleanup_free_ char *folder = folder_of(path);
	_cleanup_(secret_freep) struct secret *text = NULL;
	const char *bytes;
	size_t len;
	int r;

	r = folder ? secret_read_file(path, KUBECONFIG_MAX_BYTES, &text, err) : -ENOMEM;
	if (r == 0) {
		bytes = secret_reveal(text, &len);
		r = access_parse_kubeconfig(bytes, len, folder, master, ret, err);
	}
	return r < 0 ? error_wrap(err, r, "kubeconfig %s", path) : 0;
}
