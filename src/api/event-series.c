#include "api/event-series.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/arena.h"
#include "base/hash.h"
#include "base/line.h"
#include "object/object.h"

#define NS_PER_S 1000000000

enum {
	TIME_MAX_BYTES = 32, /* "2026-01-31T23:59:59.000000Z" */
	UID_MAX_BYTES = 128,
	SUFFIX_MAX_BYTES = sizeof(".") + 16 + 8,
};

static const size_t max_bytes[SERIES_TEXTS] = {
	[SERIES_API_VERSION] = OBJECT_MAX_NAME,
	[SERIES_KIND] = OBJECT_MAX_NAME,
	[SERIES_NAMESPACE] = OBJECT_MAX_NAME,
	[SERIES_NAME] = OBJECT_MAX_NAME,
	[SERIES_UID] = UID_MAX_BYTES,
	[SERIES_REASON] = EVENT_MAX_WORD,
	[SERIES_ACTION] = EVENT_MAX_WORD,
	[SERIES_NOTE] = EVENT_MAX_NOTE,
	[SERIES_RESOURCE_VERSION] = UID_MAX_BYTES,
};

static uint64_t series_hash(const void *item)
{
	const struct event_series *s = item;
	uint64_t h = s->type;

	for (size_t i = 0; i < SERIES_KEYS; i++)
		h = h * 31 + hash_bytes(s->texts[i], strlen(s->texts[i]));
	return h;
}

static bool series_equal(const void *a, const void *b)
{
	const struct event_series *one = a, *other = b;

	for (size_t i = 0; i < SERIES_KEYS; i++)
		if (strcmp(one->texts[i], other->texts[i]) != 0)
			return false;
	return one->type == other->type;
}

const struct table_type event_series_type = { .hash = series_hash, .equal = series_equal };

/* Letters, digits, dashes and dots: goes into a path and into a name as it is. */
static bool name_is_plain(const char *name)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyz0123456789-.";

	return *name && *name != '-' && *name != '.' && name[strspn(name, plain)] == '\0';
}

static const char *series_namespace(const struct event_series *s)
{
	return s->texts[SERIES_NAMESPACE][0] ? s->texts[SERIES_NAMESPACE] : "default";
}

static int series_copy_texts(struct event_series *s, const struct event *e)
{
	const char *const texts[SERIES_TEXTS] = {
		[SERIES_API_VERSION] = e->regarding.api_version,
		[SERIES_KIND] = e->regarding.kind,
		[SERIES_NAMESPACE] = e->regarding.namespace,
		[SERIES_NAME] = e->regarding.name,
		[SERIES_UID] = e->regarding.uid,
		[SERIES_REASON] = e->reason,
		[SERIES_ACTION] = e->action,
		[SERIES_NOTE] = e->note,
		[SERIES_RESOURCE_VERSION] = e->regarding.resource_version,
	};

	for (size_t i = 0; i < SERIES_TEXTS; i++) {
		char text[EVENT_MAX_NOTE + 1];
		struct line l = line_in(text, max_bytes[i] + 1);

		line_escape(&l, texts[i] ? texts[i] : "");
		s->texts[i] = arena_strdup(s->arena, text);
		if (!s->texts[i])
			return -ENOMEM;
	}
	return 0;
}

/* As client-go's, with the node in it: many nodes may tell the same of one object at one time. */
static int series_name_event(struct event_series *s, const char *instance, uint64_t serial)
{
	const char *object = s->texts[SERIES_NAME];
	char name[OBJECT_MAX_NAME + 1];

	if (!name_is_plain(object) || strlen(object) + SUFFIX_MAX_BYTES > sizeof(name))
		object = "kube-nft";
	snprintf(name, sizeof(name), "%s.%" PRIx64 "%08" PRIx32, object, serial,
		 (uint32_t)hash_bytes(instance, strlen(instance)));
	s->event_name = arena_strdup(s->arena, name);
	return s->event_name ? 0 : -ENOMEM;
}

int event_series_new(const struct event *e, const char *instance, uint64_t now_ns, uint64_t serial,
		     struct event_series **ret)
{
	struct arena *arena = arena_new(sizeof(struct event_series));
	_cleanup_(event_series_freep) struct event_series *s = NULL;
	int r;

	s = arena ? arena_alloc(arena, sizeof(*s)) : NULL;
	if (!s) {
		arena_free(arena);
		return -ENOMEM;
	}
	s->arena = arena;
	s->type = e->type;
	s->first_ns = now_ns;
	s->last_ns = now_ns;
	s->count = 1;
	r = series_copy_texts(s, e);
	if (r < 0)
		return r;
	if (!name_is_plain(series_namespace(s)))
		return -EINVAL;
	r = series_name_event(s, instance, serial);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(s);
	return 0;
}

struct event_series *event_series_free(struct event_series *s)
{
	if (s)
		arena_free(s->arena);
	return NULL;
}

void event_series_path(const struct event_series *s, struct buf *ret)
{
	buf_printf(ret, "/apis/events.k8s.io/v1/namespaces/%s/events", series_namespace(s));
	if (s->exists)
		buf_printf(ret, "/%s", s->event_name);
}

/* metav1.MicroTime */
static const char *time_format(uint64_t ns, char text[static TIME_MAX_BYTES])
{
	time_t seconds = (time_t)(ns / NS_PER_S);
	struct tm tm;
	size_t len = strftime(text, TIME_MAX_BYTES, "%Y-%m-%dT%H:%M:%S", gmtime_r(&seconds, &tm));

	snprintf(text + len, TIME_MAX_BYTES - len, ".%06uZ", (unsigned)(ns % NS_PER_S / 1000));
	return text;
}

static json_t *series_count_body(const struct event_series *s)
{
	char last[TIME_MAX_BYTES];

	return json_pack("{s:{s:i, s:s}}", "series", "count", (int)s->count, "lastObservedTime",
			 time_format(s->last_ns, last));
}

/* To the server an empty text is none. (jansson's optional values are also left out when memory is
 * short.) */
static json_t *series_regarding(const struct event_series *s)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "apiVersion",
			 s->texts[SERIES_API_VERSION], "kind", s->texts[SERIES_KIND], "namespace",
			 s->texts[SERIES_NAMESPACE], "name", s->texts[SERIES_NAME], "uid",
			 s->texts[SERIES_UID], "resourceVersion",
			 s->texts[SERIES_RESOURCE_VERSION]);
}

static json_t *series_object(const struct event_series *s, const char *instance)
{
	char first[TIME_MAX_BYTES];

	return json_pack("{s:s, s:s, s:{s:s, s:s}, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:o}",
			 "apiVersion", "events.k8s.io/v1", "kind", "Event", "metadata", "name",
			 s->event_name, "namespace", series_namespace(s), "eventTime",
			 time_format(s->first_ns, first), "reportingController",
			 "kube-nft.io/agent", "reportingInstance", instance, "action",
			 s->texts[SERIES_ACTION], "reason", s->texts[SERIES_REASON], "note",
			 s->texts[SERIES_NOTE], "type",
			 s->type == EVENT_WARNING ? "Warning" : "Normal", "regarding",
			 series_regarding(s));
}

json_t *event_series_body(const struct event_series *s, const char *instance)
{
	json_auto_t *count = NULL, *body = NULL;

	if (s->count > 1) {
		count = series_count_body(s);
		if (!count)
			return NULL;
	}
	if (s->exists)
		return TAKE_PTR(count);
	body = series_object(s, instance);
	if (!body || (count && json_object_update(body, count) < 0))
		return NULL;
	return TAKE_PTR(body);
}
