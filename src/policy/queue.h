/* queue.h - a queue that an item is in at most once. Its links are members of the items. */
#ifndef KUBE_NFT_POLICY_QUEUE_H
#define KUBE_NFT_POLICY_QUEUE_H

#include <stdbool.h>
#include <stddef.h>

struct queue_link {
	struct queue_link *next;
	bool queued;
};

struct queue {
	struct queue_link *first, **end;
};

#define CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

void queue_init(struct queue *q); /* @q stays where it is */
/* Nothing happens when it is queued already. */
void queue_add(struct queue *q, struct queue_link *l);
/* The first, which stays; NULL: empty. */
struct queue_link *queue_first(const struct queue *q);
void queue_drop_first(struct queue *q);

#endif
