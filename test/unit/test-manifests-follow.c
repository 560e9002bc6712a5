/* Following a directory of manifests with inotify, through a real loop. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "fail-alloc.h"
#include "manifests-fixture.h"

enum { NOBODY = 65534 };

static void test_new_edited_and_deleted_files(void **state)
{
	struct fixture *f = *state;

	fixture_follow(f);
	file_write(f, "a.yaml", SERVICE("web", "1"));
	fixture_turn(f);
	assert_told(f, "apply default/web:1\n");
	file_write(f, "a.yaml", SERVICE("web", "2"));
	fixture_turn(f);
	assert_told(f, "apply default/web:2\n");
	file_write(f, "notes.txt", "{");
	fixture_turn(f);
	assert_told(f, "");
	file_delete(f, "a.yaml");
	fixture_turn(f);
	assert_told(f, "remove default/web\n");
}

static void test_change_between_open_and_follow_is_seen(void **state)
{
	struct fixture *f = *state;

	fixture_open(f);
	file_write(f, "a.yaml", SERVICE("web", "1"));
	assert_int_equal(loop_new(&f->loop, NULL), 0);
	assert_int_equal(manifests_follow(f->m, f->loop, NULL), 0);
	fixture_turn(f);
	assert_told(f, "apply default/web:1\n");
}

/* A file is whole when its writer closes it, not before. */
static void half_written_is_not_read(struct fixture *f)
{
	_cleanup_free_ char *path = path_in(f->path, "a.yaml");
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(SERVICE("half", "2"), file);
	fflush(file);
	fixture_turn(f);
	assert_told(f, "");
	/* Not by what happens to another file, or to its namesake in the parent, either. */
	file_write(f, "other.yaml", SERVICE("other", "1"));
	file_write(f, "../namesake", "");
	file_rename(f, "../namesake", "../a.yaml");
	fixture_turn(f);
	assert_told(f, "apply default/other:1\n");
	fputs(SERVICE("whole", "1"), file);
	fclose(file);
	fixture_turn(f);
}

static void test_new_file_is_read_when_it_is_closed(void **state)
{
	struct fixture *f = *state;

	fixture_follow(f);
	half_written_is_not_read(f);
	assert_told(f, "apply default/half:2\napply default/whole:1\n");
}

static void test_edited_file_is_read_when_it_is_closed(void **state)
{
	struct fixture *f = *state;

	file_write(f, "a.yaml", SERVICE("half", "1"));
	fixture_follow(f);
	half_written_is_not_read(f);
	assert_told(f, "apply default/half:2\napply default/whole:1\n");
}

static void test_editor_renames_over_the_file(void **state)
{
	struct fixture *f = *state;

	file_write(f, "a.yaml", SERVICE("web", "1"));
	fixture_follow(f);
	file_write(f, ".a.yaml.tmp", SERVICE("web", "2"));
	fixture_turn(f);
	assert_told(f, "");
	file_rename(f, ".a.yaml.tmp", "a.yaml");
	fixture_turn(f);
	assert_told(f, "apply default/web:2\n");
}

/* vim: the old file becomes the backup, a new one takes its place. */
static void test_editor_keeps_a_backup(void **state)
{
	struct fixture *f = *state;

	file_write(f, "a.yaml", SERVICE("web", "1"));
	fixture_follow(f);
	file_rename(f, "a.yaml", "a.yaml~");
	file_write(f, "a.yaml", SERVICE("web", "2"));
	file_delete(f, "a.yaml~");
	fixture_turn(f);
	assert_told(f, "apply default/web:2\n");
}

static void test_rename_tells_nothing(void **state)
{
	struct fixture *f = *state;

	file_write(f, "b.yaml", SERVICE("web", "1"));
	fixture_follow(f);
	file_rename(f, "b.yaml", "c.yaml");
	fixture_turn(f);
	assert_told(f, "");
	file_rename(f, "c.yaml", "a.yaml");
	fixture_turn(f);
	assert_told(f, "");
	assert_int_equal(manifests_stats(f->m).files, 1);
	file_rename(f, "a.yaml", "a.yaml.off");
	fixture_turn(f);
	assert_told(f, "remove default/web\n");
}

static void test_object_that_moves_to_another_file_stays(void **state)
{
	struct fixture *f = *state;

	file_write(f, "a.yaml", SERVICE("db", "1") SERVICE("web", "1"));
	file_write(f, "b.yaml", SERVICE("x", "1"));
	fixture_follow(f);
	file_write(f, "a.yaml", SERVICE("db", "1"));
	file_write(f, "b.yaml", SERVICE("x", "1") SERVICE("web", "1"));
	fixture_turn(f);
	assert_told(f, "");
}

static void test_links_are_read_when_they_are_made(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *outside = path_in(f->root, "outside");
	_cleanup_free_ char *inside = path_in(f->path, "hard.yaml");
	_cleanup_free_ char *original = path_in(f->path, "original");

	file_write(f, "../outside", SERVICE("soft", "1"));
	file_write(f, "original", SERVICE("hard", "1"));
	fixture_follow(f);
	file_link(f, outside, "soft.yaml");
	assert_int_equal(link(original, inside), 0);
	fixture_turn(f);
	assert_told(f, "apply default/hard:1\napply default/soft:1\n");
}

static void test_fifo_that_appears_is_refused(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *path = path_in(f->path, "a.yaml");

	fixture_follow(f);
	assert_int_equal(mkfifo(path, 0644), 0);
	fixture_turn(f);
	assert_told(f, "report a.yaml: is not a regular file\n");
}

/* How the kubelet writes a volume: files are links through ..data, and that link is replaced. */
static void test_volume_of_the_kubelet(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *first = path_in(f->path, "..first");
	_cleanup_free_ char *second = path_in(f->path, "..second");

	assert_int_equal(mkdir(first, 0755), 0);
	file_write(f, "..first/web.yaml", SERVICE("web", "1"));
	file_link(f, "..first", "..data");
	file_link(f, "..data/web.yaml", "web.yaml");
	fixture_open(f);
	assert_told(f, "apply default/web:1\n");
	assert_int_equal(loop_new(&f->loop, NULL), 0);
	assert_int_equal(manifests_follow(f->m, f->loop, NULL), 0);

	assert_int_equal(mkdir(second, 0755), 0);
	file_write(f, "..second/web.yaml", SERVICE("web", "2"));
	file_link(f, "..second", "..data_tmp");
	fixture_turn(f);
	assert_told(f, "");
	file_rename(f, "..data_tmp", "..data");
	fixture_turn(f);
	assert_told(f, "apply default/web:2\n");
}

static void test_broken_then_repaired(void **state)
{
	struct fixture *f = *state;

	file_write(f, "a.yaml", SERVICE("web", "1"));
	fixture_follow(f);
	file_write(f, "a.yaml", "a: b: c\n");
	fixture_turn(f);
	assert_non_null(strstr(buf_text(&f->log), "report a.yaml:1: "));
	assert_null(strstr(buf_text(&f->log), "remove"));
	buf_reset(&f->log);
	file_write(f, "a.yaml", SERVICE("web", "2"));
	fixture_turn(f);
	assert_told(f, "apply default/web:2\n");
}

static void test_loser_takes_over_without_being_touched(void **state)
{
	struct fixture *f = *state;

	file_write(f, "a.yaml", SERVICE("web", "1"));
	file_write(f, "b.yaml", SERVICE("web", "2"));
	fixture_follow(f);
	file_delete(f, "a.yaml");
	fixture_turn(f);
	assert_told(f, "apply default/web:2\n");
}

/* As root, only the file system's user makes permissions count. */
static void test_file_that_becomes_readable(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *path = path_in(f->path, "a.yaml");
	bool root = geteuid() == 0;

	file_write(f, "a.yaml", SERVICE("web", "1"));
	assert_int_equal(chmod(path, 0), 0);
	if (root)
		setfsuid(NOBODY);
	fixture_open(f);
	assert_told(f, "report a.yaml: open: Permission denied\n");
	assert_int_equal(loop_new(&f->loop, NULL), 0);
	assert_int_equal(manifests_follow(f->m, f->loop, NULL), 0);
	if (root)
		setfsuid(0);
	assert_int_equal(chmod(path, 0644), 0);
	fixture_turn(f);
	assert_told(f, "apply default/web:1\n");
}

static unsigned queue_limit(void)
{
	FILE *file = fopen("/proc/sys/fs/inotify/max_queued_events", "r");
	char line[32] = "";

	assert_non_null(file);
	assert_non_null(fgets(line, sizeof(line), file));
	fclose(file);
	return (unsigned)strtoul(line, NULL, 10);
}

static void test_overflow_of_the_queue(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *even = path_in(f->path, "even.txt");
	_cleanup_free_ char *odd = path_in(f->path, "odd.txt");
	unsigned limit = queue_limit();

	file_write(f, "even.txt", "");
	file_write(f, "odd.txt", "");
	file_write(f, "gone.yaml", SERVICE("gone", "1"));
	fixture_follow(f);
	/* Equal events in a row would be joined. */
	for (unsigned i = 0; i <= limit; i++)
		assert_int_equal(chmod(i % 2 ? odd : even, 0644), 0);
	file_write(f, "a.yaml", SERVICE("web", "1"));
	file_delete(f, "gone.yaml");
	fixture_turn(f);
	assert_told(f, "apply default/web:1\nremove default/gone\n");
}

static const char lost[] =
	"report /manifests: objects stay as they were: watch ROOT/manifests: No such "
	"file or directory\n";

static void directory_make(const char *path)
{
	assert_int_equal(mkdir(path, 0755), 0);
}

static void test_directory_vanishes_and_returns(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *other = path_in(f->root, "other");

	file_write(f, "a.yaml", SERVICE("web", "1") SERVICE("db", "1"));
	fixture_follow(f);
	directory_delete(f->path);
	fixture_turn(f);
	assert_told(f, lost);
	assert_int_equal(manifests_stats(f->m).objects, 2);
	assert_int_equal(manifests_rescan(f->m, NULL), -ENOENT);
	directory_make(other); /* wakes the watch of the parent */
	fixture_turn(f);
	assert_told(f, "");

	directory_make(f->path);
	file_write(f, "b.yaml", SERVICE("web", "2"));
	fixture_wait(f);
	assert_told(f, "apply default/web:2\nremove default/db\n");
	file_write(f, "b.yaml", SERVICE("web", "3"));
	fixture_turn(f);
	assert_told(f, "apply default/web:3\n");
	directory_delete(f->path);
	fixture_turn(f);
	assert_told(f, lost);
}

/* A directory that somebody has open does not tell of its end itself, and an empty one has no files
 * that would. */
static void test_open_directory_vanishes_and_returns(void **state)
{
	struct fixture *f = *state;
	_cleanup_close_ int fd = open(f->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_true(fd >= 0);
	fixture_follow(f);
	directory_delete(f->path);
	directory_make(f->path);
	file_write(f, "a.yaml", SERVICE("web", "1"));
	fixture_turn(f);
	assert_told(f, "apply default/web:1\n");
	file_write(f, "a.yaml", SERVICE("web", "2"));
	fixture_turn(f);
	assert_told(f, "apply default/web:2\n");
}

/* What inotify watches for this process. */
static unsigned watches_count(void)
{
	DIR *directory = opendir("/proc/self/fdinfo");
	const struct dirent *entry;
	unsigned n = 0;

	assert_non_null(directory);
	while ((entry = readdir(directory))) {
		_cleanup_free_ char *path = path_in("/proc/self/fdinfo", entry->d_name);
		FILE *file = fopen(path, "r");
		char line[256];

		while (file && fgets(line, sizeof(line), file))
			n += strncmp(line, "inotify wd:", strlen("inotify wd:")) == 0;
		if (file)
			fclose(file);
	}
	closedir(directory);
	return n;
}

static void test_directory_is_replaced_by_another(void **state)
{
	struct fixture *f = *state;

	file_write(f, "a.yaml", SERVICE("web", "1"));
	fixture_follow(f);
	assert_int_equal(watches_count(), 2);
	file_rename(f, "../manifests", "../old");
	directory_make(f->path);
	file_write(f, "a.yaml", SERVICE("web", "2"));
	fixture_turn(f);
	assert_told(f, "apply default/web:2\n");
	assert_int_equal(watches_count(), 2);
	file_write(f, "../old/a.yaml", SERVICE("web", "7"));
	file_write(f, "../old/b.yaml", SERVICE("other", "7"));
	fixture_turn(f);
	assert_told(f, "");
}

/* Nothing is left that could tell of the return. */
static void test_parent_vanishes_too(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *parent = f->path;

	f->path = path_in(parent, "nested");
	directory_make(f->path);
	file_write(f, "a.yaml", SERVICE("web", "1"));
	fixture_follow(f);
	directory_delete(f->root);
	fixture_turn(f);
	assert_non_null(strstr(buf_text(&f->log), "objects stay as they were"));
	buf_reset(&f->log);

	directory_make(f->root);
	directory_make(parent);
	directory_make(f->path);
	file_write(f, "a.yaml", SERVICE("web", "2"));
	fixture_wait(f);
	assert_told(f, "apply default/web:2\n");
}

/* No event tells of this, but a rescan looks what the path is now. */
static void test_rescan_follows_a_replaced_parent(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *parent = f->path;

	f->path = path_in(parent, "nested");
	directory_make(f->path);
	fixture_follow(f);
	file_rename(f, "../../manifests", "../../old");
	directory_make(parent);
	directory_make(f->path);
	assert_int_equal(manifests_rescan(f->m, NULL), 0);
	assert_int_equal(watches_count(), 2);
	file_write(f, "a.yaml", SERVICE("web", "1"));
	fixture_turn(f);
	assert_told(f, "apply default/web:1\n");
}

static void test_failed_rescan_is_made_good(void **state)
{
	struct fixture *f = *state;

	fixture_follow(f);
	file_write(f, "a.yaml", SERVICE("web", "1"));
	f->apply_error = -EIO;
	assert_int_equal(manifests_rescan(f->m, NULL), -EIO);
	f->apply_error = 0;
	fixture_wait(f);
	assert_told(f, "apply default/web:1\n");
}

/* Memory that is short for a moment delays a change and loses none. */
static void test_failed_allocations_while_following(void **state)
{
	struct fixture *f = *state;
	bool told_at_once = false;

	fixture_follow(f);
	assert_non_null(buf_reserve(&f->log, 4096));
	for (unsigned n = 1; !told_at_once; n++) {
		file_write(f, "a.yaml", SERVICE("web", "1"));
		fail_alloc_at(n);
		fixture_turn(f);
		told_at_once = !fail_alloc_end();
		if (!told_at_once && strstr(buf_text(&f->log), "report")) {
			assert_told(f, "report /manifests: objects stay as they were: "
				       "read ROOT/manifests/a.yaml: Cannot allocate memory\n");
			fixture_wait(f);
		}
		assert_told(f, "apply default/web:1\n");
		file_delete(f, "a.yaml");
		fixture_turn(f);
		assert_told(f, "remove default/web\n");
	}
}

#define follow_test(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		follow_test(test_new_edited_and_deleted_files),
		follow_test(test_change_between_open_and_follow_is_seen),
		follow_test(test_new_file_is_read_when_it_is_closed),
		follow_test(test_edited_file_is_read_when_it_is_closed),
		follow_test(test_editor_renames_over_the_file),
		follow_test(test_editor_keeps_a_backup),
		follow_test(test_rename_tells_nothing),
		follow_test(test_object_that_moves_to_another_file_stays),
		follow_test(test_links_are_read_when_they_are_made),
		follow_test(test_fifo_that_appears_is_refused),
		follow_test(test_volume_of_the_kubelet),
		follow_test(test_broken_then_repaired),
		follow_test(test_loser_takes_over_without_being_touched),
		follow_test(test_file_that_becomes_readable),
		follow_test(test_overflow_of_the_queue),
		follow_test(test_directory_vanishes_and_returns),
		follow_test(test_open_directory_vanishes_and_returns),
		follow_test(test_directory_is_replaced_by_another),
		follow_test(test_parent_vanishes_too),
		follow_test(test_rescan_follows_a_replaced_parent),
		follow_test(test_failed_rescan_is_made_good),
		follow_test(test_failed_allocations_while_following),
	};

	return cmocka_run_group_tests_name("manifests-follow", tests, NULL, NULL);
}
