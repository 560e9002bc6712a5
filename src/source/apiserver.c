#include "source/apiserver.h"

#include <errno.h>
#include <stdio.h>

#include "base/error.h"
#include "base/loop.h"
#include "base/mix.h"
#include "source/reflector.h"
#include "source/resource.h"

struct apiserver {
	void (*synced)(void *userdata);
	void *userdata;
	struct reflector *reflectors[KIND_COUNT]; /* NULL: not needed */
};

/* What is asked for of each kind. A Service for another proxy can't be left out like this: it may have
 * the label with our name or not have it, and one selector can't say "or". */
static const struct {
	bool services, policies; /* who needs it */
	const char *label_selector, *field_selector;
} needs[KIND_COUNT] = {
	[KIND_SERVICE] = { .services = true, .label_selector = "!service.kubernetes.io/headless" },
	[KIND_ENDPOINT_SLICE] = { .services = true,
				  .label_selector = "kubernetes.io/service-name,"
						    "!service.kubernetes.io/headless" },
	[KIND_NODE] = { .services = true, .policies = true },
	[KIND_POD] = { .policies = true,
		       .field_selector = "status.phase!=Succeeded,status.phase!=Failed" },
	[KIND_NAMESPACE] = { .policies = true },
	[KIND_NETWORK_POLICY] = { .policies = true },
};

static void on_synced(enum object_kind kind, void *userdata)
{
	struct apiserver *a = userdata;

	(void)kind;
	if (apiserver_synced(a))
		a->synced(a->userdata);
}

int apiserver_open(struct loop *loop, struct api_client *client,
		   const struct apiserver_config *config, const struct source_events *events,
		   void (*synced)(void *userdata), void *userdata, struct apiserver **ret,
		   struct error *err)
{
	_cleanup_(apiserver_freep) struct apiserver *a = calloc(1, sizeof(*a));
	int r = 0;

	if (!a)
		return error_set(err, -ENOMEM, "out of memory");
	a->synced = synced;
	a->userdata = userdata;
	for (unsigned kind = 0; r == 0 && kind < KIND_COUNT; kind++) {
		const struct reflector_config kind_config = {
			.kind = (enum object_kind)kind,
			.label_selector = needs[kind].label_selector,
			.field_selector = needs[kind].field_selector,
			.seed = mix64(config->seed + kind),
		};

		if ((needs[kind].services && config->services) ||
		    (needs[kind].policies && config->policies))
			r = reflector_new(client, loop, &kind_config, events, on_synced, a,
					  &a->reflectors[kind], err);
	}
	if (r < 0)
		return r;
	*ret = TAKE_PTR(a);
	return 0;
}

struct apiserver *apiserver_free(struct apiserver *a)
{
	if (!a)
		return NULL;
	for (size_t i = 0; i < KIND_COUNT; i++)
		reflector_free(a->reflectors[i]);
	free(a);
	return NULL;
}

static bool kind_is_waited_for(const struct apiserver *a, size_t kind)
{
	return a->reflectors[kind] && !reflector_stats(a->reflectors[kind]).synced;
}

bool apiserver_synced(const struct apiserver *a)
{
	for (size_t i = 0; i < KIND_COUNT; i++)
		if (kind_is_waited_for(a, i))
			return false;
	return true;
}

const char *apiserver_waiting(const struct apiserver *a, char text[static APISERVER_WAITING_BYTES])
{
	size_t len = 0;

	text[0] = '\0';
	for (size_t i = 0; i < KIND_COUNT; i++)
		if (kind_is_waited_for(a, i))
			len += (size_t)snprintf(text + len, APISERVER_WAITING_BYTES - len, "%s%s",
						len ? ", " : "",
						resource_name((enum object_kind)i));
	return text;
}

static void stats_add(struct apiserver_stats *sum, const struct reflector_stats *s, uint64_t now_us)
{
	uint64_t silent_ms = s->last_heard_us ? (now_us - s->last_heard_us) / 1000 : UINT64_MAX;

	sum->lists += s->lists;
	sum->watches += s->watches;
	sum->events += s->events;
	sum->refused += s->refused;
	sum->unknown_enums += s->unknown_enums;
	sum->failures += s->failures;
	sum->objects += s->objects;
	if (sum->silent_ms < silent_ms)
		sum->silent_ms = silent_ms;
}

struct apiserver_stats apiserver_stats(const struct apiserver *a)
{
	struct apiserver_stats sum = { 0 };
	uint64_t now_us = monotonic_us();

	for (size_t i = 0; i < KIND_COUNT; i++) {
		if (a->reflectors[i]) {
			const struct reflector_stats s = reflector_stats(a->reflectors[i]);

			stats_add(&sum, &s, now_us);
		}
	}
	return sum;
}
