#include <errno.h>

#include "api/status.h"
#include "source/reflector-internal.h"

static enum outcome outcome_of_status(const struct api_status *s)
{
	if (s->version_too_large)
		return OUTCOME_TOO_LARGE;
	switch (s->code) {
	case 401:
		return OUTCOME_UNKNOWN_USER;
	case 403:
		return OUTCOME_FORBIDDEN;
	case 410:
		return OUTCOME_EXPIRED;
	case 429:
		return OUTCOME_THROTTLED;
	default:
		break;
	}
	if (s->code >= 500)
		return OUTCOME_SERVER_ERROR;
	return s->code >= 400 ? OUTCOME_REFUSED : OUTCOME_GARBAGE;
}

enum outcome outcome_read(struct request *q, const char *text, size_t len)
{
	struct api_status s = api_status_read(text, len, q->status);
	uint64_t retry_after_ms = (uint64_t)s.retry_after_s * 1000;

	if (q->retry_after_ms < retry_after_ms)
		q->retry_after_ms = retry_after_ms;
	if (s.code == 403 && *s.message)
		error_set(&q->why, -EACCES, "%s (RBAC)", s.message);
	else
		error_set(&q->why, -EIO, "the server answers %d%s%s", s.code,
			  *s.message ? ": " : "", s.message);
	return outcome_of_status(&s);
}
