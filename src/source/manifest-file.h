/* manifest-file.h - one file of the manifests directory: its bytes, and what was told about it. */
#ifndef KUBE_NFT_SOURCE_MANIFEST_FILE_H
#define KUBE_NFT_SOURCE_MANIFEST_FILE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "source/manifest-text.h"

struct buf;
struct definition;
struct error;
struct source_events;

enum {
	/* Problems told one by one for each reading of a file; the rest is one sentence. */
	MANIFEST_MAX_PROBLEMS = 100,
};

/* Hashes of problems. */
struct problem_list {
	uint64_t *items;
	size_t n, capacity;
};

struct manifest_file {
	bool dirty;                            /* to be read in the next pass */
	bool gone;                             /* was not there when last looked for */
	bool unreadable;                       /* could not be read as a whole */
	unsigned reading;                      /* number of the latest reading */
	struct definition *definitions;        /* see manifest-definitions.h */
	struct problem_list told, found;       /* in the reading before, in this one */
	uint64_t bad_documents, unknown_enums; /* of the latest reading */
	char name[];
};

/* Whether files of this name are manifests. */
bool manifest_name_matches(const char *name);
enum manifest_format manifest_name_format(const char *name);

#define MANIFEST_WHERE_BYTES (NAME_MAX + sizeof(":4294967295"))

/* Write "NAME:LINE", or "NAME" for line 0, to @text and return @text. */
const char *manifest_where(const char *name, unsigned line, char text[static MANIFEST_WHERE_BYTES]);

/* NULL when memory is short. */
struct manifest_file *manifest_file_new(const char *name);
/* The definitions must be gone. NULL is fine; returns NULL. */
struct manifest_file *manifest_file_free(struct manifest_file *f);
DEFINE_CLEANUP(struct manifest_file, manifest_file_free);

/* Read the whole file @name of directory @directory_fd. Never blocks, whatever stands there. -ENOENT,
 * -ENOMEM; all other errors mean that it is no file for us. */
int manifest_file_load(int directory_fd, const char *name, struct buf *text, struct error *err);

/* A reading of @f: what manifest_file_problem() is given in between is told unless the reading before
 * had found the same. @line is 0 when the problem is the whole file's; @named: @text says which object
 * it is about, so that the problem is the same when only the line has changed. 0 or -ENOMEM. */
void manifest_file_begin(struct manifest_file *f);
int manifest_file_problem(struct manifest_file *f, unsigned line, const char *text, bool named,
			  const struct source_events *events);
int manifest_file_end(struct manifest_file *f, const struct source_events *events);

#endif
