/* services.h - what the store knows of each Service besides the object: its slices, and whether it
 * changed. Private to src/store.
 */
#ifndef KUBE_NFT_STORE_SERVICES_H
#define KUBE_NFT_STORE_SERVICES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/table.h"
#include "object/object.h"

struct service_entry {
	const char *namespace; /* both point into @key */
	const char *name;
	bool defined;                         /* the Service itself is in the store */
	bool changed;                         /* listed in services.changed */
	const struct endpoint_slice **slices; /* borrowed, sorted by name */
	size_t n_slices, slices_capacity;
	char key[];
};

/* An entry lives while its Service or a slice of it is there, or until its change was told. */
struct services {
	struct table entries;
	struct service_entry **changed; /* always room for two an entry: marking can't fail */
	size_t n_changed, changed_capacity;
};

void services_init(struct services *s);
void services_free(struct services *s);

/* NULL when there is none. */
struct service_entry *services_find(const struct services *s, const char *namespace,
				    const char *name);
/* Made when there is none. 0 or -ENOMEM. */
int services_need(struct services *s, const char *namespace, const char *name,
		  struct service_entry **ret);
/* Free @e if nothing needs it any more. */
void services_release(struct services *s, struct service_entry *e);

void services_mark(struct services *s, struct service_entry *e);
void services_mark_all(struct services *s);
int services_drain(struct services *s,
		   int (*visit)(const char *namespace, const char *name, void *userdata),
		   void *userdata);

/* Room for one more slice. 0 or -ENOMEM. */
int service_entry_reserve(struct service_entry *e);
/* There must be room. */
void service_entry_add(struct service_entry *e, const struct endpoint_slice *slice);
void service_entry_remove(struct service_entry *e, const struct endpoint_slice *slice);

#endif
