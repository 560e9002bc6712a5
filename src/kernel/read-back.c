#include "kernel/read-back.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <libnftnl/common.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include "kernel/attrs.h"
#include "kernel/dump.h"
#include "kernel/netlink.h"
#include "kernel/tables-internal.h"

/* NFTA_SET_COUNT: how many elements the set has. Older kernels do not tell, nor older headers. */
enum { SET_COUNT_ATTR = 20 };

struct reading {
	struct tables *t;
	const struct transaction *whole;
	struct dump *found;
	size_t *strange;
};

static int count_read(const struct nlmsghdr *nlh, void *userdata)
{
	const struct nlattr *attr;
	uint32_t *count = userdata;
	struct attrs in;

	attrs_of_message(nlh, &in);
	attr = in.at[SET_COUNT_ATTR];
	if (attr && mnl_attr_validate(attr, MNL_TYPE_U32) >= 0)
		*count = ntohl(mnl_attr_get_u32(attr));
	return 0;
}

/* 0 if the kernel does not tell. */
static int count_elements(struct netlink *nl, const struct element *in, uint32_t *ret,
			  struct error *err)
{
	char request[256] __attribute__((aligned(8)));
	uint16_t proto = in->family == AF_INET ? NFPROTO_IPV4 : NFPROTO_IPV6;
	struct nlmsghdr *nlh = nftnl_nlmsg_build_hdr(request, NFT_MSG_GETSET, proto, 0, 0);

	mnl_attr_put_strz(nlh, NFTA_SET_TABLE, TABLE_NAME);
	mnl_attr_put_strz(nlh, NFTA_SET_NAME, set_name(in->set));
	*ret = 0;
	return netlink_dump(nl, nlh, count_read, ret, err);
}

/* Whether an element is found by its key alone: a range is not, nor a set that is called by an id. */
static bool has_plain_keys(const struct set_layout *layout)
{
	return !layout->interval && !layout->prefix && !layout->ports && !layout->dynamic;
}

/* If as many of the wanted elements are there as the set has, these are all: 1. Else 0, and nothing is
 * appended. */
static int read_by_key(struct reading *rd, const struct element *in, struct error *err)
{
	size_t before = rd->found->n, n;
	const struct change *wanted = transaction_set(rd->whole, in, &n);
	uint32_t count;
	int r;

	if (n < rd->t->by_key_from || !has_plain_keys(set_layout(in->set)))
		return 0;
	r = count_elements(rd->t->nl, in, &count, err);
	if (r < 0 || count < rd->t->by_key_from || count > n)
		return r;
	r = dump_look_up(rd->found, rd->t->nl, TABLE_NAME, wanted, n, rd->strange, err);
	if (r < 0 || rd->found->n - before == count)
		return r < 0 ? r : 1;
	rd->found->n = before;
	return 0;
}

static int read_set(struct reading *rd, const struct element *in, struct error *err)
{
	int r = read_by_key(rd, in, err);

	if (r != 0)
		return r < 0 ? r : 0;
	return dump_set(rd->found, rd->t->nl, TABLE_NAME, in, rd->strange, err);
}

/* All sets of network policy that are there: one that is not wanted now may be, before it is swept, and
 * is taken for empty then. */
static int read_policy_sets(struct reading *rd, uint8_t family, struct error *err)
{
	int r = 0;

	for (unsigned kind = 0; kind < DEFINITION_FIRST_CHAIN; kind++) {
		const struct definition *d;
		size_t position = 0;

		while (r == 0 && (d = present_next(&rd->t->policy, kind, &position))) {
			struct element in = { .set = (uint8_t)definition_set(kind),
					      .family = family };

			if (d->family == family && definition_id(d, &in.id))
				r = read_set(rd, &in, err);
		}
	}
	return r;
}

int read_back(struct tables *t, size_t f, const struct transaction *whole, struct dump *ret,
	      size_t *ret_strange, struct error *err)
{
	struct reading rd = { .t = t, .whole = whole, .found = ret, .strange = ret_strange };
	uint8_t family = f == 0 ? AF_INET : AF_INET6;
	int r = 0;

	for (unsigned set = 0; r == 0 && set < SET_COUNT; set++) {
		const struct element in = { .set = (uint8_t)set, .family = family };

		r = read_set(&rd, &in, err);
	}
	return r == 0 ? read_policy_sets(&rd, family, err) : r;
}
