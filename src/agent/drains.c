#include "agent/drains.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

int drains_update(struct drains *d, const struct flows *found, uint64_t end_us)
{
	struct drain *items = calloc(found->n + 1, sizeof(*items));
	size_t known = 0;

	if (!items)
		return -ENOMEM;
	for (size_t i = 0; i < found->n; i++) {
		const struct flow *flow = &found->items[i];

		while (known < d->n && flow_cmp(&d->items[known].flow, flow) < 0)
			known++;
		items[i] = (struct drain){ .flow = *flow, .end_us = end_us };
		if (known < d->n && flow_cmp(&d->items[known].flow, flow) == 0)
			items[i].end_us = d->items[known].end_us;
	}
	drains_free(d);
	*d = (struct drains){ .items = items, .n = found->n };
	return 0;
}

int drains_list(const struct drains *d, uint64_t now_us, struct flows *all, struct flows *ended)
{
	int r = 0;

	all->n = 0;
	ended->n = 0;
	for (size_t i = 0; r == 0 && i < d->n; i++) {
		r = flows_add(all, &d->items[i].flow);
		if (r == 0 && d->items[i].end_us <= now_us)
			r = flows_add(ended, &d->items[i].flow);
	}
	return r;
}

uint64_t drains_next(const struct drains *d)
{
	uint64_t next_us = UINT64_MAX;

	for (size_t i = 0; i < d->n; i++)
		if (d->items[i].end_us < next_us)
			next_us = d->items[i].end_us;
	return next_us;
}

void drains_free(struct drains *d)
{
	free(d->items);
	*d = (struct drains){ 0 };
}
