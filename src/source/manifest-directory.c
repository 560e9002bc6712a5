#include "source/manifest-directory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/buf.h"
#include "base/error.h"
#include "object/decode.h"
#include "source/manifest-file.h"
#include "source/manifest-text.h"

/* Owned names. */
struct names {
	char **items;
	size_t n, capacity;
};

struct file_reading {
	struct directory *directory;
	struct manifest_file *file;
	bool anonymous_problem; /* a document is broken, and nobody knows which object it was */
};

int directory_init(struct directory *d, const char *path, const struct source_events *events)
{
	*d = (struct directory){ .path = strdup(path), .events = *events };
	definitions_init(&d->definitions, &d->events);
	return d->path ? 0 : -ENOMEM;
}

void directory_free(struct directory *d)
{
	definitions_free(&d->definitions);
	for (size_t i = 0; i < d->n_files; i++)
		manifest_file_free(d->files[i]);
	free(d->files);
	free(d->path);
}

/* The index of the first file whose name does not sort before @name. */
static size_t file_position(const struct directory *d, const char *name)
{
	size_t low = 0, high = d->n_files;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(d->files[middle]->name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct manifest_file *file_find(const struct directory *d, const char *name)
{
	size_t i = file_position(d, name);

	return i < d->n_files && strcmp(d->files[i]->name, name) == 0 ? d->files[i] : NULL;
}

/* There is no file @name yet. */
static int file_add(struct directory *d, const char *name)
{
	size_t i = file_position(d, name);
	struct manifest_file *f;

	if (d->n_files == MANIFESTS_MAX_FILES) {
		d->overfull = true;
		return 0;
	}
	if (ARRAY_RESERVE(d->files, d->n_files, d->capacity) < 0)
		return -ENOMEM;
	f = manifest_file_new(name);
	if (!f)
		return -ENOMEM;
	f->dirty = true;
	memmove(d->files + i + 1, d->files + i, (d->n_files - i) * sizeof(d->files[0]));
	d->files[i] = f;
	d->n_files++;
	return 0;
}

int directory_mark(struct directory *d, const char *name)
{
	struct manifest_file *f = file_find(d, name);

	if (f)
		f->dirty = true;
	else if (manifest_name_matches(name))
		return file_add(d, name);
	return 0;
}

void directory_mark_unreadable(struct directory *d, const char *name)
{
	struct manifest_file *f = file_find(d, name);

	if (f && f->unreadable)
		f->dirty = true;
}

static void names_free(struct names *names)
{
	for (size_t i = 0; i < names->n; i++)
		free(names->items[i]);
	free(names->items);
}

static int name_cmp(const void *a, const void *b)
{
	char *const *x = a, *const *y = b;

	return strcmp(*x, *y);
}

/* The names of the manifests in @stream, in the order that the directory has them. */
static int names_read(DIR *stream, struct names *names)
{
	const struct dirent *entry;

	while (errno = 0, (entry = readdir(stream))) {
		if (!manifest_name_matches(entry->d_name))
			continue;
		if (ARRAY_RESERVE(names->items, names->n, names->capacity) < 0)
			return -ENOMEM;
		names->items[names->n] = strdup(entry->d_name);
		if (!names->items[names->n])
			return -ENOMEM;
		names->n++;
	}
	return -errno;
}

static int names_list(const char *path, struct names *names, struct error *err)
{
	DIR *stream = opendir(path);
	int r;

	if (!stream)
		return error_errno(err, errno, "open %s", path);
	r = names_read(stream, names);
	closedir(stream);
	return r < 0 ? error_errno(err, -r, "list %s", path) : 0;
}

int directory_list(struct directory *d, struct error *err)
{
	_cleanup_(names_free) struct names names = { .items = NULL };
	int r;

	r = names_list(d->path, &names, err);
	if (r < 0)
		return r;
	/* Sorted, so that new files are appended and the limit cuts off the last names. */
	if (names.n > 0)
		array_sort(names.items, names.n, sizeof(names.items[0]), name_cmp);
	d->overfull = false;
	for (size_t i = 0; i < d->n_files; i++)
		d->files[i]->dirty = true;
	for (size_t i = 0; i < names.n; i++) {
		r = directory_mark(d, names.items[i]);
		if (r < 0)
			return error_errno(err, -r, "list %s", d->path);
	}
	return 0;
}

static int on_problem(const struct manifest_problem *p, void *userdata)
{
	struct file_reading *reading = userdata;

	if (p->about)
		definitions_keep(&reading->directory->definitions, reading->file, p->about);
	else
		reading->anonymous_problem = true;
	return manifest_file_problem(reading->file, p->line, p->text, p->about,
				     &reading->directory->events);
}

static int on_object(struct object *o, uint64_t content, unsigned line, void *userdata)
{
	struct file_reading *reading = userdata;
	struct error problem;
	int r;

	r = definitions_add(&reading->directory->definitions, reading->file, o, content, line,
			    &problem);
	if (r <= 0)
		return r;
	return manifest_file_problem(reading->file, line, problem.message, true,
				     &reading->directory->events);
}

static int file_read_text(struct directory *d, struct manifest_file *f, const struct buf *text)
{
	struct file_reading reading = { .directory = d, .file = f };
	const struct manifest_visitor visitor = { .object = on_object,
						  .problem = on_problem,
						  .userdata = &reading };
	struct decode_stats stats = { 0 };
	int r;

	r = manifest_text_read(buf_text(text), text->len, manifest_name_format(f->name), &visitor,
			       &stats);
	if (r < 0)
		return r;
	f->unknown_enums = stats.unknown_enums;
	definitions_end(&d->definitions, f, reading.anonymous_problem);
	return 0;
}

/* What was read of @f so far stays when this fails; the next pass begins again. */
static int file_read(struct directory *d, int directory_fd, struct manifest_file *f)
{
	_cleanup_buf_ struct buf text = { .data = NULL };
	struct error problem;
	int r;

	r = manifest_file_load(directory_fd, f->name, &text, &problem);
	if (r == -ENOMEM)
		return r;
	manifest_file_begin(f);
	f->gone = r == -ENOENT;
	f->unreadable = r < 0 && !f->gone;
	if (f->gone)
		definitions_end(&d->definitions, f, false);
	else if (f->unreadable)
		r = manifest_file_problem(f, 0, problem.message, false, &d->events);
	else
		r = file_read_text(d, f, &text);
	if (r < 0 && !f->gone)
		return r;
	return manifest_file_end(f, &d->events);
}

static void files_forget_gone(struct directory *d)
{
	size_t kept = 0;

	for (size_t i = 0; i < d->n_files; i++)
		if (d->files[i]->gone)
			manifest_file_free(d->files[i]);
		else
			d->files[kept++] = d->files[i];
	d->n_files = kept;
}

static void overfull_tell(struct directory *d)
{
	struct error problem;

	if (d->overfull && !d->overfull_told) {
		error_set(&problem, -E2BIG, "has more than %d manifests: the others are not read",
			  MANIFESTS_MAX_FILES);
		d->events.report(d->path, problem.message, d->events.userdata);
	}
	d->overfull_told = d->overfull;
}

static int pass_run(struct directory *d, struct error *err)
{
	_cleanup_close_ int fd = open(d->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r;

	if (fd < 0)
		return error_errno(err, errno, "open %s", d->path);
	for (size_t i = 0; i < d->n_files; i++) {
		if (!d->files[i]->dirty)
			continue;
		r = file_read(d, fd, d->files[i]);
		if (r < 0)
			return error_errno(err, -r, "read %s/%s", d->path, d->files[i]->name);
		d->files[i]->dirty = false;
	}
	definitions_settle(&d->definitions);
	files_forget_gone(d);
	return 0;
}

int directory_read(struct directory *d, struct error *err)
{
	int r;

	r = pass_run(d, err);
	/* Files that went have made room for some that were left out. */
	while (r == 0 && d->overfull && d->n_files < MANIFESTS_MAX_FILES) {
		r = directory_list(d, err);
		if (r == 0)
			r = pass_run(d, err);
	}
	if (r == 0)
		overfull_tell(d);
	return r;
}

struct manifests_stats directory_stats(const struct directory *d)
{
	struct manifests_stats stats = { .files = d->n_files, .objects = d->definitions.n_applied };

	for (size_t i = 0; i < d->n_files; i++) {
		stats.unknown_enums += d->files[i]->unknown_enums;
		stats.bad_documents += d->files[i]->bad_documents;
	}
	return stats;
}
