/* scheduler.h - how a Service wants its endpoints chosen: kube-router's annotations. */
#ifndef KUBE_NFT_PROXY_SCHEDULER_H
#define KUBE_NFT_PROXY_SCHEDULER_H

#include <stdbool.h>

#include "ruleset/dispatch.h"

struct problems;
struct service;

struct scheduler {
	enum verdict verdict; /* to a dispatch chain whose twin is for this node's endpoints */
	bool maglev;          /* slots by maglev_assign() */
};

/* Random is the default. What is not known, or not possible here, is told to @problems (may be NULL). */
struct scheduler scheduler_of(const struct service *s, struct problems *problems);

#endif
