#include "kernel/events.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/filter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

#include "base/error.h"
#include "ruleset/template.h"

#define RECEIVE_QUEUE_BYTES (8 * 1024 * 1024)
#define MESSAGE_BYTES 131072

struct events {
	struct mnl_socket *socket;
	char buffer[MESSAGE_BYTES];
};

/* Drop what has @own_port as its sender: one word of the netlink header, in host order, which the
 * filter's load takes for network order. */
static int events_filter(int fd, uint32_t own_port)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct nlmsghdr, nlmsg_pid)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htonl(own_port), 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 0),
		BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
	};
	struct sock_fprog program = { .len = ARRAY_SIZE(code), .filter = code };

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) < 0 ?
		       -errno :
		       0;
}

int events_open(uint32_t own_port, struct events **ret, struct error *err)
{
	_cleanup_(events_closep) struct events *e = calloc(1, sizeof(*e));
	int group = NFNLGRP_NFTABLES, size = RECEIVE_QUEUE_BYTES, r;

	if (!e)
		return error_set(err, -ENOMEM, "out of memory");
	e->socket = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (!e->socket || mnl_socket_bind(e->socket, 0, MNL_SOCKET_AUTOPID) < 0)
		return error_errno(err, errno, "open a socket for nftables notifications");
	(void)setsockopt(events_fd(e), SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	r = events_filter(events_fd(e), own_port);
	if (r < 0)
		return error_errno(err, -r, "filter nftables notifications");
	if (mnl_socket_setsockopt(e->socket, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) < 0)
		return error_errno(err, errno, "listen to nftables notifications");

	*ret = TAKE_PTR(e);
	return 0;
}

struct events *events_close(struct events *e)
{
	if (!e)
		return NULL;
	if (e->socket)
		mnl_socket_close(e->socket);
	free(e);
	return NULL;
}

int events_fd(const struct events *e)
{
	return mnl_socket_get_fd(e->socket);
}

/* Tables, chains, rules, sets, elements, objects and flow tables: attribute 1 is the table's name. */
static int event_table(const struct nlattr *attr, void *userdata)
{
	bool *ours = userdata;

	if (mnl_attr_get_type(attr) == NFTA_TABLE_NAME &&
	    mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) >= 0 &&
	    strcmp(mnl_attr_get_str(attr), TABLE_NAME) == 0)
		*ours = true;
	return MNL_CB_OK;
}

static void event_read(const struct nlmsghdr *nlh, bool *ours)
{
	uint16_t type = nlh->nlmsg_type & 0xff;

	if (nlh->nlmsg_type >> 8 == NFNL_SUBSYS_NFTABLES && type != NFT_MSG_NEWGEN &&
	    type != NFT_MSG_TRACE)
		mnl_attr_parse(nlh, sizeof(struct nfgenmsg), event_table, ours);
}

int events_read(struct events *e, bool *ret_ours, struct error *err)
{
	*ret_ours = false;
	for (;;) {
		const struct nlmsghdr *nlh = (const struct nlmsghdr *)(const void *)e->buffer;
		ssize_t n = recv(events_fd(e), e->buffer, sizeof(e->buffer), 0);
		int left = (int)n;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return 0;
		if (n < 0 && errno == ENOBUFS) {
			*ret_ours = true;
			continue;
		}
		if (n < 0)
			return error_errno(err, errno, "read nftables notifications");
		for (; mnl_nlmsg_ok(nlh, left); nlh = mnl_nlmsg_next(nlh, &left))
			event_read(nlh, ret_ours);
	}
}
