/* fuzz-conntrack-entry.c - an entry of connection tracking as the kernel dumps it. The first byte
 * chooses the family, the others are the attributes. */
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "kernel/conntrack-entry.h"
#include "object-check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { MESSAGE_BYTES = 4096 };

/* Memory of just its size, so that reading behind it is seen; what pads the last attribute is part of a
 * message for libmnl. Freed by the caller. */
static struct nlmsghdr *message_make(uint8_t family, const uint8_t *attrs, size_t len)
{
	size_t size = MNL_NLMSG_HDRLEN + MNL_ALIGN(sizeof(struct nfgenmsg)) + len;
	struct nlmsghdr *nlh = calloc(1, MNL_ALIGN(size));
	struct nfgenmsg *nfg;

	check(nlh);
	nlh->nlmsg_len = (uint32_t)size;
	nfg = mnl_nlmsg_get_payload(nlh);
	nfg->nfgen_family = family;
	memcpy(mnl_nlmsg_get_payload_offset(nlh, sizeof(*nfg)), attrs, len);
	return nlh;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	_cleanup_free_ struct nlmsghdr *nlh = NULL;
	struct conntrack_entry e;
	uint8_t family;

	if (len < 1 || len > MESSAGE_BYTES)
		return 0;
	family = data[0] & 1 ? AF_INET6 : AF_INET;
	nlh = message_make(family, data + 1, len - 1);
	if (!conntrack_entry_read(nlh, &e))
		return 0;
	check(e.flow.family == family);
	check(family == AF_INET6 || (e.flow.addr[4] == 0 && e.flow.target[4] == 0));
	check(!e.id || ((const uint8_t *)e.id > (const uint8_t *)nlh &&
			(const uint8_t *)e.id + mnl_attr_get_len(e.id) <=
				(const uint8_t *)mnl_nlmsg_get_payload_tail(nlh)));
	return 0;
}
