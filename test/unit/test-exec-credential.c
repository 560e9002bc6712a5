/* Secrets in here are all called "canary..."; no sentence may hold them. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "api/access.h"
#include "api/credentials.h"
#include "api/exec-credential.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/secret.h"
#include "fail-alloc.h"
#include "folder.h"

#define V1 "client.authentication.k8s.io/v1"

static const struct exec_plugin plugin = { .api_version = V1, .command = "login" };

static int answer_read(const char *text, struct exec_credential *ret, struct error *err)
{
	int r;

	*err = (struct error){ 0 };
	*ret = (struct exec_credential){ 0 };
	r = exec_credential_read(&plugin, text, strlen(text), ret, err);
	assert_int_equal(r, err->code);
	assert_null(strstr(err->message, "canary"));
	return r;
}

/* An answer whose status is @status. */
static const char *answer_of(const char *status)
{
	static struct buf text;

	buf_reset(&text);
	buf_printf(&text, "{\"kind\":\"ExecCredential\",\"apiVersion\":\"" V1 "\",\"status\":%s}",
		   status);
	return buf_text(&text);
}

static struct exec_credential accept(const char *status)
{
	struct exec_credential c;
	struct error err;

	if (answer_read(answer_of(status), &c, &err) < 0)
		fail_msg("%s", err.message);
	return c;
}

static void refuse_text(const char *text, int code, const char *sentence)
{
	struct exec_credential c;
	struct error err;

	assert_int_equal(answer_read(text, &c, &err), code);
	assert_string_equal(err.message, sentence);
	assert_null(c.token);
	assert_null(c.certificate);
	assert_null(c.key);
}

static void refuse(const char *status, const char *sentence)
{
	refuse_text(answer_of(status), -EINVAL, sentence);
}

static void assert_secret(const struct secret *s, const char *text)
{
	assert_non_null(s);
	assert_string_equal(secret_reveal(s, NULL), text);
}

static void test_token(void **state)
{
	struct exec_credential c = accept("{\"token\": \"canary\\n\", \"unknown\": 1}");

	(void)state;
	assert_secret(c.token, "canary");
	assert_null(c.certificate);
	assert_null(c.key);
	assert_int_equal(c.expires_s, 0);
	exec_credential_free(&c);
	assert_null(c.token);

	c = accept("{\"token\": \"canary\", \"expirationTimestamp\": \"2026-07-01T12:00:00Z\","
		   "\"clientCertificateData\": \"\", \"clientKeyData\": null}");
	assert_int_equal(c.expires_s, 1782907200);
	assert_null(c.certificate);
	exec_credential_free(&c);
}

static void test_certificate(void **state)
{
	struct exec_credential c = accept("{\"clientCertificateData\": \"canary\\ncert\\n\","
					  "\"clientKeyData\": \"canary key\"}");

	(void)state;
	assert_null(c.token);
	assert_secret(c.certificate, "canary\ncert\n");
	assert_secret(c.key, "canary key");
	exec_credential_free(&c);

	c = accept("{\"token\": \"canary\", \"clientCertificateData\": \"c\","
		   "\"clientKeyData\": \"k\"}");
	assert_secret(c.token, "canary");
	assert_secret(c.certificate, "c");
	exec_credential_free(&c);
}

static void test_bad_status(void **state)
{
	(void)state;
	refuse("null", "status: is missing");
	refuse("\"canary\"", "status: is a string, not an object");
	refuse("{}", "status: has neither token nor certificate");
	refuse("{\"token\": \"\"}", "status: has neither token nor certificate");
	refuse("{\"clientCertificateData\": \"canary\"}",
	       "status: has only one of certificate and key");
	refuse("{\"token\": \"canary\", \"clientKeyData\": \"canary\"}",
	       "status: has only one of certificate and key");
	refuse("{\"token\": 12345}", "status.token: is an integer, not a string");
	refuse("{\"token\": [\"canary\"]}", "status.token: is a list, not a string");
	refuse("{\"token\": \"canary\", \"expirationTimestamp\": \"tomorrow\"}",
	       "status.expirationTimestamp: \"tomorrow\" is not an RFC 3339 time");
}

static void test_S7_token_with_what_a_header_must_not_have(void **state)
{
	(void)state;
	refuse("{\"token\": \"canary\\r\\nX-Remote-User: root\"}",
	       "status.token: holds a character that no token may have");
	refuse("{\"token\": \"\\u00e9canary\"}",
	       "status.token: holds a character that no token may have");
	refuse("{\"token\": \"  \"}", "status.token: is empty");
}

static void test_other_documents(void **state)
{
	(void)state;
	refuse_text("", -EINVAL, "it wrote no JSON");
	refuse_text("token: canary", -EINVAL, "it wrote no JSON");
	refuse_text("{\"canary\": canary}", -EINVAL, "it wrote no JSON");
	refuse_text("{\"kind\": \"Pod\", \"apiVersion\": \"" V1 "\"}", -EINVAL,
		    "kind: is not \"ExecCredential\"");
	refuse_text("{\"apiVersion\": \"" V1 "\"}", -EINVAL, "kind: is not \"ExecCredential\"");
	refuse_text("{\"kind\": \"ExecCredential\"," /* the plugin speaks another version */
		    "\"apiVersion\": \"client.authentication.k8s.io/v1beta1\"}",
		    -EINVAL, "apiVersion: is not \"" V1 "\"");
	refuse_text("[]", -EINVAL, "document: is a list, not an object");
}

static void test_S11_limits(void **state)
{
	struct buf text = { 0 };

	(void)state;
	buf_puts(&text, "{\"token\": \"");
	memset(buf_reserve(&text, TOKEN_MAX_BYTES + 1), 'x', TOKEN_MAX_BYTES + 1);
	buf_advance(&text, TOKEN_MAX_BYTES + 1);
	buf_puts(&text, "\"}");
	refuse_text(answer_of(text.data), -E2BIG, "status.token: has more than 65536 bytes");

	buf_reset(&text);
	for (int i = 0; i < 100; i++)
		buf_puts(&text, "[");
	refuse_text(text.data, -E2BIG, "it wrote no JSON");
	buf_free(&text);
}

static json_t *info_of(const struct api_access *a)
{
	char *text = NULL;
	struct error err;
	json_t *info;

	if (exec_info_build(a, &text, &err) < 0)
		fail_msg("%s", err.message);
	info = json_loads(text, 0, NULL);
	assert_non_null(info);
	free(text);
	return info;
}

static void assert_info(const struct api_access *a, const char *expected)
{
	json_t *info = info_of(a), *wanted = json_loads(expected, 0, NULL);
	char *text = json_dumps(info, JSON_COMPACT);

	assert_non_null(wanted);
	if (!json_equal(info, wanted))
		fail_msg("%s", text);
	free(text);
	json_decref(info);
	json_decref(wanted);
}

static void test_plugin_is_told_of_the_version(void **state)
{
	const struct api_access a = { .server = "https://h", .exec = &plugin };

	(void)state;
	assert_info(&a, "{\"kind\": \"ExecCredential\", \"apiVersion\": \"" V1 "\","
			"\"spec\": {\"interactive\": false}}");
}

static const struct exec_plugin curious = { .api_version = V1, .provide_cluster_info = true };

static void test_plugin_is_told_of_the_cluster(void **state)
{
	static const struct exec_plugin configured = { .api_version = V1,
						       .provide_cluster_info = true,
						       .cluster_config = "{\"audience\":\"a\"}" };
	struct api_access a = { .server = "https://h:6443",
				.tls_server_name = "kube",
				.ca.content = secret_new("ab", 2),
				.proxy_url = "socks5h://p:1080/",
				.exec = &configured };

	(void)state;
	assert_info(&a, "{\"kind\": \"ExecCredential\", \"apiVersion\": \"" V1 "\","
			"\"spec\": {\"interactive\": false, \"cluster\": {"
			"\"server\": \"https://h:6443\", \"tls-server-name\": \"kube\","
			"\"certificate-authority-data\": \"YWI=\","
			"\"proxy-url\": \"socks5://p:1080/\","
			"\"config\": {\"audience\": \"a\"}}}}");
	secret_free(a.ca.content);
	a = (struct api_access){
		.server = "https://h", .insecure = true, .proxy_url = "http://p/", .exec = &curious
	};
	assert_info(&a, "{\"kind\": \"ExecCredential\", \"apiVersion\": \"" V1 "\","
			"\"spec\": {\"interactive\": false, \"cluster\": {"
			"\"server\": \"https://h\", \"insecure-skip-tls-verify\": true,"
			"\"proxy-url\": \"http://p/\"}}}");
}

static void test_certificate_authority_is_told_in_base64(void **state)
{
	static const char *const cases[][2] = {
		{ "a", "YQ==" },
		{ "ab", "YWI=" },
		{ "abc", "YWJj" },
		{ "\xff\xfe?~", "//4/fg==" },
	};
	const struct folder *f = *state;
	struct api_access a = { .server = "https://h", .exec = &curious };

	a.ca.path = folder_path(f, "ca");
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *data = NULL;
		json_t *info;

		folder_write(f, "ca", cases[i][0]);
		info = info_of(&a);
		assert_int_equal(json_unpack(info, "{s:{s:{s:s}}}", "spec", "cluster",
					     "certificate-authority-data", &data),
				 0);
		assert_string_equal(data, cases[i][1]);
		json_decref(info);
	}
}

static void test_missing_certificate_authority(void **state)
{
	const struct api_access a = { .server = "https://h",
				      .ca.path = "/nowhere/ca",
				      .exec = &curious };
	struct error err;
	char *text;

	(void)state;
	assert_int_equal(exec_info_build(&a, &text, &err), -ENOENT);
	assert_string_equal(err.message,
			    "certificate authority /nowhere/ca: open: No such file or directory");
}

static void test_H1_short_memory(void **state)
{
	const char *answer = answer_of("{\"token\": \"canary\", \"clientCertificateData\": \"c\","
				       "\"clientKeyData\": \"k\"}");
	const struct folder *f = *state;
	const struct api_access a = { .server = "https://h",
				      .ca.path = folder_path(f, "ca"),
				      .proxy_url = "socks5h://p",
				      .exec = &curious };
	bool done = false;

	folder_write(f, "ca", "ca");
	for (unsigned n = 1; !done; n++) {
		struct exec_credential c = { 0 };
		char *text = NULL;
		int r, s;

		fail_alloc_at(n);
		r = exec_credential_read(&plugin, answer, strlen(answer), &c, NULL);
		s = exec_info_build(&a, &text, NULL);
		done = !fail_alloc_end();
		assert_int_equal(r + s, done ? 0 : -ENOMEM);
		exec_credential_free(&c);
		free(text);
	}
}

#define folder_test(name) cmocka_unit_test_setup_teardown(name, folder_setup, folder_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_token),
		cmocka_unit_test(test_certificate),
		cmocka_unit_test(test_bad_status),
		cmocka_unit_test(test_S7_token_with_what_a_header_must_not_have),
		cmocka_unit_test(test_other_documents),
		cmocka_unit_test(test_S11_limits),
		cmocka_unit_test(test_plugin_is_told_of_the_version),
		cmocka_unit_test(test_plugin_is_told_of_the_cluster),
		folder_test(test_certificate_authority_is_told_in_base64),
		cmocka_unit_test(test_missing_certificate_authority),
		folder_test(test_H1_short_memory),
	};

	return cmocka_run_group_tests_name("exec-credential", tests, NULL, NULL);
}
