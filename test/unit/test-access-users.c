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

static void test_certificate_and_key_belong_together(void **state)
{
	(void)state;
	config_refuse((struct config){ .user = "client-certificate: /c" },
		      "users[name=u].user.client-key: is missing beside a certificate");
	config_refuse((struct config){ .user = "client-key-data: " CANARY_BASE64 },
		      "users[name=u].user.client-certificate: is missing beside a key");
	config_refuse((struct config){ .user = "client-certificate: /c, client-key: /k, "
					       "client-key-data: " CANARY_BASE64 },
		      "users[name=u].user.client-key-data: stands beside client-key");
}

static void test_token_and_its_file(void **state)
{
	struct api_access *a = config_accept(
		(struct config){ .user = "token: ' canary\t', tokenFile: ../t" });

	(void)state;
	assert_secret(a->token, "canary");
	assert_string_equal(a->token_file, "/etc/kube/../t");
	access_free(a);

	a = config_accept((struct config){ .user = "token: '', tokenFile: /t" });
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
		config_refuse((struct config){ .user = user },
			      "users[name=u].user.token: holds a character that no token may have");
	}
	config_refuse((struct config){ .user = "token: ' '" },
		      "users[name=u].user.token: is empty");
	/* What YAML takes for a number is no string, and its text no part of a sentence. */
	config_refuse((struct config){ .user = "token: 123456" },
		      "users[name=u].user.token: is an integer, not a string");
}

static void test_basic_authentication(void **state)
{
	struct api_access *a = config_accept(
		(struct config){ .user = "username: admin, password: canary" });

	(void)state;
	assert_string_equal(a->username, "admin");
	assert_secret(a->password, "canary");
	access_free(a);

	a = config_accept((struct config){ .user = "username: admin" });
	assert_null(a->password);
	access_free(a);

	config_refuse((struct config){ .user = "password: canary" },
		      "users[name=u].user.username: is missing beside a password");
	config_refuse((struct config){ .user = "username: a, password: canary, token: canary" },
		      "users[name=u].user.username: stands beside a token");
	config_refuse((struct config){ .user = "username: a, password: canary, tokenFile: t" },
		      "users[name=u].user.username: stands beside a token");
}

static void test_what_is_not_supported_is_refused(void **state)
{
	(void)state;
	config_refuse((struct config){ .user = "auth-provider: {name: oidc}, token: canary" },
		      "users[name=u].user.auth-provider: is not supported: use an exec plugin");
	config_refuse((struct config){ .user = "as: root" },
		      "users[name=u].user.as: impersonation is not supported");
	config_refuse((struct config){ .user = "as-groups: ['system:masters']" },
		      "users[name=u].user.as-groups: impersonation is not supported");
}

static void test_S7_no_credentials_for_an_open_connection(void **state)
{
	struct api_access *a = config_accept(
		(struct config){ .cluster = "server: 'http://h'", .user = "token: canary" });

	(void)state;
	assert_null(a->token);
	access_free(a);
	a = config_accept_with((struct config){ .user = "username: a, password: canary" },
			       "http://h");
	assert_null(a->username);
	assert_null(a->password);
	access_free(a);
}

static void test_exec_plugin(void **state)
{
	struct api_access *a = config_accept((struct config){
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
		a = config_accept((struct config){ .user = user });
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
		config_refuse((struct config){ .user = user }, sentence);
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
		a = config_accept((struct config){ .user = user });
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
	struct api_access *a = config_accept(
		(struct config){ .user = exec_of("args", "a", EXEC_MAX_ARGS) });

	(void)state;
	assert_int_equal(a->exec->n_args, EXEC_MAX_ARGS);
	access_free(a);
	config_refuse_text(config_text((struct config){
				   .user = exec_of("args", "a", EXEC_MAX_ARGS + 1) }),
			   -E2BIG, "users[name=u].user.exec.args: has 65 items, more than 64");

	a = config_accept((struct config){ .user = exec_of("env", "{name: a}", EXEC_MAX_ENV) });
	assert_int_equal(a->exec->n_env, EXEC_MAX_ENV);
	access_free(a);
	config_refuse_text(config_text((struct config){
				   .user = exec_of("env", "{name: a}", EXEC_MAX_ENV + 1) }),
			   -E2BIG, "users[name=u].user.exec.env: has 65 items, more than 64");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
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
	};

	return cmocka_run_group_tests_name("access-users", tests, NULL, NULL);
}
