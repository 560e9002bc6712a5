#include "proxy/health-checks.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"

int health_checks_reserve(struct health_checks *h)
{
	return array_grow((void **)&h->items, &h->capacity, h->n + FAMILY_COUNT,
			  sizeof(h->items[0]));
}

static int service_cmp(const struct health_check_port *port, const char *namespace,
		       const char *name)
{
	int c = strcmp(port->namespace, namespace);

	return c ? c : strcmp(port->name, name);
}

/* Where the Service's first one is or would be. */
static size_t health_checks_find(const struct health_checks *h, const char *namespace,
				 const char *name)
{
	size_t low = 0, high = h->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (service_cmp(&h->items[middle], namespace, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

void health_checks_replace(struct health_checks *h, const char *namespace, const char *name,
			   const struct service_health_checks *now)
{
	size_t first = health_checks_find(h, namespace, name), end = first;

	while (end < h->n && service_cmp(&h->items[end], namespace, name) == 0)
		end++;
	if (end == first && now->n == 0)
		return;
	memmove(&h->items[first + now->n], &h->items[end], (h->n - end) * sizeof(h->items[0]));
	memcpy(&h->items[first], now->items, now->n * sizeof(h->items[0]));
	h->n += now->n - (end - first);
}

void health_checks_free(struct health_checks *h)
{
	free(h->items);
	*h = (struct health_checks){ 0 };
}
