#include "base/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/line.h"

/* With the newline. Not more than PIPE_BUF, so that records of two processes do not mix in a pipe. */
#define LOG_RECORD_MAX 4096

static enum log_level max_level = LOG_LEVEL_INFO;

static const char *const level_names[] = {
	[LOG_LEVEL_ERROR] = "error",
	[LOG_LEVEL_WARN] = "warn",
	[LOG_LEVEL_INFO] = "info",
	[LOG_LEVEL_DEBUG] = "debug",
};

void log_set_level(enum log_level level)
{
	max_level = level;
}

enum log_level log_get_level(void)
{
	return max_level;
}

/* A word that a reader takes as one value without quotes. */
static bool is_plain(const char *text)
{
	if (*text == '\0')
		return false;
	for (; *text; text++)
		if (*text <= ' ' || *text > '~' || strchr("\"=\\", *text))
			return false;
	return true;
}

static void put_field(struct line *l, const struct log_field *field)
{
	char number[sizeof("-9223372036854775808")];

	line_put(l, " ");
	line_put(l, field->key);
	line_put(l, "=");
	if (!field->text) {
		snprintf(number, sizeof(number), "%" PRId64, field->number);
		line_put(l, number);
	} else if (is_plain(field->text)) {
		line_put(l, field->text);
	} else {
		line_quote(l, field->text);
	}
}

void log_write(enum log_level level, const char *message, const struct log_field *fields)
{
	char record[LOG_RECORD_MAX];
	struct line l = line_in(record, sizeof(record));
	int saved_errno = errno;

	if (level > max_level)
		return;

	line_put(&l, "level=");
	line_put(&l, level_names[level]);
	line_put(&l, " msg=");
	line_quote(&l, message);
	for (size_t i = 0; i < LOG_MAX_FIELDS && fields[i].key; i++)
		put_field(&l, &fields[i]);

	record[l.len++] = '\n'; /* in the place of the final zero */
	while (write(STDERR_FILENO, record, l.len) < 0 && errno == EINTR)
		;
	errno = saved_errno;
}
