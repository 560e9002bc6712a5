/* lock.h - one agent a node.
 *
 * An abstract Unix socket is the lock: it belongs to the network namespace, just as the tables do, needs
 * no directory and no right, and ends with its process whatever way that ends.
 */
#ifndef KUBE_NFT_AGENT_LOCK_H
#define KUBE_NFT_AGENT_LOCK_H

struct error;

/* A descriptor that holds the lock until it is closed, into @ret_fd. Waits some seconds for an agent that
 * is just ending. -EBUSY: another agent has it; @err names its process. */
int lock_take(int *ret_fd, struct error *err);

#endif
