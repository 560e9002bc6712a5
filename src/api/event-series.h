/* event-series.h - one Event and how often it happened: its identity, its name, its JSON. */
#ifndef KUBE_NFT_API_EVENT_SERIES_H
#define KUBE_NFT_API_EVENT_SERIES_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "api/events.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/table.h"

/* Those before SERIES_KEYS are the identity. */
enum series_text {
	SERIES_API_VERSION,
	SERIES_KIND,
	SERIES_NAMESPACE,
	SERIES_NAME,
	SERIES_UID,
	SERIES_REASON,
	SERIES_ACTION,
	SERIES_NOTE,
	SERIES_KEYS,
	SERIES_RESOURCE_VERSION = SERIES_KEYS,
	SERIES_TEXTS,
};

struct event_series {
	struct event_series *prev, *next; /* the one told longest ago first */
	struct arena *arena;              /* owns the texts and this struct */
	const char *texts[SERIES_TEXTS];  /* escaped and cut; "" when absent */
	enum event_type type;
	const char *event_name;     /* of the Event object */
	uint64_t first_ns, last_ns; /* realtime */
	int32_t count;
	int32_t written;     /* of @count; or given up */
	bool exists;         /* the Event object */
	bool given_up;       /* nothing more will be written */
	unsigned attempts;   /* that failed, since the last that did not */
	uint64_t due_ms;     /* monotonic: not to be written before */
	uint64_t expires_ms; /* monotonic: told later than this, it is another series */
};

extern const struct table_type event_series_type;

/* A series of one, told at @now_ns. @serial tells it from all other ones of this @instance. -EINVAL:
 * this can't be a namespace. -ENOMEM. */
int event_series_new(const struct event *e, const char *instance, uint64_t now_ns, uint64_t serial,
		     struct event_series **ret);
struct event_series *event_series_free(struct event_series *s); /* NULL is fine; returns NULL */
DEFINE_CLEANUP(struct event_series, event_series_free);

static inline bool event_series_is_pending(const struct event_series *s)
{
	return s->count > s->written;
}

/* Where to write the rest of it: the path of the Event object, or where such are created. */
void event_series_path(const struct event_series *s, struct buf *ret);
/* What to write there: the whole Event, or a merge patch. NULL when memory is short. */
json_t *event_series_body(const struct event_series *s, const char *instance);

#endif
