/* source.h - what a source tells of its objects; the same for every source. */
#ifndef KUBE_NFT_SOURCE_SOURCE_H
#define KUBE_NFT_SOURCE_SOURCE_H

#include "object/object.h"

struct source_events {
	/* The object is now @o, which the receiver owns from here on. 0 or a negative errno. */
	int (*apply)(struct object *o, void *userdata);
	/* The object is gone. */
	void (*remove)(enum object_kind kind, const char *namespace, const char *name,
		       void *userdata);
	/* Something is wrong with the input and somebody should look. One sentence. */
	void (*report)(const char *where, const char *problem, void *userdata);
	/* What was reported of @where is over. One sentence. NULL: nobody asks. */
	void (*recovered)(const char *where, const char *how, void *userdata);
	void *userdata;
};

#endif
