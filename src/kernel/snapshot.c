#include "kernel/snapshot.h"

#include <errno.h>
#include <stdint.h>

#include "base/error.h"
#include "kernel/netlink.h"

/* Another writer may disturb a reading; each attempt takes as long as one. */
#define SNAPSHOT_ATTEMPTS 20

static int read_once(struct netlink *nl, snapshot_fn fn, void *userdata, struct error *err)
{
	uint32_t before, after;
	int r = netlink_generation(nl, &before, err);

	if (r == 0)
		r = fn(nl, userdata, err);
	if (r == 0)
		r = netlink_generation(nl, &after, err);
	if (r < 0)
		return r;
	return before == after ? 0 : -EINTR;
}

int snapshot_read(struct netlink *nl, snapshot_fn fn, void *userdata, struct error *err)
{
	int r = -EINTR;

	for (int i = 0; i < SNAPSHOT_ATTEMPTS && r == -EINTR; i++)
		r = read_once(nl, fn, userdata, err);
	return r == -EINTR ? error_set(err, r, "somebody keeps changing nftables") : r;
}
