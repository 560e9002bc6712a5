/* Reading a directory of manifests: which files, which documents, who wins, what fails. */
#include <errno.h>
#include <limits.h>
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

#include "base/error.h"
#include "fail-alloc.h"
#include "manifests-fixture.h"

static void rescan(struct fixture *f)
{
	struct error err;

	if (manifests_rescan(f->m, &err) < 0)
		fail_msg("%s", err.message);
}

static void test_files_in_the_order_of_their_names(void **state)
{
	struct fixture *f = *state;

	file_write(f, "b.yml", SERVICE("b2", "2") SERVICE("b1", "1"));
	file_write(f, "c.json",
		   "{\"apiVersion\": \"v1\", \"kind\": \"Node\","
		   " \"metadata\": {\"name\": \"n\"}}");
	file_write(f, "a.yaml", SERVICE("a", "3"));
	fixture_open(f);
	assert_told(f, "apply default/a:3\napply default/b2:2\napply default/b1:1\n"
		       "apply Node /n\n");
	assert_int_equal(manifests_stats(f->m).files, 3);
	assert_int_equal(manifests_stats(f->m).objects, 4);
	assert_int_equal(manifests_stats(f->m).bad_documents, 0);
}

static void test_other_files_are_passed_over(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *path = path_in(f->path, "directory");

	file_write(f, ".hidden.yaml", SERVICE("a", "1"));
	file_write(f, "a.yaml~", SERVICE("b", "1"));
	file_write(f, "notes.txt", "{");
	file_write(f, "yaml", "{");
	assert_int_equal(mkdir(path, 0755), 0);
	fixture_open(f);
	assert_told(f, "");
	assert_int_equal(manifests_stats(f->m).files, 0);
}

static void test_other_kinds_are_passed_over(void **state)
{
	struct fixture *f = *state;

	file_write(f, "a.yaml",
		   "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n---\n"
		   "# nothing\n" SERVICE("web", "1"));
	fixture_open(f);
	assert_told(f, "apply default/web:1\n");
}

static void test_directory_that_is_none_is_an_error(void **state)
{
	struct fixture *f = *state;
	struct source_events events = fixture_events(f);
	struct manifests *m = NULL;
	char path[512];

	file_write(f, "file", "");
	snprintf(path, sizeof(path), "%s/file", f->path);
	assert_int_equal(manifests_open(path, &events, &m, NULL), -ENOTDIR);
	strcat(path, "-missing");
	assert_int_equal(manifests_open(path, &events, &m, NULL), -ENOENT);
	assert_null(m);
}

static void test_rescan_tells_only_differences(void **state)
{
	struct fixture *f = *state;

	file_write(f, "a.yaml", SERVICE("same", "1") SERVICE("changed", "1") SERVICE("gone", "1"));
	fixture_open(f);
	buf_reset(&f->log);
	rescan(f);
	assert_told(f, "");
	file_write(f, "a.yaml", "# moved\n" SERVICE("changed", "2") SERVICE("same", "1"));
	file_write(f, "b.yaml", SERVICE("new", "1"));
	rescan(f);
	assert_told(f, "apply default/changed:2\napply default/new:1\nremove default/gone\n");
	file_delete(f, "a.yaml");
	rescan(f);
	assert_told(f, "remove default/changed\nremove default/same\n");
	assert_int_equal(manifests_stats(f->m).objects, 1);
	assert_int_equal(manifests_stats(f->m).files, 1);
}

static void test_many_documents_one_edit_is_one_event(void **state)
{
	enum { N = 10000 };
	struct fixture *f = *state;
	_cleanup_buf_ struct buf text = { .data = NULL };
	char *last;

	for (int i = 0; i < N; i++)
		buf_printf(&text, SERVICE("web-%d", "1"), i);
	file_write(f, "all.yaml", buf_text(&text));
	fixture_open(f);
	assert_int_equal(manifests_stats(f->m).objects, N);
	buf_reset(&f->log);

	last = strstr(text.data, "web-9876}");
	assert_non_null(last);
	*strstr(last, "port: 1") = 'P';
	last = strstr(last, "Port: 1");
	memcpy(last, "port: 7", strlen("port: 7"));
	file_write(f, "all.yaml", buf_text(&text));
	rescan(f);
	assert_told(f, "apply default/web-9876:7\n");
}

/* The service has a good version; then one of its fields is wrong. */
static void test_O8_bad_document_keeps_its_last_good_version(void **state)
{
	struct fixture *f = *state;

	file_write(f, "a.yaml", SERVICE("bad", "1") SERVICE("gone", "1") SERVICE("good", "1"));
	fixture_open(f);
	buf_reset(&f->log);
	file_write(f, "a.yaml", SERVICE("bad", "70000") SERVICE("good", "2"));
	rescan(f);
	assert_non_null(strstr(buf_text(&f->log),
			       "report a.yaml:2: Service default/bad: spec.ports[0]"
			       ".port"));
	assert_non_null(strstr(buf_text(&f->log), "apply default/good:2\nremove default/gone\n"));
	assert_null(strstr(buf_text(&f->log), "remove default/bad"));
	assert_int_equal(manifests_stats(f->m).bad_documents, 1);
	buf_reset(&f->log);

	file_write(f, "a.yaml", SERVICE("bad", "1") SERVICE("good", "2"));
	rescan(f);
	assert_told(f, "");
	assert_int_equal(manifests_stats(f->m).bad_documents, 0);
	file_write(f, "a.yaml", SERVICE("bad", "2"));
	rescan(f);
	assert_told(f, "apply default/bad:2\nremove default/good\n");
}

static void test_O8_bad_document_from_the_start_costs_nobody_else(void **state)
{
	struct fixture *f = *state;

	file_write(f, "a.yaml", SERVICE("bad", "x") "---\n{{\n" SERVICE("good", "1"));
	file_write(f, "b.yaml", SERVICE("other", "1"));
	fixture_open(f);
	assert_non_null(strstr(buf_text(&f->log), "report a.yaml:2: Service default/bad"));
	assert_non_null(strstr(buf_text(&f->log), "report a.yaml:7: "));
	assert_non_null(strstr(buf_text(&f->log), "apply default/good:1\napply default/other:1\n"));
	assert_int_equal(manifests_stats(f->m).bad_documents, 2);
	assert_int_equal(manifests_stats(f->m).objects, 2);
}

/* Nobody knows which of the objects that are missing the broken document was. */
static void test_O8_syntax_error_keeps_all_that_the_file_defined(void **state)
{
	struct fixture *f = *state;

	file_write(f, "a.yaml", SERVICE("first", "1") SERVICE("second", "1"));
	fixture_open(f);
	buf_reset(&f->log);
	file_write(f, "a.yaml", "---\n{{\n" SERVICE("second", "2"));
	rescan(f);
	assert_non_null(strstr(buf_text(&f->log), "report a.yaml:2: "));
	assert_non_null(strstr(buf_text(&f->log), "apply default/second:2\n"));
	assert_null(strstr(buf_text(&f->log), "remove"));
	buf_reset(&f->log);

	file_write(f, "a.yaml", SERVICE("second", "2"));
	rescan(f);
	assert_told(f, "remove default/first\n");
}

static void test_document_without_a_name_keeps_all_too(void **state)
{
	struct fixture *f = *state;

	file_write(f, "a.yaml", SERVICE("web", "1"));
	fixture_open(f);
	buf_reset(&f->log);
	file_write(f, "a.yaml", "apiVersion: v1\nkind: Service\n");
	rescan(f);
	assert_non_null(strstr(buf_text(&f->log), "report a.yaml:1: "));
	assert_null(strstr(buf_text(&f->log), "remove"));
}

static void test_problem_is_told_once_while_it_lasts(void **state)
{
	struct fixture *f = *state;

	file_write(f, "a.yaml", SERVICE("bad", "70000"));
	fixture_open(f);
	buf_reset(&f->log);
	rescan(f);
	assert_told(f, "");
	file_write(f, "a.yaml", SERVICE("new", "1") SERVICE("bad", "70000"));
	rescan(f);
	assert_told(f, "apply default/new:1\n");
	file_write(f, "a.yaml", SERVICE("new", "1") SERVICE("bad", "70001"));
	rescan(f);
	assert_non_null(strstr(buf_text(&f->log), "70001"));
	file_write(f, "a.yaml", SERVICE("new", "1"));
	rescan(f);
	buf_reset(&f->log);
	file_write(f, "a.yaml", SERVICE("new", "1") SERVICE("bad", "70001"));
	rescan(f);
	assert_non_null(strstr(buf_text(&f->log), "70001"));
}

static void test_many_problems_are_summed(void **state)
{
	struct fixture *f = *state;
	_cleanup_buf_ struct buf text = { .data = NULL };
	size_t lines = 0;

	for (int i = 0; i < 150; i++)
		buf_puts(&text, "---\n{{\n");
	file_write(f, "a.yaml", buf_text(&text));
	fixture_open(f);
	for (const char *p = buf_text(&f->log); (p = strchr(p, '\n')); p++)
		lines++;
	assert_int_equal(lines, 101);
	assert_non_null(
		strstr(buf_text(&f->log), "report a.yaml: 50 more documents can't be read\n"));
	assert_int_equal(manifests_stats(f->m).bad_documents, 150);
	buf_reset(&f->log);
	rescan(f);
	assert_told(f, "");
}

static void test_first_file_name_wins(void **state)
{
	struct fixture *f = *state;

	file_write(f, "b.yaml", SERVICE("web", "2"));
	fixture_open(f);
	assert_told(f, "apply default/web:2\n");
	file_write(f, "c.yaml", SERVICE("web", "3"));
	rescan(f);
	assert_told(f, "report c.yaml:2: Service default/web is defined by b.yaml:2, which wins\n");
	file_write(f, "a.yaml", SERVICE("web", "1"));
	rescan(f);
	assert_told(f, "apply default/web:1\n"
		       "report b.yaml:2: Service default/web is defined by a.yaml:2, which wins\n"
		       "report c.yaml:2: Service default/web is defined by a.yaml:2, which wins\n");
	rescan(f);
	assert_told(f, "");

	file_delete(f, "a.yaml");
	rescan(f);
	assert_told(f, "apply default/web:2\n"
		       "report c.yaml:2: Service default/web is defined by b.yaml:2, which wins\n");
	file_delete(f, "b.yaml");
	rescan(f);
	assert_told(f, "apply default/web:3\n");
	file_write(f, "b.yaml", SERVICE("web", "2"));
	rescan(f);
	assert_told(f, "apply default/web:2\n"
		       "report c.yaml:2: Service default/web is defined by b.yaml:2, which wins\n");
	file_delete(f, "b.yaml");
	rescan(f);
	assert_told(f, "apply default/web:3\n");
	file_delete(f, "c.yaml");
	rescan(f);
	assert_told(f, "remove default/web\n");
}

static void test_first_document_of_a_file_wins(void **state)
{
	struct fixture *f = *state;

	file_write(f, "a.yaml", SERVICE("web", "1") SERVICE("web", "2"));
	fixture_open(f);
	assert_told(f, "apply default/web:1\n"
		       "report a.yaml:7: Service default/web is defined by a.yaml:2, which wins\n");
	file_write(f, "a.yaml", SERVICE("web", "2"));
	rescan(f);
	assert_told(f, "apply default/web:2\n");
}

/* The kind and the namespace belong to the key. */
static void test_same_name_is_not_the_same_object(void **state)
{
	struct fixture *f = *state;

	file_write(f, "a.yaml",
		   SERVICE("web", "1") SERVICE(
			   "web, namespace: other",
			   "2") "---\n{apiVersion: v1, kind: Pod, metadata: {name: web}}\n");
	fixture_open(f);
	assert_told(f, "apply default/web:1\napply other/web:2\napply Pod default/web\n");
	assert_int_equal(manifests_stats(f->m).objects, 3);
}

static void special_file_refused(struct fixture *f, const char *name, const char *problem)
{
	char expected[512];

	file_write(f, "z.yaml", SERVICE("web", "1"));
	fixture_open(f);
	snprintf(expected, sizeof(expected), "report %s: %s\napply default/web:1\n", name, problem);
	assert_told(f, expected);
	rescan(f);
	assert_told(f, "");
}

static void test_fifo_is_refused_and_does_not_block(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *path = path_in(f->path, "x.yaml");

	assert_int_equal(mkfifo(path, 0644), 0);
	special_file_refused(f, "x.yaml", "is not a regular file");
}

static void test_device_is_refused(void **state)
{
	struct fixture *f = *state;

	file_link(f, "/dev/zero", "x.yaml");
	special_file_refused(f, "x.yaml", "is not a regular file");
}

static void test_subdirectory_named_as_a_manifest_is_refused(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *path = path_in(f->path, "x.yaml");

	assert_int_equal(mkdir(path, 0755), 0);
	special_file_refused(f, "x.yaml", "is not a regular file");
}

static void test_links_that_lead_nowhere(void **state)
{
	struct fixture *f = *state;

	file_link(f, "missing", "dangling.yaml");
	file_link(f, "loop.yaml", "loop.yaml");
	special_file_refused(f, "loop.yaml", "open: Too many levels of symbolic links");
}

static void test_O9_file_over_the_limit_is_refused_by_name(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *path = path_in(f->path, "x.yaml");

	file_write(f, "x.yaml", "");
	assert_int_equal(truncate(path, (off_t)MANIFESTS_MAX_FILE_BYTES + 1), 0);
	special_file_refused(f, "x.yaml", "has more than 536870912 bytes and is not read");
}

/* Its size alone says no: nobody tries to have the memory. */
static void test_file_that_became_unreadable_keeps_its_objects(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *path = path_in(f->path, "a.yaml");

	file_write(f, "a.yaml", SERVICE("web", "1"));
	fixture_open(f);
	buf_reset(&f->log);
	assert_int_equal(truncate(path, (off_t)1 << 40), 0);
	rescan(f);
	assert_told(f, "report a.yaml: has more than 536870912 bytes and is not read\n");
	assert_int_equal(manifests_stats(f->m).objects, 1);
}

static void test_files_over_the_limit_are_told_once(void **state)
{
	struct fixture *f = *state;
	char name[32];

	for (int i = 0; i < MANIFESTS_MAX_FILES; i++) {
		snprintf(name, sizeof(name), "%05d.yaml", i);
		file_link(f, "empty", name);
	}
	file_write(f, "empty", "");
	file_write(f, "z.yaml", SERVICE("web", "1"));
	fixture_open(f);
	assert_told(f,
		    "report /manifests: has more than 65536 manifests: the others are not read\n");
	rescan(f);
	assert_told(f, "");
	file_delete(f, "00000.yaml");
	file_delete(f, "00001.yaml");
	rescan(f);
	assert_told(f, "apply default/web:1\n");
}

static void test_O9_longest_names(void **state)
{
	struct fixture *f = *state;
	char file[NAME_MAX + 1], name[OBJECT_MAX_NAME + 1], text[1024], expected[1024];

	memset(file, 'f', NAME_MAX);
	strcpy(file + NAME_MAX - strlen(".yaml"), ".yaml");
	memset(name, 'n', OBJECT_MAX_NAME);
	name[OBJECT_MAX_NAME] = '\0';
	snprintf(text, sizeof(text), SERVICE("%s", "1") "--- {{\n", name);
	file_write(f, file, text);
	fixture_open(f);
	snprintf(expected, sizeof(expected), "apply default/%s:1\nreport %s:", name, file);
	assert_memory_equal(buf_text(&f->log), expected, strlen(expected));
}

static void test_unknown_enums_are_counted(void **state)
{
	struct fixture *f = *state;

	file_write(f, "a.yaml",
		   "apiVersion: v1\nkind: Service\nmetadata: {name: web}\n"
		   "spec: {clusterIP: 10.0.0.1, internalTrafficPolicy: Odd}\n");
	fixture_open(f);
	assert_int_equal(manifests_stats(f->m).unknown_enums, 1);
	rescan(f);
	assert_int_equal(manifests_stats(f->m).unknown_enums, 1);
}

static void test_receiver_that_fails_is_told_again(void **state)
{
	struct fixture *f = *state;

	file_write(f, "a.yaml", SERVICE("web", "1"));
	fixture_open(f);
	assert_told(f, "apply default/web:1\n");
	file_rename(f, "a.yaml", "b.yaml");
	file_write(f, "b.yaml", SERVICE("web", "2"));
	f->apply_error = -EIO;
	assert_int_equal(manifests_rescan(f->m, NULL), -EIO);
	assert_told(f, "");
	f->apply_error = 0;
	rescan(f);
	assert_told(f, "apply default/web:2\n");
}

static void test_failed_allocations_while_opening(void **state)
{
	struct fixture *f = *state;
	struct source_events events = fixture_events(f);
	bool failed = true;
	unsigned n;

	file_write(f, "a.yaml", SERVICE("a", "1") SERVICE("bad", "x"));
	file_write(f, "b.yaml", SERVICE("a", "2") "---\n{{\n");
	for (n = 1; failed; n++) {
		struct error err = { .code = 0 };
		int r;

		fail_alloc_at(n);
		r = manifests_open(f->path, &events, &f->m, &err);
		failed = fail_alloc_end();
		/* The log of the fixture takes memory as well. */
		if (failed && r == 0)
			f->m = manifests_free(f->m);
		else
			assert_int_equal(r, failed ? -ENOMEM : 0);
		assert_int_equal(err.code, r);
		buf_free(&f->log);
	}
	assert_true(n > 20);
}

/* Whatever fails, the next pass ends where an undisturbed one would have. */
static void test_failed_allocations_while_rescanning(void **state)
{
	struct fixture *f = *state;
	bool failed = true;

	for (unsigned n = 1; failed; n++) {
		file_write(f, "a.yaml", SERVICE("a", "1") SERVICE("gone", "1"));
		file_write(f, "b.yaml", SERVICE("a", "2") SERVICE("b", "2"));
		file_write(f, "c.yaml", SERVICE("c", "3"));
		fixture_open(f);
		file_delete(f, "a.yaml");
		file_rename(f, "c.yaml", "d.yaml");
		file_write(f, "b.yaml", SERVICE("b", "3") SERVICE("a", "2") SERVICE("new", "1"));
		buf_reset(&f->log);
		buf_reserve(&f->log, 4096);

		fail_alloc_at(n);
		manifests_rescan(f->m, NULL);
		failed = fail_alloc_end();
		rescan(f);
		assert_told(f, "apply default/b:3\napply default/a:2\napply default/new:1\n"
			       "remove default/gone\n");
		assert_int_equal(manifests_stats(f->m).objects, 4);
		f->m = manifests_free(f->m);
		file_delete(f, "d.yaml");
	}
}

#define manifests_test(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		manifests_test(test_files_in_the_order_of_their_names),
		manifests_test(test_other_files_are_passed_over),
		manifests_test(test_other_kinds_are_passed_over),
		manifests_test(test_directory_that_is_none_is_an_error),
		manifests_test(test_rescan_tells_only_differences),
		manifests_test(test_many_documents_one_edit_is_one_event),
		manifests_test(test_O8_bad_document_keeps_its_last_good_version),
		manifests_test(test_O8_bad_document_from_the_start_costs_nobody_else),
		manifests_test(test_O8_syntax_error_keeps_all_that_the_file_defined),
		manifests_test(test_document_without_a_name_keeps_all_too),
		manifests_test(test_problem_is_told_once_while_it_lasts),
		manifests_test(test_many_problems_are_summed),
		manifests_test(test_first_file_name_wins),
		manifests_test(test_first_document_of_a_file_wins),
		manifests_test(test_same_name_is_not_the_same_object),
		manifests_test(test_fifo_is_refused_and_does_not_block),
		manifests_test(test_device_is_refused),
		manifests_test(test_subdirectory_named_as_a_manifest_is_refused),
		manifests_test(test_links_that_lead_nowhere),
		manifests_test(test_O9_file_over_the_limit_is_refused_by_name),
		manifests_test(test_file_that_became_unreadable_keeps_its_objects),
		manifests_test(test_files_over_the_limit_are_told_once),
		manifests_test(test_O9_longest_names),
		manifests_test(test_unknown_enums_are_counted),
		manifests_test(test_receiver_that_fails_is_told_again),
		manifests_test(test_failed_allocations_while_opening),
		manifests_test(test_failed_allocations_while_rescanning),
	};

	return cmocka_run_group_tests_name("manifests", tests, NULL, NULL);
}
