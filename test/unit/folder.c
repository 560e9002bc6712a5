#include "folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/cleanup.h"
#include "manifests-fixture.h"

enum { READ_BYTES = 4096 };

int folder_setup(void **state)
{
	struct folder *f = calloc(1, sizeof(*f));
	const char *tmp = getenv("TMPDIR");

	if (!f)
		return -1;
	*state = f;
	f->texts = arena_new(0);
	snprintf(f->path, sizeof(f->path), "%s/kube-nft-XXXXXX", tmp ? tmp : "/tmp");
	return f->texts && mkdtemp(f->path) ? 0 : -1;
}

int folder_teardown(void **state)
{
	struct folder *f = *state;

	directory_delete(f->path);
	arena_free(f->texts);
	free(f);
	return 0;
}

const char *folder_path(const struct folder *f, const char *name)
{
	size_t size = strlen(f->path) + strlen(name) + sizeof("/");
	char *path = arena_alloc(f->texts, size);

	assert_non_null(path);
	snprintf(path, size, "%s/%s", f->path, name);
	return path;
}

static void text_write(const struct folder *f, const char *name, const char *first,
		       const char *text, mode_t mode)
{
	const char *temporary = folder_path(f, ".new");
	FILE *file = fopen(temporary, "we");

	assert_non_null(file);
	assert_true(fputs(first, file) >= 0 && fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(chmod(temporary, mode), 0);
	assert_int_equal(rename(temporary, folder_path(f, name)), 0);
}

void folder_write(const struct folder *f, const char *name, const char *text)
{
	text_write(f, name, "", text, 0600);
}

const char *folder_write_program(const struct folder *f, const char *name, const char *script)
{
	text_write(f, name, "#!/bin/sh\n", script, 0700);
	return folder_path(f, name);
}

const char *folder_read(const struct folder *f, const char *name)
{
	FILE *file = fopen(folder_path(f, name), "re");
	char *text = arena_alloc(f->texts, READ_BYTES + 1);
	size_t n;

	assert_non_null(text);
	if (!file)
		return NULL;
	n = fread(text, 1, READ_BYTES, file);
	text[n] = '\0';
	fclose(file);
	return text;
}
