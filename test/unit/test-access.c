/* Secrets in here are all called "canary", in plain or in base64; no sentence may hold them. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "api/access-internal.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/secret.h"
#include "fail-alloc.h"
#include "folder.h"

#define CANARY_BASE64 "Y2FuYXJ5" /* "canary" */

/* A kubeconfig of one cluster and one user, in flow style, whose lines may be replaced. */
struct config {
	const char *cluster, *user, *rest;
};

#define SERVER "server: 'https://10.0.0.1:6443'"

static const char *config_text(struct config c)
{
	static struct buf text;

	buf_reset(&text);
	buf_printf(&text,
		   "clusters: [{name: c, cluster: {%s}}]\n"
		   "users: [{name: u, user: {%s}}]\n"
		   "%s\n",
		   c.cluster ? c.cluster : SERVER, c.user ? c.user : "",
		   c.rest ? c.rest :
			    "contexts: [{name: x, context: {cluster: c, user: u}}]\n"
			    "current-context: x");
	return buf_text(&text);
}

static int parse(const char *text, const char *master, struct api_access **ret, struct error *err)
{
	int r;

	*err = (struct error){ 0 };
	*ret = NULL;
	r = access_parse_kubeconfig(text, strlen(text), "/etc/kube", master, ret, err);
	assert_int_equal(r < 0, *ret == NULL);
	assert_int_equal(r, err->code);
	assert_null(strstr(err->message, "canary"));
	assert_null(strstr(err->message, CANARY_BASE64));
	return r;
}

static struct api_access *accept_with(struct config c, const char *master)
{
	struct api_access *a;
	struct error err;

	if (parse(config_text(c), master, &a, &err) < 0)
		fail_msg("%s", err.message);
	return a;
}

static struct api_access *accept(struct config c)
{
	return accept_with(c, NULL);
}

static void refuse_text(const char *text, int code, const char *sentence)
{
	struct api_access *a;
	struct error err;

	assert_int_equal(parse(text, NULL, &a, &err), code);
	assert_string_equal(err.message, sentence);
}

static void refuse(struct config c, const char *sentence)
{
	refuse_text(config_text(c), -EINVAL, sentence);
}

static void assert_secret(const struct secret *s, const char *text)
{
	size_t len;

	assert_non_null(s);
	assert_string_equal(secret_reveal(s, &len), text);
	assert_int_equal(len, strlen(text));
}

static void test_kubeconfig_of_every_day(void **state)
{
	static const char text[] = "apiVersion: v1\n"
				   "kind: Config\n"
				   "preferences: {}\n"
				   "current-context: admin@kind\n"
				   "clusters:\n"
				   "- name: other\n"
				   "  cluster: {server: 'https://192.0.2.1'}\n"
				   "- name: kind\n"
				   "  cluster:\n"
				   "    server: https://192.0.2.7:6443\n"
				   "    certificate-authority-data: " CANARY_BASE64 "\n"
				   "    unknown-field: {a: [1, 2]}\n"
				   "contexts:\n"
				   "- name: admin@kind\n"
				   "  context: {cluster: kind, user: admin, namespace: default}\n"
				   "users:\n"
				   "- name: admin\n"
				   "  user:\n"
				   "    client-certificate-data: Y2VydA==\n"
				   "    client-key-data: a2V5MQ==\n";
	struct api_access *a;
	struct error err;

	(void)state;
	assert_int_equal(parse(text, NULL, &a, &err), 0);
	assert_string_equal(a->server, "https://192.0.2.7:6443");
	assert_secret(a->ca.content, "canary");
	assert_null(a->ca.path);
	assert_secret(a->certificate.content, "cert");
	assert_secret(a->key.content, "key1");
	assert_false(a->insecure);
	assert_null(a->tls_server_name);
	assert_null(a->proxy_url);
	assert_null(a->token);
	assert_null(a->token_file);
	assert_null(a->username);
	assert_null(a->exec);
	assert_null(access_free(a));
}

static void test_json_is_yaml(void **state)
{
	static const char text[] =
		"{\n\t\"kind\": \"Config\",\n\t\"apiVersion\": \"v1\",\n"
		"\t\"clusters\": [{\"name\": \"c\", \"cluster\": {\"server\": \"https:\\/\\/h\"}}],\n"
		"\t\"contexts\": [{\"name\": \"x\", \"context\": {\"cluster\": \"c\", \"user\": \"u\"}}],\n"
		"\t\"users\": [{\"name\": \"u\", \"user\": {\"token\": \"canary\"}}],\n"
		"\t\"current-context\": \"x\"\n}\n";
	struct api_access *a;
	struct error err;

	(void)state;
	if (parse(text, NULL, &a, &err) < 0)
		fail_msg("%s", err.message);
	assert_string_equal(a->server, "https://h");
	assert_secret(a->token, "canary");
	access_free(a);
}

static void test_server_url(void **state)
{
	static const char *const cases[][2] = {
		{ "server: 'https://10.0.0.1:6443'", "https://10.0.0.1:6443" },
		{ "server: 10.0.0.1:6443", "https://10.0.0.1:6443" },
		{ "server: api.example", "https://api.example" },
		{ "server: localhost:6443", "https://localhost:6443" },
		{ "server: 'https://[fd00::1]:6443/'", "https://[fd00::1]:6443" },
		{ "server: '[fd00::1]:6443'", "https://[fd00::1]:6443" },
		{ "server: HTTPS://api.example/a/b//", "https://api.example/a/b" },
		{ "server: 'https://h/a?b=c#d'", "https://h/a" },
		{ "server: 'http://127.0.0.1:8001'", "http://127.0.0.1:8001" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct api_access *a = accept((struct config){ .cluster = cases[i][0] });

		assert_string_equal(a->server, cases[i][1]);
		access_free(a);
	}
}

static void test_bad_server_url(void **state)
{
	(void)state;
	refuse((struct config){ .cluster = "server: ''" },
	       "clusters[name=c].cluster.server: is missing");
	refuse((struct config){ .cluster = "server: 6443" },
	       "clusters[name=c].cluster.server: is an integer, not a string");
	refuse((struct config){ .cluster = "server: 'https://u:canary@h'" },
	       "clusters[name=c].cluster.server: holds a user name");
	refuse((struct config){ .cluster = "server: 'unix:///run/api'" },
	       "clusters[name=c].cluster.server: has a scheme that is not supported");
	refuse((struct config){ .cluster = "server: 'https://canary canary'" },
	       "clusters[name=c].cluster.server: is not a URL: Bad hostname");
	refuse((struct config){ .cluster = "server: 'https://fd00::1:6443'" },
	       "clusters[name=c].cluster.server: is not a URL: "
	       "Port number was not a decimal number between 0 and 65535");
}

static void test_master_replaces_the_server_and_its_name(void **state)
{
	static const struct config c = { .cluster = SERVER ", tls-server-name: n",
					 .user = "token: canary" };
	struct api_access *a = accept_with(c, "[fd00::2]:443");
	struct error err;

	(void)state;
	assert_string_equal(a->server, "https://[fd00::2]:443");
	assert_null(a->tls_server_name);
	assert_secret(a->token, "canary");
	access_free(a);

	a = accept_with(c, "");
	assert_string_equal(a->server, "https://10.0.0.1:6443");
	assert_string_equal(a->tls_server_name, "n");
	access_free(a);

	a = accept_with((struct config){ .cluster = "server: ''" }, "https://h");
	assert_string_equal(a->server, "https://h");
	access_free(a);

	assert_int_equal(parse(config_text(c), "http://canary@h", &a, &err), -EINVAL);
	assert_string_equal(err.message, "--master: holds a user name");
}

static void test_proxy_url(void **state)
{
	static const char *const cases[][2] = {
		{ "http://p:3128", "http://p:3128/" },
		{ "https://u:canary@p", "https://u:canary@p/" },
		{ "socks5://[::1]:1080", "socks5h://[::1]:1080/" },
	};
	char cluster[128];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct api_access *a;

		snprintf(cluster, sizeof(cluster), SERVER ", proxy-url: '%s'", cases[i][0]);
		a = accept((struct config){ .cluster = cluster });
		assert_string_equal(a->proxy_url, cases[i][1]);
		access_free(a);
	}
	refuse((struct config){ .cluster = SERVER ", proxy-url: 'socks4://u:canary@p'" },
	       "clusters[name=c].cluster.proxy-url: has a scheme that is not supported");
	refuse((struct config){ .cluster = SERVER ", proxy-url: 'canary:80'" },
	       "clusters[name=c].cluster.proxy-url: is not a URL: "
	       "Unsupported number of slashes following scheme");
}

static void test_certificate_authority(void **state)
{
	struct api_access *a = accept((struct config){
		.cluster = SERVER ", certificate-authority: pki/ca.crt, tls-server-name: kube" });

	(void)state;
	assert_string_equal(a->ca.path, "/etc/kube/pki/ca.crt");
	assert_null(a->ca.content);
	assert_string_equal(a->tls_server_name, "kube");
	access_free(a);

	a = accept((struct config){ .cluster = SERVER ", insecure-skip-tls-verify: true" });
	assert_true(a->insecure);
	assert_null(a->ca.path);
	access_free(a);

	refuse((struct config){ .cluster = SERVER ", certificate-authority: a, "
						  "certificate-authority-data: " CANARY_BASE64 },
	       "clusters[name=c].cluster.certificate-authority-data: "
	       "stands beside certificate-authority");
	refuse((struct config){ .cluster = SERVER ", insecure-skip-tls-verify: true, "
						  "certificate-authority-data: " CANARY_BASE64 },
	       "clusters[name=c].cluster.insecure-skip-tls-verify: "
	       "stands beside a certificate authority");
	refuse((struct config){ .cluster = SERVER ", insecure-skip-tls-verify: 'true'" },
	       "clusters[name=c].cluster.insecure-skip-tls-verify: is a string, not a boolean");
}

static void test_base64(void **state)
{
	static const char *const good[][2] = {
		{ "YQ==", "a" },
		{ "YWI=", "ab" },
		{ "YWJj", "abc" },
		{ "YW\\nJj\\r\\nZA==\\n", "abcd" },
		{ "Pz8/fn5+", "\?\?\?~~~" },
	};
	static const char *const bad[] = { "YQ",   "YQ=",   "YQ===",  "Y===",    "====", "YQ==YQ==",
					   "Y=Q=", "YW Jj", "YWJj-_", "canary!", "=" };
	char user[128];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		struct api_access *a;

		snprintf(user, sizeof(user), "client-certificate: c, client-key-data: \"%s\"",
			 good[i][0]);
		a = accept((struct config){ .user = user });
		assert_secret(a->key.content, good[i][1]);
		assert_string_equal(a->certificate.path, "/etc/kube/c");
		access_free(a);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		snprintf(user, sizeof(user), "client-certificate: c, client-key-data: \"%s\"",
			 bad[i]);
		refuse((struct config){ .user = user },
		       "users[name=u].user.client-key-data: is not base64");
	}
}

static void test_certificate_and_key_belong_together(void **state)
{
	(void)state;
	refuse((struct config){ .user = "client-certificate: /c" },
	       "users[name=u].user.client-key: is missing beside a certificate");
	refuse((struct config){ .user = "client-key-data: " CANARY_BASE64 },
	       "users[name=u].user.client-certificate: is missing beside a key");
	refuse((struct config){ .user = "client-certificate: /c, client-key: /k, "
					"client-key-data: " CANARY_BASE64 },
	       "users[name=u].user.client-key-data: stands beside client-key");
}

static void test_token_and_its_file(void **state)
{
	struct api_access *a = accept(
		(struct config){ .user = "token: ' canary\t', tokenFile: ../t" });

	(void)state;
	assert_secret(a->token, "canary");
	assert_string_equal(a->token_file, "/etc/kube/../t");
	access_free(a);

	a = accept((struct config){ .user = "token: '', tokenFile: /t" });
	assert_null(a->token);
	assert_string_equal(a->token_file, "/t");
	access_free(a);
}

static void test_S7_token_with_what_a_header_must_not_have(void **state)
{
	static const char *const bad[] = { "canary\\r\\nX: y", "canary canary", "\\x01canary",
					   "canary\\u00e9", "canary\\x7f" };
	char user[64];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		snprintf(user, sizeof(user), "token: \"%s\"", bad[i]);
		refuse((struct config){ .user = user },
		       "users[name=u].user.token: holds a character that no token may have");
	}
	refuse((struct config){ .user = "token: ' '" }, "users[name=u].user.token: is empty");
	/* What YAML takes for a number is no string, and its text no part of a sentence. */
	refuse((struct config){ .user = "token: 123456" },
	       "users[name=u].user.token: is an integer, not a string");
}

static void test_basic_authentication(void **state)
{
	struct api_access *a = accept(
		(struct config){ .user = "username: admin, password: canary" });

	(void)state;
	assert_string_equal(a->username, "admin");
	assert_secret(a->password, "canary");
	access_free(a);

	a = accept((struct config){ .user = "username: admin" });
	assert_null(a->password);
	access_free(a);

	refuse((struct config){ .user = "password: canary" },
	       "users[name=u].user.username: is missing beside a password");
	refuse((struct config){ .user = "username: a, password: canary, token: canary" },
	       "users[name=u].user.username: stands beside a token");
	refuse((struct config){ .user = "username: a, password: canary, tokenFile: t" },
	       "users[name=u].user.username: stands beside a token");
}

static void test_what_is_not_supported_is_refused(void **state)
{
	(void)state;
	refuse((struct config){ .user = "auth-provider: {name: oidc}, token: canary" },
	       "users[name=u].user.auth-provider: is not supported: use an exec plugin");
	refuse((struct config){ .user = "as: root" },
	       "users[name=u].user.as: impersonation is not supported");
	refuse((struct config){ .user = "as-groups: ['system:masters']" },
	       "users[name=u].user.as-groups: impersonation is not supported");
}

static void test_S7_no_credentials_for_an_open_connection(void **state)
{
	struct api_access *a = accept(
		(struct config){ .cluster = "server: 'http://h'", .user = "token: canary" });

	(void)state;
	assert_null(a->token);
	access_free(a);
	a = accept_with((struct config){ .user = "username: a, password: canary" }, "http://h");
	assert_null(a->username);
	assert_null(a->password);
	access_free(a);
}

#define EXEC_V1 "apiVersion: client.authentication.k8s.io/v1, interactiveMode: Never"

static void test_exec_plugin(void **state)
{
	struct api_access *a = accept((struct config){
		.cluster = SERVER ", extensions: [{name: other, extension: 1}, "
				  "{name: client.authentication.k8s.io/exec, "
				  "extension: {audience: a1}}]",
		.user = "exec: {" EXEC_V1 ", command: aws, args: [eks, '', get-token], "
			"env: [{name: A, value: canary}, {name: B}], "
			"installHint: get it, provideClusterInfo: true}" });
	const struct exec_plugin *p = a->exec;

	(void)state;
	assert_non_null(p);
	assert_string_equal(p->api_version, "client.authentication.k8s.io/v1");
	assert_string_equal(p->command, "aws");
	assert_int_equal(p->n_args, 3);
	assert_string_equal(p->args[0], "eks");
	assert_string_equal(p->args[1], "");
	assert_string_equal(p->args[2], "get-token");
	assert_int_equal(p->n_env, 2);
	assert_string_equal(p->env[0].name, "A");
	assert_string_equal(p->env[0].value, "canary");
	assert_string_equal(p->env[1].name, "B");
	assert_string_equal(p->env[1].value, "");
	assert_string_equal(p->install_hint, "get it");
	assert_true(p->provide_cluster_info);
	assert_string_equal(p->cluster_config, "{\"audience\":\"a1\"}");
	access_free(a);
}

static void test_exec_plugin_with_little(void **state)
{
	static const char *const commands[][2] = { { "./login", "/etc/kube/./login" },
						   { "bin/login", "/etc/kube/bin/login" },
						   { "/bin/login", "/bin/login" },
						   { "login", "login" } };
	char user[128];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		struct api_access *a;

		snprintf(user, sizeof(user),
			 "exec: {apiVersion: client.authentication.k8s.io/v1beta1, command: %s}",
			 commands[i][0]);
		a = accept((struct config){ .user = user });
		assert_string_equal(a->exec->command, commands[i][1]);
		assert_string_equal(a->exec->api_version, "client.authentication.k8s.io/v1beta1");
		assert_int_equal(a->exec->n_args, 0);
		assert_int_equal(a->exec->n_env, 0);
		assert_null(a->exec->install_hint);
		assert_false(a->exec->provide_cluster_info);
		assert_null(a->exec->cluster_config);
		access_free(a);
	}
}

static void test_bad_exec_plugin(void **state)
{
	static const char *const cases[][2] = {
		{ EXEC_V1, "command: is missing" },
		{ "command: a", "apiVersion: is missing" },
		{ "command: a, apiVersion: client.authentication.k8s.io/v1",
		  "interactiveMode: is missing" },
		{ "command: a, apiVersion: client.authentication.k8s.io/v1alpha1",
		  "apiVersion: \"client.authentication.k8s.io/v1alpha1\" is neither "
		  "client.authentication.k8s.io/v1 nor client.authentication.k8s.io/v1beta1" },
		{ "command: a, apiVersion: client.authentication.k8s.io/v1, interactiveMode: Always",
		  "interactiveMode: the plugin wants a terminal, and here is none" },
		{ "command: a, apiVersion: client.authentication.k8s.io/v1, interactiveMode: x",
		  "interactiveMode: \"x\" is none of Never, IfAvailable, Always" },
		{ "command: a, " EXEC_V1 ", args: [1]", "args[0]: is an integer, not a string" },
		{ "command: a, " EXEC_V1 ", env: [{value: canary}]", "env[0].name: is missing" },
		{ "command: a, " EXEC_V1 ", env: [{name: A=canary}]",
		  "env[0].name: holds a \"=\"" },
		{ "command: a, " EXEC_V1 ", env: {A: canary}", "env: is an object, not a list" },
	};
	char user[256], sentence[256];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		snprintf(user, sizeof(user), "exec: {%s}", cases[i][0]);
		snprintf(sentence, sizeof(sentence), "users[name=u].user.exec.%s", cases[i][1]);
		refuse((struct config){ .user = user }, sentence);
	}
}

static void test_exec_plugin_only_where_nothing_else_is(void **state)
{
	static const char *const others[] = { "token: canary", "tokenFile: t", "username: u",
					      "client-certificate: c, client-key: k" };
	char user[256];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		struct api_access *a;

		snprintf(user, sizeof(user), "exec: {" EXEC_V1 ", command: a}, %s", others[i]);
		a = accept((struct config){ .user = user });
		assert_null(a->exec);
		access_free(a);
	}
}

/* @n items of @list in an exec plugin. */
static const char *exec_of(const char *list, const char *item, size_t n)
{
	static struct buf user;

	buf_reset(&user);
	buf_printf(&user, "exec: {" EXEC_V1 ", command: a, %s: [", list);
	for (size_t i = 0; i < n; i++)
		buf_printf(&user, "%s%s", i > 0 ? ", " : "", item);
	buf_puts(&user, "]}");
	return buf_text(&user);
}

static void test_exec_limits(void **state)
{
	struct api_access *a = accept(
		(struct config){ .user = exec_of("args", "a", EXEC_MAX_ARGS) });

	(void)state;
	assert_int_equal(a->exec->n_args, EXEC_MAX_ARGS);
	access_free(a);
	refuse_text(config_text((struct config){ .user = exec_of("args", "a", EXEC_MAX_ARGS + 1) }),
		    -E2BIG, "users[name=u].user.exec.args: has 65 items, more than 64");

	a = accept((struct config){ .user = exec_of("env", "{name: a}", EXEC_MAX_ENV) });
	assert_int_equal(a->exec->n_env, EXEC_MAX_ENV);
	access_free(a);
	refuse_text(config_text((struct config){
			    .user = exec_of("env", "{name: a}", EXEC_MAX_ENV + 1) }),
		    -E2BIG, "users[name=u].user.exec.env: has 65 items, more than 64");
}

static void test_contexts_are_looked_up(void **state)
{
	struct api_access *a = accept((struct config){
		.user = "token: canary",
		.rest = "contexts: [{name: x, context: {cluster: c}}]\ncurrent-context: x" });

	(void)state;
	assert_null(a->token); /* nobody */
	access_free(a);

	refuse((struct config){ .rest = "contexts: []" }, "current-context: is missing");
	refuse((struct config){ .rest = "current-context: x" },
	       "contexts: has no item named \"x\"");
	refuse((struct config){ .rest = "current-context: x\ncontexts: [{name: x}]" },
	       "contexts[name=x].context.cluster: is missing");
	refuse((struct config){ .rest = "current-context: x\n"
					"contexts: [{name: x, context: {cluster: d}}]" },
	       "clusters: has no item named \"d\"");
	refuse((struct config){ .rest = "current-context: x\n"
					"contexts: [{name: x, context: {cluster: c, user: v}}]" },
	       "users: has no item named \"v\"");
	refuse((struct config){ .rest = "current-context: x\n"
					"contexts: [{name: x}, {name: x}]" },
	       "contexts[name=x].context: stands there twice");
	refuse((struct config){ .rest = "current-context: x\ncontexts: [x]" },
	       "contexts[0]: is a string, not an object");
	refuse((struct config){ .rest = "current-context: x\ncontexts: {x: {}}" },
	       "contexts: is an object, not a list");
}

static void test_other_documents_are_refused(void **state)
{
	(void)state;
	refuse_text("", -EINVAL, "is empty");
	refuse_text("# nothing\n", -EINVAL, "is empty");
	refuse_text("null\n", -EINVAL, "is empty");
	refuse_text("[a]\n", -EINVAL, "document: is a list, not an object");
	refuse_text("kind: Pod\n", -EINVAL, "kind: is not \"Config\": this is no kubeconfig");
	refuse_text("apiVersion: v2\n", -EINVAL,
		    "apiVersion: is not \"v1\": this is no kubeconfig");
}

static void test_S7_what_yaml_says_is_not_repeated(void **state)
{
	static const char *const bad[] = {
		"a: 1\npassword: 123456789012345678901234567890\n",
		"a: 1\ntoken: !canary x\n",
		"a: 1\ntoken: *canary\n",
		"a: {canary: 1, canary: 2}\na: 1\n",
		"a: 1\ncanary\n",
	};
	struct api_access *a;
	struct error err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(parse(bad[i], NULL, &a, &err), -EINVAL);
		assert_null(strstr(err.message, "123456"));
		assert_non_null(strstr(err.message, " is not YAML, or YAML that is not read here"));
	}
	refuse_text(bad[0], -EINVAL,
		    "line 2 is not YAML, or YAML that is not read here "
		    "(aliases, tags, a key twice)");
}

static void test_S11_limits_of_the_file(void **state)
{
	struct buf text = { 0 };
	struct api_access *a;
	struct error err;

	(void)state;
	buf_puts(&text, config_text((struct config){ 0 }));
	buf_puts(&text, "\n#");
	memset(buf_reserve(&text, KUBECONFIG_MAX_BYTES), 'x', KUBECONFIG_MAX_BYTES);
	buf_advance(&text, KUBECONFIG_MAX_BYTES - text.len);
	assert_int_equal(parse(text.data, NULL, &a, &err), 0);
	access_free(a);
	buf_puts(&text, "x");
	refuse_text(text.data, -E2BIG, "has more than 1048576 bytes");

	buf_reset(&text);
	buf_puts(&text, "current-context: x\ncontexts:\n");
	for (int i = 0; i <= KUBECONFIG_MAX_ENTRIES; i++)
		buf_puts(&text, "- {}\n");
	refuse_text(text.data, -E2BIG, "contexts: has 1025 items, more than 1024");
	buf_free(&text);
}

static void test_file_gives_its_folder_to_paths(void **state)
{
	const struct folder *f = *state;
	const char *path = folder_path(f, "config"), *expected = folder_path(f, "t");
	struct api_access *a = NULL;
	struct error err;

	folder_write(f, "config", config_text((struct config){ .user = "tokenFile: t" }));
	assert_int_equal(access_read_kubeconfig(path, NULL, &a, &err), 0);
	assert_string_equal(a->token_file, expected);
	access_free(a);

	assert_int_equal(chdir(f->path), 0);
	assert_int_equal(access_read_kubeconfig("config", NULL, &a, &err), 0);
	assert_string_equal(a->token_file, "./t");
	access_free(a);
	assert_int_equal(chdir("/"), 0);
	assert_int_equal(access_read_kubeconfig(path + 1, "https://h", &a, &err), 0);
	assert_string_equal(a->token_file, expected + 1);
	assert_string_equal(a->server, "https://h");
	access_free(a);
}

static void read_fails(const char *path, int code, const char *format)
{
	struct api_access *a = NULL;
	struct error err = { 0 };
	char sentence[256];

	snprintf(sentence, sizeof(sentence), "kubeconfig %s: %s", path, format);
	assert_int_equal(access_read_kubeconfig(path, NULL, &a, &err), code);
	assert_string_equal(err.message, sentence);
	assert_null(a);
}

static void test_unreadable_file(void **state)
{
	const struct folder *f = *state;
	const char *path = folder_path(f, "config");

	read_fails(path, -ENOENT, "open: No such file or directory");
	folder_write(f, "config", "a: canary\nb: [\n");
	read_fails(
		path, -EINVAL,
		"line 2 is not YAML, or YAML that is not read here (aliases, tags, a key twice)");
	read_fails(f->path, -EINVAL, "is not a regular file");
	assert_int_equal(remove(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	read_fails(path, -EINVAL, "is not a regular file");
	read_fails("/dev/zero", -EINVAL, "is not a regular file");
}

static void test_A14_service_account(void **state)
{
	static const char *const hosts[][2] = { { "10.96.0.1", "https://10.96.0.1:443" },
						{ "fd00::1", "https://[fd00::1]:443" },
						{ "api.example", "https://api.example:443" } };
	const struct folder *f = *state;
	const char *token = folder_path(f, "token"), *ca = folder_path(f, "ca.crt");

	folder_write(f, "token", "canary");
	for (size_t i = 0; i < ARRAY_SIZE(hosts); i++) {
		struct api_access *a;

		assert_int_equal(
			access_service_account(f->path, hosts[i][0], "443", NULL, &a, NULL), 0);
		assert_string_equal(a->server, hosts[i][1]);
		assert_string_equal(a->token_file, token);
		assert_string_equal(a->ca.path, ca);
		assert_false(a->insecure);
		access_free(a);
	}
}

static void test_master_replaces_only_the_server_of_the_service_account(void **state)
{
	const struct folder *f = *state;
	struct api_access *a;
	struct error err;

	folder_write(f, "token", "canary");
	assert_int_equal(access_service_account(f->path, NULL, NULL, "192.0.2.1:6443", &a, &err),
			 0);
	assert_string_equal(a->server, "https://192.0.2.1:6443");
	assert_non_null(a->token_file);
	assert_non_null(a->ca.path);
	access_free(a);

	assert_int_equal(access_service_account(f->path, "h", "1", "http://192.0.2.1", &a, &err),
			 0);
	assert_string_equal(a->server, "http://192.0.2.1");
	assert_null(a->token_file);
	access_free(a);

	assert_int_equal(access_service_account(f->path, "h", "1", "https://", &a, &err), -EINVAL);
	assert_string_equal(err.message, "--master: is not a URL: No host part in the URL");
}

static void test_where_is_no_pod(void **state)
{
	static const char no_variable[] = "this is no pod: KUBERNETES_SERVICE_HOST or "
					  "KUBERNETES_SERVICE_PORT is not set";
	struct api_access *a;
	struct error err;

	(void)state;
	assert_int_equal(access_service_account("/", NULL, "443", NULL, &a, &err), -ENOENT);
	assert_string_equal(err.message, no_variable);
	assert_int_equal(access_service_account("/", "h", "", "", &a, &err), -ENOENT);
	assert_string_equal(err.message, no_variable);
	assert_int_equal(access_service_account("/nowhere", "h", "443", NULL, &a, &err), -ENOENT);
	assert_string_equal(err.message,
			    "this is no pod: /nowhere/token: No such file or directory");
	assert_int_equal(access_service_account("/", "h", "https", NULL, &a, &err), -EINVAL);
	assert_string_equal(err.message,
			    "KUBERNETES_SERVICE_HOST:KUBERNETES_SERVICE_PORT: is not a URL: "
			    "Port number was not a decimal number between 0 and 65535");

	unsetenv("KUBERNETES_SERVICE_HOST");
	assert_int_equal(access_in_cluster(NULL, &a, &err), -ENOENT);
	assert_string_equal(err.message, no_variable);
}

static void test_H1_short_memory_anywhere(void **state)
{
	const char *text = config_text((struct config){
		.cluster = SERVER ", certificate-authority-data: " CANARY_BASE64
				  ", proxy-url: 'http://p', extensions: "
				  "[{name: client.authentication.k8s.io/exec, extension: 1}]",
		.user = "exec: {" EXEC_V1 ", command: a/b, args: [a], provideClusterInfo: true, "
			"env: [{name: a}]}" });
	const struct folder *f = *state;
	const char *path = folder_path(f, "config");
	unsigned n;

	folder_write(f, "config", text);
	for (n = 1;; n++) {
		struct api_access *a = NULL;
		struct error err;
		int r;

		fail_alloc_at(n);
		r = access_read_kubeconfig(path, NULL, &a, &err);
		if (!fail_alloc_end()) {
			assert_int_equal(r, 0);
			access_free(a);
			break;
		}
		assert_int_equal(r, -ENOMEM);
		assert_null(a);
	}
	assert_true(n > 5);
}

static void test_H1_short_memory_for_users_and_pods(void **state)
{
	const char *text = config_text((struct config){
		.user = "token: canary, tokenFile: t, client-certificate-data: " CANARY_BASE64
			", client-key: k" });
	const struct folder *f = *state;
	bool done = false;

	folder_write(f, "token", "canary");
	for (unsigned n = 1; !done; n++) {
		struct api_access *a = NULL, *b = NULL;
		int r, s;

		fail_alloc_at(n);
		r = access_parse_kubeconfig(text, strlen(text), "/", NULL, &a, NULL);
		s = access_service_account(f->path, "h", "1", NULL, &b, NULL);
		done = !fail_alloc_end();
		assert_int_equal(r + s, done ? 0 : -ENOMEM);
		access_free(a);
		access_free(b);
	}
	assert_null(access_free(NULL));
}

#define folder_test(name) cmocka_unit_test_setup_teardown(name, folder_setup, folder_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kubeconfig_of_every_day),
		cmocka_unit_test(test_json_is_yaml),
		cmocka_unit_test(test_server_url),
		cmocka_unit_test(test_bad_server_url),
		cmocka_unit_test(test_master_replaces_the_server_and_its_name),
		cmocka_unit_test(test_proxy_url),
		cmocka_unit_test(test_certificate_authority),
		cmocka_unit_test(test_base64),
		cmocka_unit_test(test_certificate_and_key_belong_together),
		cmocka_unit_test(test_token_and_its_file),
		cmocka_unit_test(test_S7_token_with_what_a_header_must_not_have),
		cmocka_unit_test(test_basic_authentication),
		cmocka_unit_test(test_what_is_not_supported_is_refused),
		cmocka_unit_test(test_S7_no_credentials_for_an_open_connection),
		cmocka_unit_test(test_exec_plugin),
		cmocka_unit_test(test_exec_plugin_with_little),
		cmocka_unit_test(test_bad_exec_plugin),
		cmocka_unit_test(test_exec_plugin_only_where_nothing_else_is),
		cmocka_unit_test(test_exec_limits),
		cmocka_unit_test(test_contexts_are_looked_up),
		cmocka_unit_test(test_other_documents_are_refused),
		cmocka_unit_test(test_S7_what_yaml_says_is_not_repeated),
		cmocka_unit_test(test_S11_limits_of_the_file),
		folder_test(test_file_gives_its_folder_to_paths),
		folder_test(test_unreadable_file),
		folder_test(test_A14_service_account),
		folder_test(test_master_replaces_only_the_server_of_the_service_account),
		cmocka_unit_test(test_where_is_no_pod),
		folder_test(test_H1_short_memory_anywhere),
		folder_test(test_H1_short_memory_for_users_and_pods),
	};

	return cmocka_run_group_tests_name("access", tests, NULL, NULL);
}
