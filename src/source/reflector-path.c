#include <inttypes.h>
#include <stdio.h>

#include "base/mix.h"
#include "source/reflector-internal.h"
#include "source/resource.h"

enum { NUMBER_BYTES = sizeof("18446744073709551615") };

static void version_query(struct buf *path, const struct reflector *r)
{
	if (r->phase == PHASE_WATCH || (*r->version && !r->version_lost))
		resource_query(path, "resourceVersion", r->version);
	else if (r->phase == PHASE_LIST && !r->version_lost)
		resource_query(path, "resourceVersion", "0"); /* as new as the watch cache */
}

static void number_query(struct buf *path, const char *name, uint64_t n)
{
	char text[NUMBER_BYTES];

	snprintf(text, sizeof(text), "%" PRIu64, n);
	resource_query(path, name, text);
}

static void list_query(struct buf *path, const struct reflector *r)
{
	/* A token stands for the version of its list, too. */
	if (r->staging.token)
		resource_query(path, "continue", r->staging.token);
	else
		version_query(path, r);
	if (r->staging.token || r->paged)
		number_query(path, "limit", REFLECTOR_PAGE_ITEMS);
}

static void watch_query(struct buf *path, struct reflector *r)
{
	const struct reflector_limits *limits = &r->limits;
	uint64_t s = limits->watch_min_s +
		     random_below(&r->random, limits->watch_max_s - limits->watch_min_s + 1);

	r->request.watch_ms = s * 1000 + limits->watch_margin_ms;
	resource_query(path, "watch", "true");
	resource_query(path, "allowWatchBookmarks", "true");
	number_query(path, "timeoutSeconds", s);
	if (r->phase == PHASE_WATCH_LIST) {
		resource_query(path, "sendInitialEvents", "true");
		resource_query(path, "resourceVersionMatch", "NotOlderThan");
	}
	version_query(path, r);
}

void request_path(struct reflector *r, struct buf *path)
{
	resource_path(path, r->config.kind);
	if (r->phase == PHASE_LIST)
		list_query(path, r);
	else
		watch_query(path, r);
	resource_query(path, "labelSelector", r->config.label_selector);
	resource_query(path, "fieldSelector", r->config.field_selector);
}
