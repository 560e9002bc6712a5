/* options-check.c - the rules that values must keep, and what this version refuses to do. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/socket.h>

#include "agent/options-table.h"
#include "agent/options.h"
#include "base/addr.h"
#include "base/cleanup.h"
#include "base/error.h"

static bool is_empty(const char *text)
{
	return !text || !*text;
}

/* A stray argument may be half of a password list that was split at a space, or stand behind "--" with
 * one as its value. */
static int check_stray(const struct options *o, struct error *err)
{
	if (!o->stray)
		return 0;
	if (options_given(o, "peer-router-passwords"))
		return error_set(err, -EDOM, "an argument is neither a flag nor a flag's value");
	return error_set(err, -EDOM,
			 "\"%.*s\" is neither a flag nor a flag's value; a switch takes its "
			 "value with =, as in --run-router=false",
			 (int)strcspn(o->stray, "="), o->stray);
}

/* Those that every command takes. */
static bool is_general(const struct flag *f)
{
	return f->offset == offsetof(struct options, help) ||
	       f->offset == offsetof(struct options, version) ||
	       f->offset == offsetof(struct options, verbosity);
}

static bool command_takes(const char *command, const struct flag *f)
{
	for (size_t i = 0; command && i < ARRAY_SIZE(f->commands) && f->commands[i]; i++)
		if (strcmp(f->commands[i], command) == 0)
			return true;
	return false;
}

/* Whether @command is one with flags of its own, which takes no others. */
static bool command_has_flags(const char *command)
{
	for (const struct flag *f = flags; f < flags + n_flags; f++)
		if (command_takes(command, f))
			return true;
	return false;
}

static int check_command(const struct options *o, struct error *err)
{
	bool own = command_has_flags(o->command);

	for (const struct flag *f = flags; f < flags + n_flags; f++) {
		if (!options_given(o, f->name) || is_general(f))
			continue;
		if (f->commands[0] && !own)
			return error_set(err, -EDOM, "--%s is for kube-nft %s%s%s", f->name,
					 f->commands[0], f->commands[1] ? " and kube-nft " : "",
					 f->commands[1] ? f->commands[1] : "");
		if (own && !command_takes(o->command, f))
			return error_set(err, -EDOM, "kube-nft %s does not take --%s", o->command,
					 f->name);
	}
	return 0;
}

static bool graceful_restart(const struct options *o)
{
	return o->bgp_graceful_restart;
}

static bool has_peers(const struct options *o)
{
	return o->peer_router_ips.n > 0;
}

static const struct range {
	const char *flag;
	uint64_t min, max;
	const char *allowed;
	bool (*applies)(const struct options *o); /* NULL: always */
} ranges[] = {
	{ "cache-sync-timeout", 1, UINT64_MAX, "more than 0", NULL },
	{ "ipvs-sync-period", 1, UINT64_MAX, "more than 0", NULL },
	{ "iptables-sync-period", 1, UINT64_MAX, "more than 0", NULL },
	{ "routes-sync-period", 1, UINT64_MAX, "more than 0", NULL },
	{ "injected-routes-sync-period", 1, UINT64_MAX, "more than 0", NULL },
	{ "loadbalancer-sync-period", 1, UINT64_MAX, "more than 0", NULL },
	{ "overlay-encap-port", 1024, 65535, "from 1024 to 65535", NULL },
	{ "bgp-port", 1, 65535, "from 1 to 65535", NULL },
	{ "bgp-holdtime", 3000, 65536000, "from 3s to 65536s", NULL },
	{ "bgp-graceful-restart-time", 1, 4095000, "more than 0 and up to 4095s",
	  graceful_restart },
	{ "bgp-graceful-restart-deferral-time", 1, 64800000, "more than 0 and up to 18h",
	  graceful_restart },
	{ "bfd-port", 1, 65535, "from 1 to 65535", has_peers },
	{ "bfd-detection-multiplier", 1, 255, "from 1 to 255", has_peers },
	{ "bfd-desired-min-tx-interval", 1, 4294967, "from 1 to 4294967 (ms)", has_peers },
	{ "bfd-required-min-rx-interval", 1, 4294967, "from 1 to 4294967 (ms)", has_peers },
};

static int check_ranges(const struct options *o, struct error *err)
{
	for (const struct range *g = ranges; g < ranges + ARRAY_SIZE(ranges); g++) {
		const struct flag *f = flag_find(g->flag, strlen(g->flag));
		uint64_t value = flag_number(f, o);

		if ((g->applies && !g->applies(o)) || (value >= g->min && value <= g->max))
			continue;
		return error_set(err, -EDOM, "--%s must be %s, not %" PRIu64 "%s", g->flag,
				 g->allowed, value, f->kind == FLAG_DURATION ? "ms" : "");
	}
	return 0;
}

static int check_texts(const struct options *o, struct error *err)
{
	struct addr id;

	if (o->metrics_path[0] != '/')
		return error_set(err, -EDOM, "--metrics-path must begin with /, not \"%s\"",
				 o->metrics_path);
	if (!is_empty(o->runtime_endpoint) && strncmp(o->runtime_endpoint, "unix://", 7) != 0)
		return error_set(err, -EDOM, "--runtime-endpoint must be unix://PATH, not \"%s\"",
				 o->runtime_endpoint);
	if (strcmp(o->overlay_encap, "ipip") != 0 && strcmp(o->overlay_encap, "fou") != 0)
		return error_set(err, -EDOM, "--overlay-encap must be ipip or fou, not \"%s\"",
				 o->overlay_encap);
	if (!is_empty(o->router_id) && strcmp(o->router_id, "generate") != 0 &&
	    (addr_parse(o->router_id, &id) < 0 || id.family != AF_INET))
		return error_set(err, -EDOM,
				 "--router-id must be an IPv4 address or \"generate\", not \"%s\"",
				 o->router_id);
	return 0;
}

static int check_node_ports(const struct options *o, struct error *err)
{
	const struct port_range *range = &o->service_node_port_range;

	if (range->first >= range->last)
		return error_set(err, -EDOM,
				 "--service-node-port-range must begin below its end, not %u-%u",
				 range->first, range->last);
	return 0;
}

/* Every prefix must be of a family that is switched on. */
static int check_family(const struct options *o, const char *name, const struct prefix_list *list,
			struct error *err)
{
	char text[PREFIX_TEXT_MAX];

	for (size_t i = 0; i < list->n; i++) {
		const struct prefix *p = &list->items[i];
		bool v4 = p->addr.family == AF_INET;

		if (v4 ? o->enable_ipv4 : o->enable_ipv6)
			continue;
		return error_set(err, -EDOM, "--%s has %s%s, but --enable-%s is false", name,
				 prefix_format(p, text),
				 options_given(o, name) ? "" : " by default", v4 ? "ipv4" : "ipv6");
	}
	return 0;
}

static int check_prefixes(const struct options *o, struct error *err)
{
	const struct {
		const char *flag;
		const struct prefix_list *list;
	} lists[] = {
		{ "service-cluster-ip-range", &o->service_cluster_ip_range },
		{ "service-external-ip-range", &o->service_external_ip_range },
		{ "loadbalancer-ip-range", &o->loadbalancer_ip_range },
	};
	size_t n = o->service_cluster_ip_range.n;
	int r = 0;

	if (!o->enable_ipv4 && !o->enable_ipv6)
		return error_set(err, -EDOM,
				 "--enable-ipv4 and --enable-ipv6 must not both be false");
	if (n < 1 || n > 2)
		return error_set(err, -EDOM,
				 "--service-cluster-ip-range must be one range or two, not %zu", n);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(lists); i++)
		r = check_family(o, lists[i].flag, lists[i].list, err);
	return r;
}

struct number_range {
	uint32_t first, last;
};

static bool in_ranges(uint32_t n, const struct number_range *list, size_t n_list)
{
	for (size_t i = 0; i < n_list; i++)
		if (n >= list[i].first && n <= list[i].last)
			return true;
	return false;
}

/* Private numbers (RFC 6996), and 65535 as kube-router has it. */
static int check_cluster_asn(const struct options *o, struct error *err)
{
	static const struct number_range private[] = {
		{ 64512, 65535 },
		{ 4200000000, 4294967295 },
	};

	if (o->cluster_asn == 0 || in_ranges(o->cluster_asn, private, ARRAY_SIZE(private)))
		return 0;
	return error_set(err, -EDOM,
			 "--cluster-asn must be 0, from 64512 to 65535, or from 4200000000 to "
			 "4294967295, not %" PRIu32,
			 o->cluster_asn);
}

/* Not 0, AS_TRANS (23456), the documentation and reserved numbers between, nor the last one. */
static int check_peer_asns(const struct options *o, struct error *err)
{
	static const struct number_range usable[] = {
		{ 1, 23455 },
		{ 23457, 63999 },
		{ 64512, 65534 },
		{ 131072, 4294967294 },
	};
	const struct number_list *asns = &o->peer_router_asns;

	for (size_t i = 0; i < asns->n; i++)
		if (!in_ranges(asns->items[i], usable, ARRAY_SIZE(usable)))
			return error_set(err, -EDOM,
					 "--peer-router-asns must be from 1-23455, 23457-63999, "
					 "64512-65534 or 131072-4294967294, not %" PRIu32,
					 asns->items[i]);
	return 0;
}

static int check_peer_ports(const struct options *o, struct error *err)
{
	const struct number_list *ports = &o->peer_router_ports;

	for (size_t i = 0; i < ports->n; i++)
		if (ports->items[i] < 1 || ports->items[i] > UINT16_MAX)
			return error_set(
				err, -EDOM,
				"--peer-router-ports must be from 1 to 65535, not %" PRIu32,
				ports->items[i]);
	return 0;
}

static int check_peer_counts(const struct options *o, struct error *err)
{
	const struct list {
		const char *flag;
		size_t n;
		bool may_lack;
	} lists[] = {
		{ "peer-router-asns", o->peer_router_asns.n, false },
		{ "peer-router-ports", o->peer_router_ports.n, true },
		{ "peer-router-passwords", o->peer_router_passwords.n, true },
	};
	size_t n = o->peer_router_ips.n;

	for (const struct list *l = lists; l < lists + ARRAY_SIZE(lists); l++)
		if (l->n != n && !(l->may_lack && l->n == 0))
			return error_set(err, -EDOM,
					 "--%s must have one item for each of --peer-router-ips: "
					 "%zu%s, not %zu",
					 l->flag, n, l->may_lack ? " or none" : "", l->n);
	return 0;
}

/* RFC 4648, section 4, with its padding. */
static bool is_base64(const char *text)
{
	static const char alphabet[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t len = strlen(text);
	size_t digits = strspn(text, alphabet);
	size_t padding = strspn(text + digits, "=");

	return digits + padding == len && len % 4 == 0 && padding <= 2;
}

static int check_passwords(const struct options *o, struct error *err)
{
	for (size_t i = 0; i < o->peer_router_passwords.n; i++)
		if (!is_base64(o->peer_router_passwords.items[i]))
			return error_set(err, -EDOM,
					 "--peer-router-passwords must be base64; item %zu is not",
					 i + 1);
	return 0;
}

static int check_source(const struct options *o, struct error *err)
{
	const char *other = flag_is_on(flag_find("kubeconfig", 10), o) ? "kubeconfig" :
			    flag_is_on(flag_find("master", 6), o)      ? "master" :
									 NULL;

	if (other && o->manifests && *o->manifests)
		return error_set(
			err, -EDOM,
			"--manifests and --%s can't be given together: objects come from a "
			"directory or from the API server",
			other);
	return 0;
}

int options_check(const struct options *o, struct error *err)
{
	static int (*const rules[])(const struct options *o, struct error *err) = {
		check_stray,      check_command,     check_ranges,      check_texts,
		check_node_ports, check_prefixes,    check_cluster_asn, check_peer_asns,
		check_peer_ports, check_peer_counts, check_passwords,   check_source,
	};
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(rules); i++)
		r = rules[i](o, err);
	return r;
}
