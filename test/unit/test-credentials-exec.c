/* Secrets in here are all called "canary..."; no sentence may hold them. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "api/access.h"
#include "api/credentials.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/loop.h"
#include "base/secret.h"
#include "fail-alloc.h"
#include "folder.h"

enum { LONG_MS = 300 * 1000 }; /* only against hanging */

#define V1 "client.authentication.k8s.io/v1"

struct fixture {
	struct folder *folder;
	struct loop *loop;
	struct exec_plugin plugin;
	struct api_access access;
	struct credentials *credentials;
	bool free_when_ready, prepare_when_ready;
	/* What was told last. */
	unsigned calls;
	int r;
	char bearer[64];
	struct credentials_view view;
	struct error err;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	void *folder = NULL;

	if (!f || folder_setup(&folder) < 0)
		return -1;
	*state = f;
	f->folder = folder;
	f->plugin = (struct exec_plugin){ .api_version = V1,
					  .command = folder_path(folder, "plugin") };
	f->access = (struct api_access){ .server = "https://h", .exec = &f->plugin };
	if (loop_new(&f->loop, NULL) < 0)
		return -1;
	return credentials_new(f->loop, &f->access, &f->credentials, NULL);
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	void *folder = f->folder;

	credentials_free(f->credentials);
	loop_free(f->loop);
	free(f);
	return folder_teardown(&folder);
}

static void on_ready(int r, const struct credentials_view *view, const struct error *err,
		     void *userdata)
{
	struct fixture *f = userdata;

	f->calls++;
	f->r = r;
	assert_int_equal(view == NULL, r < 0);
	assert_int_equal(err == NULL, r == 0);
	if (view)
		f->view = *view;
	if (view)
		snprintf(f->bearer, sizeof(f->bearer), "%s",
			 view->bearer ? secret_reveal(view->bearer, NULL) : "(none)");
	else
		f->err = *err;
	if (f->free_when_ready)
		f->credentials = credentials_free(f->credentials);
	if (f->prepare_when_ready) {
		f->prepare_when_ready = false;
		assert_int_equal(credentials_prepare(f->credentials, false, on_ready, f, NULL), 0);
	}
}

static void prepare(struct fixture *f, bool renew)
{
	f->calls = 0;
	f->err = (struct error){ 0 };
	assert_int_equal(credentials_prepare(f->credentials, renew, on_ready, f, NULL), 0);
	while (f->calls == 0)
		assert_int_equal(loop_turn(f->loop, LONG_MS), 0);
	assert_int_equal(f->calls, 1);
	assert_null(strstr(f->err.message, "canary"));
}

static void prepare_well(struct fixture *f, bool renew)
{
	prepare(f, renew);
	if (f->r < 0)
		fail_msg("%s", f->err.message);
}

static void prepare_badly(struct fixture *f, bool renew, int code, const char *sentence)
{
	char expected[ERROR_MAX_BYTES];

	snprintf(expected, sizeof(expected), "exec plugin %s: %s", f->plugin.command, sentence);
	prepare(f, renew);
	assert_int_equal(f->r, code);
	assert_int_equal(f->err.code, code);
	assert_string_equal(f->err.message, expected);
}

/* The plugin writes "run" into the file "runs", and answers. */
static void plugin_write(struct fixture *f, const char *script)
{
	struct buf text = { 0 };

	buf_printf(&text, "echo run >>\"${0%%/*}/runs\"\n%s\n", script);
	folder_write_program(f->folder, "plugin", buf_text(&text));
	buf_free(&text);
}

static void plugin_answers(struct fixture *f, const char *status)
{
	struct buf text = { 0 };

	buf_printf(&text,
		   "cat <<'END'\n"
		   "{\"kind\": \"ExecCredential\", \"apiVersion\": \"" V1 "\", \"status\": {%s}}\n"
		   "END",
		   status);
	plugin_write(f, buf_text(&text));
	buf_free(&text);
}

static void plugin_answers_until(struct fixture *f, const char *token, time_t expires)
{
	char stamp[64], status[256];
	struct tm tm;

	assert_non_null(gmtime_r(&expires, &tm));
	strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%SZ", &tm);
	snprintf(status, sizeof(status), "\"token\": \"%s\", \"expirationTimestamp\": \"%s\"",
		 token, stamp);
	plugin_answers(f, status);
}

static size_t runs_count(const struct fixture *f)
{
	const char *runs = folder_read(f->folder, "runs");

	return runs ? strlen(runs) / strlen("run\n") : 0;
}

static void test_answer_is_kept(void **state)
{
	struct fixture *f = *state;

	plugin_answers(f, "\"token\": \"canary1\"");
	for (int i = 0; i < 3; i++) {
		prepare_well(f, false);
		assert_string_equal(f->bearer, "canary1");
	}
	assert_int_equal(runs_count(f), 1);
	assert_null(f->view.certificate_path);
	assert_null(f->view.key_path);
}

static void test_A7_plugin_runs_again_after_a_401(void **state)
{
	struct fixture *f = *state;

	plugin_answers(f, "\"token\": \"canary1\"");
	prepare_well(f, false);
	plugin_answers(f, "\"token\": \"canary2\"");
	prepare_well(f, true);
	assert_string_equal(f->bearer, "canary2");
	assert_int_equal(runs_count(f), 2);
}

static void test_A7_plugin_runs_again_when_its_answer_expires(void **state)
{
	struct fixture *f = *state;

	plugin_answers_until(f, "canary1", time(NULL) + 24 * 3600);
	prepare_well(f, false);
	prepare_well(f, false);
	assert_int_equal(runs_count(f), 1);
	plugin_answers_until(f, "canary2", time(NULL) + 1); /* within the margin */
	prepare_well(f, true);
	plugin_answers_until(f, "canary3", time(NULL) - 3600);
	prepare_well(f, false);
	assert_string_equal(f->bearer, "canary3");
	plugin_answers_until(f, "canary4", time(NULL) + 24 * 3600);
	prepare_well(f, false);
	assert_string_equal(f->bearer, "canary4");
	prepare_well(f, false);
	assert_int_equal(runs_count(f), 4);
}

static void test_A7_refused_answer_is_not_used_again(void **state)
{
	struct fixture *f = *state;

	plugin_answers(f, "\"token\": \"canary1\"");
	prepare_well(f, false);
	plugin_write(f, "exit 1");
	prepare_badly(f, true, -EIO, "exit status 1");
	prepare_badly(f, false, -EIO, "exit status 1");
	plugin_answers(f, "\"token\": \"canary2\"");
	prepare_well(f, false);
	assert_string_equal(f->bearer, "canary2");
}

static void assert_holds(const char *path, const char *text)
{
	char found[64] = "";
	FILE *file;

	assert_non_null(path);
	file = fopen(path, "re");
	assert_non_null(file);
	assert_int_equal(fread(found, 1, sizeof(found), file), strlen(text));
	assert_string_equal(found, text);
	fclose(file);
}

static void test_A7_other_certificates_get_another_number(void **state)
{
	struct fixture *f = *state;
	uint64_t before;

	plugin_answers(f, "\"clientCertificateData\": \"cert 1\", \"clientKeyData\": \"canary 1\"");
	prepare_well(f, false);
	assert_string_equal(f->bearer, "(none)");
	assert_holds(f->view.certificate_path, "cert 1");
	assert_holds(f->view.key_path, "canary 1");
	before = f->view.tls_serial;
	prepare_well(f, true);
	assert_int_equal(f->view.tls_serial, before);

	plugin_answers(f, "\"clientCertificateData\": \"cert 1\", \"clientKeyData\": \"canary 2\"");
	prepare_well(f, true);
	assert_holds(f->view.key_path, "canary 2");
	assert_int_not_equal(f->view.tls_serial, before);
	before = f->view.tls_serial;

	plugin_answers(f, "\"token\": \"canary\"");
	prepare_well(f, true);
	assert_null(f->view.certificate_path);
	assert_null(f->view.key_path);
	assert_int_not_equal(f->view.tls_serial, before);
}

static void test_plugin_gets_arguments_and_environment(void **state)
{
	static const char *const args[] = { "get", "", "$(id)" };
	static const struct exec_env env[] = { { "ONE", "first" },
					       { "TWO", "canary value" },
					       { "ONE", "last" },
					       { "KUBERNETES_EXEC_INFO", "not this" } };
	struct fixture *f = *state;

	assert_int_equal(setenv("ONE", "inherited", 1), 0);
	assert_int_equal(setenv("THREE", "inherited", 1), 0);
	f->plugin.args = args;
	f->plugin.n_args = ARRAY_SIZE(args);
	f->plugin.env = env;
	f->plugin.n_env = ARRAY_SIZE(env);
	plugin_write(f, "cd \"${0%/*}\"\n"
			"printf '%s|' \"$@\" >seen\n"
			"printf '%s|' \"$ONE\" \"$TWO\" \"$THREE\" >>seen\n"
			"env | grep -cE '^(ONE|KUBERNETES_EXEC_INFO)=' >>seen\n"
			"printf '%s' \"$KUBERNETES_EXEC_INFO\" >>seen");
	prepare(f, false);
	assert_string_equal(folder_read(f->folder, "seen"),
			    "get||$(id)|last|canary value|inherited|2\n"
			    "{\"apiVersion\":\"" V1 "\",\"kind\":\"ExecCredential\","
			    "\"spec\":{\"interactive\":false}}");
}

static void test_H8_failures_name_the_plugin(void **state)
{
	struct fixture *f = *state;

	plugin_write(f, "echo '{\"token\": \"canary\"}'; echo 'no such profile' >&2; exit 3");
	prepare_badly(f, false, -EIO, "exit status 3: no such profile");
	plugin_write(f, "kill -9 $$");
	prepare_badly(f, false, -EIO, "ended by signal 9");
	plugin_write(f, "echo canary");
	prepare_badly(f, false, -EINVAL, "it wrote no JSON");
	plugin_answers(f, "\"token\": \"canary canary\"");
	prepare_badly(f, false, -EINVAL, "status.token: holds a character that no token may have");
	plugin_write(f, "exec yes canary");
	prepare_badly(f, false, -E2BIG, "wrote more than 1048576 bytes");
}

static void test_hint_helps_who_has_no_plugin(void **state)
{
	struct fixture *f = *state;

	prepare_badly(f, false, -ENOENT, "can't be run: No such file or directory");
	f->plugin.install_hint = "get it at\nhttps://example.org\x1b[0m";
	prepare_badly(f, false, -ENOENT,
		      "can't be run: No such file or directory: "
		      "get it at https://example.org\\x1b[0m");
	folder_write(f->folder, "plugin", "");
	prepare_badly(f, false, -EACCES, "can't be run: Permission denied");
}

static void test_one_preparation_at_a_time(void **state)
{
	struct fixture *f = *state;
	struct error err;

	plugin_answers(f, "\"token\": \"canary\"");
	assert_int_equal(credentials_prepare(f->credentials, false, on_ready, f, &err), 0);
	assert_int_equal(credentials_prepare(f->credentials, true, on_ready, f, &err), -EBUSY);
	assert_string_equal(err.message, "credentials are being prepared");
	assert_int_equal(f->calls, 0);
	while (f->calls == 0)
		assert_int_equal(loop_turn(f->loop, LONG_MS), 0);
	assert_int_equal(f->r, 0);
	assert_int_equal(f->calls, 1);
	assert_int_equal(runs_count(f), 1);
}

static void test_who_is_told_may_ask_again(void **state)
{
	struct fixture *f = *state;

	plugin_answers(f, "\"token\": \"canary\"");
	f->prepare_when_ready = true;
	assert_int_equal(credentials_prepare(f->credentials, false, on_ready, f, NULL), 0);
	while (f->calls == 0)
		assert_int_equal(loop_turn(f->loop, LONG_MS), 0);
	assert_int_equal(f->calls, 2);
	assert_int_equal(runs_count(f), 1);
}

static void test_who_is_told_may_free_them(void **state)
{
	struct fixture *f = *state;

	plugin_answers(f, "\"token\": \"canary\"");
	f->free_when_ready = true;
	prepare_well(f, false);
	assert_null(f->credentials);
	assert_int_equal(credentials_new(f->loop, &f->access, &f->credentials, NULL), 0);
	plugin_write(f, "exit 1");
	prepare(f, false);
	assert_null(f->credentials);
	f->plugin.command = "/nowhere";
	assert_int_equal(credentials_new(f->loop, &f->access, &f->credentials, NULL), 0);
	prepare(f, false);
	assert_null(f->credentials);
}

static void test_freed_credentials_end_the_plugin_without_a_word(void **state)
{
	struct fixture *f = *state;
	const char *pid = NULL;

	plugin_write(f, "cd \"${0%/*}\"; echo $$ >pid.new; mv pid.new pid; exec sleep 1000");
	assert_int_equal(credentials_prepare(f->credentials, false, on_ready, f, NULL), 0);
	while (!pid) {
		assert_int_equal(loop_turn(f->loop, 1), 0);
		pid = folder_read(f->folder, "pid");
	}
	f->credentials = credentials_free(f->credentials);
	assert_int_equal(kill((pid_t)atoi(pid), 0), -1);
	assert_int_equal(errno, ESRCH);
	assert_int_equal(loop_turn(f->loop, 0), 0);
	assert_int_equal(f->calls, 0);
}

static void test_missing_file_comes_before_the_plugin(void **state)
{
	struct fixture *f = *state;

	plugin_answers(f, "\"token\": \"canary\"");
	f->access.ca.path = "/nowhere/ca";
	prepare(f, false);
	assert_int_equal(f->r, -ENOENT);
	assert_int_equal(runs_count(f), 0);
}

static void test_H1_short_memory(void **state)
{
	struct fixture *f = *state;
	bool done = false;
	unsigned n = 1;

	f->plugin.args = (const char *const[]){ "a" };
	f->plugin.n_args = 1;
	f->plugin.env = &(const struct exec_env){ "A", "a" };
	f->plugin.n_env = 1;
	f->plugin.provide_cluster_info = true;
	plugin_answers(f, "\"token\": \"canary\", \"clientCertificateData\": \"c\","
			  "\"clientKeyData\": \"k\"");
	for (; !done; n++) {
		f->calls = 0;
		fail_alloc_at(n);
		assert_int_equal(credentials_prepare(f->credentials, true, on_ready, f, NULL), 0);
		while (f->calls == 0)
			assert_int_equal(loop_turn(f->loop, LONG_MS), 0);
		done = !fail_alloc_end();
		assert_int_equal(f->r, done ? 0 : -ENOMEM);
	}
	assert_true(n > 10);
	assert_string_equal(f->bearer, "canary");
}

#define exec_test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		exec_test(test_answer_is_kept),
		exec_test(test_A7_plugin_runs_again_after_a_401),
		exec_test(test_A7_plugin_runs_again_when_its_answer_expires),
		exec_test(test_A7_refused_answer_is_not_used_again),
		exec_test(test_A7_other_certificates_get_another_number),
		exec_test(test_plugin_gets_arguments_and_environment),
		exec_test(test_H8_failures_name_the_plugin),
		exec_test(test_hint_helps_who_has_no_plugin),
		exec_test(test_one_preparation_at_a_time),
		exec_test(test_who_is_told_may_ask_again),
		exec_test(test_who_is_told_may_free_them),
		exec_test(test_freed_credentials_end_the_plugin_without_a_word),
		exec_test(test_missing_file_comes_before_the_plugin),
		exec_test(test_H1_short_memory),
	};

	return cmocka_run_group_tests_name("credentials-exec", tests, NULL, NULL);
}
