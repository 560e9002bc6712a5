#include "manifests-fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/error.h"

enum { TURNS = 8, WAIT_TURNS = 300, WAIT_TURN_MS = 100 };

static int on_apply(struct object *o, void *userdata)
{
	struct fixture *f = userdata;
	const struct service *s = (const struct service *)o;

	if (f->apply_error == 0 && o->kind == KIND_SERVICE)
		buf_printf(&f->log, "apply %s/%s:%u\n", o->namespace, o->name,
			   s->n_ports ? s->ports[0].port : 0);
	else if (f->apply_error == 0)
		buf_printf(&f->log, "apply %s %s/%s\n", kind_name(o->kind), o->namespace, o->name);
	object_free(o);
	return f->apply_error;
}

static void on_remove(enum object_kind kind, const char *namespace, const char *name,
		      void *userdata)
{
	struct fixture *f = userdata;

	if (kind == KIND_SERVICE)
		buf_printf(&f->log, "remove %s/%s\n", namespace, name);
	else
		buf_printf(&f->log, "remove %s %s/%s\n", kind_name(kind), namespace, name);
}

/* The temporary directory has another name every time. */
static void on_report(const char *where, const char *problem, void *userdata)
{
	struct fixture *f = userdata;
	const char *path = strstr(problem, f->root);

	if (strncmp(where, f->root, strlen(f->root)) == 0)
		where += strlen(f->root);
	if (path)
		buf_printf(&f->log, "report %s: %.*sROOT%s\n", where, (int)(path - problem),
			   problem, path + strlen(f->root));
	else
		buf_printf(&f->log, "report %s: %s\n", where, problem);
}

struct source_events fixture_events(struct fixture *f)
{
	return (struct source_events){
		.apply = on_apply, .remove = on_remove, .report = on_report, .userdata = f
	};
}

int fixture_setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	const char *tmp = getenv("TMPDIR");

	if (!f || asprintf(&f->root, "%s/kube-nft-XXXXXX", tmp ? tmp : "/tmp") < 0 ||
	    !mkdtemp(f->root) || asprintf(&f->path, "%s/manifests", f->root) < 0)
		return -1;
	*state = f;
	return mkdir(f->path, 0755) < 0 || chmod(f->root, 0755) < 0 ? -1 : 0;
}

int fixture_teardown(void **state)
{
	struct fixture *f = *state;

	manifests_free(f->m);
	loop_free(f->loop);
	buf_free(&f->log);
	directory_delete(f->root);
	free(f->path);
	free(f->root);
	free(f);
	return 0;
}

char *path_in(const char *directory, const char *name)
{
	char *path;

	assert_true(asprintf(&path, "%s/%s", directory, name) > 0);
	return path;
}

void file_write(const struct fixture *f, const char *name, const char *text)
{
	_cleanup_free_ char *path = path_in(f->path, name);
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

void file_rename(const struct fixture *f, const char *from, const char *to)
{
	_cleanup_free_ char *from_path = path_in(f->path, from);
	_cleanup_free_ char *to_path = path_in(f->path, to);

	assert_int_equal(rename(from_path, to_path), 0);
}

void file_link(const struct fixture *f, const char *target, const char *name)
{
	_cleanup_free_ char *path = path_in(f->path, name);

	assert_int_equal(symlink(target, path), 0);
}

void file_delete(const struct fixture *f, const char *name)
{
	_cleanup_free_ char *path = path_in(f->path, name);

	assert_int_equal(remove(path), 0);
}

static int entry_delete(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void directory_delete(const char *path)
{
	assert_int_equal(nftw(path, entry_delete, 16, FTW_DEPTH | FTW_PHYS), 0);
}

void fixture_open(struct fixture *f)
{
	struct source_events events = fixture_events(f);
	struct error err;

	if (manifests_open(f->path, &events, &f->m, &err) < 0)
		fail_msg("%s", err.message);
}

void fixture_follow(struct fixture *f)
{
	fixture_open(f);
	buf_reset(&f->log);
	assert_int_equal(loop_new(&f->loop, NULL), 0);
	assert_int_equal(manifests_follow(f->m, f->loop, NULL), 0);
}

void fixture_turn(struct fixture *f)
{
	for (int i = 0; i < TURNS; i++)
		assert_int_equal(loop_turn(f->loop, 0), 0);
}

void fixture_wait(struct fixture *f)
{
	for (int i = 0; i < WAIT_TURNS && f->log.len == 0; i++)
		assert_int_equal(loop_turn(f->loop, WAIT_TURN_MS), 0);
	assert_true(f->log.len > 0);
}

void assert_told(struct fixture *f, const char *expected)
{
	assert_string_equal(buf_text(&f->log), expected);
	buf_reset(&f->log);
}
