/* policies-words.c - the words that tables and JSON have in common. */
#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "command/policies-print.h"

const char *policies_direction(enum firewall_direction direction)
{
	return direction == FIREWALL_INGRESS ? "ingress" : "egress";
}

void policies_print_name(const struct traffic_name *name, struct buf *out)
{
	if (!name->name[0])
		buf_puts(out, "(no name)");
	else
		buf_printf(out, "%s%s%s", name->namespace, name->namespace[0] ? "/" : "",
			   name->name);
}

static const char *plural(size_t n)
{
	return n == 1 ? "" : "s";
}

static void print_others(const struct firewall_words *w, size_t max, struct buf *out)
{
	if (w->n > max)
		buf_printf(out, " and %zu other%s", w->n - max, plural(w->n - max));
}

static void print_peers(const struct firewall_words *w, size_t max, struct buf *out)
{
	if (w->any)
		buf_puts(out, "anybody");
	else if (w->n == 0)
		buf_puts(out, "nobody");
	for (size_t i = 0; i < w->n && i < max; i++)
		buf_printf(out, "%s%s", i > 0 ? ", " : "", w->items[i]);
	print_others(w, max, out);
	if (w->selected)
		buf_printf(out, " (%zu now)", w->n_pods);
}

/* "TCP 80", "TCP 443", "UDP 53" as "TCP 80, 443, UDP 53". */
static void print_ports(const struct firewall_words *w, size_t max, struct buf *out)
{
	const char *before = "";

	if (w->n == 0)
		buf_puts(out, "no port");
	for (size_t i = 0; i < w->n && i < max; i++) {
		const char *item = w->items[i], *number = strchr(item, ' ');
		size_t len = number ? (size_t)(number - item) + 1 : 0;
		bool same = len > 0 && strncmp(before, item, len) == 0;

		buf_printf(out, "%s%s", i > 0 ? ", " : "", same ? number + 1 : item);
		before = item;
	}
	print_others(w, max, out);
	if (w->selected)
		buf_printf(out, " (%zu pod%s now)", w->n_pods, plural(w->n_pods));
}

void policies_print_rule(const struct firewall_rule *rule, enum firewall_direction direction,
			 size_t max, struct buf *out)
{
	if (rule->strange) {
		buf_puts(out, "a rule that is not kube-nft's");
		return;
	}
	if (rule->peers.any && rule->ports.any) {
		buf_puts(out, "everything");
		return;
	}
	buf_puts(out, direction == FIREWALL_INGRESS ? "from " : "to ");
	print_peers(&rule->peers, max, out);
	if (rule->ports.any)
		return;
	buf_puts(out, ", on ");
	print_ports(&rule->ports, max, out);
}
