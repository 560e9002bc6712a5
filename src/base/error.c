#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/line.h"

/* Set @err to "formatted: @reason", or to "formatted" without one. @reason may be @err's own. */
static void error_fill(struct error *err, int code, const char *reason, const char *format,
		       va_list args) __attribute__((format(printf, 4, 0)));

static void error_fill(struct error *err, int code, const char *reason, const char *format,
		       va_list args)
{
	struct error new = { .code = code };
	struct line l = line_in(new.message, sizeof(new.message));
	/* One character longer than a message: what vsnprintf() may tear is behind what fits. */
	char text[ERROR_MAX_BYTES + 4] = "";

	vsnprintf(text, sizeof(text), format, args);
	line_escape(&l, text);
	if (reason) {
		line_put(&l, ": ");
		line_escape(&l, reason);
	}
	*err = new;
}

int error_set(struct error *err, int code, const char *format, ...)
{
	va_list args;

	if (!err)
		return code;
	va_start(args, format);
	error_fill(err, code, NULL, format, args);
	va_end(args);
	return code;
}

int error_errno(struct error *err, int errnum, const char *format, ...)
{
	va_list args;

	if (!err)
		return -errnum;
	va_start(args, format);
	error_fill(err, -errnum, strerror(errnum), format, args);
	va_end(args);
	return -errnum;
}

int error_wrap(struct error *err, int code, const char *format, ...)
{
	va_list args;

	if (!err)
		return code;
	va_start(args, format);
	error_fill(err, code, err->message[0] ? err->message : strerror(-code), format, args);
	va_end(args);
	return code;
}
