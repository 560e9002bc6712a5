#include <errno.h>
#include <stdlib.h>

#include "agent/options.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/log.h"
#include "command/command.h"
#include "command/output.h"
#include "command/policies-print.h"
#include "firewall/read.h"

static bool has_pods(const struct firewall *f)
{
	for (size_t i = 0; i < f->n_pods; i++)
		if (f->pods[i].shown)
			return true;
	return false;
}

/* What the tables themselves can't say. */
static void policies_remark(const struct firewall *f)
{
	if (!has_pods(f) && f->default_deny)
		log_info("no such pod is known on this node");
	else if (!has_pods(f))
		log_info("no policy selects such a pod on this node: nothing is refused here");
	if (f->strange > 0)
		log_warn("elements and rules that are not kube-nft's are there",
			 log_number("n", f->strange));
}

static int policies_print(const struct firewall *f, const struct options *o, struct error *err)
{
	_cleanup_buf_ struct buf text = { 0 };

	if (o->json)
		policies_print_json(f, &text);
	else
		policies_print_tables(f, &text);
	return output_write(&text, err);
}

static int policies_show(const struct options *o, struct error *err)
{
	const struct firewall_filter want = { .namespace = o->namespace, .pod = o->pod };
	_cleanup_(firewall_freep) struct firewall *f = NULL;
	int r = firewall_read(&want, &f, err);

	if (r == -EPERM)
		return error_set(err, r, "reading nftables needs the capability CAP_NET_ADMIN");
	if (r == 0)
		r = policies_print(f, o, err);
	if (r == 0)
		policies_remark(f);
	return r;
}

int command_policies(const struct options *o)
{
	struct error err = { 0 };

	if (policies_show(o, &err) == 0)
		return EXIT_SUCCESS;
	log_error("policies failed", log_text("error", err.message));
	return EXIT_FAILURE;
}
