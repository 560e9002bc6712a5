/* reflector.h - the objects of one kind, listed and watched: as well behaved as client-go's reflector.
 *
 * Tells its objects in the words of source.h. A list replaces what was told before in one turn of the
 * loop: what is missing in it is removed, what is the same is not told again; a half-read list tells
 * nothing. A bad object is reported and keeps its last good version.
 * Source: k8s.io/client-go/tools/cache Reflector; KEP-956 (bookmarks), KEP-3157 (watch list).
 */
#ifndef KUBE_NFT_SOURCE_REFLECTOR_H
#define KUBE_NFT_SOURCE_REFLECTOR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "object/object.h"

struct api_client;
struct error;
struct loop;
struct reflector;
struct source_events;

enum reflector_limit {
	REFLECTOR_PAGE_ITEMS = 500, /* asked for when the server pages */
	REFLECTOR_BACKOFF_FIRST_MS = 800,
	REFLECTOR_BACKOFF_MAX_MS = 30 * 1000,
	REFLECTOR_HEALTHY_MS = 2 * 60 * 1000, /* after this the back-off begins anew */
	REFLECTOR_WATCH_MIN_S = 300,          /* how long a watch is asked for: at random between */
	REFLECTOR_WATCH_MAX_S = 600,
	REFLECTOR_RETRY_AFTER_MAX_MS = 5 * 60 *
				       1000,   /* longer wishes of a server become this one */
	REFLECTOR_LIST_MAX_MS = 5 * 60 * 1000, /* a page; a healthy server takes a minute */
	REFLECTOR_MAX_OBJECTS = 1000 * 1000,
	REFLECTOR_MAX_PAGES = 10 * 1000, /* pages may be empty */
};

struct reflector_config {
	enum object_kind kind;
	const char *label_selector; /* borrowed; NULL: none */
	const char *field_selector;
	uint64_t seed; /* of jitter and watch times */
};

struct reflector_stats {
	uint64_t lists, watches; /* requests; a watch list counts as a list */
	uint64_t events;         /* of watches */
	uint64_t refused;        /* bad objects */
	uint64_t unknown_enums;
	uint64_t failures; /* requests that failed */
	size_t objects;
	bool synced;            /* has told a whole list since it was made */
	uint64_t last_heard_us; /* monotonic: when the server last said something; 0: never */
};

/* Start at once. @synced is called once, after the first whole list was told. @client, @loop and what @config and
 * @events point at must outlive it. */
int reflector_new(struct api_client *client, struct loop *loop,
		  const struct reflector_config *config, const struct source_events *events,
		  void (*synced)(enum object_kind kind, void *userdata), void *userdata,
		  struct reflector **ret, struct error *err);
struct reflector *reflector_free(struct reflector *r); /* NULL is fine; returns NULL */
DEFINE_CLEANUP(struct reflector, reflector_free);

struct reflector_stats reflector_stats(const struct reflector *r);

#endif
