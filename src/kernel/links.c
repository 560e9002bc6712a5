#include "kernel/links.h"

#include <errno.h>
#include <ifaddrs.h>
#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/addrs.h"
#include "base/array.h"
#include "base/error.h"

struct links {
	struct mnl_socket *socket;
};

int links_open(struct links **ret, struct error *err)
{
	_cleanup_(links_closep) struct links *l = calloc(1, sizeof(*l));

	if (!l)
		return error_set(err, -ENOMEM, "out of memory");
	l->socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (!l->socket || mnl_socket_bind(l->socket, RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR,
					  MNL_SOCKET_AUTOPID) < 0)
		return error_errno(err, errno, "listen to address notifications");
	*ret = TAKE_PTR(l);
	return 0;
}

struct links *links_close(struct links *l)
{
	if (!l)
		return NULL;
	if (l->socket)
		mnl_socket_close(l->socket);
	free(l);
	return NULL;
}

int links_fd(const struct links *l)
{
	return mnl_socket_get_fd(l->socket);
}

/* Lost notifications (ENOBUFS) are no loss: the addresses are read whole afterwards. */
void links_drain(struct links *l)
{
	char buffer[8192];

	while (recv(links_fd(l), buffer, sizeof(buffer), 0) > 0 || errno == ENOBUFS ||
	       errno == EINTR)
		;
}

static bool addr_from_sockaddr(const struct sockaddr *sa, struct addr *ret)
{
	*ret = (struct addr){ 0 };
	if (!sa)
		return false;
	ret->family = (uint8_t)sa->sa_family;
	if (sa->sa_family == AF_INET)
		memcpy(ret->bytes, &((const struct sockaddr_in *)(const void *)sa)->sin_addr, 4);
	else if (sa->sa_family == AF_INET6)
		memcpy(ret->bytes, &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr, 16);
	else
		return false;
	return !addr_is_loopback(ret) && !addr_is_link_local(ret);
}

int links_addrs(struct addr **ret, size_t *ret_n, struct error *err)
{
	_cleanup_free_ struct addr *addrs = NULL;
	struct ifaddrs *list;
	size_t n = 0, capacity = 0;
	struct addr a;
	int r = 0;

	if (getifaddrs(&list) < 0)
		return error_errno(err, errno, "read the host's addresses");
	for (const struct ifaddrs *i = list; r == 0 && i; i = i->ifa_next) {
		if (!addr_from_sockaddr(i->ifa_addr, &a))
			continue;
		r = ARRAY_RESERVE(addrs, n, capacity);
		if (r == 0)
			addrs[n++] = a;
	}
	freeifaddrs(list);
	if (r < 0)
		return error_set(err, r, "out of memory");

	*ret_n = addrs_unique(addrs, n);
	*ret = TAKE_PTR(addrs);
	return 0;
}
