#include "firewall/networks.h"

#include <stdint.h>
#include <stdio.h>

#include "base/buf.h"

struct ranges_part {
	const struct addr_range *items;
	size_t n;
};

/* Those of @all that have an address in @p. */
static struct ranges_part part_in(struct ranges_part all, const struct prefix *p)
{
	const struct addr_range range = prefix_range(p);
	struct ranges_part in = all;

	while (in.n > 0 && addr_cmp(&in.items->last, &range.first) < 0) {
		in.items++;
		in.n--;
	}
	while (in.n > 0 && addr_cmp(&in.items[in.n - 1].first, &range.last) > 0)
		in.n--;
	return in;
}

/* Whether they hold all of @p; they are those in it. */
static bool part_fills(struct ranges_part part, const struct prefix *p)
{
	const struct addr_range range = prefix_range(p);

	return part.n == 1 && addr_cmp(&part.items->first, &range.first) <= 0 &&
	       addr_cmp(&part.items->last, &range.last) >= 0;
}

/* The lower half of @p, which has addresses in and out, and the upper one. */
static struct prefix half_of(const struct prefix *p, bool upper)
{
	struct prefix half = { .addr = p->addr, .len = (uint8_t)(p->len + 1) };

	if (upper)
		half.addr.bytes[p->len / 8] |= (uint8_t)(0x80 >> p->len % 8);
	return half;
}

/* How many prefixes it takes to tell what of a prefix is in and what is out, and to tell what is in
 * with exceptions. */
struct cost {
	size_t in, out, told;
};

static size_t min_size(size_t a, size_t b)
{
	return a < b ? a : b;
}

static struct cost cost_of(struct ranges_part all, const struct prefix *p)
{
	const struct ranges_part part = part_in(all, p);
	struct prefix lower, upper;
	struct cost l, u, sum;

	if (part.n == 0)
		return (struct cost){ .out = 1 };
	if (part_fills(part, p))
		return (struct cost){ .in = 1, .told = 1 };
	lower = half_of(p, false);
	upper = half_of(p, true);
	l = cost_of(part, &lower);
	u = cost_of(part, &upper);
	sum = (struct cost){ l.in + u.in, l.out + u.out, l.told + u.told };
	sum.told = min_size(sum.told, 1 + sum.out);
	return sum;
}

struct telling {
	network_fn fn;
	void *userdata;
	struct buf text;
};

static int tell_text(struct telling *t)
{
	int r = buf_error(&t->text);

	if (r == 0)
		r = t->fn(buf_text(&t->text), t->userdata);
	buf_reset(&t->text);
	return r;
}

/* What of @p is not in @all, as exceptions. */
static void put_exceptions(struct telling *t, struct ranges_part all, const struct prefix *p,
			   const char **word)
{
	const struct ranges_part part = part_in(all, p);
	char text[PREFIX_TEXT_MAX];
	struct prefix half;

	if (part.n == 0) {
		buf_printf(&t->text, "%s%s", *word, prefix_format(p, text));
		*word = " and ";
		return;
	}
	for (int upper = 0; upper <= 1 && !part_fills(part, p); upper++) {
		half = half_of(p, upper);
		put_exceptions(t, part, &half, word);
	}
}

static int tell_prefix(struct telling *t, struct ranges_part all, const struct prefix *p)
{
	const struct ranges_part part = part_in(all, p);
	struct cost cost = cost_of(part, p);
	const char *word = " except ";
	char text[PREFIX_TEXT_MAX];
	struct prefix half;
	int r = 0;

	if (part.n == 0)
		return 0;
	if (part_fills(part, p) || cost.told == 1 + cost.out) {
		buf_puts(&t->text, prefix_format(p, text));
		put_exceptions(t, part, p, &word);
		return tell_text(t);
	}
	for (int upper = 0; r == 0 && upper <= 1; upper++) {
		half = half_of(p, upper);
		r = tell_prefix(t, part, &half);
	}
	return r;
}

static int tell_range(struct telling *t, const struct addr_range *range)
{
	char first[ADDR_TEXT_MAX], last[ADDR_TEXT_MAX], text[PREFIX_TEXT_MAX];
	struct prefix p;

	if (prefix_of_range(range, &p))
		buf_puts(&t->text, prefix_format(&p, text));
	else
		buf_printf(&t->text, "%s-%s", addr_format(&range->first, first),
			   addr_format(&range->last, last));
	return tell_text(t);
}

int networks_tell(const struct addr_range *ranges, size_t n, network_fn fn, void *userdata)
{
	struct telling t = { .fn = fn, .userdata = userdata };
	struct prefix whole = { 0 };
	int r = 0;

	if (n > 0)
		whole.addr.family = ranges->first.family;
	if (n > 0 && n <= NETWORKS_MAX_RANGES)
		r = tell_prefix(&t, (struct ranges_part){ ranges, n }, &whole);
	for (size_t i = 0; r == 0 && n > NETWORKS_MAX_RANGES && i < n; i++)
		r = tell_range(&t, &ranges[i]);
	buf_free(&t.text);
	return r;
}
