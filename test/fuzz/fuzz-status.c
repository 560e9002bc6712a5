/* fuzz-status.c - the body of an answer that is not 2xx, or the object of an ERROR event. */
#include "object-check.h"

#include "api/status.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void line_check(const char *text, size_t size)
{
	check(strnlen(text, size) < size);
	for (; *text; text++)
		check((unsigned char)*text >= ' ' && *text != 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct api_status s = api_status_read((const char *)data, len, 500);

	check(s.code >= 100 && s.code <= 599 && s.retry_after_s <= STATUS_MAX_RETRY_S);
	line_check(s.reason, sizeof(s.reason));
	line_check(s.message, sizeof(s.message));
	return 0;
}
