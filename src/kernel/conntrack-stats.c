#include "kernel/conntrack-stats.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

#include "base/error.h"
#include "kernel/attrs.h"
#include "kernel/netlink.h"

enum message_type {
	EACH_PROCESSOR = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET_STATS_CPU,
	TOTAL = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET_STATS,
};

static uint32_t attr_u32(const struct nlattr *attr)
{
	return attr && mnl_attr_validate(attr, MNL_TYPE_U32) >= 0 ? ntohl(mnl_attr_get_u32(attr)) :
								    0;
}

/* One message each processor. */
static int on_processor(const struct nlmsghdr *nlh, void *userdata)
{
	struct conntrack_stats *stats = userdata;
	struct attrs in;

	attrs_of_message(nlh, &in);
	stats->dropped += attr_u32(in.at[CTA_STATS_DROP]);
	stats->evicted += attr_u32(in.at[CTA_STATS_EARLY_DROP]);
	return 0;
}

static int on_total(const struct nlmsghdr *nlh, void *userdata)
{
	struct conntrack_stats *stats = userdata;
	struct attrs in;

	if (nlh->nlmsg_type != TOTAL)
		return 0;
	attrs_of_message(nlh, &in);
	stats->entries = attr_u32(in.at[CTA_STATS_GLOBAL_ENTRIES]);
	stats->limit = attr_u32(in.at[CTA_STATS_GLOBAL_MAX_ENTRIES]);
	return 0;
}

static struct nlmsghdr *request_build(char *request, uint16_t type, uint16_t flags)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(request);
	struct nfgenmsg *nfg = mnl_nlmsg_put_extra_header(nlh, sizeof(*nfg));

	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = NLM_F_REQUEST | flags;
	nfg->version = NFNETLINK_V0;
	return nlh;
}

int conntrack_stats_read(struct netlink *nl, struct conntrack_stats *ret, struct error *err)
{
	char request[64] __attribute__((aligned(8)));
	struct conntrack_stats stats = { 0 };
	struct nlmsghdr *nlh = request_build(request, EACH_PROCESSOR, NLM_F_DUMP);
	int r = netlink_dump(nl, nlh, on_processor, &stats, err);

	if (r == 0) {
		nlh = request_build(request, TOTAL, 0);
		/* No dump: the one message of the answer says that more will follow, and none does. */
		r = netlink_request(nl, nlh, nlh->nlmsg_len, on_total, &stats, err);
	}
	if (r < 0)
		return error_wrap(err, r, "connection tracking");
	*ret = stats;
	return 0;
}
