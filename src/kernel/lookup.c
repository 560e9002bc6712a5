#include "kernel/lookup.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <libnftnl/common.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <stdint.h>

#include "base/error.h"
#include "kernel/attrs.h"
#include "kernel/element-codec.h"
#include "kernel/netlink.h"

enum lookup_size {
	/* Each answer takes a page and more of the receive buffer, which has 200 kB if no more may be had. */
	REQUEST_KEYS = 32,
	REQUEST_BYTES = 8192, /* a key of IPv6 takes less than 100 */
};

struct lookup {
	lookup_fn fn;
	void *userdata;
	uint32_t sequence; /* of the request */
	size_t next;       /* the key that the next answer is about */
	int error;         /* the kernel's, about that key */
	int stopped;       /* by @fn, or for an answer that can't be read */
};

static int element_answered(const struct nlmsghdr *nlh, struct lookup *l)
{
	const struct nlattr *element;
	struct attrs in;

	attrs_of_message(nlh, &in);
	attrs_of_nest(in.at[NFTA_SET_ELEM_LIST_ELEMENTS], &in);
	element = in.at[NFTA_LIST_ELEM];
	return element ? l->fn(l->next++, element, l->userdata) : -EBADMSG;
}

/* Whatever comes, all of it is taken out of the socket: others use that, too. */
static int answer_read(const struct nlmsghdr *nlh, void *userdata)
{
	const struct nlmsgerr *e = mnl_nlmsg_get_payload(nlh);
	struct lookup *l = userdata;

	if (nlh->nlmsg_seq != l->sequence || l->stopped < 0)
		return 0;
	if (nlh->nlmsg_type != NLMSG_ERROR)
		l->stopped = element_answered(nlh, l);
	else if (mnl_nlmsg_get_payload_len(nlh) >= sizeof(*e))
		l->error = e->error;
	return 0;
}

/* How many of @keys go into one request: they must be of one set. */
static size_t request_keys(const struct element *keys, size_t n)
{
	size_t i = 1;

	while (i < n && i < REQUEST_KEYS && keys[i].set == keys->set &&
	       keys[i].family == keys->family)
		i++;
	return i;
}

static int request_send(struct netlink *nl, const char *table, const struct element *keys, size_t n,
			struct lookup *l, struct error *err)
{
	char request[REQUEST_BYTES] __attribute__((aligned(8)));
	uint16_t protocol = keys->family == AF_INET ? NFPROTO_IPV4 : NFPROTO_IPV6;
	struct nlmsghdr *nlh;
	struct nlattr *list;

	l->sequence = netlink_sequence(nl, 1);
	l->error = 0;
	nlh = nftnl_nlmsg_build_hdr(request, NFT_MSG_GETSETELEM, protocol, 0, l->sequence);
	mnl_attr_put_strz(nlh, NFTA_SET_ELEM_LIST_TABLE, table);
	mnl_attr_put_strz(nlh, NFTA_SET_ELEM_LIST_SET, set_name(keys->set));
	list = mnl_attr_nest_start(nlh, NFTA_SET_ELEM_LIST_ELEMENTS);
	for (size_t i = 0; i < n; i++)
		element_put(nlh, &keys[i], NULL, false);
	mnl_attr_nest_end(nlh, list);
	return netlink_request(nl, nlh, nlh->nlmsg_len, answer_read, l, err);
}

/* The kernel answers in the order of the keys, up to the first that it can't tell of. 0: go on from
 * l->next. */
static int keys_ask(struct netlink *nl, const char *table, const struct element *keys, size_t n,
		    struct lookup *l, struct error *err)
{
	size_t first = l->next;
	int r = request_send(nl, table, keys + first, request_keys(keys + first, n - first), l,
			     err);

	if (r < 0)
		return r;
	if (l->stopped < 0)
		return error_errno(err, -l->stopped, "read elements of %s",
				   set_name(keys[first].set));
	if (l->error == -ENOENT) {
		l->next++;
		return 0;
	}
	if (l->error < 0)
		return error_errno(err, -l->error, "read elements of %s",
				   set_name(keys[first].set));
	return l->next > first ? 0 : error_set(err, -EIO, "elements asked for: no answer");
}

int lookup_elements(struct netlink *nl, const char *table, const struct element *keys, size_t n,
		    lookup_fn fn, void *userdata, struct error *err)
{
	struct lookup l = { .fn = fn, .userdata = userdata };
	int r = 0;

	while (r == 0 && l.next < n)
		r = keys_ask(nl, table, keys, n, &l, err);
	return r;
}
