#include "policy/queue.h"

#include <stddef.h>

void queue_init(struct queue *q)
{
	*q = (struct queue){ .end = &q->first };
}

void queue_add(struct queue *q, struct queue_link *l)
{
	if (l->queued)
		return;
	*l = (struct queue_link){ .queued = true };
	*q->end = l;
	q->end = &l->next;
}

struct queue_link *queue_first(const struct queue *q)
{
	return q->first;
}

void queue_drop_first(struct queue *q)
{
	struct queue_link *l = q->first;

	q->first = l->next;
	if (!q->first)
		q->end = &q->first;
	*l = (struct queue_link){ .queued = false };
}
