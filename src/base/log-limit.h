/* log-limit.h - records of which objects may cause any number: the first ones are written, then one a
 * second, and how many were not is said.
 *
 * Born zeroed. One limit serves all records of a kind of cause.
 */
#ifndef KUBE_NFT_BASE_LOG_LIMIT_H
#define KUBE_NFT_BASE_LOG_LIMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/log.h"

enum log_limit_limit {
	LOG_LIMIT_BURST = 100,
};

struct log_limit {
	uint64_t full_us; /* when all of the burst may be written again */
	size_t dropped;   /* since that was said */
};

/* As log_write(), at @now_us, if the limit allows it. */
void log_limited(struct log_limit *l, uint64_t now_us, enum log_level level, const char *message,
		 const struct log_field *fields);
/* Say how many were dropped, if any were. To be called when a flood may be over. */
void log_limit_flush(struct log_limit *l);

#endif
