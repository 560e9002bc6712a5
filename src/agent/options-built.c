/* options-built.c - what this version can't do, refused before anything is touched: a node must not
 * look protected, or announced, when it is not. */
#include <errno.h>
#include <string.h>

#include "agent/options-table.h"
#include "agent/options.h"
#include "base/cleanup.h"
#include "base/error.h"

#define IPVS_TIMEOUT                                                                  \
	"IPVS timeouts do not exist in nftables; connections are tracked by sysctls " \
	"net.netfilter.nf_conntrack_*_timeout*. Leave the flag out or pass 0s."

static const struct unbuilt {
	const char *flag;
	const char *reason; /* and the remedy */
} unbuilt[] = {
	{ "run-router", "routing is not part of this version yet: no routes would be exchanged. "
			"Pass --run-router=false to run without." },
	{ "run-loadbalancer", "the load balancer's address allocator is not part of this version "
			      "yet. Leave the flag out." },
	{ "cleanup-config", "clean-up is not part of this version yet. Run: nft delete table ip "
			    "kube-nft; nft delete table ip6 kube-nft" },
	{ "enable-pprof", "this is the profiler of Go programs. Leave the flag out; perf can "
			  "profile this one." },
	{ "runtime-endpoint", "direct server return is not part of this version yet. "
			      "Leave the flag out." },
	{ "service-tcp-timeout", IPVS_TIMEOUT },
	{ "service-tcpfin-timeout", IPVS_TIMEOUT },
	{ "service-udp-timeout", IPVS_TIMEOUT },
};

#define NO_HEALTH "the health endpoint is not part of this version yet"

bool options_nothing_enabled(const struct options *o)
{
	return !o->run_router && !o->run_firewall && !o->run_service_proxy;
}

static int refuse(const struct options *o, const struct unbuilt *u, struct error *err)
{
	return error_set(err, -EOPNOTSUPP, "--%s%s %s", u->flag,
			 options_given(o, u->flag) ? ":" : " is on by default, but", u->reason);
}

/* For the metrics 65535 means off as 0 does. The health port is on by default in kube-router. */
static int check_ports(const struct options *o, struct error *err)
{
	if (o->metrics_port != 0 && o->metrics_port != 65535)
		return error_set(err, -EOPNOTSUPP,
				 "--metrics-port: metrics are not part of this version yet. "
				 "Leave the flag out or pass 0.");
	if (o->health_port != 0 && options_given(o, "health-port"))
		return error_set(err, -EOPNOTSUPP,
				 "--health-port: " NO_HEALTH ". Leave the flag out or pass 0.");
	return 0;
}

int options_check_built(const struct options *o,
			void (*notice)(const char *flag, const char *reason), struct error *err)
{
	int r;

	for (const struct unbuilt *u = unbuilt; u < unbuilt + ARRAY_SIZE(unbuilt); u++)
		if (flag_is_on(flag_find(u->flag, strlen(u->flag)), o))
			return refuse(o, u, err);
	r = check_ports(o, err);
	if (r < 0)
		return r;
	if (o->health_port != 0)
		notice("--health-port", NO_HEALTH "; nothing listens there");
	if (options_given(o, "use-nftables-for-netpol"))
		notice("--use-nftables-for-netpol",
		       "policies are enforced by nftables in any case; the flag has no effect");
	return 0;
}
