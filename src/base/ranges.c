#include "base/ranges.h"

#include <errno.h>
#include <stdlib.h>

#include "base/array.h"

int ranges_add(struct ranges *r, const struct addr_range *one)
{
	int error = ARRAY_RESERVE(r->items, r->n, r->capacity);

	if (error < 0)
		return error;
	r->items[r->n++] = *one;
	return 0;
}

static int first_cmp(const void *a, const void *b)
{
	const struct addr_range *x = a, *y = b;

	return addr_cmp(&x->first, &y->first);
}

/* Whether @next, which begins no earlier, belongs to @r or directly behind it. */
static bool range_reaches(const struct addr_range *r, const struct addr_range *next)
{
	struct addr behind;

	return !addr_next(&r->last, &behind) || addr_cmp(&next->first, &behind) <= 0;
}

void ranges_settle(struct ranges *r)
{
	size_t n = 0;

	array_sort(r->items, r->n, sizeof(r->items[0]), first_cmp);
	for (size_t i = 0; i < r->n; i++) {
		struct addr_range *last = n > 0 ? &r->items[n - 1] : NULL;

		if (!last || !range_reaches(last, &r->items[i]))
			r->items[n++] = r->items[i];
		else if (addr_cmp(&r->items[i].last, &last->last) > 0)
			last->last = r->items[i].last;
	}
	r->n = n;
}

int ranges_of_prefixes(struct ranges *r, const struct prefix *prefixes, size_t n, uint8_t family)
{
	r->n = 0;
	for (size_t i = 0; i < n; i++) {
		const struct addr_range one = prefix_range(&prefixes[i]);

		if (prefixes[i].addr.family == family && ranges_add(r, &one) < 0)
			return -ENOMEM;
	}
	ranges_settle(r);
	return 0;
}

bool ranges_equal(const struct ranges *a, const struct ranges *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (!addr_equal(&a->items[i].first, &b->items[i].first) ||
		    !addr_equal(&a->items[i].last, &b->items[i].last))
			return false;
	return true;
}

int ranges_add_without(struct ranges *ret, const struct addr_range *whole,
		       const struct ranges *holes)
{
	struct addr_range left = *whole;

	for (size_t i = 0; i < holes->n; i++) {
		const struct addr_range *hole = &holes->items[i];
		struct addr_range before = { .first = left.first };

		if (addr_cmp(&hole->last, &left.first) < 0)
			continue;
		if (addr_cmp(&hole->first, &left.last) > 0)
			break;
		if (addr_cmp(&hole->first, &left.first) > 0 &&
		    addr_previous(&hole->first, &before.last) && ranges_add(ret, &before) < 0)
			return -ENOMEM;
		if (addr_cmp(&hole->last, &left.last) >= 0 || !addr_next(&hole->last, &left.first))
			return 0;
	}
	return ranges_add(ret, &left);
}

void ranges_free(struct ranges *r)
{
	free(r->items);
	*r = (struct ranges){ 0 };
}
