/* manifest-directory.h - the files of the manifests directory, and the pass that reads the dirty ones
 * and tells what became different. Knows nothing of inotify.
 */
#ifndef KUBE_NFT_SOURCE_MANIFEST_DIRECTORY_H
#define KUBE_NFT_SOURCE_MANIFEST_DIRECTORY_H

#include <stdbool.h>
#include <stddef.h>

#include "source/manifest-definitions.h"
#include "source/manifests.h"
#include "source/source.h"

struct error;
struct manifest_file;

struct directory {
	char *path;
	struct source_events events;
	struct definitions definitions;
	struct manifest_file **files; /* sorted by name */
	size_t n_files, capacity;
	bool overfull; /* there are files beyond MANIFESTS_MAX_FILES */
	bool overfull_told;
};

/* @d must not move afterwards. 0 or -ENOMEM. */
int directory_init(struct directory *d, const char *path, const struct source_events *events);
void directory_free(struct directory *d); /* half-built is fine */

/* Look which files there are, and mark all of them dirty, and all that were known. -ENOENT, -ENOTDIR,
 * -EACCES, -ENOMEM, ... */
int directory_list(struct directory *d, struct error *err);
/* File @name has changed, or came or went. Names that are no manifests are passed over. 0 or
 * -ENOMEM. */
int directory_mark(struct directory *d, const char *name);
/* As directory_mark(), when @name is a file that could not be read. */
void directory_mark_unreadable(struct directory *d, const char *name);

/* Read the dirty files and tell the differences. When it fails, what was not done stays dirty. */
int directory_read(struct directory *d, struct error *err);

struct manifests_stats directory_stats(const struct directory *d);

#endif
