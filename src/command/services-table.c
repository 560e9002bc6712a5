#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "command/services-print.h"
#include "object/object.h"
#include "traffic/traffic.h"

enum table_size {
	/* "  [", an IPv6 address, "]:65535/SCTP"; or a comment. */
	LABEL_MAX_BYTES = 160,
	STATE_MAX_BYTES = 128,
	ROUTE_MAX_BYTES = 32, /* "4294967295 endpoints" */
	GAP = 2,              /* between columns */
};

enum number {
	CONNECTIONS,
	UNSERVED,
	FLOWS,
	PACKETS_IN,
	PACKETS_OUT,
	BYTES_IN,
	BYTES_OUT,
	NUMBERS,
	NUMBERS_WITHOUT_ACCOUNTING = PACKETS_IN,
};

static const char *const number_heads[NUMBERS] = {
	[CONNECTIONS] = "CONNECTIONS", [UNSERVED] = "UNSERVED",       [FLOWS] = "FLOWS",
	[PACKETS_IN] = "PACKETS-IN",   [PACKETS_OUT] = "PACKETS-OUT", [BYTES_IN] = "BYTES-IN",
	[BYTES_OUT] = "BYTES-OUT",
};

struct row {
	char label[LABEL_MAX_BYTES];
	char state[STATE_MAX_BYTES];
	unsigned has; /* a bit for each number */
	uint64_t numbers[NUMBERS];
};

struct table {
	size_t label, state;     /* widths */
	size_t numbers[NUMBERS]; /* widths */
	unsigned shown;          /* numbers, from the first on */
	struct buf *out;
};

typedef void (*row_fn)(struct table *table, const struct row *row);

static void row_set(struct row *row, enum number n, uint64_t value)
{
	row->has |= 1U << n;
	row->numbers[n] = value;
}

static void row_set_flows(struct row *row, const struct traffic_flows *f)
{
	row_set(row, FLOWS, f->n);
	row_set(row, PACKETS_IN, f->in.packets);
	row_set(row, PACKETS_OUT, f->out.packets);
	row_set(row, BYTES_IN, f->in.bytes);
	row_set(row, BYTES_OUT, f->out.bytes);
}

static struct row row_of_service(const struct traffic_name *s)
{
	struct row row = { 0 };

	if (!s->name[0])
		snprintf(row.label, sizeof(row.label), "(no name)");
	else
		snprintf(row.label, sizeof(row.label), "%s%s%s%s%s", s->namespace,
			 s->namespace[0] ? "/" : "", s->name, s->port[0] ? ":" : "", s->port);
	return row;
}

static const char *bracket(const struct addr *a, const char *text)
{
	return a->family == AF_INET6 ? text : "";
}

static const char *route_text(const struct traffic_route *r, char text[static ROUTE_MAX_BYTES])
{
	static const char *const words[] = {
		[TRAFFIC_OTHER] = "unknown",
		[TRAFFIC_REFUSED] = "refused",
		[TRAFFIC_DROPPED] = "dropped",
	};

	if (r->verdict != TRAFFIC_BALANCED)
		return words[r->verdict];
	snprintf(text, ROUTE_MAX_BYTES, "%" PRIu32 " endpoint%s", r->n_endpoints,
		 r->n_endpoints == 1 ? "" : "s");
	return text;
}

static void row_add_remarks(struct row *row, const struct traffic_frontend *f)
{
	const char *scheduler = traffic_scheduler_word(f);
	size_t len = strlen(row->state);

	if (scheduler && strcmp(scheduler, "random") != 0)
		len += (size_t)snprintf(row->state + len, sizeof(row->state) - len, ", %s%s",
					scheduler, traffic_hashes_port(f) ? " flag-2" : "");
	if (f->affinity_s > 0)
		len += (size_t)snprintf(row->state + len, sizeof(row->state) - len,
					", affinity %" PRIu32 " s", f->affinity_s);
	if (f->guarded)
		snprintf(row->state + len, sizeof(row->state) - len, ", %zu source range%s",
			 f->n_sources, f->n_sources == 1 ? "" : "s");
}

static struct row row_of_frontend(const struct traffic_frontend *f)
{
	char addr[ADDR_TEXT_MAX], inside[ROUTE_MAX_BYTES], outside[ROUTE_MAX_BYTES];
	struct row row = { 0 };

	addr_format(&f->addr, addr);
	snprintf(row.label, sizeof(row.label), "  %s%s%s:%u/%s", bracket(&f->addr, "["), addr,
		 bracket(&f->addr, "]"), f->port, protocol_name((enum protocol)f->protocol));
	snprintf(row.state, sizeof(row.state), "%s%s%s", route_text(&f->inside, inside),
		 f->differs ? ", outside: " : "",
		 f->differs ? route_text(&f->outside, outside) : "");
	row_add_remarks(&row, f);
	row_set(&row, CONNECTIONS, f->connections);
	row_set(&row, UNSERVED, f->unserved);
	row_set_flows(&row, &f->flows);
	return row;
}

static struct row row_of_endpoint(const struct traffic_endpoint *e)
{
	char addr[ADDR_TEXT_MAX];
	struct row row = { 0 };

	addr_format(&e->addr, addr);
	snprintf(row.label, sizeof(row.label), "    %s%s%s:%u", bracket(&e->addr, "["), addr,
		 bracket(&e->addr, "]"), e->port);
	snprintf(row.state, sizeof(row.state), "%s%s%s", e->here ? "this node" : "",
		 e->here && e->inside != e->outside ? ", " : "",
		 e->inside && e->outside ? "" :
		 e->inside               ? "not outside" :
					   "outside only");
	row_set(&row, CONNECTIONS, e->connections);
	row_set_flows(&row, &e->flows);
	return row;
}

static void rows_walk(struct table *table, const struct traffic *t, row_fn fn)
{
	for (size_t i = 0; i < t->n; i++) {
		const struct traffic_frontend *f = &t->frontends[i];
		struct row row;

		if (i == 0 || traffic_name_cmp(&f->service, &f[-1].service) != 0) {
			row = row_of_service(&f->service);
			fn(table, &row);
		}
		row = row_of_frontend(f);
		fn(table, &row);
		for (size_t j = 0; j < f->n_endpoints; j++) {
			row = row_of_endpoint(&f->endpoints[j]);
			fn(table, &row);
		}
	}
}

static size_t max_size(size_t a, size_t b)
{
	return a > b ? a : b;
}

static size_t digits(uint64_t n)
{
	size_t count = 1;

	while (n /= 10)
		count++;
	return count;
}

static void row_measure(struct table *table, const struct row *row)
{
	table->label = max_size(table->label, strlen(row->label));
	table->state = max_size(table->state, strlen(row->state));
	for (unsigned n = 0; n < NUMBERS; n++)
		if (row->has & 1U << n)
			table->numbers[n] = max_size(table->numbers[n], digits(row->numbers[n]));
}

/* A line ends with the last thing on it. */
static void row_print(struct table *table, const struct row *row)
{
	bool numbers = table->shown > 0 && row->has;

	if (!numbers && !row->state[0]) {
		buf_printf(table->out, "%s\n", row->label);
		return;
	}
	buf_printf(table->out, "%-*s", (int)(table->label + GAP), row->label);
	buf_printf(table->out, "%-*s", numbers ? (int)table->state : 0, row->state);
	for (unsigned n = 0; numbers && n < table->shown; n++)
		if (row->has & 1U << n)
			buf_printf(table->out, "%*" PRIu64, (int)(GAP + table->numbers[n]),
				   row->numbers[n]);
		else
			buf_printf(table->out, "%*s", (int)(GAP + table->numbers[n]), "-");
	buf_puts(table->out, "\n");
}

static void head_print(const struct table *table)
{
	buf_printf(table->out, "%-*s%-*s", (int)(table->label + GAP), "SERVICE",
		   table->shown > 0 ? (int)table->state : 0, "STATE");
	for (unsigned n = 0; n < table->shown; n++)
		buf_printf(table->out, "%*s", (int)(GAP + table->numbers[n]), number_heads[n]);
	buf_puts(table->out, "\n");
}

static unsigned numbers_that_fit(const struct table *table, unsigned n, size_t width)
{
	size_t used = table->label + GAP + table->state;

	for (unsigned i = 0; i < n; i++) {
		used += GAP + table->numbers[i];
		if (width > 0 && used > width)
			return i;
	}
	return n;
}

void services_print_table(const struct traffic *t, size_t width, struct buf *out)
{
	struct table table = {
		.label = strlen("SERVICE"),
		.state = strlen("STATE"),
		.out = out,
	};

	for (unsigned n = 0; n < NUMBERS; n++)
		table.numbers[n] = strlen(number_heads[n]);
	rows_walk(&table, t, row_measure);
	table.shown = numbers_that_fit(&table, t->accounting ? NUMBERS : NUMBERS_WITHOUT_ACCOUNTING,
				       width);
	head_print(&table);
	rows_walk(&table, t, row_print);
}
