#include "base/log-limit.h"

#define RECORD_US 1000000

static bool limit_allows(struct log_limit *l, uint64_t now_us)
{
	uint64_t full_us = l->full_us > now_us ? l->full_us : now_us;

	if (full_us - now_us > (LOG_LIMIT_BURST - 1) * (uint64_t)RECORD_US)
		return false;
	l->full_us = full_us + RECORD_US;
	return true;
}

void log_limit_flush(struct log_limit *l)
{
	if (l->dropped > 0)
		log_warn("too many records of this kind, the others are not written",
			 log_number("dropped", l->dropped));
	l->dropped = 0;
}

void log_limited(struct log_limit *l, uint64_t now_us, enum log_level level, const char *message,
		 const struct log_field *fields)
{
	if (!limit_allows(l, now_us)) {
		l->dropped++;
		return;
	}
	log_limit_flush(l);
	log_write(level, message, fields);
}
