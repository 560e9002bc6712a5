/* manifests.h - objects from a directory of manifests, followed live. The embedded default: no API
 * server is needed.
 *
 * Reads *.yaml, *.yml and *.json of the directory itself (no subdirectories, no hidden files),
 * several documents to a file, `List` kinds unfolded. Edits, renames and deletions are followed by
 * inotify; a file is read when its writer closed it or it was moved or linked in. A document that
 * can't be read is reported with file and line and keeps its last good version; the rest of its file
 * goes on.
 * When two files define one object, the file whose name sorts first wins; the loser is reported once.
 */
#ifndef KUBE_NFT_SOURCE_MANIFESTS_H
#define KUBE_NFT_SOURCE_MANIFESTS_H

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"

struct error;
struct loop;
struct manifests;
struct source_events;

enum manifests_limit {
	MANIFESTS_MAX_FILE_BYTES = 512 * 1024 * 1024,
	MANIFESTS_MAX_FILES = 65536,
};

/* Read the directory once and tell everything in it, objects sorted by file name and position.
 * -ENOENT, -ENOTDIR, -EACCES for the directory itself; bad files are only reported. */
int manifests_open(const char *path, const struct source_events *events, struct manifests **ret,
		   struct error *err);
/* Follow changes from @loop, which must outlive @m. The directory may be deleted and come back: its
 * objects stay as they were until it is there again, and the operator is told. */
int manifests_follow(struct manifests *m, struct loop *loop, struct error *err);
/* Read every file again and tell the differences (SIGHUP, overflow of the inotify queue). */
int manifests_rescan(struct manifests *m, struct error *err);
struct manifests *manifests_free(struct manifests *m); /* NULL is fine; returns NULL */
DEFINE_CLEANUP(struct manifests, manifests_free);

struct manifests_stats {
	size_t files;
	size_t objects;
	uint64_t unknown_enums;
	uint64_t bad_documents; /* that the present files hold */
};
struct manifests_stats manifests_stats(const struct manifests *m);

#endif
