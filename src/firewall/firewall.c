#include "firewall/firewall.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/addrs.h"
#include "base/arena.h"
#include "base/array.h"
#include "firewall/internal.h"
#include "kernel/defined.h"
#include "kernel/dump.h"

static int pod_cmp(const void *a, const void *b)
{
	const struct firewall_pod *x = a, *y = b;

	return traffic_name_cmp(&x->name, &y->name);
}

static bool element_is_pod(const struct element *e)
{
	return e->set == SET_INGRESS_PODS || e->set == SET_EGRESS_PODS || e->set == SET_LOCAL_PODS;
}

static int pods_list(struct building *b)
{
	struct firewall *f = b->f;
	int r = 0;

	f->pods = arena_array(f->arena, b->elements->n, sizeof(*f->pods));
	if (!f->pods)
		return -ENOMEM;
	for (size_t i = 0; r == 0 && i < b->elements->n; i++) {
		const struct element *e = &b->elements->elements[i];

		f->default_deny |= e->set == SET_LOCAL_POD_CIDRS;
		if (!element_is_pod(e))
			continue;
		f->pods[f->n_pods].shown = true;
		f->pods[f->n_pods].n_addrs = 1;
		r = traffic_name_parse(e->comment, f->arena, &f->pods[f->n_pods++].name);
	}
	return r;
}

/* Those that are the same become one, with room for as many addresses as there were elements. */
static int pods_join(struct firewall *f)
{
	size_t kept = 0;

	array_sort(f->pods, f->n_pods, sizeof(f->pods[0]), pod_cmp);
	for (size_t i = 0; i < f->n_pods; i++) {
		if (kept > 0 && pod_cmp(&f->pods[kept - 1], &f->pods[i]) == 0)
			f->pods[kept - 1].n_addrs++;
		else
			f->pods[kept++] = f->pods[i];
	}
	f->n_pods = kept;
	for (size_t i = 0; i < f->n_pods; i++) {
		f->pods[i].addrs = arena_array(f->arena, f->pods[i].n_addrs, sizeof(struct addr));
		if (!f->pods[i].addrs)
			return -ENOMEM;
		f->pods[i].n_addrs = 0;
	}
	return 0;
}

static void pod_take_verdict(struct firewall *f, struct firewall_pod *pod, const struct element *e)
{
	const struct firewall_isolation key = {
		.direction = e->set == SET_INGRESS_PODS ? FIREWALL_INGRESS : FIREWALL_EGRESS,
		.id = e->id,
	};
	struct firewall_isolation *isolation = NULL;

	if (e->verdict == VERDICT_POLICIES)
		isolation = array_find(&key, f->isolations, f->n_isolations, sizeof(key),
				       isolation_cmp);
	f->strange += !isolation;
	if (!isolation || pod->isolations[key.direction])
		return;
	pod->isolations[key.direction] = isolation;
	isolation->n_pods++;
}

static int pod_take(struct building *b, const struct element *e)
{
	struct firewall_pod key = { 0 }, *pod;
	struct addr addr = { .family = e->family };
	int r = traffic_name_parse(e->comment, b->f->arena, &key.name);

	if (r < 0)
		return r;
	pod = array_find(&key, b->f->pods, b->f->n_pods, sizeof(key), pod_cmp);
	memcpy(addr.bytes, e->addr, sizeof(addr.bytes));
	pod->addrs[pod->n_addrs++] = addr;
	if (e->set != SET_LOCAL_PODS)
		pod_take_verdict(b->f, pod, e);
	return 0;
}

static int pods_build(struct building *b)
{
	struct firewall *f = b->f;
	int r = pods_list(b);

	if (r == 0)
		r = pods_join(f);
	for (size_t i = 0; r == 0 && i < b->elements->n; i++)
		if (element_is_pod(&b->elements->elements[i]))
			r = pod_take(b, &b->elements->elements[i]);
	for (size_t i = 0; r == 0 && i < f->n_pods; i++)
		f->pods[i].n_addrs = addrs_unique(f->pods[i].addrs, f->pods[i].n_addrs);
	return r;
}

int firewall_build(const struct defined_list *definitions, const struct dump *elements,
		   struct firewall **ret)
{
	_cleanup_(firewall_freep) struct firewall *f = calloc(1, sizeof(*f));
	struct building b = { .f = f, .definitions = definitions, .elements = elements };
	int r;

	if (!f)
		return -ENOMEM;
	f->arena = arena_new(65536);
	if (!f->arena)
		return -ENOMEM;
	b.words = (struct words_source){ definitions, elements, f->arena,
					 arena_array(f->arena, definitions->n,
						     sizeof(struct firewall_words)) };
	if (!b.words.known)
		return -ENOMEM;
	f->unknown = definitions->unknown;
	f->invalid = definitions->invalid;
	r = policies_build(&b);
	if (r == 0)
		r = isolations_build(&b);
	if (r == 0)
		r = pods_build(&b);
	if (r == 0)
		*ret = TAKE_PTR(f);
	return r;
}

struct firewall *firewall_free(struct firewall *f)
{
	if (!f)
		return NULL;
	arena_free(f->arena);
	free(f);
	return NULL;
}

static void show_policies_of(const struct firewall_pod *pod)
{
	for (unsigned d = 0; d < FIREWALL_DIRECTIONS; d++)
		for (size_t i = 0; pod->isolations[d] && i < pod->isolations[d]->n; i++)
			pod->isolations[d]->policies[i]->shown = true;
}

static bool is_wanted(const char *want, const char *name)
{
	return !want || strcmp(want, name) == 0;
}

void firewall_select(struct firewall *f, const struct firewall_filter *want)
{
	for (size_t i = 0; i < f->n_policies; i++)
		f->policies[i].shown = !want->pod &&
				       is_wanted(want->namespace, f->policies[i].name.namespace);
	for (size_t i = 0; i < f->n_pods; i++) {
		struct firewall_pod *pod = &f->pods[i];

		pod->shown = is_wanted(want->namespace, pod->name.namespace) &&
			     is_wanted(want->pod, pod->name.name);
		if (pod->shown)
			show_policies_of(pod);
	}
}
