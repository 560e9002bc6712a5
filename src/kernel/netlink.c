#include "kernel/netlink.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <libnftnl/common.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

#include "base/error.h"

#define RECEIVE_BUFFER_BYTES (256 * 1024)
#define ANSWER_TIMEOUT_MS 10000

struct netlink {
	struct mnl_socket *socket;
	uint32_t sequence;
	uint32_t dumping; /* the sequence of the dump asked for last */
	bool more;        /* of it is to come */
	char buffer[RECEIVE_BUFFER_BYTES] __attribute__((aligned(8)));
};

int netlink_open(struct netlink **ret, struct error *err)
{
	_cleanup_(netlink_closep) struct netlink *nl = calloc(1, sizeof(*nl));
	int one = 1, size = 4 * RECEIVE_BUFFER_BYTES, fd;

	if (!nl)
		return error_set(err, -ENOMEM, "netlink: out of memory");
	nl->socket = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	if (!nl->socket)
		return error_errno(err, errno, "open a netfilter netlink socket");
	if (mnl_socket_bind(nl->socket, 0, MNL_SOCKET_AUTOPID) < 0)
		return error_errno(err, errno, "bind a netfilter netlink socket");

	/* Best effort: without them the errors are only less talkative, and a rare overflow
	 * is handled as an unknown outcome. */
	mnl_socket_setsockopt(nl->socket, NETLINK_EXT_ACK, &one, sizeof(one));
	mnl_socket_setsockopt(nl->socket, NETLINK_CAP_ACK, &one, sizeof(one));
	fd = mnl_socket_get_fd(nl->socket);
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));

	nl->sequence = 1;
	*ret = TAKE_PTR(nl);
	return 0;
}

struct netlink *netlink_close(struct netlink *nl)
{
	if (!nl)
		return NULL;
	if (nl->socket)
		mnl_socket_close(nl->socket);
	free(nl);
	return NULL;
}

uint32_t netlink_port(const struct netlink *nl)
{
	return mnl_socket_get_portid(nl->socket);
}

uint32_t netlink_sequence(struct netlink *nl, uint32_t n)
{
	uint32_t first = nl->sequence;

	nl->sequence += n;
	return first;
}

static int error_attr(const struct nlattr *attr, void *userdata)
{
	const char **text = userdata;

	if (mnl_attr_get_type(attr) == NLMSGERR_ATTR_MSG &&
	    mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) >= 0)
		*text = mnl_attr_get_str(attr);
	return MNL_CB_OK;
}

/* What the kernel says beside the number, or "". */
static const char *error_text(const struct nlmsghdr *nlh)
{
	const char *text = "";

	if ((nlh->nlmsg_flags & NLM_F_ACK_TLVS) && (nlh->nlmsg_flags & NLM_F_CAPPED))
		mnl_attr_parse(nlh, sizeof(struct nlmsgerr), error_attr, &text);
	return text;
}

struct answer {
	uint32_t
		first_sequence; /* answers to earlier ones were left by somebody who gave up reading */
	uint32_t ack_sequence;
	bool acked;
	int error; /* the first one */
	uint32_t failed;
	struct error *err;
};

static int answer_read(const struct nlmsghdr *nlh, void *userdata)
{
	const struct nlmsgerr *e = mnl_nlmsg_get_payload(nlh);
	struct answer *a = userdata;
	const char *text;

	if (nlh->nlmsg_type != NLMSG_ERROR || mnl_nlmsg_get_payload_len(nlh) < sizeof(*e) ||
	    (int32_t)(nlh->nlmsg_seq - a->first_sequence) < 0)
		return 0;
	if (e->error == 0)
		a->acked |= nlh->nlmsg_seq == a->ack_sequence;
	if (e->error == 0 || a->error < 0)
		return 0;
	text = error_text(nlh);
	a->failed = nlh->nlmsg_seq;
	a->error = error_errno(a->err, -e->error, "nftables transaction%s%s", text[0] ? ": " : "",
			       text);
	return 0;
}

/* Read what lies in the socket: the answers to a batch are all there when it has been sent. */
static int answers_receive(struct netlink *nl, netlink_fn fn, void *userdata, struct error *err)
{
	int fd = mnl_socket_get_fd(nl->socket), r = 0;

	while (r == 0) {
		ssize_t n = recv(fd, nl->buffer, sizeof(nl->buffer), MSG_DONTWAIT);
		const struct nlmsghdr *nlh = (const struct nlmsghdr *)(const void *)nl->buffer;
		int left = (int)n;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return 0;
		if (n < 0)
			return error_errno(err, errno, "read the answer to a netlink request");
		for (; r == 0 && mnl_nlmsg_ok(nlh, left); nlh = mnl_nlmsg_next(nlh, &left))
			r = fn(nlh, userdata);
	}
	return r;
}

/* A batch goes out in one piece or not at all. */
static int batch_send(struct netlink *nl, const void *batch, size_t len, struct error *err)
{
	int fd = mnl_socket_get_fd(nl->socket), size;
	ssize_t n;

	if (len > INT32_MAX / 2)
		return error_set(err, -E2BIG, "netlink request of %zu bytes", len);
	size = (int)len + 65536;
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));

	do
		n = mnl_socket_sendto(nl->socket, batch, len);
	while (n < 0 && (errno == EINTR || errno == EAGAIN));
	if (n < 0)
		return error_errno(err, errno, "send a netlink request of %zu bytes", len);
	return 0;
}

int netlink_commit(struct netlink *nl, const void *batch, size_t len, uint32_t ack_sequence,
		   uint32_t *ret_failed, struct error *err)
{
	const struct nlmsghdr *first = batch;
	struct answer a = {
		.first_sequence = first->nlmsg_seq,
		.ack_sequence = ack_sequence,
		.err = err,
	};
	int r;

	r = batch_send(nl, batch, len, err);
	if (r < 0)
		return r;
	r = answers_receive(nl, answer_read, &a, err);
	if (a.error < 0) {
		if (ret_failed)
			*ret_failed = a.failed;
		return a.error;
	}
	if (a.acked)
		return 0;
	return error_set(err, -EIO,
			 "nftables transaction: no answer, what became of it is unknown%s",
			 r < 0 ? " (socket overflow)" : "");
}

int netlink_request(struct netlink *nl, const void *messages, size_t len, netlink_fn fn,
		    void *userdata, struct error *err)
{
	int r = batch_send(nl, messages, len, err);

	return r < 0 ? r : answers_receive(nl, fn, userdata, err);
}

static int dump_wait(int fd, struct error *err)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int r;

	do
		r = poll(&p, 1, ANSWER_TIMEOUT_MS);
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return error_errno(err, errno, "wait for a netlink dump");
	if (r == 0)
		return error_set(err, -EIO, "netlink dump: no answer in %d ms", ANSWER_TIMEOUT_MS);
	return 0;
}

/* Wait for what one read brings. */
static int dump_read(struct netlink *nl, ssize_t *ret_n, struct error *err)
{
	int r = dump_wait(mnl_socket_get_fd(nl->socket), err);

	if (r < 0)
		return r;
	*ret_n = recv(mnl_socket_get_fd(nl->socket), nl->buffer, sizeof(nl->buffer), 0);
	if (*ret_n < 0 && errno != EINTR)
		return error_errno(err, errno, "read a netlink dump");
	return 0;
}

static bool dump_goes_on(const struct nlmsghdr *nlh)
{
	return nlh->nlmsg_flags & NLM_F_MULTI && nlh->nlmsg_type != NLMSG_DONE &&
	       nlh->nlmsg_type != NLMSG_ERROR;
}

/* 1: go on; 0: the end. */
static int dump_message(const struct nlmsghdr *nlh, netlink_fn fn, void *userdata)
{
	const struct nlmsgerr *e = mnl_nlmsg_get_payload(nlh);
	int r;

	if (nlh->nlmsg_flags & NLM_F_DUMP_INTR)
		return -EINTR;
	if (nlh->nlmsg_type == NLMSG_DONE)
		return 0;
	if (nlh->nlmsg_type == NLMSG_ERROR)
		return mnl_nlmsg_get_payload_len(nlh) < sizeof(*e) ? -EBADMSG : e->error;
	r = fn(nlh, userdata);
	if (r < 0)
		return r;
	return dump_goes_on(nlh) ? 1 : 0;
}

/* Hand on what was read, up to the first error; how far the dump is shows in all of it. */
static int dump_hand_on(struct netlink *nl, ssize_t n, netlink_fn fn, void *userdata)
{
	const struct nlmsghdr *nlh = (const struct nlmsghdr *)(const void *)nl->buffer;
	int r = 1, left = (int)n;

	for (; mnl_nlmsg_ok(nlh, left); nlh = mnl_nlmsg_next(nlh, &left)) {
		if (nlh->nlmsg_seq != nl->dumping)
			continue; /* an answer nobody waited for */
		nl->more = dump_goes_on(nlh);
		if (r > 0)
			r = dump_message(nlh, fn, userdata);
	}
	return r;
}

int netlink_dump_more(struct netlink *nl, netlink_fn fn, void *userdata, struct error *err)
{
	ssize_t n;
	int r = dump_read(nl, &n, err);

	if (r < 0)
		return r;
	r = dump_hand_on(nl, n, fn, userdata);
	return r < 0 ? error_errno(err, -r, "netlink dump") : r;
}

int netlink_dump_begin(struct netlink *nl, struct nlmsghdr *nlh, struct error *err)
{
	ssize_t n;

	nl->dumping = netlink_sequence(nl, 1);
	nlh->nlmsg_seq = nl->dumping;
	do
		n = mnl_socket_sendto(nl->socket, nlh, nlh->nlmsg_len);
	while (n < 0 && errno == EINTR);
	nl->more = n >= 0;
	return n < 0 ? error_errno(err, errno, "ask for a netlink dump") : 0;
}

static int skip(const struct nlmsghdr *nlh, void *userdata)
{
	(void)nlh;
	(void)userdata;
	return 0;
}

/* While a dump goes on, the kernel begins no other for this socket (EBUSY). */
static void dump_finish(struct netlink *nl)
{
	ssize_t n;

	while (nl->more && dump_read(nl, &n, NULL) == 0)
		dump_hand_on(nl, n, skip, NULL);
}

int netlink_dump(struct netlink *nl, struct nlmsghdr *nlh, netlink_fn fn, void *userdata,
		 struct error *err)
{
	int r = netlink_dump_begin(nl, nlh, err);

	if (r == 0)
		do
			r = netlink_dump_more(nl, fn, userdata, err);
		while (r > 0);
	if (r < 0)
		dump_finish(nl);
	return r;
}

static int generation_attr(const struct nlattr *attr, void *userdata)
{
	uint32_t *generation = userdata;

	if (mnl_attr_get_type(attr) == NFTA_GEN_ID && mnl_attr_validate(attr, MNL_TYPE_U32) >= 0)
		*generation = ntohl(mnl_attr_get_u32(attr));
	return MNL_CB_OK;
}

static int generation_read(const struct nlmsghdr *nlh, void *userdata)
{
	mnl_attr_parse(nlh, sizeof(struct nfgenmsg), generation_attr, userdata);
	return 0;
}

int netlink_generation(struct netlink *nl, uint32_t *ret, struct error *err)
{
	char request[256] __attribute__((aligned(8)));
	struct nlmsghdr *nlh;

	nlh = nftnl_nlmsg_build_hdr(request, NFT_MSG_GETGEN, AF_UNSPEC, 0, 0);
	return netlink_dump(nl, nlh, generation_read, ret, err);
}
