/* health-check-ports.h - a listener for each health check port (healthCheckNodePort) of a Service, where load
 * balancers ask whether this node has endpoints of it.
 *
 * Source: KEP-1669; status, headers and body are kube-proxy's. A port that can't be had is told once while
 * that lasts, costs no other Service, and is tried again at every call and from time to time.
 */
#ifndef KUBE_NFT_AGENT_HEALTH_CHECK_PORTS_H
#define KUBE_NFT_AGENT_HEALTH_CHECK_PORTS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"

struct error;
struct health_check_port;
struct health_check_ports;
struct http_daemon;
struct loop;

/* Whether the rules of this node follow what the cluster wants. Asked at each answer: false is one of 503,
 * however many endpoints there are. */
typedef bool (*health_check_healthy_fn)(void *userdata);
/* The port of Service @namespace/@name can't be had; @text is a sentence. */
typedef void (*health_check_failed_fn)(const char *namespace, const char *name, const char *text,
				       void *userdata);

/* No port yet. @loop and @daemon must outlive it. */
int health_check_ports_new(struct loop *loop, struct http_daemon *daemon,
			   health_check_healthy_fn healthy, health_check_failed_fn failed,
			   void *userdata, struct health_check_ports **ret, struct error *err);
struct health_check_ports *health_check_ports_free(struct health_check_ports *h); /* NULL is fine */
DEFINE_CLEANUP(struct health_check_ports, health_check_ports_free);

/* These and no others, sorted by namespace, name and family; copied. 0, or -ENOMEM when some may be
 * missing or tell what was before. */
int health_check_ports_set(struct health_check_ports *h, const struct health_check_port *wanted,
			   size_t n);

#endif
