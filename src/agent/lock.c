#include "agent/lock.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/error.h"

#define LOCK_WAIT_MS 3000
#define LOCK_PAUSE_MS 50
#define LOCK_NAME "kube-nft/agent" /* behind a zero byte */

static socklen_t lock_address(struct sockaddr_un *ret)
{
	*ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
	memcpy(ret->sun_path + 1, LOCK_NAME, strlen(LOCK_NAME));
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(LOCK_NAME));
}

static int lock_refuse(const struct sockaddr_un *address, socklen_t len, struct error *err)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	socklen_t size = sizeof(struct ucred);
	struct ucred holder;

	if (fd < 0 || connect(fd, (const struct sockaddr *)address, len) < 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &holder, &size) < 0)
		return error_set(err, -EBUSY, "another kube-nft runs on this node");
	return error_set(err, -EBUSY, "another kube-nft runs on this node: process %d of user %u",
			 (int)holder.pid, (unsigned)holder.uid);
}

/* A process that was killed holds its sockets until the kernel has taken it down, and in a rolling
 * update the old agent may still be on its way out. */
static int lock_bind(int fd, const struct sockaddr_un *address, socklen_t len)
{
	const struct timespec pause = { .tv_nsec = LOCK_PAUSE_MS * 1000000L };

	for (int waited_ms = 0;; waited_ms += LOCK_PAUSE_MS) {
		if (bind(fd, (const struct sockaddr *)address, len) == 0)
			return 0;
		if (errno != EADDRINUSE || waited_ms >= LOCK_WAIT_MS)
			return -errno;
		nanosleep(&pause, NULL);
	}
}

int lock_take(int *ret_fd, struct error *err)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un address;
	socklen_t len = lock_address(&address);
	int r;

	if (fd < 0)
		return error_errno(err, errno, "open the lock's socket");
	r = lock_bind(fd, &address, len);
	if (r < 0)
		return r == -EADDRINUSE ? lock_refuse(&address, len, err) :
					  error_errno(err, -r, "bind the lock's socket");
	if (listen(fd, 1) < 0)
		return error_errno(err, errno, "listen on the lock's socket");
	*ret_fd = TAKE_FD(fd);
	return 0;
}
