#include "kernel/bridges.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"

static bool is_on(const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	char digit = '0';

	return fd >= 0 && read(fd, &digit, 1) == 1 && digit == '1';
}

static int switch_on(const char *root, const char *name, struct error *err)
{
	_cleanup_close_ int fd = -EBADF;
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/net/bridge/%s", root, name);
	if (is_on(path))
		return 0;
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "1\n", 2) != 2)
		return error_errno(err, errno, "switch net.bridge.%s on", name);
	return 0;
}

int bridges_show_packets(const char *root, bool ipv4, bool ipv6, struct error *err)
{
	int r = ipv4 ? switch_on(root, "bridge-nf-call-iptables", err) : 0;

	return r == 0 && ipv6 ? switch_on(root, "bridge-nf-call-ip6tables", err) : r;
}
