/* conntrack-watch.h - telling that connection tracking is full: then the kernel drops the packets of new
 * connections, whatever the rules say, and goes on with those that are open.
 */
#ifndef KUBE_NFT_AGENT_CONNTRACK_WATCH_H
#define KUBE_NFT_AGENT_CONNTRACK_WATCH_H

#include <stdbool.h>

#include "kernel/conntrack-stats.h"

struct error;
struct loop;
struct loop_source;
struct netlink;

struct conntrack_watch {
	struct netlink *nl;
	struct loop_source *timer;
	struct conntrack_stats stats; /* when last looked at */
	bool full;                    /* it was, in the time before that */
	/* It has become full. Set behind conntrack_watch_open(). */
	void (*filled)(const struct conntrack_stats *stats, void *userdata);
	void *userdata;
};

/* Look now and then. @w must stay where it is as long as the loop. */
int conntrack_watch_open(struct conntrack_watch *w, struct loop *loop, struct error *err);
void conntrack_watch_close(struct conntrack_watch *w);

/* Whether, from @before to @now, new connections had no room. Packets are dropped for other reasons, too: a
 * table that is not nearly full then is not called so. */
bool conntrack_was_full(const struct conntrack_stats *before, const struct conntrack_stats *now);

#endif
