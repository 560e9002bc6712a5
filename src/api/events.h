/* events.h - Kubernetes Events: telling the users of the API what they can act on.
 *
 * What is told again and again becomes one Event with a count. Few requests are made, one at a time; when the
 * API server refuses them or is away, Events are dropped and counted, and nobody waits for them.
 * Source: events.k8s.io/v1, and the limits of its validation (pkg/apis/core/validation/events.go).
 */
#ifndef KUBE_NFT_API_EVENTS_H
#define KUBE_NFT_API_EVENTS_H

#include <stdint.h>
#include <time.h>

#include "base/cleanup.h"

struct api_client;
struct error;
struct event_recorder;
struct loop;

enum event_limit {
	/* Of bytes; what is longer is cut. */
	EVENT_MAX_NOTE = 1024,
	EVENT_MAX_WORD = 128, /* reason, action, reporting instance */
	/* Kept and waiting; beyond that the oldest is dropped. */
	EVENT_MAX_SERIES = 256,
	/* How long after the last one the same is still told as one Event with a count, which is written
	 * no more often than this. */
	EVENT_SERIES_WINDOW_MS = 10 * 60 * 1000,
	EVENT_SERIES_INTERVAL_MS = 60 * 1000,
	/* Requests: so many at once, then one every so often. */
	EVENT_BURST = 25,
	EVENT_REFILL_MS = 5 * 1000,
	/* After a failure, see backoff.h. */
	EVENT_RETRY_FIRST_MS = 2 * 1000,
	EVENT_RETRY_MAX_MS = 5 * 60 * 1000,
	EVENT_RETRY_HEALTHY_MS = 10 * 60 * 1000,
	EVENT_MAX_ATTEMPTS = 12,
};

enum event_type { EVENT_NORMAL, EVENT_WARNING };

/* Strings are borrowed. Control characters and what is not UTF-8 are escaped. */
struct event {
	struct {
		const char *api_version, *kind; /* "v1", "Service" */
		const char *namespace;          /* "": none; the Event goes to "default" */
		const char *name;
		const char *uid, *resource_version; /* may be NULL */
	} regarding;
	enum event_type type;
	const char *reason; /* why: "AddressConflict" */
	const char *action; /* what was done or not: "ConfigureService" */
	const char *note;   /* for people */
};

struct event_recorder_config {
	const char *instance; /* who tells it: the node's name; not "" */
	uint64_t seed;        /* of jitter */
	/* Told why Events are dropped, once while it lasts. One sentence. May be NULL. */
	void (*report)(const char *problem, void *userdata);
	/* In nanoseconds, of CLOCK_REALTIME and CLOCK_MONOTONIC; NULL: the system's. */
	uint64_t (*clock)(clockid_t clock, void *userdata);
	void *userdata;
};

struct event_recorder_stats {
	uint64_t told;     /* calls of event_recorder_emit() */
	uint64_t dropped;  /* of these */
	uint64_t requests; /* which end in one of these: */
	uint64_t written, failures;
};

/* @c is borrowed and must outlive it. -ENOMEM. */
int event_recorder_new(struct api_client *c, struct loop *loop,
		       const struct event_recorder_config *config, struct event_recorder **ret,
		       struct error *err);
/* What was not written is lost. NULL is fine; returns NULL. */
struct event_recorder *event_recorder_free(struct event_recorder *rec);
DEFINE_CLEANUP(struct event_recorder, event_recorder_free);

/* Tell @e. Never fails: what can't be told is dropped and counted. */
void event_recorder_emit(struct event_recorder *rec, const struct event *e);
struct event_recorder_stats event_recorder_stats(const struct event_recorder *rec);

#endif
