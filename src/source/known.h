/* known.h - what a reflector has told of its objects: not the objects, only which version of which.
 *
 * Some hundred bytes an object, so that a list can be compared with all that was told before.
 */
#ifndef KUBE_NFT_SOURCE_KNOWN_H
#define KUBE_NFT_SOURCE_KNOWN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/table.h"

/* In a table born as { .type = &known_type }. */
struct known {
	const char *namespace, *name; /* in @text */
	union {
		uint64_t uid;       /* hash of what was told; 0: none */
		struct known *next; /* of those that known_sweep() returned */
	};
	uint64_t version;     /* hash of the resourceVersion that was told; 0: none */
	uint32_t bad_version; /* of the one that was refused last; 0: none */
	uint32_t list;        /* the number of the latest list that it was in */
	bool told;
	char text[];
};

extern const struct table_type known_type;

/* NULL when it is not there. */
struct known *known_find(const struct table *t, const char *namespace, const char *name);
/* As known_find(), made when it is not there. NULL when memory is short. */
struct known *known_need(struct table *t, const char *namespace, const char *name);
/* Forget it. */
void known_drop(struct table *t, struct known *k);
/* Take all that were not in list number @list out of the table: a chain by @next, whose members belong
 * to the caller. */
struct known *known_sweep(struct table *t, uint32_t list);
/* Forget all. */
void known_free(struct table *t);

/* 0 only for NULL and "". */
uint64_t known_hash(const char *text);

#endif
