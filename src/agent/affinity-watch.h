/* affinity-watch.h - telling that there are more clients than session affinity can remember. */
#ifndef KUBE_NFT_AGENT_AFFINITY_WATCH_H
#define KUBE_NFT_AGENT_AFFINITY_WATCH_H

#include <stdbool.h>
#include <stdint.h>

struct error;
struct loop;
struct loop_source;
struct tables;

struct affinity_watch {
	struct tables *tables;
	struct loop_source *timer;
	uint64_t refused; /* clients, when last looked at */
	bool full;        /* some were, in the time before that */
};

/* Look now and then. @w must stay where it is as long as the loop. */
int affinity_watch_open(struct affinity_watch *w, struct loop *loop, struct tables *tables,
			struct error *err);

#endif
