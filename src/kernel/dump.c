#include "kernel/dump.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <libnftnl/common.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdlib.h>
#include <string.h>

#include "base/addr.h"
#include "base/arena.h"
#include "base/array.h"
#include "base/error.h"
#include "kernel/element-codec.h"
#include "kernel/lookup.h"
#include "kernel/netlink.h"
#include "ruleset/transaction.h"

enum { KEYS_AT_ONCE = 256 };

int dump_new(struct dump *ret)
{
	*ret = (struct dump){ .arena = arena_new(4096) };
	return ret->arena ? 0 : -ENOMEM;
}

void dump_free(struct dump *d)
{
	free(d->elements);
	arena_free(d->arena);
	*d = (struct dump){ 0 };
}

struct walk {
	dump_attr_fn fn;
	void *userdata;
	int error;
};

static int walk_element(const struct nlattr *attr, void *userdata)
{
	struct walk *w = userdata;

	w->error = w->fn(attr, w->userdata);
	return w->error < 0 ? MNL_CB_ERROR : MNL_CB_OK;
}

static int walk_list(const struct nlattr *attr, void *userdata)
{
	if (mnl_attr_get_type(attr) != NFTA_SET_ELEM_LIST_ELEMENTS)
		return MNL_CB_OK;
	return mnl_attr_parse_nested(attr, walk_element, userdata);
}

static int walk_message(const struct nlmsghdr *nlh, void *userdata)
{
	struct walk *w = userdata;

	mnl_attr_parse(nlh, sizeof(struct nfgenmsg), walk_list, w);
	return w->error;
}

int dump_attrs(struct netlink *nl, uint8_t family, const char *table, const char *set,
	       dump_attr_fn fn, void *userdata, struct error *err)
{
	char request[512] __attribute__((aligned(8)));
	struct walk w = { .fn = fn, .userdata = userdata };
	uint16_t protocol = family == AF_INET ? NFPROTO_IPV4 : NFPROTO_IPV6;
	struct nlmsghdr *nlh = nftnl_nlmsg_build_hdr(request, NFT_MSG_GETSETELEM, protocol,
						     NLM_F_DUMP, 0);

	mnl_attr_put_strz(nlh, NFTA_SET_ELEM_LIST_TABLE, table);
	mnl_attr_put_strz(nlh, NFTA_SET_ELEM_LIST_SET, set);
	return netlink_dump(nl, nlh, walk_message, &w, err);
}

struct set_walk {
	struct dump *d;
	const struct element *in;
	size_t strange;
	size_t n_ends, cap_ends;
	struct element *ends; /* interval ends, to be joined with their starts */
};

static int dump_append(struct dump *d, const struct element *e)
{
	if (ARRAY_RESERVE(d->elements, d->n, d->capacity) < 0)
		return -ENOMEM;
	d->elements[d->n++] = *e;
	return 0;
}

static int set_walk_element(const struct nlattr *attr, void *userdata)
{
	struct set_walk *w = userdata;
	struct dump *d = w->d;
	struct element e;
	int r = element_get(attr, w->in->set, w->in->family, d->arena, &e);

	if (r < 0)
		return r;
	if (r == ELEMENT_READ_OTHER) {
		w->strange++;
		return 0;
	}
	if (set_layout(e.set)->dynamic)
		e.id = w->in->id;
	if (r == ELEMENT_READ)
		return dump_append(d, &e);
	if (ARRAY_RESERVE(w->ends, w->n_ends, w->cap_ends) < 0)
		return -ENOMEM;
	w->ends[w->n_ends++] = e;
	return 0;
}

static int element_cmp_qsort(const void *a, const void *b)
{
	return element_cmp(a, b);
}

/* The last address of a range is the one before its end. */
static void range_end(const struct element *end, uint8_t ret[static 16])
{
	struct addr behind = { .family = end->family }, last = { 0 };

	memcpy(behind.bytes, end->addr, sizeof(behind.bytes));
	addr_previous(&behind, &last);
	memcpy(ret, last.bytes, sizeof(last.bytes));
}

/* Starts and ends come apart. Sorted, the first end behind a start is its own; an end without a start
 * (nft marks the space before the first interval by one) belongs to nothing. */
static void intervals_join(struct set_walk *w, size_t first)
{
	struct element *starts = w->d->elements + first;
	size_t n = w->d->n - first, j = 0;

	array_sort(starts, n, sizeof(*starts), element_cmp_qsort);
	array_sort(w->ends, w->n_ends, sizeof(*w->ends), element_cmp_qsort);
	for (size_t i = 0; i < n; i++) {
		while (j < w->n_ends && memcmp(w->ends[j].addr, starts[i].addr, 16) <= 0)
			j++;
		if (j < w->n_ends)
			range_end(&w->ends[j], starts[i].other);
		else
			memset(starts[i].other, 0xff, starts[i].family == AF_INET ? 4 : 16);
	}
}

int dump_set(struct dump *d, struct netlink *nl, const char *table, const struct element *in,
	     size_t *ret_strange, struct error *err)
{
	struct set_walk w = { .d = d, .in = in };
	char name[SET_NAME_MAX_BYTES];
	size_t first = d->n;
	int r;

	r = dump_attrs(nl, in->family, table, element_set_name(in, name), set_walk_element, &w,
		       err);
	if (r == 0 && set_layout(in->set)->interval)
		intervals_join(&w, first);
	*ret_strange += w.strange;
	free(w.ends);
	return r;
}

static int looked_up(size_t i, const struct nlattr *attr, void *userdata)
{
	struct set_walk *w = userdata;

	(void)i;
	return set_walk_element(attr, w);
}

int dump_look_up(struct dump *d, struct netlink *nl, const char *table, const struct change *keys,
		 size_t n, size_t *ret_strange, struct error *err)
{
	struct element some[KEYS_AT_ONCE];
	struct set_walk w = { .d = d, .in = &keys[0].element };
	size_t copied;
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i += copied) {
		for (copied = 0; copied < KEYS_AT_ONCE && i + copied < n; copied++)
			some[copied] = keys[i + copied].element;
		r = lookup_elements(nl, table, some, copied, looked_up, &w, err);
	}
	*ret_strange += w.strange;
	return r;
}

void dump_settle(struct dump *d)
{
	/* When the kernel enlarges a set while it is dumped, it begins again, and tells some twice. */
	d->n = array_unique(d->elements, d->n, sizeof(*d->elements), element_cmp_qsort);
}
