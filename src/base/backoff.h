/* backoff.h - how long to wait before the next attempt: longer after each failure, never all at once.
 *
 * A delay is a step and up to as much again at random, so that those who failed together do not come
 * back together. Steps double until a delay may come near the maximum. After a time without failure
 * they start anew.
 */
#ifndef KUBE_NFT_BASE_BACKOFF_H
#define KUBE_NFT_BASE_BACKOFF_H

#include <stdint.h>

/* Born with the first four set; @first_ms is at most half of @max_ms. */
struct backoff {
	uint64_t first_ms, max_ms;
	uint64_t healthy_ms;
	uint64_t random; /* the seed */
	uint64_t step_ms;
	uint64_t failed_us; /* the latest failure, monotonic */
};

/* Something failed at @now_us: what to wait. @at_least_ms is the other side's own wish (0: none); those
 * who were told the same do not come back together either. */
uint64_t backoff_next(struct backoff *b, uint64_t now_us, uint64_t at_least_ms);

#endif
