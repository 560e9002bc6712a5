/* fault.c - brought into the agent by LD_PRELOAD: netlink and memory fail where a test wants it.
 *
 * The file that KUBE_NFT_FAULTS names is shared memory: a struct control, which the test's
 * rig/faults.py writes at any time. One fault is armed at a time; of the occasions for it, the
 * first `skip` pass.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum fault {
	FAULT_NONE,
	FAULT_REFUSE,       /* the kernel says `error` to a batch, and does nothing */
	FAULT_SEND,         /* sending a batch fails with `error` */
	FAULT_LOSE_REQUEST, /* a batch never arrives */
	FAULT_LOSE_REPLY,   /* it arrives, its answer does not */
	FAULT_RECEIVE,      /* receiving an answer fails with `error` */
	FAULT_LOSE_EVENTS,  /* notifications are lost to an overflow */
	FAULT_SPOIL,        /* added elements whose key begins with `key` are made unreadable */
	FAULT_KILL,         /* the process is killed when a batch was sent */
	FAULT_MEMORY,       /* an allocation fails */
};

struct control {
	uint32_t fault; /* written last */
	uint32_t skip;
	uint32_t count; /* so many occasions are taken, the later ones pass again */
	int32_t error;
	uint32_t seen; /* occasions since it was armed */
	uint32_t hits; /* of which were taken */
	uint32_t key_len;
	uint8_t key[16];
};

static volatile struct control *control;
static int commands = -1; /* the socket of which answers are expected */
static bool silent;       /* no answer comes to what was sent last */
static struct {
	struct nlmsghdr header;
	struct nlmsgerr payload;
} answer; /* instead of the kernel's; none when its length is 0 */

__attribute__((constructor)) static void control_open(void)
{
	const char *path = getenv("KUBE_NFT_FAULTS");
	int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	void *map;

	if (fd < 0)
		return;
	map = mmap(NULL, sizeof(*control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (map != MAP_FAILED)
		control = map;
}

static bool due(enum fault fault)
{
	if (!control || control->fault != fault)
		return false;
	control->seen = control->seen + 1;
	if (control->seen <= control->skip || control->hits >= control->count)
		return false;
	control->hits = control->hits + 1;
	return true;
}

/* Messages ------------------------------------------------------------------------------------- */

static bool is_batch(const void *buf, size_t len)
{
	const struct nlmsghdr *nlh = buf;

	return len >= sizeof(*nlh) && nlh->nlmsg_type == NFNL_MSG_BATCH_BEGIN;
}

/* The message behind @nlh in its batch. */
static const struct nlmsghdr *message_next(const struct nlmsghdr *nlh)
{
	return (const void *)((const char *)nlh + NLMSG_ALIGN(nlh->nlmsg_len));
}

/* The kernel names a message when it refuses a batch: here the one before the end. */
static void answer_refusal(const struct nlmsghdr *nlh, int error)
{
	while (message_next(nlh)->nlmsg_type != NFNL_MSG_BATCH_END)
		nlh = message_next(nlh);
	answer.header = (struct nlmsghdr){
		.nlmsg_len = sizeof(answer),
		.nlmsg_type = NLMSG_ERROR,
		.nlmsg_flags = NLM_F_CAPPED,
		.nlmsg_seq = nlh->nlmsg_seq,
	};
	answer.payload = (struct nlmsgerr){ .error = -error, .msg = *nlh };
}

/* Give the value of the key a type that there is not. @nlh lies in @batch, which may be written. */
static void message_spoil(const struct nlmsghdr *nlh, char *batch)
{
	char *at = batch + ((const char *)nlh - batch), *end = at + nlh->nlmsg_len;
	size_t len = control->key_len;
	uint8_t key[16];

	memcpy(key, (const uint8_t *)(uintptr_t)control->key, sizeof(key));
	while ((at = memmem(at, (size_t)(end - at), key, len))) {
		struct nlattr *attr = (struct nlattr *)(void *)(at - sizeof(*attr));

		if (attr->nla_type == NFTA_DATA_VALUE && due(FAULT_SPOIL))
			attr->nla_type = UINT8_MAX;
		at += len;
	}
}

static void batch_spoil(char *batch)
{
	const struct nlmsghdr *nlh = (const void *)batch;

	for (; nlh->nlmsg_type != NFNL_MSG_BATCH_END; nlh = message_next(nlh))
		if (nlh->nlmsg_type == (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWSETELEM))
			message_spoil(nlh, batch);
}

/* Sockets -------------------------------------------------------------------------------------- */

static ssize_t send_really(int fd, const void *buf, size_t len, int flags,
			   __CONST_SOCKADDR_ARG addr, socklen_t addr_len)
{
	static __typeof__(sendto) *real;

	if (!real)
		real = dlsym(RTLD_NEXT, "sendto");
	return real(fd, buf, len, flags, addr, addr_len);
}

static ssize_t receive_really(int fd, void *buf, size_t len, int flags)
{
	static __typeof__(recv) *real;

	if (!real)
		real = dlsym(RTLD_NEXT, "recv");
	return real(fd, buf, len, flags);
}

static ssize_t send_spoilt(int fd, const void *buf, size_t len, int flags,
			   __CONST_SOCKADDR_ARG addr, socklen_t addr_len)
{
	char *copy = malloc(len);
	ssize_t n;

	if (!copy)
		return -1;
	memcpy(copy, buf, len);
	batch_spoil(copy);
	n = send_really(fd, copy, len, flags, addr, addr_len);
	free(copy);
	return n;
}

ssize_t sendto(int fd, const void *buf, size_t len, int flags, __CONST_SOCKADDR_ARG addr,
	       socklen_t addr_len)
{
	ssize_t n;

	commands = fd;
	silent = false;
	answer.header.nlmsg_len = 0;
	if (!is_batch(buf, len))
		return send_really(fd, buf, len, flags, addr, addr_len);

	if (due(FAULT_SEND)) {
		errno = control->error;
		return -1;
	}
	if (due(FAULT_REFUSE)) {
		answer_refusal(buf, control->error);
		return (ssize_t)len;
	}
	if (due(FAULT_LOSE_REQUEST)) {
		silent = true;
		return (ssize_t)len;
	}
	if (control && control->fault == FAULT_SPOIL)
		return send_spoilt(fd, buf, len, flags, addr, addr_len);
	n = send_really(fd, buf, len, flags, addr, addr_len);
	silent = due(FAULT_LOSE_REPLY);
	if (due(FAULT_KILL))
		raise(SIGKILL);
	return n;
}

static ssize_t receive_answer(int fd, void *buf, size_t len, int flags)
{
	size_t n = answer.header.nlmsg_len;

	if (n > 0 && n <= len) {
		memcpy(buf, &answer, n);
		answer.header.nlmsg_len = 0;
		return (ssize_t)n;
	}
	if (silent) {
		while (receive_really(fd, buf, len, MSG_DONTWAIT) > 0)
			;
		errno = EAGAIN;
		return -1;
	}
	if (due(FAULT_RECEIVE)) {
		errno = control->error;
		return -1;
	}
	return receive_really(fd, buf, len, flags);
}

static bool is_netfilter(int fd)
{
	int protocol = -1, domain = -1;
	socklen_t len = sizeof(int);

	return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 && domain == AF_NETLINK &&
	       getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &len) == 0 &&
	       protocol == NETLINK_NETFILTER;
}

ssize_t recv(int fd, void *buf, size_t len, int flags)
{
	ssize_t n;

	if (fd == commands)
		return receive_answer(fd, buf, len, flags);
	n = receive_really(fd, buf, len, flags);
	if (n > 0 && is_netfilter(fd) && due(FAULT_LOSE_EVENTS)) {
		errno = ENOBUFS;
		return -1;
	}
	return n;
}

/* Memory --------------------------------------------------------------------------------------- */

static bool memory_is_short(void)
{
	if (!due(FAULT_MEMORY))
		return false;
	errno = ENOMEM;
	return true;
}

void *malloc(size_t size)
{
	static __typeof__(malloc) *real;

	if (!real)
		real = dlsym(RTLD_NEXT, "malloc");
	return memory_is_short() ? NULL : real(size);
}

void *calloc(size_t n, size_t size)
{
	static __typeof__(calloc) *real;

	if (!real)
		real = dlsym(RTLD_NEXT, "calloc");
	return memory_is_short() ? NULL : real(n, size);
}

void *realloc(void *old, size_t size)
{
	static __typeof__(realloc) *real;

	if (!real)
		real = dlsym(RTLD_NEXT, "realloc");
	return memory_is_short() ? NULL : real(old, size);
}
