/* apiserver.h - the objects of a cluster from its API server: a reflector for each kind that is needed.
 *
 * The server is asked only for what the agent may use: no headless EndpointSlices, no finished pods. An
 * object whose labels take it out of that is told as removed.
 */
#ifndef KUBE_NFT_SOURCE_APISERVER_H
#define KUBE_NFT_SOURCE_APISERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"

struct api_client;
struct apiserver;
struct error;
struct loop;
struct source_events;

enum { APISERVER_WAITING_BYTES = 128 };

struct apiserver_config {
	bool services; /* Services, EndpointSlices, Nodes */
	bool policies; /* NetworkPolicies, Pods, Namespaces, Nodes */
	uint64_t seed; /* of jitter */
};

/* Of all kinds together; see struct reflector_stats. */
struct apiserver_stats {
	uint64_t lists, watches;
	uint64_t events;
	uint64_t refused;
	uint64_t unknown_enums;
	uint64_t failures;
	size_t objects;
	/* How long ago the server last said something of the kind that it has said nothing of for longest:
	 * what we know may be that old, though usually nothing has changed. UINT64_MAX: some kind was never
	 * heard of. */
	uint64_t silent_ms;
};

/* Start at once. @synced is called once, when of every kind a whole list was told. @client, @loop and
 * what @events point at must outlive it. */
int apiserver_open(struct loop *loop, struct api_client *client,
		   const struct apiserver_config *config, const struct source_events *events,
		   void (*synced)(void *userdata), void *userdata, struct apiserver **ret,
		   struct error *err);
struct apiserver *apiserver_free(struct apiserver *a); /* NULL is fine; returns NULL */
DEFINE_CLEANUP(struct apiserver, apiserver_free);

bool apiserver_synced(const struct apiserver *a);
/* The kinds of which no whole list was told yet, "services, nodes", written to @text, which is
 * returned; "" when there are none. */
const char *apiserver_waiting(const struct apiserver *a, char text[static APISERVER_WAITING_BYTES]);
struct apiserver_stats apiserver_stats(const struct apiserver *a);

#endif
