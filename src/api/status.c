#include "api/status.h"

#include <jansson.h>
#include <string.h>

#include "base/line.h"
#include "object/decode.h"

enum {
	CODE_FIRST = 100,
	CODE_LAST = 599,
};

static void text_set(char *room, size_t size, const json_t *value)
{
	struct line l = line_in(room, size);

	if (json_is_string(value))
		line_escape(&l, json_string_value(value));
}

static bool cause_has_reason(const json_t *details, const char *reason)
{
	const json_t *causes = json_object_get(details, "causes"), *cause;
	size_t i;

	json_array_foreach(causes, i, cause)
	{
		const char *text = json_string_value(json_object_get(cause, "reason"));

		if (text && strcmp(text, reason) == 0)
			return true;
	}
	return false;
}

static void status_decode(const json_t *root, struct api_status *s)
{
	const json_t *details = json_object_get(root, "details");
	json_int_t code = json_integer_value(json_object_get(root, "code"));
	json_int_t retry_s = json_integer_value(json_object_get(details, "retryAfterSeconds"));

	if (code >= CODE_FIRST && code <= CODE_LAST)
		s->code = (int)code;
	if (retry_s > 0)
		s->retry_after_s = retry_s < STATUS_MAX_RETRY_S ? (uint32_t)retry_s :
								  STATUS_MAX_RETRY_S;
	text_set(s->reason, sizeof(s->reason), json_object_get(root, "reason"));
	text_set(s->message, sizeof(s->message), json_object_get(root, "message"));
	s->version_too_large = cause_has_reason(details, "ResourceVersionTooLarge");
}

/* As far as it fits and up to a zero byte, without the blanks around it. */
static void beginning_set(const char *text, size_t len, struct api_status *s)
{
	static const char blanks[] = " \t\r\n";
	struct line l = line_in(s->message, sizeof(s->message));
	/* A character that is torn here is dropped: its escapes do not fit. */
	char beginning[STATUS_MESSAGE_BYTES];

	for (; len > 0 && strchr(blanks, *text); text++)
		len--;
	len = len < sizeof(beginning) - 1 ? len : sizeof(beginning) - 1;
	memcpy(beginning, text, len);
	while (len > 0 && strchr(blanks, beginning[len - 1]))
		len--;
	beginning[len] = '\0';
	line_escape(&l, beginning);
}

struct api_status api_status_read(const char *text, size_t len, int http_code)
{
	struct api_status s = { .code = http_code };
	json_auto_t *root = NULL;
	const char *kind = NULL;

	if (len <= STATUS_MAX_BYTES && json_parse(text, len, &root, NULL) == 0)
		kind = json_string_value(json_object_get(root, "kind"));
	if (kind && strcmp(kind, "Status") == 0)
		status_decode(root, &s);
	else
		beginning_set(text, len, &s);
	return s;
}
