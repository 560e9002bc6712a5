#include "source/manifest-file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/array.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/hash.h"
#include "source/manifests.h"
#include "source/source.h"

enum { READ_BYTES = 64 * 1024 };

static bool name_ends(const char *name, const char *suffix)
{
	size_t len = strlen(name), suffix_len = strlen(suffix);

	return len > suffix_len && strcmp(name + len - suffix_len, suffix) == 0;
}

bool manifest_name_matches(const char *name)
{
	return name[0] != '.' &&
	       (name_ends(name, ".yaml") || name_ends(name, ".yml") || name_ends(name, ".json"));
}

enum manifest_format manifest_name_format(const char *name)
{
	return name_ends(name, ".json") ? MANIFEST_JSON : MANIFEST_YAML;
}

const char *manifest_where(const char *name, unsigned line, char text[static MANIFEST_WHERE_BYTES])
{
	snprintf(text, MANIFEST_WHERE_BYTES, line ? "%s:%u" : "%s", name, line);
	return text;
}

struct manifest_file *manifest_file_new(const char *name)
{
	size_t size = strlen(name) + 1;
	struct manifest_file *f = calloc(1, sizeof(*f) + size);

	if (f)
		memcpy(f->name, name, size);
	return f;
}

struct manifest_file *manifest_file_free(struct manifest_file *f)
{
	if (!f)
		return NULL;
	free(f->told.items);
	free(f->found.items);
	free(f);
	return NULL;
}

static int size_check(uint64_t size, struct error *err)
{
	if (size <= MANIFESTS_MAX_FILE_BYTES)
		return 0;
	return error_set(err, -EFBIG, "has more than %d bytes and is not read",
			 MANIFESTS_MAX_FILE_BYTES);
}

static int descriptor_read(int fd, struct buf *text, struct error *err)
{
	ssize_t n;
	int r;

	do {
		char *room = buf_reserve(text, READ_BYTES);

		if (!room)
			return error_set(err, -ENOMEM, "out of memory");
		n = read(fd, room, READ_BYTES);
		if (n < 0 && errno != EINTR)
			return error_errno(err, errno, "read");
		if (n > 0)
			buf_advance(text, (size_t)n);
		/* The file may grow while we read. */
		r = size_check(text->len, err);
		if (r < 0)
			return r;
	} while (n != 0);
	return 0;
}

int manifest_file_load(int directory_fd, const char *name, struct buf *text, struct error *err)
{
	_cleanup_close_ int fd = -EBADF;
	struct stat st;
	int r;

	/* Without O_NONBLOCK, opening a FIFO would wait for its writer. Not mapped but read: a file that
	 * shrinks under a mapping raises SIGBUS. */
	fd = openat(directory_fd, name, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return error_errno(err, errno, "open");
	if (fstat(fd, &st) < 0)
		return error_errno(err, errno, "stat");
	if (!S_ISREG(st.st_mode))
		return error_set(err, -EINVAL, "is not a regular file");
	r = size_check((uint64_t)st.st_size, err);
	if (r < 0)
		return r;
	if (!buf_reserve(text, (size_t)st.st_size + READ_BYTES))
		return error_set(err, -ENOMEM, "out of memory");
	return descriptor_read(fd, text, err);
}

void manifest_file_begin(struct manifest_file *f)
{
	f->reading++;
	f->found.n = 0;
	f->bad_documents = 0;
	f->unreadable = false;
}

static bool problem_was_told(const struct manifest_file *f, uint64_t problem)
{
	for (size_t i = 0; i < f->told.n; i++)
		if (f->told.items[i] == problem)
			return true;
	return false;
}

static int problem_tell(struct manifest_file *f, const char *where, const char *text,
			uint64_t problem, const struct source_events *events)
{
	int r;

	r = ARRAY_RESERVE(f->found.items, f->found.n, f->found.capacity);
	if (r < 0)
		return r;
	f->found.items[f->found.n++] = problem;
	if (!problem_was_told(f, problem))
		events->report(where, text, events->userdata);
	return 0;
}

int manifest_file_problem(struct manifest_file *f, unsigned line, const char *text, bool named,
			  const struct source_events *events)
{
	char where[MANIFEST_WHERE_BYTES];

	f->bad_documents += line > 0;
	if (f->found.n == MANIFEST_MAX_PROBLEMS)
		return 0;
	return problem_tell(f, manifest_where(f->name, line, where), text,
			    hash_bytes(text, strlen(text)) + (named ? 0 : line), events);
}

int manifest_file_end(struct manifest_file *f, const struct source_events *events)
{
	uint64_t untold = f->bad_documents - f->found.n;
	struct problem_list before = f->told;
	char text[64];
	int r;

	if (f->bad_documents > f->found.n) {
		snprintf(text, sizeof(text), "%" PRIu64 " more documents can't be read", untold);
		r = problem_tell(f, f->name, text, hash_bytes(text, strlen(text)), events);
		if (r < 0)
			return r;
	}
	f->told = f->found;
	f->found = before;
	return 0;
}
