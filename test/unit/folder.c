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

#include "base/buf.h"
#include "base/cleanup.h"
#include "manifests-fixture.h"

/* The last texts that were asked for; enough for what one line of a test uses. */
static struct buf *text_slot(void)
{
	static struct buf slots[8];
	static size_t next;
	struct buf *slot = &slots[next++ % ARRAY_SIZE(slots)];

	buf_reset(slot);
	return slot;
}

int folder_setup(void **state)
{
	struct folder *f = calloc(1, sizeof(*f));
	const char *tmp = getenv("TMPDIR");

	if (!f)
		return -1;
	*state = f;
	snprintf(f->path, sizeof(f->path), "%s/kube-nft-XXXXXX", tmp ? tmp : "/tmp");
	return mkdtemp(f->path) ? 0 : -1;
}

int folder_teardown(void **state)
{
	struct folder *f = *state;

	directory_delete(f->path);
	free(f);
	return 0;
}

const char *folder_path(const struct folder *f, const char *name)
{
	struct buf *path = text_slot();

	buf_printf(path, "%s/%s", f->path, name);
	assert_int_equal(buf_error(path), 0);
	return path->data;
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
	struct buf *text = text_slot();
	FILE *file = fopen(folder_path(f, name), "re");
	size_t n;

	if (!file)
		return NULL;
	do {
		char *room = buf_reserve(text, 4096);

		assert_non_null(room);
		n = fread(room, 1, 4096, file);
		buf_advance(text, n);
	} while (n > 0);
	fclose(file);
	return text->data;
}
