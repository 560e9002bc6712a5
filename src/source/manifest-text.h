/* manifest-text.h - the text of one manifest file as objects, document by document.
 *
 * Lists ("List", or "ServiceList" and its like, whose items need not say what they are) are unfolded.
 * A document that can't be read costs nobody else. Kinds that the agent does not read are passed over.
 */
#ifndef KUBE_NFT_SOURCE_MANIFEST_TEXT_H
#define KUBE_NFT_SOURCE_MANIFEST_TEXT_H

#include <stddef.h>
#include <stdint.h>

#include "object/object.h"

struct decode_stats;

/* JSON: one document, or several one behind the other. */
enum manifest_format { MANIFEST_YAML, MANIFEST_JSON };

/* A document, or an item of a list, that can't be read. */
struct manifest_problem {
	unsigned line;
	const char *text;
	const struct object_id *about; /* NULL when the document does not even tell its name */
};

/* A negative result ends the reading and is returned. */
struct manifest_visitor {
	/* The receiver owns @o from here on. @content is a hash of all that the document says; the
	 * layout of the text does not count. */
	int (*object)(struct object *o, uint64_t content, unsigned line, void *userdata);
	int (*problem)(const struct manifest_problem *p, void *userdata);
	void *userdata;
};

/* 0, -ENOMEM or what the visitor returned. */
int manifest_text_read(const char *text, size_t len, enum manifest_format format,
		       const struct manifest_visitor *visitor, struct decode_stats *stats);

#endif
