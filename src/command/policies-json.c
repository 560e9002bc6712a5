#include <inttypes.h>
#include <stdint.h>

#include "base/buf.h"
#include "command/policies-print.h"

static const enum firewall_direction directions[] = { FIREWALL_INGRESS, FIREWALL_EGRESS };

static void print_counter(const char *name, const struct counter *c, struct buf *out)
{
	buf_printf(out, "\"%s\": {\"packets\": %" PRIu64 ", \"bytes\": %" PRIu64 "}", name,
		   c->packets, c->bytes);
}

static void print_name(const struct traffic_name *name, struct buf *out)
{
	buf_printf(out, "{\"namespace\": \"%s\", \"name\": \"%s\"", name->namespace, name->name);
}

static void print_isolation(const struct firewall_isolation *isolation, struct buf *out)
{
	if (!isolation) {
		buf_puts(out, "null");
		return;
	}
	buf_puts(out, "{\"policies\": [");
	for (size_t i = 0; i < isolation->n; i++) {
		buf_puts(out, i > 0 ? ", " : "");
		print_name(&isolation->policies[i]->name, out);
		buf_puts(out, "}");
	}
	buf_printf(out, "], \"pods\": %zu, ", isolation->n_pods);
	print_counter("refused", &isolation->refused, out);
	buf_puts(out, "}");
}

static void print_pod(const struct firewall_pod *pod, struct buf *out)
{
	char text[ADDR_TEXT_MAX];

	print_name(&pod->name, out);
	buf_puts(out, ", \"addresses\": [");
	for (size_t i = 0; i < pod->n_addrs; i++)
		buf_printf(out, "%s\"%s\"", i > 0 ? ", " : "", addr_format(&pod->addrs[i], text));
	buf_puts(out, "]");
	for (size_t d = 0; d < FIREWALL_DIRECTIONS; d++) {
		buf_printf(out, ",\n   \"%s\": ", policies_direction(directions[d]));
		print_isolation(pod->isolations[directions[d]], out);
	}
	buf_puts(out, "}");
}

/* null: any */
static void print_words(const char *name, const struct firewall_words *w, struct buf *out)
{
	buf_printf(out, "\"%s\": ", name);
	if (w->any) {
		buf_puts(out, "null");
		return;
	}
	buf_puts(out, "[");
	for (size_t i = 0; i < w->n; i++)
		buf_printf(out, "%s\"%s\"", i > 0 ? ", " : "", w->items[i]);
	buf_puts(out, "]");
}

static void print_rule(const struct firewall_rule *rule, enum firewall_direction direction,
		       struct buf *out)
{
	buf_puts(out, "{\"words\": \"");
	policies_print_rule(rule, direction, SIZE_MAX, out);
	buf_puts(out, "\", ");
	if (!rule->strange) {
		print_words("peers", &rule->peers, out);
		buf_puts(out, ", ");
		print_words("ports", &rule->ports, out);
		buf_puts(out, ", ");
	}
	print_counter("allowed", &rule->allowed, out);
	buf_puts(out, "}");
}

static void print_side(const struct firewall_side *side, enum firewall_direction direction,
		       struct buf *out)
{
	if (!side->isolates) {
		buf_puts(out, "null");
		return;
	}
	buf_printf(out, "{\"rendered\": %s, ", side->closed ? "false" : "true");
	print_counter("refused", &side->refused, out);
	buf_puts(out, ", \"allows\": [");
	for (size_t i = 0; i < side->n; i++) {
		buf_puts(out, i > 0 ? ",\n     " : "\n     ");
		print_rule(&side->rules[i], direction, out);
	}
	buf_puts(out, "]}");
}

static void print_policy(const struct firewall_policy *policy, struct buf *out)
{
	print_name(&policy->name, out);
	for (size_t d = 0; d < FIREWALL_DIRECTIONS; d++) {
		buf_printf(out, ",\n   \"%s\": ", policies_direction(directions[d]));
		print_side(&policy->sides[directions[d]], directions[d], out);
	}
	buf_puts(out, "}");
}

static void print_pods(const struct firewall *f, struct buf *out)
{
	const char *gap = "";

	buf_puts(out, "\"pods\": [");
	for (size_t i = 0; i < f->n_pods; i++) {
		if (!f->pods[i].shown)
			continue;
		buf_printf(out, "%s\n  ", gap);
		print_pod(&f->pods[i], out);
		gap = ",";
	}
	buf_puts(out, "]");
}

static void print_policies(const struct firewall *f, struct buf *out)
{
	const char *gap = "";

	buf_puts(out, "\"policies\": [");
	for (size_t i = 0; i < f->n_policies; i++) {
		if (!f->policies[i].shown)
			continue;
		buf_printf(out, "%s\n  ", gap);
		print_policy(&f->policies[i], out);
		gap = ",";
	}
	buf_puts(out, "]");
}

void policies_print_json(const struct firewall *f, struct buf *out)
{
	buf_printf(out, "{\"defaultDeny\": %s, ", f->default_deny ? "true" : "false");
	print_counter("unknownPods", &f->unknown, out);
	buf_puts(out, ", ");
	print_counter("invalid", &f->invalid, out);
	buf_puts(out, ",\n ");
	print_pods(f, out);
	buf_puts(out, ",\n ");
	print_policies(f, out);
	buf_puts(out, "}\n");
}
