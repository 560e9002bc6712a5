#include "base/backoff.h"

#include "base/mix.h"

uint64_t backoff_next(struct backoff *b, uint64_t now_us, uint64_t at_least_ms)
{
	uint64_t step = b->step_ms * 2, base;

	if (step == 0 || now_us - b->failed_us >= b->healthy_ms * 1000)
		step = b->first_ms;
	if (step > b->max_ms / 2)
		step = b->max_ms / 2;
	b->step_ms = step;
	b->failed_us = now_us;

	base = step > at_least_ms ? step : at_least_ms;
	return base + random_below(&b->random, step);
}
