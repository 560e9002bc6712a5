/* tcp-client.h - a client of a server that runs in the test's own loop, and ports for that server. */
#ifndef KUBE_NFT_TEST_TCP_CLIENT_H
#define KUBE_NFT_TEST_TCP_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/loop.h"

struct client {
	int fd;
	bool over; /* the server has closed the connection */
	char text[8192];
	size_t len;
};

/* Connect to @port of this host. 0, or errno as the client has it. */
int client_open(struct client *c, uint8_t family, uint16_t port);
/* What the server takes no more is lost. */
void client_send(const struct client *c, const void *bytes, size_t len);
void client_say(const struct client *c, const char *text);
/* Read what has come. What there is no room for is dropped. */
void client_poll(struct client *c);
/* Turn the loop until the server has closed the connection; what it said. */
const char *client_finish(struct client *c, struct loop *loop);

/* A turn of the loop; fails the test when it hangs since @started_us. */
void turn_since(struct loop *loop, uint64_t started_us);

/* A port that only who allows others (SO_REUSEADDR) can have, while the descriptor in @ret_fd is open. */
uint16_t port_reserve(uint8_t family, int *ret_fd);

#endif
