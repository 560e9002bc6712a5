/* events.h - being told when somebody else changes our tables.
 *
 * A second netlink socket listens to nftables' notifications. What this process did is filtered out
 * in the kernel, by its port number, so that our own commits cost no wake-up.
 */
#ifndef KUBE_NFT_KERNEL_EVENTS_H
#define KUBE_NFT_KERNEL_EVENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"

struct error;
struct events;

/* Listen. @own_port: whose notifications are left out. */
int events_open(uint32_t own_port, struct events **ret, struct error *err);
struct events *events_close(struct events *e); /* NULL is fine; returns NULL */
DEFINE_CLEANUP(struct events, events_close);

/* To be polled for input. */
int events_fd(const struct events *e);

/* Read what has come. @ret_ours: a table of our name was touched, or notifications were lost
 * (ENOBUFS), so that it may have been. */
int events_read(struct events *e, bool *ret_ours, struct error *err);

#endif
