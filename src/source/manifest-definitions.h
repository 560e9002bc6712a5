/* manifest-definitions.h - which file defines which object.
 *
 * When several files define one object, the file whose name sorts first wins; only winners are told.
 * Of what was told a hash is kept, not the object: when a winner goes, the next file is marked dirty,
 * to be read again.
 *
 * A pass reads the dirty files in the order of their names. So whether a definition wins is final when
 * its document is read, files that are marked meanwhile are still ahead, and an object that no file
 * defines at the end of the pass has really gone and not only moved to another file.
 */
#ifndef KUBE_NFT_SOURCE_MANIFEST_DEFINITIONS_H
#define KUBE_NFT_SOURCE_MANIFEST_DEFINITIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/table.h"
#include "object/object.h"

struct defined;
struct error;
struct manifest_file;
struct object_id;
struct source_events;

struct definitions {
	struct table objects;
	struct defined *touched, **touched_end; /* since the last definitions_settle() */
	size_t n_applied;
	const struct source_events *events; /* borrowed */
};

void definitions_init(struct definitions *d, const struct source_events *events);
/* Drop everything, tell nothing. */
void definitions_free(struct definitions *d);

/* @f defines @o, which is taken in any case; tell it when it wins and is new. 0; 1 with a sentence in
 * @err when this reading has found it before; -ENOMEM or what the receiver returned. */
int definitions_add(struct definitions *d, struct manifest_file *f, struct object *o,
		    uint64_t content, unsigned line, struct error *err);
/* @f holds a document on @id that can't be read: if @f defined the object before, it still does. */
void definitions_keep(struct definitions *d, struct manifest_file *f, const struct object_id *id);
/* The reading of @f is over: drop the definitions that it did not find, unless @keep_all. */
void definitions_end(struct definitions *d, struct manifest_file *f, bool keep_all);

/* The pass is over: tell of the objects that went and of the definitions that lost. */
void definitions_settle(struct definitions *d);

#endif
