/* store.h - the objects that the sources told us of, by key, with the indexes that the models need
 * and the set of keys that changed since it was last asked.
 *
 * Pure memory: no clock, no I/O. Borrowed pointers are valid until the next store_apply(),
 * store_remove() or store_free(); those of a watched kind also until store_changed() has told of it.
 */
#ifndef KUBE_NFT_STORE_STORE_H
#define KUBE_NFT_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "object/object.h"

struct store;

int store_new(struct store **ret);
struct store *store_free(struct store *s); /* NULL is fine; returns NULL */
DEFINE_CLEANUP(struct store, store_free);

/* Replace or add the object; takes @o in any case (an error frees it). Marks what it touches:
 * a Service its own key; an EndpointSlice the key of its Service, and of the one it belonged to
 * before; a Node the nodes. 0 or -ENOMEM. */
int store_apply(struct store *s, struct object *o);
/* Nothing happens when it is not there. */
void store_remove(struct store *s, enum object_kind kind, const char *namespace, const char *name);

/* Note from now on which objects of @kind change; before the first of them comes. */
void store_watch(struct store *s, enum object_kind kind);
/* Each object of the watched @kind that changed since the last call, once, sorted by namespace and name:
 * what it was then (NULL: it was not there), and what it is now (NULL: it is gone). What it was stays
 * valid until its visit is over. When @visit fails, the walk ends; that object
 * and those not visited stay changed. -ENOMEM. */
int store_changed(struct store *s, enum object_kind kind,
		  int (*visit)(const struct object *before, const struct object *now,
			       void *userdata),
		  void *userdata);

/* NULL when it is not there. */
const struct object *store_get(const struct store *s, enum object_kind kind, const char *namespace,
			       const char *name);
size_t store_count(const struct store *s, enum object_kind kind);

/* Visit all objects of @kind in the order of namespace and name. A negative result ends the walk and
 * is returned. -ENOMEM. */
int store_each(const struct store *s, enum object_kind kind,
	       int (*visit)(const struct object *o, void *userdata), void *userdata);

/* The slices of a Service, sorted by name; @ret_n of them. Borrowed. */
const struct endpoint_slice *const *store_slices(const struct store *s, const char *namespace,
						 const char *service, size_t *ret_n);

/* Drain the changed Services: @visit gets each key once (sorted, the object may be gone); then none
 * is changed but what @visit marked meanwhile. When @visit fails, the walk ends; that Service and those
 * not visited stay changed. */
int store_changed_services(struct store *s,
			   int (*visit)(const char *namespace, const char *name, void *userdata),
			   void *userdata);
/* Mark one Service changed. 0 or -ENOMEM. */
int store_mark_service(struct store *s, const char *namespace, const char *name);
/* Mark every Service changed: something that all of them read has changed. 0 or -ENOMEM. */
int store_mark_services(struct store *s);
/* Whether any Node changed since the last call. */
bool store_nodes_changed(struct store *s);

#endif
