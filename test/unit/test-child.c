/* Orphans become children of this process, as they do where the agent is process 1. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "base/child.h"
#include "base/error.h"
#include "base/loop.h"
#include "fail-alloc.h"
#include "folder.h"

enum {
	LONG_MS = 300 * 1000, /* only against hanging */
	MAX_OUTPUT_BYTES = 1000,
	SPARE_FD = 100,
};

struct fixture {
	struct folder *folder;
	struct loop *loop;
	struct child *child;
	uint64_t timeout_ms;
	/* What was told. */
	unsigned calls;
	int r;
	char output[MAX_OUTPUT_BYTES + 1];
	size_t len;
	struct error err;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	void *folder = NULL;

	if (!f || folder_setup(&folder) < 0)
		return -1;
	f->folder = folder;
	f->timeout_ms = LONG_MS;
	*state = f;
	return loop_new(&f->loop, NULL);
}

/* Nobody may be left, dead or alive. */
static int teardown(void **state)
{
	struct fixture *f = *state;
	void *folder = f->folder;

	child_free(f->child);
	loop_free(f->loop);
	free(f);
	folder_teardown(&folder);
	return waitid(P_ALL, 0, &(siginfo_t){ 0 }, WEXITED | WNOHANG) == -1 ? 0 : -1;
}

static void on_done(int r, const char *output, size_t len, const struct error *err, void *userdata)
{
	struct fixture *f = userdata;

	f->calls++;
	f->r = r;
	assert_int_equal(err == NULL, r == 0);
	assert_int_equal(output == NULL, r < 0);
	assert_true(len <= MAX_OUTPUT_BYTES);
	if (r == 0)
		memcpy(f->output, output, len);
	else
		f->err = *err;
	f->output[len] = '\0';
	f->len = len;
	f->child = child_free(f->child);
}

static int start(struct fixture *f, const char *const *argv)
{
	static char path[] = "PATH=/usr/bin:/bin", word[] = "WORD=from the caller";
	char *env[] = { path, word, NULL };
	const struct child_program program = { .argv = (char *const *)(uintptr_t)argv,
					       .env = env,
					       .timeout_ms = f->timeout_ms,
					       .max_output_bytes = MAX_OUTPUT_BYTES };

	return child_start(f->loop, &program, on_done, f, &f->child, &f->err);
}

static void wait_for_end(struct fixture *f)
{
	assert_int_equal(f->calls, 0);
	while (f->calls == 0)
		assert_int_equal(loop_turn(f->loop, LONG_MS), 0);
	assert_int_equal(f->calls, 1);
	assert_null(f->child);
}

static void start_script(struct fixture *f, const char *script)
{
	const char *argv[] = { folder_write_program(f->folder, "program", script), NULL };

	f->calls = 0;
	if (start(f, argv) < 0)
		fail_msg("%s", f->err.message);
}

static void run(struct fixture *f, const char *script)
{
	start_script(f, script);
	wait_for_end(f);
}

static void run_well(struct fixture *f, const char *script, const char *output)
{
	run(f, script);
	if (f->r < 0)
		fail_msg("%s", f->err.message);
	assert_string_equal(f->output, output);
	assert_int_equal(f->len, strlen(output));
}

static void run_badly(struct fixture *f, const char *script, int code, const char *sentence)
{
	run(f, script);
	assert_int_equal(f->r, code);
	assert_int_equal(f->err.code, code);
	assert_string_equal(f->err.message, sentence);
}

static void test_output_is_told(void **state)
{
	struct fixture *f = *state;

	run_well(f, "echo a; echo b; echo complaint >&2", "a\nb\n");
	run_well(f, "printf 'no newline'", "no newline");
	run_well(f, "exit 0", "");
	run(f, "printf 'a\\000b'");
	assert_int_equal(f->len, 3);
	assert_memory_equal(f->output, "a\0b", 3);
}

static void test_arguments_are_not_read_by_a_shell(void **state)
{
	struct fixture *f = *state;
	const char *argv[] = { folder_write_program(f->folder, "p", "printf '%s|' \"$0\" \"$@\""),
			       "$(touch x); `id`",
			       "",
			       "a b",
			       "*",
			       NULL };
	char expected[512];

	assert_int_equal(start(f, argv), 0);
	wait_for_end(f);
	snprintf(expected, sizeof(expected), "%s|$(touch x); `id`||a b|*|", argv[0]);
	assert_string_equal(f->output, expected);
}

static void test_environment_is_what_was_given(void **state)
{
	assert_int_equal(setenv("KUBE_NFT_TEST", "inherited", 1), 0);
	run_well(*state, "echo \"$WORD $KUBE_NFT_TEST\"", "from the caller \n");
}

static void test_bare_words_are_looked_for(void **state)
{
	struct fixture *f = *state;
	const char *argv[] = { "printf", "found", NULL };

	assert_int_equal(start(f, argv), 0);
	wait_for_end(f);
	assert_string_equal(f->output, "found");
}

static void cant_start(struct fixture *f, const char *program, int code, const char *sentence)
{
	const char *argv[] = { program, NULL };

	f->calls = 0;
	assert_int_equal(start(f, argv), code);
	assert_string_equal(f->err.message, sentence);
	assert_null(f->child);
	assert_int_equal(loop_turn(f->loop, 0), 0);
	assert_int_equal(f->calls, 0);
}

static void test_what_cant_be_run(void **state)
{
	struct fixture *f = *state;
	const char *file = folder_path(f->folder, "file");

	cant_start(f, "/nowhere/program", -ENOENT, "can't be run: No such file or directory");
	cant_start(f, "no-such-program-anywhere", -ENOENT,
		   "can't be run: No such file or directory");
	folder_write(f->folder, "file", "echo no interpreter is named here\n");
	cant_start(f, file, -EACCES, "can't be run: Permission denied");
	assert_int_equal(chmod(file, 0700), 0);
	cant_start(f, file, -ENOEXEC, "can't be run: Exec format error");
}

static void test_S7_no_descriptor_is_inherited(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(dup2(STDIN_FILENO, SPARE_FD), SPARE_FD);
	/* A shell may open its script by 10 or 255 itself; ls has one for the folder. */
	run_well(f, "exec ls /proc/self/fd", "0\n1\n2\n3\n");
	run_well(f, "readlink /proc/self/fd/0; cat", "/dev/null\n");
	close(SPARE_FD);
}

static void test_H5_signals_are_as_by_default(void **state)
{
	struct fixture *f = *state;
	sigset_t all, before;

	sigfillset(&all);
	assert_int_equal(sigprocmask(SIG_BLOCK, &all, &before), 0);
	assert_true(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
	/* Whoever started us may have left it so. */
	assert_true(signal(SIGCHLD, SIG_IGN) != SIG_ERR);
	/* The C library keeps 32 and 33 for itself, and leaves them ignored. */
	run_well(f,
		 "while read -r key mask; do case $key in\n"
		 "SigBlk:|SigIgn:) echo $key $((0x$mask & ~0x180000000));; esac\n"
		 "done </proc/self/status",
		 "SigBlk: 0\nSigIgn: 0\n");
	run_badly(f, "exit 3", -EIO, "exit status 3");
	assert_true(signal(SIGPIPE, SIG_DFL) != SIG_ERR);
	assert_int_equal(sigprocmask(SIG_SETMASK, &before, NULL), 0);
}

static void test_it_has_no_terminal(void **state)
{
	/* Process, group and session are the same; see proc(5). */
	run_well(*state,
		 "read -r pid comm state ppid pgrp session tty rest </proc/$$/stat\n"
		 "[ $pid = $pgrp ] && [ $pid = $session ] && echo \"$tty\"",
		 "0\n");
}

static void test_H8_failures_are_told_with_the_first_complaint(void **state)
{
	struct fixture *f = *state;

	run_badly(f, "exit 1", -EIO, "exit status 1");
	run_badly(f, "echo output; echo; echo '  no such profile' >&2; echo 2nd >&2; exit 2", -EIO,
		  "exit status 2: no such profile");
	run_badly(f, "printf '\\033[31mred\\r\\nx' >&2; exit 255", -EIO,
		  "exit status 255: \\x1b[31mred");
	run_badly(f, "kill -15 $$", -EIO, "ended by signal 15");
	run_badly(f, "echo why >&2; kill -9 $$", -EIO, "ended by signal 9: why");
}

static void test_H8_who_hangs_is_killed(void **state)
{
	struct fixture *f = *state;

	f->timeout_ms = 50;
	run_badly(f, "exec sleep 1000", -ETIMEDOUT, "still ran after 50 ms");
	/* The complaint may come too late to be told; the time must not. */
	run(f, "trap '' TERM INT HUP; echo waiting >&2; sleep 1000; sleep 1000");
	assert_int_equal(f->r, -ETIMEDOUT);
	run(f, "exec >&- 2>&-; sleep 1000");
	assert_int_equal(f->r, -ETIMEDOUT);
}

static void test_H8_who_floods_is_killed(void **state)
{
	struct fixture *f = *state;

	run_badly(f, "exec yes", -E2BIG, "wrote more than 1000 bytes");
	run_badly(f, "head -c 1001 /dev/zero", -E2BIG, "wrote more than 1000 bytes");
	run(f, "head -c 1000 /dev/zero");
	assert_int_equal(f->r, 0);
	assert_int_equal(f->len, 1000);
}

static void test_H8_flood_of_complaints_does_no_harm(void **state)
{
	struct fixture *f = *state;

	run_well(f, "head -c 300000 /dev/zero | tr '\\0' x >&2; echo done", "done\n");
	run(f, "head -c 300000 /dev/zero | tr '\\0' x >&2; exit 1");
	assert_int_equal(f->r, -EIO);
	assert_true(strlen(f->err.message) > 200);
	f->timeout_ms = 50;
	run(f, "exec yes >&2");
	assert_int_equal(f->r, -ETIMEDOUT);
}

/* Who the script has left behind, and wrote down in the file "left". */
static void assert_left_is_dead(struct fixture *f)
{
	const char *left = folder_read(f->folder, "left");

	assert_non_null(left);
	assert_int_equal(kill((pid_t)atoi(left), 0), -1);
	assert_int_equal(errno, ESRCH);
}

static void test_H8_who_is_left_behind_holds_nothing_up(void **state)
{
	struct fixture *f = *state;

	run_well(f, "cd \"${0%/*}\"; sleep 1000 & echo $! >left; echo done", "done\n");
	assert_left_is_dead(f);
	run_well(f, "cd \"${0%/*}\"; (sleep 1000 & echo $! >left) ; echo done", "done\n");
	assert_left_is_dead(f);
	f->timeout_ms = 1000;
	run(f, "cd \"${0%/*}\"; sleep 1000 & echo $! >left; echo done; sleep 1000");
	assert_int_equal(f->r, -ETIMEDOUT);
	assert_left_is_dead(f);
}

static void test_H8_who_escapes_holds_nothing_up(void **state)
{
	struct fixture *f = *state;
	const char *left;

	/* It keeps open what we read from. */
	run_well(f,
		 "cd \"${0%/*}\"\n"
		 "setsid sh -c 'echo $$ >left; exec sleep 1000' &\n"
		 "while [ ! -s left ]; do :; done\n"
		 "echo done",
		 "done\n");
	left = folder_read(f->folder, "left");
	assert_non_null(left);
	assert_int_equal(kill((pid_t)atoi(left), SIGKILL), 0);
	assert_int_equal(waitpid((pid_t)atoi(left), NULL, 0), atoi(left));
}

/* Nor can it keep us reading. */
static void test_H8_who_escapes_and_floods_holds_nothing_up(void **state)
{
	struct fixture *f = *state;
	pid_t left;

	run_well(f,
		 "cd \"${0%/*}\"\n"
		 "setsid sh -c 'echo $$ >left; exec yes >&2' &\n"
		 "while [ ! -s left ]; do :; done\n"
		 "echo done",
		 "done\n");
	left = (pid_t)atoi(folder_read(f->folder, "left"));
	kill(left, SIGKILL); /* if not SIGPIPE was faster */
	assert_int_equal(waitpid(left, NULL, 0), left);
}

/* Its end and its last words are known to the loop at once, and the end may come up first. */
static void test_last_words_are_heard(void **state)
{
	static const char *const scripts[] = { "echo output; echo why >&2; exit $0",
					       "echo why >&2; echo output; exit $0" };
	struct fixture *f = *state;

	for (size_t i = 0; i < 2 * ARRAY_SIZE(scripts); i++) {
		bool good = i % 2;
		const char *argv[] = { "sh", "-c", scripts[i / 2], good ? "0" : "1", NULL };

		f->calls = 0;
		assert_int_equal(start(f, argv), 0);
		assert_int_equal(waitid(P_ALL, 0, &(siginfo_t){ 0 }, WEXITED | WNOWAIT), 0);
		wait_for_end(f);
		if (good)
			assert_string_equal(f->output, "output\n");
		else
			assert_string_equal(f->err.message, "exit status 1: why");
	}
}

static void test_freed_child_is_killed_without_a_word(void **state)
{
	struct fixture *f = *state;

	start_script(f, "cd \"${0%/*}\"; echo $$ >left.new; mv left.new left; exec sleep 1000");
	while (!folder_read(f->folder, "left"))
		assert_int_equal(loop_turn(f->loop, 1), 0);
	f->child = child_free(f->child);
	assert_left_is_dead(f);
	assert_int_equal(loop_turn(f->loop, 0), 0);
	assert_int_equal(f->calls, 0);
	assert_null(child_free(NULL));
}

static size_t descriptors_count(void)
{
	DIR *dir = opendir("/proc/self/fd");
	size_t n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static void test_H3_descriptors_are_given_back(void **state)
{
	struct fixture *f = *state;
	size_t before;

	run_well(f, "echo", "\n"); /* the loop opens its own */
	before = descriptors_count();
	run_well(f, "echo", "\n");
	run_badly(f, "exit 1", -EIO, "exit status 1");
	cant_start(f, "/nowhere/program", -ENOENT, "can't be run: No such file or directory");
	start_script(f, "sleep 1000");
	f->child = child_free(f->child);
	assert_int_equal(descriptors_count(), before);
}

static void test_H1_short_memory(void **state)
{
	struct fixture *f = *state;
	const char *argv[] = { folder_write_program(f->folder, "p", "echo done"), NULL };
	unsigned n = 1;

	for (;; n++) {
		int r;

		fail_alloc_at(n);
		r = start(f, argv);
		if (!fail_alloc_end()) {
			assert_int_equal(r, 0);
			break;
		}
		assert_int_equal(r, -ENOMEM);
		assert_null(f->child);
	}
	assert_true(n > 5);
	wait_for_end(f);
	assert_string_equal(f->output, "done\n");
}

static void test_impossible_deadline(void **state)
{
	struct fixture *f = *state;
	const char *argv[] = { folder_write_program(f->folder, "p", "sleep 1000"), NULL };

	f->timeout_ms = UINT64_MAX;
	assert_int_equal(start(f, argv), -ERANGE);
	assert_null(f->child);
}

#define child_test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		child_test(test_output_is_told),
		child_test(test_arguments_are_not_read_by_a_shell),
		child_test(test_environment_is_what_was_given),
		child_test(test_bare_words_are_looked_for),
		child_test(test_what_cant_be_run),
		child_test(test_S7_no_descriptor_is_inherited),
		child_test(test_H5_signals_are_as_by_default),
		child_test(test_it_has_no_terminal),
		child_test(test_H8_failures_are_told_with_the_first_complaint),
		child_test(test_H8_who_hangs_is_killed),
		child_test(test_H8_who_floods_is_killed),
		child_test(test_H8_flood_of_complaints_does_no_harm),
		child_test(test_H8_who_is_left_behind_holds_nothing_up),
		child_test(test_H8_who_escapes_holds_nothing_up),
		child_test(test_H8_who_escapes_and_floods_holds_nothing_up),
		child_test(test_last_words_are_heard),
		child_test(test_freed_child_is_killed_without_a_word),
		child_test(test_H3_descriptors_are_given_back),
		child_test(test_H1_short_memory),
		child_test(test_impossible_deadline),
	};

	if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
		return EXIT_FAILURE;
	return cmocka_run_group_tests_name("child", tests, NULL, NULL);
}
