/* Secrets in here are all called "canary..."; no sentence may hold them. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "api/access.h"
#include "api/credentials-files.h"
#include "api/credentials.h"
#include "base/error.h"
#include "base/loop.h"
#include "base/secret.h"
#include "fail-alloc.h"
#include "folder.h"

/* What @ready was told last. */
struct answer {
	unsigned calls;
	int r;
	struct credentials_view view;
	struct error err;
};

static void on_ready(int r, const struct credentials_view *view, const struct error *err,
		     void *userdata)
{
	struct answer *a = userdata;

	assert_int_equal(view == NULL, r < 0);
	assert_int_equal(err == NULL, r == 0);
	a->calls++;
	a->r = r;
	a->err = err ? *err : (struct error){ 0 };
	if (view)
		a->view = *view;
	assert_null(strstr(a->err.message, "canary"));
}

static struct answer prepare(struct credentials *c, bool renew)
{
	struct answer a = { 0 };

	assert_int_equal(credentials_prepare(c, renew, on_ready, &a, NULL), 0);
	assert_int_equal(a.calls, 1);
	return a;
}

static struct credentials_view prepare_well(struct credentials *c, bool renew)
{
	struct answer a = prepare(c, renew);

	if (a.r < 0)
		fail_msg("%s", a.err.message);
	return a.view;
}

static void prepare_badly(struct credentials *c, bool renew, int code, const char *sentence)
{
	struct answer a = prepare(c, renew);

	assert_int_equal(a.r, code);
	assert_int_equal(a.err.code, code);
	assert_string_equal(a.err.message, sentence);
}

static struct credentials *credentials_of(const struct api_access *a)
{
	struct credentials *c = NULL;

	assert_int_equal(credentials_new(NULL, a, &c, NULL), 0);
	return c;
}

static const char *bearer(struct credentials_view v)
{
	return v.bearer ? secret_reveal(v.bearer, NULL) : "(none)";
}

static struct secret *secret_of(const char *text)
{
	return secret_new(text, strlen(text));
}

static void test_nobody_needs_nothing(void **state)
{
	const struct api_access a = { .server = "https://h" };
	struct credentials *c = credentials_of(&a);
	struct credentials_view v = prepare_well(c, false);

	(void)state;
	assert_null(v.bearer);
	assert_null(v.username);
	assert_null(v.password);
	assert_null(v.certificate_path);
	assert_null(v.key_path);
	assert_null(v.ca_path);
	assert_int_equal(prepare_well(c, true).tls_serial, v.tls_serial);
	assert_null(credentials_free(c));
	assert_null(credentials_free(NULL));
}

static void test_inline_token_and_password(void **state)
{
	struct api_access a = { .token = secret_of("canary") };
	struct credentials *c = credentials_of(&a);

	(void)state;
	assert_string_equal(bearer(prepare_well(c, true)), "canary");
	credentials_free(c);
	a = (struct api_access){ .username = "admin", .password = a.token };
	c = credentials_of(&a);
	assert_string_equal(prepare_well(c, false).username, "admin");
	assert_ptr_equal(prepare_well(c, false).password, a.password);
	credentials_free(c);
	secret_free(a.password);
}

static void test_A7_token_file_is_read_again_after_a_401(void **state)
{
	const struct folder *f = *state;
	const struct api_access a = { .token_file = folder_path(f, "token") };
	struct credentials *c = credentials_of(&a);

	folder_write(f, "token", " canary1\n");
	assert_string_equal(bearer(prepare_well(c, false)), "canary1");
	folder_write(f, "token", "canary2");
	assert_string_equal(bearer(prepare_well(c, false)), "canary1");
	assert_string_equal(bearer(prepare_well(c, true)), "canary2");
	credentials_free(c);
}

/* TOKEN_REREAD_MS have passed when it was read that long ago. */
static void test_A7_token_file_is_read_again_in_time(void **state)
{
	const struct folder *f = *state;
	struct token_file t = { .path = folder_path(f, "token") };
	uint64_t begin_us;

	folder_write(f, "token", "canary1");
	assert_int_equal(token_file_follow(&t, false, NULL), 0);
	folder_write(f, "token", "canary2");
	begin_us = t.read_us;
	t.read_us = monotonic_us() - (TOKEN_REREAD_MS - 30 * 1000) * (uint64_t)1000;
	assert_int_equal(token_file_follow(&t, false, NULL), 0);
	assert_string_equal(secret_reveal(t.token, NULL), "canary1");
	t.read_us = monotonic_us() - TOKEN_REREAD_MS * (uint64_t)1000;
	assert_int_equal(token_file_follow(&t, false, NULL), 0);
	assert_string_equal(secret_reveal(t.token, NULL), "canary2");
	assert_true(t.read_us >= begin_us);
	token_file_close(&t);
}

static void test_A7_token_file_that_went_is_no_trouble_before_a_401(void **state)
{
	const struct folder *f = *state;
	struct token_file t = { .path = folder_path(f, "token") };
	struct error err;

	folder_write(f, "token", "canary1");
	assert_int_equal(token_file_follow(&t, false, NULL), 0);
	assert_int_equal(remove(t.path), 0);
	t.read_us = monotonic_us() - TOKEN_REREAD_MS * (uint64_t)1000;
	assert_int_equal(token_file_follow(&t, false, NULL), 0);
	assert_string_equal(secret_reveal(t.token, NULL), "canary1");
	assert_int_equal(token_file_follow(&t, true, &err), -ENOENT);
	assert_non_null(strstr(err.message, "/token: open: No such file or directory"));
	/* What was refused is no more used; what comes back is, and not only after another minute. */
	assert_int_equal(token_file_follow(&t, false, NULL), -ENOENT);
	folder_write(f, "token", "canary2");
	assert_int_equal(token_file_follow(&t, false, NULL), 0);
	assert_string_equal(secret_reveal(t.token, NULL), "canary2");
	token_file_close(&t);
}

static void test_token_file_goes_before_the_inline_token(void **state)
{
	const struct folder *f = *state;
	struct api_access a = { .token_file = folder_path(f, "token"),
				.token = secret_of("canary-inline") };
	struct credentials *c = credentials_of(&a);

	assert_string_equal(bearer(prepare_well(c, false)), "canary-inline");
	assert_string_equal(bearer(prepare_well(c, true)), "canary-inline");
	folder_write(f, "token", "canary-file");
	assert_string_equal(bearer(prepare_well(c, false)), "canary-file");
	assert_int_equal(remove(a.token_file), 0);
	assert_string_equal(bearer(prepare_well(c, false)), "canary-file");
	assert_string_equal(bearer(prepare_well(c, true)), "canary-inline");
	credentials_free(c);
	secret_free(a.token);
}

static void token_refused(const struct folder *f, const char *text, int code, const char *reason)
{
	const struct api_access a = { .token_file = folder_path(f, "token") };
	struct credentials *c = credentials_of(&a);
	char sentence[ERROR_MAX_BYTES];

	snprintf(sentence, sizeof(sentence), "token %s: %s", a.token_file, reason);
	folder_write(f, "token", text);
	prepare_badly(c, false, code, sentence);
	credentials_free(c);
}

static void test_S7_bad_token_files(void **state)
{
	const struct folder *f = *state;
	struct api_access a = { .token_file = folder_path(f, "token") };
	char text[TOKEN_MAX_BYTES + 2];
	struct credentials *c;

	token_refused(f, "", -EINVAL, "is empty");
	token_refused(f, " \n\t\n", -EINVAL, "is empty");
	token_refused(f, "canary\r\nX-Remote-User: root\n", -EINVAL,
		      "holds a character that no token may have");
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	token_refused(f, text, -E2BIG, "has more than 65536 bytes");
	c = credentials_of(&a);
	folder_write(f, "token", text + 1);
	assert_string_equal(bearer(prepare_well(c, false)), text + 1);
	credentials_free(c);
}

static void test_unreadable_files_are_named(void **state)
{
	static const struct api_access cases[] = {
		{ .ca.path = "/nowhere/ca.crt" }, { .certificate.path = "/nowhere/c.crt" },
		{ .key.path = "/nowhere/c.key" }, { .token_file = "/nowhere/token" },
		{ .token_file = "/dev/zero" },
	};
	static const char *const sentences[] = {
		"certificate authority: /nowhere/ca.crt: No such file or directory",
		"client certificate: /nowhere/c.crt: No such file or directory",
		"client key: /nowhere/c.key: No such file or directory",
		"token /nowhere/token: open: No such file or directory",
		"token /dev/zero: is not a regular file",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct credentials *c = credentials_of(&cases[i]);

		prepare_badly(c, false, i < 4 ? -ENOENT : -EINVAL, sentences[i]);
		credentials_free(c);
	}
}

/* Same bytes, same name, another time. */
static void touch(const char *path)
{
	const struct timespec times[2] = { { .tv_sec = 1 }, { .tv_sec = 1 } };

	assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static void test_A7_changed_certificates_get_another_number(void **state)
{
	const struct folder *f = *state;
	const struct api_access a = { .ca.path = folder_path(f, "ca"),
				      .certificate.path = folder_path(f, "crt"),
				      .key.path = folder_path(f, "key") };
	static const char *const names[] = { "ca", "crt", "key" };
	struct credentials *c = credentials_of(&a);
	struct credentials_view v;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		folder_write(f, names[i], "canary");
	v = prepare_well(c, false);
	assert_string_equal(v.ca_path, a.ca.path);
	assert_string_equal(v.certificate_path, a.certificate.path);
	assert_string_equal(v.key_path, a.key.path);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		uint64_t before = prepare_well(c, false).tls_serial;

		assert_int_equal(prepare_well(c, true).tls_serial, before);
		folder_write(f, names[i], "canary");
		assert_int_not_equal(prepare_well(c, false).tls_serial, before);
		before = prepare_well(c, false).tls_serial;
		touch(folder_path(f, names[i]));
		assert_int_not_equal(prepare_well(c, false).tls_serial, before);
		before = prepare_well(c, false).tls_serial;
		/* libcurl will say that it is missing, should it need it. */
		assert_int_equal(remove(folder_path(f, names[i])), 0);
		assert_int_equal(prepare_well(c, true).tls_serial, before);
		folder_write(f, names[i], "canary2");
		assert_int_not_equal(prepare_well(c, false).tls_serial, before);
	}
	credentials_free(c);
}

static void test_A7_change_beside_a_missing_file_is_told_later(void **state)
{
	const struct folder *f = *state;
	const struct api_access a = { .ca.path = folder_path(f, "ca"),
				      .certificate.path = folder_path(f, "crt"),
				      .key.path = folder_path(f, "key"),
				      .token_file = folder_path(f, "token") };
	struct credentials *c = credentials_of(&a);
	uint64_t before;

	folder_write(f, "ca", "1");
	folder_write(f, "crt", "1");
	folder_write(f, "key", "1");
	folder_write(f, "token", "canary");
	before = prepare_well(c, false).tls_serial;
	folder_write(f, "ca", "2");
	assert_int_equal(remove(a.token_file), 0);
	assert_int_equal(prepare(c, true).r, -ENOENT);
	folder_write(f, "token", "canary");
	assert_int_not_equal(prepare_well(c, false).tls_serial, before);
	credentials_free(c);
}

static void assert_holds(const char *path, const char *text)
{
	char found[64];
	FILE *file = fopen(path, "re");

	assert_non_null(file);
	assert_int_equal(fread(found, 1, sizeof(found), file), strlen(text));
	assert_memory_equal(found, text, strlen(text));
	fclose(file);
}

static void test_inline_certificates_are_files_in_memory(void **state)
{
	const struct api_access a = { .ca.content = secret_of("the ca"),
				      .certificate.content = secret_of("canary-cert"),
				      .key.content = secret_of("canary-key") };
	struct credentials *c = credentials_of(&a);
	struct credentials_view v = prepare_well(c, false);
	char path[64];
	int fd;

	(void)state;
	for (int i = 0; i < 2; i++) {
		assert_holds(v.ca_path, "the ca");
		assert_holds(v.certificate_path, "canary-cert");
		assert_holds(v.key_path, "canary-key");
	}
	assert_int_equal(prepare_well(c, true).tls_serial, v.tls_serial);

	/* Sealed, and nothing that a program we start gets. */
	fd = open(v.key_path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "x", 1), -1);
	assert_int_equal(ftruncate(fd, 0), -1);
	close(fd);
	assert_true(fcntl(atoi(strrchr(v.key_path, '/') + 1), F_GETFD) & FD_CLOEXEC);

	snprintf(path, sizeof(path), "%s", v.key_path);
	credentials_free(c);
	assert_int_equal(access(path, F_OK), -1);
	secret_free(a.ca.content);
	secret_free(a.certificate.content);
	secret_free(a.key.content);
}

static void test_file_in_memory_is_kept_when_it_is_the_same(void **state)
{
	struct pem_file p = PEM_FILE_NONE;
	bool changed = false;
	int fd;

	(void)state;
	assert_int_equal(pem_file_put(&p, NULL, &changed, NULL), 0);
	assert_false(changed);
	assert_int_equal(pem_file_put(&p, secret_of("1"), &changed, NULL), 0);
	assert_true(changed);
	fd = p.fd;
	changed = false;
	assert_int_equal(pem_file_put(&p, secret_of("1"), &changed, NULL), 0);
	assert_false(changed);
	assert_int_equal(p.fd, fd);
	assert_int_equal(pem_file_put(&p, secret_of("2"), &changed, NULL), 0);
	assert_true(changed);
	assert_holds(p.path, "2");
	changed = false;
	assert_int_equal(pem_file_put(&p, NULL, &changed, NULL), 0);
	assert_true(changed);
	assert_null(p.path);
	pem_file_close(&p);
}

static void test_H1_short_memory(void **state)
{
	const struct folder *f = *state;
	const struct api_access a = { .certificate.content = secret_of("canary"),
				      .key.content = secret_of("canary"),
				      .ca.path = folder_path(f, "ca"),
				      .token = secret_of("canary"),
				      .token_file = folder_path(f, "token") };
	bool done = false;

	folder_write(f, "ca", "1");
	folder_write(f, "token", "canary");
	for (unsigned n = 1; !done; n++) {
		struct credentials *c = NULL;
		struct answer answer = { 0 };
		struct error err;
		int r;

		fail_alloc_at(n);
		r = credentials_new(NULL, &a, &c, &err);
		if (r == 0)
			r = credentials_prepare(c, false, on_ready, &answer, &err);
		done = !fail_alloc_end();
		assert_int_equal(r + answer.r, done ? 0 : -ENOMEM);
		if (c)
			assert_string_equal(bearer(prepare_well(c, false)), "canary");
		credentials_free(c);
	}
	secret_free(a.token);
	secret_free(a.certificate.content);
	secret_free(a.key.content);
}

#define folder_test(name) cmocka_unit_test_setup_teardown(name, folder_setup, folder_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nobody_needs_nothing),
		cmocka_unit_test(test_inline_token_and_password),
		folder_test(test_A7_token_file_is_read_again_after_a_401),
		folder_test(test_A7_token_file_is_read_again_in_time),
		folder_test(test_A7_token_file_that_went_is_no_trouble_before_a_401),
		folder_test(test_token_file_goes_before_the_inline_token),
		folder_test(test_S7_bad_token_files),
		cmocka_unit_test(test_unreadable_files_are_named),
		folder_test(test_A7_changed_certificates_get_another_number),
		folder_test(test_A7_change_beside_a_missing_file_is_told_later),
		cmocka_unit_test(test_inline_certificates_are_files_in_memory),
		cmocka_unit_test(test_file_in_memory_is_kept_when_it_is_the_same),
		folder_test(test_H1_short_memory),
	};

	return cmocka_run_group_tests_name("credentials", tests, NULL, NULL);
}
