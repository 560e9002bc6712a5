#include "kernel/conntrack-entry.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <string.h>

#include "base/error.h"
#include "kernel/attrs.h"

_Static_assert(CTA_MAX < ATTRS_TYPES, "an entry's attributes are all kept");

/* One end of a tuple: the types of its attributes. */
struct end {
	uint16_t ipv4, ipv6, port;
};
static const struct end destination = { CTA_IP_V4_DST, CTA_IP_V6_DST, CTA_PROTO_DST_PORT };
static const struct end source = { CTA_IP_V4_SRC, CTA_IP_V6_SRC, CTA_PROTO_SRC_PORT };

/* False when the tuple has no ports, or can't be read. */
static bool end_read(const struct nlattr *tuple, const struct end *end, uint16_t family,
		     uint8_t ret_addr[static 16], uint16_t *ret_port, uint8_t *ret_protocol)
{
	size_t len = family == AF_INET ? 4 : 16;
	const struct nlattr *addr, *number, *port;
	struct attrs parts, ip, protocol;

	attrs_of_nest(tuple, &parts);
	attrs_of_nest(parts.at[CTA_TUPLE_IP], &ip);
	attrs_of_nest(parts.at[CTA_TUPLE_PROTO], &protocol);
	addr = ip.at[family == AF_INET ? end->ipv4 : end->ipv6];
	number = protocol.at[CTA_PROTO_NUM];
	port = protocol.at[end->port];
	if (!addr || mnl_attr_get_payload_len(addr) != len || !number ||
	    mnl_attr_validate(number, MNL_TYPE_U8) < 0 || !port ||
	    mnl_attr_validate(port, MNL_TYPE_U16) < 0)
		return false;
	memcpy(ret_addr, mnl_attr_get_payload(addr), len);
	*ret_port = ntohs(mnl_attr_get_u16(port));
	*ret_protocol = mnl_attr_get_u8(number);
	return true;
}

static struct counter counter_read(const struct nlattr *nest)
{
	struct attrs in;

	attrs_of_nest(nest, &in);
	return (struct counter){
		.packets = attr_u64(in.at[CTA_COUNTERS_PACKETS]),
		.bytes = attr_u64(in.at[CTA_COUNTERS_BYTES]),
	};
}

static bool is_translated(const struct nlattr *status)
{
	return status && mnl_attr_validate(status, MNL_TYPE_U32) >= 0 &&
	       (ntohl(mnl_attr_get_u32(status)) & IPS_DST_NAT);
}

bool conntrack_entry_read(const struct nlmsghdr *nlh, struct conntrack_entry *ret)
{
	const struct nfgenmsg *nfg = mnl_nlmsg_get_payload(nlh);
	struct conntrack_entry e = { .flow = { .family = nfg->nfgen_family } };
	struct attrs in;

	attrs_of_message(nlh, &in);
	if (!end_read(in.at[CTA_TUPLE_ORIG], &destination, e.flow.family, e.flow.addr, &e.flow.port,
		      &e.protocol) ||
	    !end_read(in.at[CTA_TUPLE_REPLY], &source, e.flow.family, e.flow.target,
		      &e.flow.target_port, &e.protocol))
		return false;
	e.flow.protocol = e.protocol;
	e.translated = is_translated(in.at[CTA_STATUS]);
	e.in = counter_read(in.at[CTA_COUNTERS_ORIG]);
	e.out = counter_read(in.at[CTA_COUNTERS_REPLY]);
	e.id = in.at[CTA_ID];
	*ret = e;
	return true;
}

int conntrack_read_translated(struct netlink *nl, uint8_t family, netlink_fn fn, void *userdata,
			      struct error *err)
{
	char request[256] __attribute__((aligned(8)));
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(request);
	struct nfgenmsg *nfg = mnl_nlmsg_put_extra_header(nlh, sizeof(*nfg));
	int r;

	nlh->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	nfg->nfgen_family = family;
	nfg->version = NFNETLINK_V0;
	mnl_attr_put_u32(nlh, CTA_STATUS, htonl(IPS_DST_NAT));
	mnl_attr_put_u32(nlh, CTA_STATUS_MASK, htonl(IPS_DST_NAT));
	r = netlink_dump(nl, nlh, fn, userdata, err);
	return r < 0 ? error_wrap(err, r, "connection tracking") : 0;
}
