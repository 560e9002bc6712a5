#include <inttypes.h>

#include "base/buf.h"
#include "command/services-print.h"
#include "object/object.h"
#include "traffic/traffic.h"

static const char *verdict_word(enum traffic_verdict v)
{
	static const char *const words[] = {
		[TRAFFIC_OTHER] = "unknown",
		[TRAFFIC_BALANCED] = "balanced",
		[TRAFFIC_REFUSED] = "refused",
		[TRAFFIC_DROPPED] = "dropped",
	};

	return words[v];
}

static void print_route(const char *name, const struct traffic_route *r, struct buf *out)
{
	buf_printf(out, "\"%s\": {\"verdict\": \"%s\", \"endpoints\": %" PRIu32 "}, ", name,
		   verdict_word(r->verdict), r->n_endpoints);
}

static void print_flows(const struct traffic_flows *f, bool accounting, struct buf *out)
{
	buf_printf(out, "\"flows\": %" PRIu64, f->n);
	if (!accounting)
		return;
	buf_printf(out,
		   ", \"packetsIn\": %" PRIu64 ", \"packetsOut\": %" PRIu64
		   ", \"bytesIn\": %" PRIu64 ", \"bytesOut\": %" PRIu64,
		   f->in.packets, f->out.packets, f->in.bytes, f->out.bytes);
}

static const char *clients_word(const struct traffic_endpoint *e)
{
	return e->inside && e->outside ? "all" : e->inside ? "inside" : "outside";
}

static void print_endpoint(const struct traffic_endpoint *e, bool accounting, struct buf *out)
{
	char addr[ADDR_TEXT_MAX];

	buf_printf(out,
		   "{\"address\": \"%s\", \"port\": %u, \"thisNode\": %s, \"clients\": \"%s\", "
		   "\"connections\": %" PRIu64 ", ",
		   addr_format(&e->addr, addr), e->port, e->here ? "true" : "false",
		   clients_word(e), e->connections);
	print_flows(&e->flows, accounting, out);
	buf_puts(out, "}");
}

static void print_sources(const struct traffic_frontend *f, struct buf *out)
{
	char text[PREFIX_TEXT_MAX];

	buf_puts(out, "\"sourceRanges\": [");
	for (size_t i = 0; i < f->n_sources; i++)
		buf_printf(out, "%s\"%s\"", i == 0 ? "" : ", ",
			   prefix_format(&f->sources[i], text));
	buf_puts(out, "], ");
}

static void print_scheduler(const struct traffic_frontend *f, struct buf *out)
{
	const char *scheduler = traffic_scheduler_word(f);

	if (scheduler)
		buf_printf(out, "\"scheduler\": \"%s\", ", scheduler);
	if (scheduler && traffic_hashes_port(f))
		buf_puts(out, "\"schedflags\": \"flag-2\", ");
}

static void print_frontend(const struct traffic_frontend *f, bool accounting, struct buf *out)
{
	char addr[ADDR_TEXT_MAX];

	buf_printf(out, "{\"address\": \"%s\", \"protocol\": \"%s\", \"port\": %u, ",
		   addr_format(&f->addr, addr), protocol_name((enum protocol)f->protocol), f->port);
	print_route("inside", &f->inside, out);
	print_route("outside", &f->outside, out);
	print_scheduler(f, out);
	if (f->affinity_s > 0)
		buf_printf(out, "\"affinitySeconds\": %" PRIu32 ", ", f->affinity_s);
	if (f->guarded)
		print_sources(f, out);
	buf_printf(out, "\"connections\": %" PRIu64 ", \"unserved\": %" PRIu64 ", ", f->connections,
		   f->unserved);
	print_flows(&f->flows, accounting, out);
	buf_puts(out, ", \"endpoints\": [");
	for (size_t i = 0; i < f->n_endpoints; i++) {
		buf_puts(out, i == 0 ? "\n      " : ",\n      ");
		print_endpoint(&f->endpoints[i], accounting, out);
	}
	buf_puts(out, "]}");
}

static void print_service(const struct traffic_name *s, struct buf *out)
{
	buf_printf(out, "{\"namespace\": \"%s\", \"name\": \"%s\", \"port\": \"%s\", ",
		   s->namespace, s->name, s->port);
	buf_puts(out, "\"frontends\": [\n    ");
}

void services_print_json(const struct traffic *t, struct buf *out)
{
	buf_printf(out, "{\"accounting\": %s, \"servicePorts\": [",
		   t->accounting ? "true" : "false");
	for (size_t i = 0; i < t->n; i++) {
		const struct traffic_frontend *f = &t->frontends[i];

		if (i > 0 && traffic_name_cmp(&f->service, &f[-1].service) == 0) {
			buf_puts(out, ",\n    ");
		} else {
			buf_puts(out, i == 0 ? "\n  " : "]},\n  ");
			print_service(&f->service, out);
		}
		print_frontend(f, t->accounting, out);
	}
	buf_puts(out, t->n > 0 ? "]}]}\n" : "]}\n");
}
