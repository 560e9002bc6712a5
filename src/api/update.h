/* update.h - changing an object that others change too: read it, change it, write it back; when somebody
 * else was faster (409), begin again.
 *
 * What the changer does not touch goes back as it came, fields that we do not know among it.
 */
#ifndef KUBE_NFT_API_UPDATE_H
#define KUBE_NFT_API_UPDATE_H

#include <stdint.h>

#include <jansson.h>

#include "base/cleanup.h"

struct api_client;
struct error;
struct loop;
struct update;

enum update_limit {
	UPDATE_MAX_ATTEMPTS = 6,
	UPDATE_RETRY_FIRST_MS = 10, /* see backoff.h */
	UPDATE_RETRY_MAX_MS = 1000,
};

enum update_verdict { UPDATE_WRITE, UPDATE_NOT_NEEDED };

struct update_handlers {
	/* Change @object, which is as the server has it now; called anew for each attempt. What to do
	 * with it, or a negative errno that ends the update. */
	int (*change)(json_t *object, void *userdata);
	/* The last that is heard of an update. @r: a verdict of enum update_verdict: @object is as the
	 * server has it now. Or a negative errno, as in exchange.h, or what @change returned; @object
	 * is NULL. -EBUSY: UPDATE_MAX_ATTEMPTS conflicts. */
	void (*done)(int r, const json_t *object, const struct error *err, void *userdata);
	void *userdata;
};

/* @path is that of the object. With a @subresource ("status"; NULL: none) the object is read as usual, and
 * that part of it is written: kube-router's role may not read services/status. Both are copied, @handlers as
 * well; none is called from here. @seed is that of the jitter. @ret is valid until done() or
 * update_cancel(). -ENOMEM, -E2BIG (API_MAX_CALLS). */
int update_start(struct api_client *c, struct loop *loop, const char *path, const char *subresource,
		 uint64_t seed, const struct update_handlers *handlers, struct update **ret,
		 struct error *err);
/* Drop it without a word; whether it was written is not known then. Not from its own handlers. NULL is fine;
 * returns NULL. */
struct update *update_cancel(struct update *u);

#endif
