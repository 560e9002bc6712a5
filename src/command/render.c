#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>

#include "agent/node.h"
#include "agent/options.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/log.h"
#include "command/command.h"
#include "command/output.h"
#include "ruleset/ruleset.h"
#include "ruleset/template.h"

static int whole_print(const struct transaction *whole, const struct options *o, struct error *err)
{
	_cleanup_buf_ struct buf text = { 0 };

	if (o->enable_ipv4)
		template_print(AF_INET, whole, &text);
	if (o->enable_ipv6)
		template_print(AF_INET6, whole, &text);
	return output_write(&text, err);
}

static int node_render(struct node_state *n, const struct options *o, struct error *err)
{
	_cleanup_transaction_ struct transaction whole = { 0 };
	int r;

	if (!o->manifests)
		return error_set(err, -EINVAL,
				 "render: say where the objects are: --manifests DIR");
	r = node_open(n, o, err);
	if (r == 0)
		r = node_load(n, o, err);
	if (r == 0)
		r = node_sync(n, NULL, err);
	if (r < 0)
		return r;
	r = ruleset_whole(n->ruleset, &whole);
	return r < 0 ? error_set(err, r, "out of memory") : whole_print(&whole, o, err);
}

int command_render(const struct options *o)
{
	struct node_state n = { 0 };
	struct error err = { 0 };
	int r = node_render(&n, o, &err);

	node_close(&n);
	if (r < 0)
		log_error("render failed", log_text("error", err.message));
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
