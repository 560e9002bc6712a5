#include "proxy/source-ranges.h"

#include <errno.h>
#include <stdlib.h>

#include "base/array.h"

static const char *family_name(uint8_t family)
{
	return family == AF_INET ? "IPv4" : "IPv6";
}

static int sources_add(struct source_ranges *sr, const struct prefix *one)
{
	int r = ARRAY_RESERVE(sr->items, sr->n, sr->capacity);

	if (r == 0)
		sr->items[sr->n++] = *one;
	return r;
}

static bool sources_contain_any(const struct source_ranges *sr, const struct addr *addrs, size_t n)
{
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < sr->n; j++)
			if (prefix_contains(&sr->items[j], &addrs[i]))
				return true;
	return false;
}

static bool addrs_have_family(const struct addr *addrs, size_t n, uint8_t family)
{
	for (size_t i = 0; i < n; i++)
		if (addrs[i].family == family)
			return true;
	return false;
}

/* A node that has the load balancer's address on an interface connects to it from that address. */
static int sources_add_own_addrs(struct source_ranges *sr, uint8_t family,
				 const struct frontends *f, const struct frontend_site *site)
{
	int r = 0;

	if (!sources_contain_any(sr, site->own_addrs, site->n_own_addrs))
		return 0;
	for (size_t i = 0; r == 0 && i < f->n_load_balancers; i++) {
		const struct prefix whole = {
			.addr = f->load_balancers[i],
			.len = (uint8_t)(8 * addr_len_bytes(&f->load_balancers[i])),
		};

		if (whole.addr.family == family)
			r = sources_add(sr, &whole);
	}
	return r;
}

static int sources_read_family(struct source_ranges *sr, uint8_t family, const struct service *s,
			       const struct frontends *f, const struct frontend_site *site)
{
	int r = 0;

	sr->guarded = true;
	for (size_t i = 0; r == 0 && i < s->n_source_ranges; i++) {
		if (s->source_ranges[i].addr.family != family)
			continue;
		r = sources_add(sr, &s->source_ranges[i]);
		sr->guarded &= s->source_ranges[i].len > 0; /* all addresses there are */
	}
	if (r == 0)
		r = sources_add_own_addrs(sr, family, f, site);
	sr->n = prefixes_outermost(sr->items, sr->n);
	return r;
}

static void problems_add_unused(struct problems *problems, const struct service *s)
{
	char text[PREFIX_TEXT_MAX];

	if (s->n_bad_source_ranges > 0)
		problems_add(problems, "SourceRangeIgnored",
			     "%zu of its loadBalancerSourceRanges are no address ranges",
			     s->n_bad_source_ranges);
	for (size_t i = 0; i < s->n_source_ranges; i++) {
		const struct prefix *one = &s->source_ranges[i];

		if (!addrs_have_family(s->cluster_ips, s->n_cluster_ips, one->addr.family))
			problems_add(problems, "SourceRangeIgnored",
				     "source range %s ignored: the Service has no %s",
				     prefix_format(one, text), family_name(one->addr.family));
	}
}

int source_ranges_read(struct source_ranges ret[static FAMILY_COUNT], const struct service *s,
		       const struct frontends *f, const struct frontend_site *site,
		       struct problems *problems)
{
	int r = 0;

	for (size_t i = 0; i < FAMILY_COUNT; i++) {
		ret[i].n = 0;
		ret[i].guarded = false;
	}
	if (s->n_source_ranges + s->n_bad_source_ranges == 0 || f->n_load_balancers == 0)
		return 0;

	problems_add_unused(problems, s);
	for (size_t i = 0; r == 0 && i < FAMILY_COUNT; i++) {
		if (!addrs_have_family(f->load_balancers, f->n_load_balancers, family_at(i)))
			continue;
		r = sources_read_family(&ret[i], family_at(i), s, f, site);
		if (r == 0 && ret[i].n == 0)
			problems_add(problems, "NoSourceAllowed",
				     "nobody may connect to its %s load balancer addresses: no "
				     "range of that family is in loadBalancerSourceRanges",
				     family_name(family_at(i)));
	}
	return r;
}

size_t source_ranges_max(const struct service *s, const struct frontends *f)
{
	return s->n_source_ranges + f->n_load_balancers;
}

void source_ranges_free(struct source_ranges *sr)
{
	free(sr->items);
	*sr = (struct source_ranges){ 0 };
}
