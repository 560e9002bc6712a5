/* frames.h - the JSON objects in a body that comes in pieces: the items of a list, the events of a watch.
 *
 * Each object is found by a scanner as it arrives and handed on as text, so that neither a whole list nor
 * its tree is ever in memory. metadata.managedFields and spec.volumes become null unparsed: nobody reads them,
 * and keys in a pod's volumes are its owner's, with zero bytes, too, which the parser does not take. Whether an
 * object is JSON at all is left to that; the scanner sees to brackets, strings, depth and size.
 */
#ifndef KUBE_NFT_SOURCE_FRAMES_H
#define KUBE_NFT_SOURCE_FRAMES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "object/object.h"

struct error;
struct frames;

enum frames_limit {
	/* Of one object, without these; what is longer is cut and told as too big. */
	FRAME_MAX_BYTES = OBJECT_MAX_BYTES,
	/* Down to here brackets must match. What is deeper is passed on, for the parser to refuse. */
	FRAME_MAX_DEPTH = 64,
	/* Of what a list says besides its items: metadata with the continue token. */
	FRAME_MAX_HEAD_BYTES = 64 * 1024,
};

enum frames_kind {
	FRAMES_LIST,  /* {"kind":"ServiceList","metadata":{...},"items":[ OBJECT, ... ]} */
	FRAMES_WATCH, /* {"type":"ADDED","object": OBJECT} ... */
};

struct frame {
	const char *type; /* of a watch's event: "ADDED"; NULL in a list */
	const char *text; /* the object; not terminated; valid during the call */
	size_t len;
	bool too_big; /* @text is only its beginning */
	/* Of its metadata, taken from the text, so that an object can be named that is too big or that
	 * can't be parsed or decoded. "" when absent, or written with an escape or a zero byte. */
	const char *namespace, *name, *uid, *resource_version;
};

/* A negative errno ends the reading with it. */
typedef int (*frame_fn)(const struct frame *frame, void *userdata);

/* What a list says of itself; known for certain when frames_end() returned 0. "" when absent. */
struct list_head {
	const char *kind; /* "ServiceList"; "Status" when it is no list */
	const char *resource_version;
	const char *continue_token;
};

int frames_new(enum frames_kind kind, frame_fn fn, void *userdata, struct frames **ret);
struct frames *frames_free(struct frames *f); /* NULL is fine; returns NULL */
DEFINE_CLEANUP(struct frames, frames_free);

/* The next bytes of the body. -EINVAL: not what was expected; -E2BIG; -ENOMEM; what @fn returned. After an
 * error the rest of the body is of no use. */
int frames_push(struct frames *f, const char *data, size_t len, struct error *err);
/* The body is over. -EINVAL when it ends inside of something. */
int frames_end(struct frames *f, struct error *err);
/* Borrowed, valid until frames_free(). */
struct list_head frames_list_head(const struct frames *f);

#endif
