#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "access-fixture.h"
#include "base/buf.h"
#include "base/error.h"

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
	assert_int_equal(config_parse(text, NULL, &a, &err), 0);
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
	if (config_parse(text, NULL, &a, &err) < 0)
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
		struct api_access *a = config_accept((struct config){ .cluster = cases[i][0] });

		assert_string_equal(a->server, cases[i][1]);
		access_free(a);
	}
}

static void test_bad_server_url(void **state)
{
	(void)state;
	config_refuse((struct config){ .cluster = "server: ''" },
		      "clusters[name=c].cluster.server: is missing");
	config_refuse((struct config){ .cluster = "server: 6443" },
		      "clusters[name=c].cluster.server: is an integer, not a string");
	config_refuse((struct config){ .cluster = "server: 'https://u:canary@h'" },
		      "clusters[name=c].cluster.server: holds a user name");
	config_refuse((struct config){ .cluster = "server: 'unix:///run/api'" },
		      "clusters[name=c].cluster.server: has a scheme that is not supported");
	config_refuse((struct config){ .cluster = "server: 'https://canary canary'" },
		      "clusters[name=c].cluster.server: is not a URL: Bad hostname");
	config_refuse((struct config){ .cluster = "server: 'https://fd00::1:6443'" },
		      "clusters[name=c].cluster.server: is not a URL: "
		      "Port number was not a decimal number between 0 and 65535");
}

static void test_master_replaces_the_server_and_its_name(void **state)
{
	static const struct config c = { .cluster = SERVER ", tls-server-name: n",
					 .user = "token: canary" };
	struct api_access *a = config_accept_with(c, "[fd00::2]:443");
	struct error err;

	(void)state;
	assert_string_equal(a->server, "https://[fd00::2]:443");
	assert_null(a->tls_server_name);
	assert_secret(a->token, "canary");
	access_free(a);

	a = config_accept_with(c, "");
	assert_string_equal(a->server, "https://10.0.0.1:6443");
	assert_string_equal(a->tls_server_name, "n");
	access_free(a);

	a = config_accept_with((struct config){ .cluster = "server: ''" }, "https://h");
	assert_string_equal(a->server, "https://h");
	access_free(a);

	assert_int_equal(config_parse(config_text(c), "http://canary@h", &a, &err), -EINVAL);
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
		a = config_accept((struct config){ .cluster = cluster });
		assert_string_equal(a->proxy_url, cases[i][1]);
		access_free(a);
	}
	config_refuse((struct config){ .cluster = SERVER ", proxy-url: 'socks4://u:canary@p'" },
		      "clusters[name=c].cluster.proxy-url: has a scheme that is not supported");
	config_refuse((struct config){ .cluster = SERVER ", proxy-url: 'canary:80'" },
		      "clusters[name=c].cluster.proxy-url: is not a URL: "
		      "Unsupported number of slashes following scheme");
}

static void test_certificate_authority(void **state)
{
	struct api_access *a = config_accept((struct config){
		.cluster = SERVER ", certificate-authority: pki/ca.crt, tls-server-name: kube" });

	(void)state;
	assert_string_equal(a->ca.path, "/etc/kube/pki/ca.crt");
	assert_null(a->ca.content);
	assert_string_equal(a->tls_server_name, "kube");
	access_free(a);

	a = config_accept((struct config){ .cluster = SERVER ", insecure-skip-tls-verify: true" });
	assert_true(a->insecure);
	assert_null(a->ca.path);
	access_free(a);

	config_refuse((struct config){ .cluster = SERVER
				       ", certificate-authority: a, "
				       "certificate-authority-data: " CANARY_BASE64 },
		      "clusters[name=c].cluster.certificate-authority-data: "
		      "stands beside certificate-authority");
	config_refuse((struct config){ .cluster = SERVER
				       ", insecure-skip-tls-verify: true, "
				       "certificate-authority-data: " CANARY_BASE64 },
		      "clusters[name=c].cluster.insecure-skip-tls-verify: "
		      "stands beside a certificate authority");
	config_refuse(
		(struct config){ .cluster = SERVER ", insecure-skip-tls-verify: 'true'" },
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
		a = config_accept((struct config){ .user = user });
		assert_secret(a->key.content, good[i][1]);
		assert_string_equal(a->certificate.path, "/etc/kube/c");
		access_free(a);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		snprintf(user, sizeof(user), "client-certificate: c, client-key-data: \"%s\"",
			 bad[i]);
		config_refuse((struct config){ .user = user },
			      "users[name=u].user.client-key-data: is not base64");
	}
}

static void test_contexts_are_looked_up(void **state)
{
	struct api_access *a = config_accept((struct config){
		.user = "token: canary",
		.rest = "contexts: [{name: x, context: {cluster: c}}]\ncurrent-context: x" });

	(void)state;
	assert_null(a->token); /* nobody */
	access_free(a);

	config_refuse((struct config){ .rest = "contexts: []" }, "current-context: is missing");
	config_refuse((struct config){ .rest = "current-context: x" },
		      "contexts: has no item named \"x\"");
	config_refuse((struct config){ .rest = "current-context: x\ncontexts: [{name: x}]" },
		      "contexts[name=x].context.cluster: is missing");
	config_refuse((struct config){ .rest = "current-context: x\n"
					       "contexts: [{name: x, context: {cluster: d}}]" },
		      "clusters: has no item named \"d\"");
	config_refuse(
		(struct config){ .rest = "current-context: x\n"
					 "contexts: [{name: x, context: {cluster: c, user: v}}]" },
		"users: has no item named \"v\"");
	config_refuse((struct config){ .rest = "current-context: x\n"
					       "contexts: [{name: x}, {name: x}]" },
		      "contexts[name=x].context: stands there twice");
	config_refuse((struct config){ .rest = "current-context: x\ncontexts: [x]" },
		      "contexts[0]: is a string, not an object");
	config_refuse((struct config){ .rest = "current-context: x\ncontexts: {x: {}}" },
		      "contexts: is an object, not a list");
}

static void test_other_documents_are_refused(void **state)
{
	(void)state;
	config_refuse_text("", -EINVAL, "is empty");
	config_refuse_text("# nothing\n", -EINVAL, "is empty");
	config_refuse_text("null\n", -EINVAL, "is empty");
	config_refuse_text("[a]\n", -EINVAL, "document: is a list, not an object");
	config_refuse_text("kind: Pod\n", -EINVAL,
			   "kind: is not \"Config\": this is no kubeconfig");
	config_refuse_text("apiVersion: v2\n", -EINVAL,
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
		assert_int_equal(config_parse(bad[i], NULL, &a, &err), -EINVAL);
		assert_null(strstr(err.message, "123456"));
		assert_non_null(strstr(err.message, " is not YAML, or YAML that is not read here"));
	}
	config_refuse_text(bad[0], -EINVAL,
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
	assert_int_equal(config_parse(text.data, NULL, &a, &err), 0);
	access_free(a);
	buf_puts(&text, "x");
	config_refuse_text(text.data, -E2BIG, "has more than 1048576 bytes");

	buf_reset(&text);
	buf_puts(&text, "current-context: x\ncontexts:\n");
	for (int i = 0; i <= KUBECONFIG_MAX_ENTRIES; i++)
		buf_puts(&text, "- {}\n");
	config_refuse_text(text.data, -E2BIG, "contexts: has 1025 items, more than 1024");
	buf_free(&text);
}

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
		cmocka_unit_test(test_contexts_are_looked_up),
		cmocka_unit_test(test_other_documents_are_refused),
		cmocka_unit_test(test_S7_what_yaml_says_is_not_repeated),
		cmocka_unit_test(test_S11_limits_of_the_file),
	};

	return cmocka_run_group_tests_name("access", tests, NULL, NULL);
}
