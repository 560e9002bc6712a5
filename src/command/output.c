#include "command/output.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/error.h"

enum output_size { GAP = 2, COLUMNS_MAX = 8 };

int output_write(const struct buf *text, struct error *err)
{
	if (buf_error(text) < 0)
		return error_set(err, -ENOMEM, "out of memory");
	if (fwrite(buf_text(text), 1, text->len, stdout) != text->len || fflush(stdout) != 0)
		return error_errno(err, errno, "write to standard output");
	return 0;
}

struct columns {
	size_t widths[COLUMNS_MAX];
	size_t last;
};

static void columns_measure(struct columns *c, const char *text)
{
	size_t column = 0, len;

	for (; *text; text += len + 1) {
		len = strcspn(text, "\t\n");
		if (len > c->widths[column])
			c->widths[column] = len;
		if (column > c->last)
			c->last = column;
		column = text[len] == '\t' ? column + 1 : 0;
	}
}

/* A line of @len bytes ends with the last thing on it. */
static void line_print(const struct columns *c, const char *line, size_t len, struct buf *out)
{
	const char *end = line + len;

	while (end > line && end[-1] == '\t')
		end--;
	for (size_t column = 0; line < end; column++) {
		int cell = (int)strcspn(line, "\t\n"), room = (int)c->widths[column] - cell;

		if (column == 0)
			buf_printf(out, "%.*s%*s", cell, line, line + cell < end ? room : 0, "");
		else
			buf_printf(out, "%*s%.*s", GAP + (column < c->last ? room : 0), "", cell,
				   line);
		line += cell + 1;
	}
	buf_puts(out, "\n");
}

void output_columns(const struct buf *cells, struct buf *out)
{
	const char *line = buf_text(cells);
	struct columns c = { 0 };

	/* What memory was too short for may end in the middle of a line. */
	if (buf_error(cells) < 0) {
		out->error = buf_error(cells);
		return;
	}
	columns_measure(&c, line);
	while (*line) {
		size_t len = strcspn(line, "\n");

		line_print(&c, line, len, out);
		line += len + 1;
	}
}
