#include <inttypes.h>

#include "base/buf.h"
#include "command/output.h"
#include "command/policies-print.h"

enum table_limit { ITEMS_MAX = 12 /* peers of a rule, ports, addresses of a pod */ };

static const enum firewall_direction directions[] = { FIREWALL_INGRESS, FIREWALL_EGRESS };

static void put_addresses(const struct firewall_pod *pod, struct buf *cells)
{
	char text[ADDR_TEXT_MAX];

	for (size_t i = 0; i < pod->n_addrs && i < ITEMS_MAX; i++)
		buf_printf(cells, "%s%s", i > 0 ? ", " : "", addr_format(&pod->addrs[i], text));
}

static void put_isolation(const struct firewall_isolation *isolation, struct buf *cells)
{
	buf_printf(cells, "%" PRIu64 "\t", isolation->refused.packets);
	for (size_t i = 0; i < isolation->n; i++) {
		buf_puts(cells, i > 0 ? ", " : "");
		policies_print_name(&isolation->policies[i]->name, cells);
	}
	if (isolation->n_pods > 1)
		buf_printf(cells, " (counted for %zu pods together)", isolation->n_pods);
}

static void put_pod(const struct firewall_pod *pod, struct buf *cells)
{
	policies_print_name(&pod->name, cells);
	buf_puts(cells, "\t\t");
	put_addresses(pod, cells);
	for (size_t d = 0; d < FIREWALL_DIRECTIONS; d++) {
		const struct firewall_isolation *isolation = pod->isolations[directions[d]];

		buf_printf(cells, "\n  %s\t", policies_direction(directions[d]));
		if (isolation)
			put_isolation(isolation, cells);
		else
			buf_puts(cells, "-\tnot isolated: everything is allowed");
	}
	buf_puts(cells, "\n");
}

static void put_pods(const struct firewall *f, struct buf *cells)
{
	buf_puts(cells, "POD\tREFUSED\tISOLATED BY\n");
	for (size_t i = 0; i < f->n_pods; i++)
		if (f->pods[i].shown)
			put_pod(&f->pods[i], cells);
	if (f->default_deny)
		buf_printf(cells, "(pods that are not known)\t%" PRIu64 "\t--netpol-default-deny\n",
			   f->unknown.packets);
	if (f->invalid.packets > 0)
		buf_printf(cells,
			   "(all of them)\t%" PRIu64
			   "\tdropped: of no known connection, and allowed by no policy\n",
			   f->invalid.packets);
}

static void put_side(const struct firewall_side *side, enum firewall_direction direction,
		     struct buf *cells)
{
	buf_printf(cells, "  %s\t%" PRIu64 "\t", policies_direction(direction),
		   side->refused.packets);
	if (side->n == 0)
		buf_printf(cells, "-\tnothing%s\n",
			   side->closed ? ", since it could not be rendered" : "");
	for (size_t i = 0; i < side->n; i++) {
		buf_printf(cells, "%s%" PRIu64 "\t", i > 0 ? "\t\t" : "",
			   side->rules[i].allowed.packets);
		policies_print_rule(&side->rules[i], direction, ITEMS_MAX, cells);
		buf_puts(cells, "\n");
	}
}

static void put_policies(const struct firewall *f, struct buf *cells)
{
	buf_puts(cells, "POLICY\tREFUSED\tALLOWED\tWHAT IT ALLOWS\n");
	for (size_t i = 0; i < f->n_policies; i++) {
		const struct firewall_policy *policy = &f->policies[i];

		if (!policy->shown)
			continue;
		policies_print_name(&policy->name, cells);
		buf_puts(cells, "\n");
		for (size_t d = 0; d < FIREWALL_DIRECTIONS; d++)
			if (policy->sides[directions[d]].isolates)
				put_side(&policy->sides[directions[d]], directions[d], cells);
	}
}

void policies_print_tables(const struct firewall *f, struct buf *out)
{
	_cleanup_buf_ struct buf pods = { 0 }, policies = { 0 };

	put_pods(f, &pods);
	put_policies(f, &policies);
	output_columns(&pods, out);
	buf_puts(out, "\n");
	output_columns(&policies, out);
}
