/* links.h - the addresses of this host, followed by rtnetlink. Source: rtnetlink(7). */
#ifndef KUBE_NFT_KERNEL_LINKS_H
#define KUBE_NFT_KERNEL_LINKS_H

#include <stddef.h>

#include "base/addr.h"
#include "base/cleanup.h"

struct error;
struct links;

int links_open(struct links **ret, struct error *err);
struct links *links_close(struct links *l); /* NULL is fine; returns NULL */
DEFINE_CLEANUP(struct links, links_close);

/* To be polled for input: readable when an address may have come or gone. */
int links_fd(const struct links *l);
/* Throw away what has come. */
void links_drain(struct links *l);

/* All addresses of all interfaces but loopback and link-local ones, sorted, unique. @ret is the
 * caller's to free(). */
int links_addrs(struct addr **ret, size_t *ret_n, struct error *err);

#endif
