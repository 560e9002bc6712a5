/* Readings of two manifest files, one after the other, told to a store.
 *
 * The input is cut at zero bytes. The first byte of a piece says whose new text the rest is: bit 0 the
 * file, bit 1 the format, bit 2 that the file is gone. The store must always hold what is counted as
 * told, and nothing once both files are gone.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "object/decode.h"
#include "source/manifest-definitions.h"
#include "source/manifest-file.h"
#include "source/manifest-text.h"
#include "source/manifests.h"
#include "source/source.h"
#include "store/store.h"

enum { N_FILES = 2 };

struct fuzz {
	struct store *store;
	struct definitions definitions;
	struct manifest_file *files[N_FILES];
	struct manifest_file *reading;
	bool keep_all;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
	if (!holds)
		abort();
}

static int on_apply(struct object *o, void *userdata)
{
	return store_apply(((struct fuzz *)userdata)->store, o);
}

static void on_remove(enum object_kind kind, const char *namespace, const char *name,
		      void *userdata)
{
	struct fuzz *f = userdata;

	check(store_get(f->store, kind, namespace, name));
	store_remove(f->store, kind, namespace, name);
}

static void on_report(const char *where, const char *problem, void *userdata)
{
	(void)userdata;
	check(*where && *problem);
}

static int on_object(struct object *o, uint64_t content, unsigned line, void *userdata)
{
	struct fuzz *f = userdata;
	struct error err;

	check(line > 0);
	check(definitions_add(&f->definitions, f->reading, o, content, line, &err) >= 0);
	return 0;
}

static int on_problem(const struct manifest_problem *p, void *userdata)
{
	struct fuzz *f = userdata;

	if (p->about)
		definitions_keep(&f->definitions, f->reading, p->about);
	else
		f->keep_all = true;
	return manifest_file_problem(f->reading, p->line, p->text, p->about, f->definitions.events);
}

/* @text is NULL when the file is gone. */
static void file_read(struct fuzz *f, struct manifest_file *file, const char *text, size_t len,
		      enum manifest_format format)
{
	const struct manifest_visitor visitor = { .object = on_object,
						  .problem = on_problem,
						  .userdata = f };
	struct decode_stats stats = { 0 };
	size_t n = 0;

	f->reading = file;
	f->keep_all = false;
	manifest_file_begin(file);
	if (text)
		check(manifest_text_read(text, len, format, &visitor, &stats) == 0);
	definitions_end(&f->definitions, file, f->keep_all);
	check(manifest_file_end(file, f->definitions.events) == 0);
	definitions_settle(&f->definitions);

	for (int kind = 0; kind < KIND_COUNT; kind++)
		n += store_count(f->store, (enum object_kind)kind);
	check(n == f->definitions.n_applied);
}

static void pieces_read(struct fuzz *f, const char *data, size_t size)
{
	while (size > 0) {
		const char *end = memchr(data, '\0', size);
		size_t len = end ? (size_t)(end - data) : size;

		if (len > 0)
			file_read(f, f->files[*data & 1], *data & 4 ? NULL : data + 1, len - 1,
				  *data & 2 ? MANIFEST_JSON : MANIFEST_YAML);
		len += end != NULL;
		data += len;
		size -= len;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz f = { .files = { manifest_file_new("a.yaml"), manifest_file_new("b.yaml") } };
	const struct source_events events = {
		.apply = on_apply, .remove = on_remove, .report = on_report, .userdata = &f
	};

	check(store_new(&f.store) == 0 && f.files[0] && f.files[1]);
	definitions_init(&f.definitions, &events);
	pieces_read(&f, (const char *)data, size);
	for (int i = 0; i < N_FILES; i++)
		file_read(&f, f.files[i], NULL, 0, MANIFEST_YAML);
	check(f.definitions.n_applied == 0 && f.definitions.objects.n == 0);

	definitions_free(&f.definitions);
	for (int i = 0; i < N_FILES; i++)
		manifest_file_free(f.files[i]);
	store_free(f.store);
	return 0;
}
