#include <errno.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "agent/options.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/log.h"
#include "command/command.h"
#include "command/output.h"
#include "command/services-print.h"
#include "traffic/read.h"
#include "traffic/traffic.h"

/* In columns; 0: standard output is no terminal. */
static size_t terminal_width(void)
{
	struct winsize size;

	return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

static int services_print(const struct traffic *t, const struct options *o, struct error *err)
{
	_cleanup_buf_ struct buf text = { 0 };

	if (o->json)
		services_print_json(t, &text);
	else
		services_print_table(t, terminal_width(), &text);
	return output_write(&text, err);
}

/* What the table itself can't say. */
static void services_remark(const struct traffic *t)
{
	if (!t->accounting)
		log_info("packets and bytes are not counted",
			 log_text("why", "net.netfilter.nf_conntrack_acct is 0"));
	if (t->strange > 0)
		log_warn("elements that are not kube-nft's are left out",
			 log_number("elements", t->strange));
}

static int services_show(const struct options *o, struct error *err)
{
	const struct traffic_filter want = { .namespace = o->namespace, .name = o->service };
	_cleanup_(traffic_freep) struct traffic *t = NULL;
	int r = traffic_read(&want, &t, err);

	if (r == -EPERM)
		return error_set(err, r, "reading nftables needs the capability CAP_NET_ADMIN");
	if (r == 0)
		r = services_print(t, o, err);
	if (r == 0)
		services_remark(t);
	return r;
}

int command_services(const struct options *o)
{
	struct error err = { 0 };

	if (services_show(o, &err) == 0)
		return EXIT_SUCCESS;
	log_error("services failed", log_text("error", err.message));
	return EXIT_FAILURE;
}
