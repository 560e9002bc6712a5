#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "access-fixture.h"
#include "base/error.h"
#include "fail-alloc.h"
#include "folder.h"

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
		folder_test(test_file_gives_its_folder_to_paths),
		folder_test(test_unreadable_file),
		folder_test(test_A14_service_account),
		folder_test(test_master_replaces_only_the_server_of_the_service_account),
		cmocka_unit_test(test_where_is_no_pod),
		folder_test(test_H1_short_memory_anywhere),
		folder_test(test_H1_short_memory_for_users_and_pods),
	};

	return cmocka_run_group_tests_name("access-files", tests, NULL, NULL);
}
