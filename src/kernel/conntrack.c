#include "kernel/conntrack.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <libnetfilter_conntrack/libnetfilter_conntrack.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/loop.h"
#include "kernel/conntrack-entry.h"
#include "kernel/netlink.h"

/* What a pass reads one after the other; what is urgent first. */
static const struct kind {
	uint8_t family, protocol;
} kinds[] = {
	{ AF_INET, IPPROTO_UDP },  { AF_INET6, IPPROTO_UDP }, { AF_INET, IPPROTO_TCP },
	{ AF_INET6, IPPROTO_TCP }, { AF_INET, IPPROTO_SCTP }, { AF_INET6, IPPROTO_SCTP },
};

/* The bit of CTA_FILTER_ORIG_FLAGS that compares the protocol; not in the exported headers. Before
 * Linux 5.8 there is no such filter, and all entries come. */
#define FILTER_PROTOCOL (1U << 3)

enum request_size {
	REQUEST_BYTES = 32768,
	DELETION_MAX_BYTES = 4096, /* of one entry: some 300 */
};

struct conntrack {
	struct netlink *dumps;
	struct netlink *deletions;
	const struct conntrack_rules *rules; /* of this step */
	const struct kind *kind;             /* that is read */
	size_t next_kind;
	bool dumping;
	struct flows draining;
	struct conntrack_counts counts;
	int error; /* of the first deletion that failed */
	size_t len;
	char request[REQUEST_BYTES] __attribute__((aligned(8))); /* deletions to be sent */
};

enum conntrack_verdict conntrack_judge(const struct conntrack_rules *rules, const struct flow *flow,
				       bool translated)
{
	struct flow frontend = flow_frontend(flow);
	bool stays, goes;

	if (flows_have(&rules->kept, flow))
		return CONNTRACK_KEEP;
	stays = flows_have(&rules->kept, &frontend);
	goes = translated && flows_have(&rules->gone, &frontend);
	if (flow->protocol == IPPROTO_UDP)
		return stays || goes ? CONNTRACK_END : CONNTRACK_KEEP;
	if (!translated)
		return CONNTRACK_KEEP;
	if (flows_have(&rules->ended, flow))
		return CONNTRACK_END;
	return stays || goes || flows_have(&rules->draining, flow) ? CONNTRACK_DRAIN :
								     CONNTRACK_KEEP;
}

/* An entry that is gone by itself, or by somebody else, is as good as deleted. */
static int deletion_answered(const struct nlmsghdr *nlh, void *userdata)
{
	const struct nlmsgerr *e = mnl_nlmsg_get_payload(nlh);
	struct conntrack *ct = userdata;

	if (nlh->nlmsg_type != NLMSG_ERROR || mnl_nlmsg_get_payload_len(nlh) < sizeof(*e))
		return 0;
	if (e->error == 0) {
		ct->counts.deleted++;
		ct->counts.ended += ct->kind->protocol != IPPROTO_UDP;
	} else if (e->error != -ENOENT && ct->error == 0) {
		ct->error = e->error;
	}
	return 0;
}

static int deletions_send(struct conntrack *ct, struct error *err)
{
	size_t len = ct->len;

	ct->len = 0;
	return len == 0 ?
		       0 :
		       netlink_request(ct->deletions, ct->request, len, deletion_answered, ct, err);
}

/* By both tuples, zone and id. */
static int deletion_build(struct conntrack *ct, uint8_t family, const struct nf_conntrack *entry,
			  const struct nlattr *id)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(ct->request + ct->len);
	struct nfgenmsg *nfg = mnl_nlmsg_put_extra_header(nlh, sizeof(*nfg));

	nlh->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	nlh->nlmsg_seq = netlink_sequence(ct->deletions, 1);
	nfg->nfgen_family = family;
	nfg->version = NFNETLINK_V0;
	if (nfct_nlmsg_build(nlh, entry) < 0)
		return -EBADMSG;
	mnl_attr_put_u32(nlh, CTA_ID, mnl_attr_get_u32(id));
	ct->len += (size_t)MNL_ALIGN((int)nlh->nlmsg_len);
	return 0;
}

static int entry_delete(struct conntrack *ct, const struct nlmsghdr *nlh, const struct nlattr *id)
{
	const struct nfgenmsg *nfg = mnl_nlmsg_get_payload(nlh);
	struct nf_conntrack *entry;
	int r = -EBADMSG;

	if (ct->len + DELETION_MAX_BYTES > sizeof(ct->request)) {
		r = deletions_send(ct, NULL);
		if (r < 0)
			return r;
	}
	entry = nfct_new();
	if (!entry)
		return -ENOMEM;
	if (id && mnl_attr_validate(id, MNL_TYPE_U32) >= 0 && nfct_nlmsg_parse(nlh, entry) >= 0)
		r = deletion_build(ct, nfg->nfgen_family, entry, id);
	nfct_destroy(entry);
	return r;
}

static int entry_judge(const struct nlmsghdr *nlh, void *userdata)
{
	struct conntrack *ct = userdata;
	struct conntrack_entry entry;

	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(struct nfgenmsg))
		return -EBADMSG;
	ct->counts.seen++;
	if (!conntrack_entry_read(nlh, &entry) || entry.flow.protocol != ct->kind->protocol)
		return 0;
	switch (conntrack_judge(ct->rules, &entry.flow, entry.translated)) {
	case CONNTRACK_DRAIN:
		return flows_add(&ct->draining, &entry.flow);
	case CONNTRACK_END:
		return entry_delete(ct, nlh, entry.id);
	case CONNTRACK_KEEP:
		break;
	}
	return 0;
}

static int dump_begin(struct conntrack *ct, const struct kind *kind, struct error *err)
{
	char request[256] __attribute__((aligned(8)));
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(request);
	struct nfgenmsg *nfg = mnl_nlmsg_put_extra_header(nlh, sizeof(*nfg));
	struct nlattr *tuple, *protocol, *filter;

	nlh->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	nfg->nfgen_family = kind->family;
	nfg->version = NFNETLINK_V0;
	tuple = mnl_attr_nest_start(nlh, CTA_TUPLE_ORIG);
	protocol = mnl_attr_nest_start(nlh, CTA_TUPLE_PROTO);
	mnl_attr_put_u8(nlh, CTA_PROTO_NUM, kind->protocol);
	mnl_attr_nest_end(nlh, protocol);
	mnl_attr_nest_end(nlh, tuple);
	filter = mnl_attr_nest_start(nlh, CTA_FILTER);
	mnl_attr_put_u32(nlh, CTA_FILTER_ORIG_FLAGS, FILTER_PROTOCOL);
	mnl_attr_nest_end(nlh, filter);
	return netlink_dump_begin(ct->dumps, nlh, err);
}

static bool rules_have_kind(const struct conntrack_rules *rules, const struct kind *k)
{
	return flows_have_kind(&rules->kept, k->family, k->protocol) ||
	       flows_have_kind(&rules->gone, k->family, k->protocol) ||
	       flows_have_kind(&rules->draining, k->family, k->protocol);
}

/* The next kind that has anything to be judged. 1, or 0 when there is none. */
static int dump_begin_next(struct conntrack *ct, struct error *err)
{
	int r;

	while (ct->next_kind < ARRAY_SIZE(kinds)) {
		ct->kind = &kinds[ct->next_kind++];
		if (!rules_have_kind(ct->rules, ct->kind))
			continue;
		r = dump_begin(ct, ct->kind, err);
		ct->dumping = r == 0;
		return r < 0 ? r : 1;
	}
	return 0;
}

/* 1: go on; 0: the end of all kinds. */
static int conntrack_read(struct conntrack *ct, struct error *err)
{
	int r = ct->dumping ? 1 : dump_begin_next(ct, err), sent;

	if (r <= 0)
		return r;
	r = netlink_dump_more(ct->dumps, entry_judge, ct, err);
	ct->dumping = r > 0;
	sent = deletions_send(ct, r < 0 ? NULL : err);
	if (r < 0 || sent < 0)
		return r < 0 ? r : sent;
	return 1;
}

int conntrack_step(struct conntrack *ct, const struct conntrack_rules *rules, struct error *err)
{
	uint64_t until_us = monotonic_us() + CONNTRACK_STEP_US;
	int r, reads = 0;

	ct->rules = rules;
	do
		r = conntrack_read(ct, err);
	while (r > 0 && ++reads < CONNTRACK_STEP_READS && monotonic_us() < until_us);
	ct->rules = NULL;
	flows_settle(&ct->draining);
	if (r == 0 && ct->error < 0) /* what could be deleted is */
		r = error_errno(err, -ct->error, "delete a flow");
	return r < 0 ? error_wrap(err, r, "connection tracking") : r;
}

int conntrack_begin(struct conntrack **ret, struct error *err)
{
	_cleanup_(conntrack_endp) struct conntrack *ct = calloc(1, sizeof(*ct));
	int r;

	if (!ct)
		return error_set(err, -ENOMEM, "out of memory");
	r = netlink_open(&ct->dumps, err);
	if (r == 0)
		r = netlink_open(&ct->deletions, err);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(ct);
	return 0;
}

const struct conntrack_counts *conntrack_counts(const struct conntrack *ct)
{
	return &ct->counts;
}

const struct flows *conntrack_draining(const struct conntrack *ct)
{
	return &ct->draining;
}

struct conntrack *conntrack_end(struct conntrack *ct)
{
	if (!ct)
		return NULL;
	netlink_close(ct->dumps);
	netlink_close(ct->deletions);
	flows_free(&ct->draining);
	free(ct);
	return NULL;
}
