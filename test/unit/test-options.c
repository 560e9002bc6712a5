#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/options-table.h"
#include "base/cleanup.h"
#include "fail-alloc.h"
#include "options-fixture.h"

/* kube-router's flags and defaults, taken from its documentation. */
static const struct reference {
	const char *name;
	uint64_t number; /* durations in milliseconds */
	const char *text;
} reference[] = {
	{ "kubeconfig", 0, "" },
	{ "master", 0, "" },
	{ "hostname-override", 0, "" },
	{ "run-router", true, NULL },
	{ "run-firewall", true, NULL },
	{ "run-service-proxy", true, NULL },
	{ "run-loadbalancer", false, NULL },
	{ "enable-ipv4", true, NULL },
	{ "enable-ipv6", false, NULL },
	{ "cache-sync-timeout", 60000, NULL },
	{ "cleanup-config", false, NULL },
	{ "v", 0, NULL },
	{ "version", false, NULL },
	{ "help", false, NULL },
	{ "enable-pprof", false, NULL },
	{ "health-addr", 0, "" },
	{ "health-port", 20244, NULL },
	{ "metrics-addr", 0, "" },
	{ "metrics-path", 0, "/metrics" },
	{ "metrics-port", 0, NULL },
	{ "ipvs-sync-period", 300000, NULL },
	{ "ipvs-graceful-termination", false, NULL },
	{ "ipvs-graceful-period", 30000, NULL },
	{ "ipvs-permit-all", true, NULL },
	{ "excluded-cidrs", 0, NULL },
	{ "masquerade-all", false, NULL },
	{ "hairpin-mode", false, NULL },
	{ "nodeport-bindon-all-ip", false, NULL },
	{ "runtime-endpoint", 0, "" },
	{ "service-cluster-ip-range", 0, NULL },
	{ "service-external-ip-range", 0, NULL },
	{ "strict-external-ip-validation", true, NULL },
	{ "service-node-port-range", 0, NULL },
	{ "service-tcp-timeout", 0, NULL },
	{ "service-tcpfin-timeout", 0, NULL },
	{ "service-udp-timeout", 0, NULL },
	{ "iptables-sync-period", 300000, NULL },
	{ "netpol-default-deny", false, NULL },
	{ "use-nftables-for-netpol", false, NULL },
	{ "enable-cni", true, NULL },
	{ "auto-mtu", true, NULL },
	{ "enable-overlay", true, NULL },
	{ "overlay-type", 0, "subnet" },
	{ "overlay-encap", 0, "ipip" },
	{ "overlay-encap-port", 5555, NULL },
	{ "enable-pod-egress", true, NULL },
	{ "override-nexthop", false, NULL },
	{ "routes-sync-period", 300000, NULL },
	{ "injected-routes-sync-period", 60000, NULL },
	{ "disable-source-dest-check", true, NULL },
	{ "cluster-asn", 0, NULL },
	{ "nodes-full-mesh", true, NULL },
	{ "enable-ibgp", true, NULL },
	{ "bgp-port", 179, NULL },
	{ "router-id", 0, "" },
	{ "bgp-holdtime", 90000, NULL },
	{ "bgp-graceful-restart", false, NULL },
	{ "bgp-graceful-restart-time", 90000, NULL },
	{ "bgp-graceful-restart-deferral-time", 360000, NULL },
	{ "advertise-cluster-ip", false, NULL },
	{ "advertise-external-ip", false, NULL },
	{ "advertise-loadbalancer-ip", false, NULL },
	{ "advertise-pod-cidr", true, NULL },
	{ "peer-router-ips", 0, NULL },
	{ "peer-router-asns", 0, NULL },
	{ "peer-router-ports", 0, NULL },
	{ "peer-router-passwords", 0, NULL },
	{ "peer-router-passwords-file", 0, "" },
	{ "peer-router-multihop-ttl", 0, NULL },
	{ "enable-bfd", false, NULL },
	{ "bfd-port", 3784, NULL },
	{ "bfd-detection-multiplier", 3, NULL },
	{ "bfd-desired-min-tx-interval", 1000, NULL },
	{ "bfd-required-min-rx-interval", 1000, NULL },
	{ "gobgp-admin-address", 0, "127.0.0.1" },
	{ "gobgp-admin-port", 50051, NULL },
	{ "loadbalancer-ip-range", 0, NULL },
	{ "loadbalancer-default-class", true, NULL },
	{ "loadbalancer-sync-period", 60000, NULL },
};

static void test_all_79_flags_of_kube_router_have_its_defaults(void **state)
{
	struct options_fixture *t = *state;
	size_t theirs = 0;

	assert_int_equal(PARSE(t, "--manifests=x"), 0);
	for (const struct reference *e = reference; e < reference + ARRAY_SIZE(reference); e++) {
		const struct flag *f = flag_find(e->name, strlen(e->name));

		assert_non_null(f);
		assert_false(f->ours);
		assert_false(options_given(&t->o, e->name));
		assert_int_equal(flag_number(f, &t->o), e->number);
		assert_int_equal(f->kind == FLAG_TEXT, e->text != NULL);
		if (e->text)
			assert_string_equal(f->preset ? f->preset : "", e->text);
	}
	for (const struct flag *f = flags; f < flags + n_flags; f++)
		theirs += !f->ours;
	assert_int_equal(ARRAY_SIZE(reference), 79);
	assert_int_equal(theirs, 79);
	assert_int_equal(n_flags - theirs, 5); /* --manifests, those of a command */
}

static void test_defaults_that_are_no_numbers(void **state)
{
	struct options_fixture *t = *state;

	assert_int_equal(PARSE(t, "--manifests=x"), 0);
	assert_string_equal(t->o.overlay_encap, "ipip");
	assert_null(t->o.kubeconfig);
	assert_int_equal(t->o.service_node_port_range.first, 30000);
	assert_int_equal(t->o.service_node_port_range.last, 32767);
	assert_int_equal(t->o.service_cluster_ip_range.n, 1);
	assert_int_equal(t->o.service_cluster_ip_range.items[0].addr.bytes[1], 96);
	assert_int_equal(t->o.service_cluster_ip_range.items[0].len, 12);
	assert_int_equal(t->o.excluded_cidrs.n, 0);
}

static void test_names_and_letters_are_unique(void **state)
{
	(void)state;
	for (const struct flag *f = flags; f < flags + n_flags; f++) {
		assert_ptr_equal(flag_find(f->name, strlen(f->name)), f);
		if (f->letter)
			assert_ptr_equal(flag_by_letter(f->letter), f);
	}
	assert_null(flag_find("run-route", 9));
	assert_null(flag_by_letter('x'));
}

static void test_values_joined_or_apart(void **state)
{
	struct options_fixture *t = *state;

	assert_int_equal(PARSE(t, "--manifests", "a", "--master="), 0);
	assert_string_equal(t->o.manifests, "a");
	assert_string_equal(t->o.master, "");
	assert_true(options_given(&t->o, "master"));
	assert_false(options_given(&t->o, "kubeconfig"));
	assert_false(options_given(&t->o, "no-such-flag"));
	assert_int_equal(PARSE(t, "--manifests", "-h"), 0);
	assert_string_equal(t->o.manifests, "-h");
	assert_false(t->o.help);
}

static void test_letters(void **state)
{
	static const char *const two[][3] = {
		{ "-v", "2" }, { "-v=2" }, { "-v2" }, { "--v=2" }, { "--v", "2" }
	};
	struct options_fixture *t = *state;

	for (size_t i = 0; i < ARRAY_SIZE(two); i++) {
		assert_int_equal(PARSE(t, two[i][0], two[i][1]), 0);
		assert_int_equal(t->o.verbosity, 2);
	}
	assert_int_equal(PARSE(t, "-V"), 0);
	assert_true(t->o.version && !t->o.help);
	assert_int_equal(PARSE(t, "-Vh"), 0);
	assert_true(t->o.version && t->o.help);
	assert_int_equal(PARSE(t, "-h=false"), 0);
	assert_false(t->o.help);
}

static void test_boolean_words(void **state)
{
	static const char *const words[2][6] = { { "0", "f", "F", "false", "FALSE", "False" },
						 { "1", "t", "T", "true", "TRUE", "True" } };
	struct options_fixture *t = *state;
	char text[32];

	for (size_t value = 0; value < 2; value++)
		for (size_t i = 0; i < 6; i++) {
			snprintf(text, sizeof(text), "--enable-bfd=%s", words[value][i]);
			assert_int_equal(PARSE(t, "--enable-bfd", text), 0);
			assert_int_equal(t->o.enable_bfd, value);
		}
	assert_int_equal(PARSE(t, "--enable-bfd"), 0);
	assert_true(t->o.enable_bfd);
	assert_int_equal(PARSE(t, "--enable-bfd=yes"), -EINVAL);
	assert_says(t, "--enable-bfd takes true or false, not \"yes\"");
	/* A boolean never takes the next argument. */
	assert_int_equal(PARSE(t, "--run-router", "false"), -EDOM);
	assert_says(t, "\"false\"");
	assert_says(t, "--run-router=false");
}

static void test_durations_as_go_reads_them(void **state)
{
	static const struct {
		const char *text;
		uint64_t ms;
	} good[] = {
		{ "0", 0 },
		{ "0s", 0 },
		{ "300ms", 300 },
		{ "5s", 5000 },
		{ "1m", 60000 },
		{ "2h22m", 8520000 },
		{ "1.25h", 4500000 },
		{ "1h2m3s", 3723000 },
		{ ".5s", 500 },
		{ "1.s", 1000 },
		{ "+5s", 5000 },
		{ "1ns", 1 },
		{ "1000us", 1 },
		{ "1001us", 2 },
		{ "2000\u00b5s", 2 },
		{ "2000\u03bcs", 2 },
		{ "1s1s", 2000 },
		{ "9223372036854775807ns", 9223372036855 },
		{ "2562047h", 9223369200000 },
	};
	static const char *const bad[] = {
		"",
		"5",
		"-5s",
		"-0s",
		"s",
		".s",
		"1x",
		"1 s",
		"5s ",
		"1d",
		"+",
		"1.2.3s",
		"9223372036854775808ns",
		"2562048h",
		"99999999999999999999s",
		"1sm",
		"0x1s",
	};
	struct options_fixture *t = *state;

	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		assert_int_equal(PARSE(t, "--ipvs-graceful-period", good[i].text), 0);
		assert_int_equal(t->o.ipvs_graceful_period_ms, good[i].ms);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (PARSE(t, "--ipvs-graceful-period", bad[i]) != -EINVAL)
			fail_msg("duration \"%s\" is taken", bad[i]);
	assert_says(t, "--ipvs-graceful-period takes a duration");
}

static void test_S11_numbers_stop_at_their_width(void **state)
{
	static const char *const bad[][2] = {
		{ "--health-port=65536", "from 0 to 65535, not \"65536\"" },
		{ "--peer-router-multihop-ttl=256", "from 0 to 255" },
		{ "--cluster-asn=4294967296", "from 0 to 4294967295" },
		{ "--cluster-asn=18446744073709551617", "from 0 to 4294967295" },
		{ "--peer-router-asns=1,4294967296", "not \"4294967296\"" },
		{ "--service-node-port-range=1-65536", "two ports" },
		{ "--service-node-port-range=30000", "two ports" },
		{ "--health-port=-1", "not \"-1\"" },
		{ "--health-port=010", "not \"010\"" },
		{ "--health-port=", "not \"\"" },
		{ "--health-port=1 ", "not \"1 \"" },
		{ "-vx", "--v takes a whole number" },
	};
	struct options_fixture *t = *state;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(PARSE(t, bad[i][0]), -EINVAL);
		assert_says(t, bad[i][1]);
	}
	assert_int_equal(PARSE(t, "--health-port=65535", "--peer-router-multihop-ttl=255",
			       "--cluster-asn=4294967295"),
			 0);
	assert_int_equal(t->o.health_port, 65535);
	assert_int_equal(t->o.peer_router_multihop_ttl, 255);
	assert_int_equal(t->o.cluster_asn, 4294967295);
}

static void test_lists_are_split_and_repeated(void **state)
{
	struct options_fixture *t = *state;

	assert_int_equal(PARSE(t, "--peer-router-ips=10.0.0.1, 10.0.0.2", "--peer-router-ips",
			       "fd00::1", "--peer-router-asns=65001,65002,65003",
			       "--peer-router-passwords=cHc=,,cHcy",
			       "--service-external-ip-range=\"192.0.2.0/24\""),
			 0);
	assert_int_equal(t->o.peer_router_ips.n, 3);
	assert_int_equal(t->o.peer_router_ips.items[1].bytes[3], 2);
	assert_int_equal(t->o.peer_router_ips.items[2].family, AF_INET6);
	assert_int_equal(t->o.peer_router_asns.items[2], 65003);
	assert_int_equal(t->o.peer_router_passwords.n, 3);
	assert_string_equal(t->o.peer_router_passwords.items[1], "");
	assert_string_equal(t->o.peer_router_passwords.items[2], "cHcy");
	assert_int_equal(t->o.service_external_ip_range.items[0].len, 24);
	assert_int_equal(t->o.service_external_ip_range.n, 1);
}

static void test_lists_replace_their_default(void **state)
{
	struct options_fixture *t = *state;

	assert_int_equal(PARSE(t, "--service-cluster-ip-range=172.30.0.0/16"), 0);
	assert_int_equal(t->o.service_cluster_ip_range.n, 1);
	assert_int_equal(t->o.service_cluster_ip_range.items[0].addr.bytes[0], 172);
	assert_int_equal(PARSE(t, "--excluded-cidrs="), 0);
	assert_int_equal(t->o.excluded_cidrs.n, 0);
}

static void test_list_items_that_are_refused(void **state)
{
	static const char *const bad[] = {
		"--peer-router-ips=10.0.0.1,",       "--peer-router-ips=10.0.0",
		"--peer-router-ips=10.0.0.1/32",     "--peer-router-ips=router",
		"--excluded-cidrs=10.0.0.0",         "--excluded-cidrs=10.0.0.0/33",
		"--excluded-cidrs=\"10.0.0.0/8",     "--loadbalancer-ip-range=,",
		"--peer-router-asns=65000;65001",    "--peer-router-ports=bgp",
		"--service-cluster-ip-range=::/129",
	};
	struct options_fixture *t = *state;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (PARSE(t, bad[i]) != -EINVAL)
			fail_msg("%s is taken", bad[i]);
}

static void test_last_scalar_wins(void **state)
{
	struct options_fixture *t = *state;

	assert_int_equal(PARSE(t, "--manifests=a", "--enable-ipv6", "--bgp-port=1", "--manifests=b",
			       "--enable-ipv6=false", "--bgp-port=2"),
			 0);
	assert_string_equal(t->o.manifests, "b");
	assert_false(t->o.enable_ipv6);
	assert_true(options_given(&t->o, "enable-ipv6"));
	assert_int_equal(t->o.bgp_port, 2);
}

static void test_unknown_flags_name_the_nearest(void **state)
{
	static const char *const unknown[][2] = {
		{ "--run-ruoter=false", "unknown flag --run-ruoter; did you mean --run-router?" },
		{ "--hairpin", "did you mean --hairpin-mode?" },
		{ "--enable-ipv5", "did you mean --enable-ipv4?" },
		{ "--peer-router-ip", "did you mean --peer-router-ips?" },
		{ "--something-else-entirely", "see kube-nft --help" },
		{ "--", "is neither" },
		{ "--=x", "unknown flag --;" },
		{ "---v=1", "unknown flag ---v;" },
		{ "-x", "unknown flag -x in -x" },
		{ "-run-router=false", "unknown flag -r in -run-router;" },
	};
	struct options_fixture *t = *state;

	for (size_t i = 0; i < ARRAY_SIZE(unknown); i++) {
		assert_true(PARSE(t, unknown[i][0], "stray") < 0);
		assert_says(t, unknown[i][1]);
	}
	assert_int_equal(PARSE(t, "--run-ruoter"), -EINVAL);
	assert_int_equal(PARSE(t, "--manifests"), -EINVAL);
	assert_says(t, "--manifests needs a value");
}

static void test_another_flag_is_no_value(void **state)
{
	struct options_fixture *t = *state;

	assert_int_equal(PARSE(t, "--service-udp-timeout", "--peer-router-passwords=c2VjcmV0"),
			 -EINVAL);
	assert_says(t, "--service-udp-timeout needs a value");
	assert_null(strstr(t->err.message, "c2VjcmV0"));
	assert_int_equal(PARSE(t, "--service-udp-timeout", "-1s"), -EINVAL);
	assert_says(t, "-1s");
}

static void test_stray_arguments_are_refused(void **state)
{
	struct options_fixture *t = *state;

	assert_int_equal(PARSE(t, "start", "--manifests=x"), -EDOM);
	assert_says(t, "\"start\"");
	assert_int_equal(PARSE(t, "--manifests=x", "--", "--enable-ipv6"), -EDOM);
	assert_says(t, "\"--enable-ipv6\"");
	assert_int_equal(PARSE(t, "-"), -EDOM);
	assert_int_equal(PARSE(t, "--manifests=x", "--"), 0);
}

static void test_help_and_version_come_before_the_rules(void **state)
{
	struct options_fixture *t = *state;

	assert_int_equal(PARSE(t, "--bgp-port=0", "--help"), 0);
	assert_int_equal(PARSE(t, "--bgp-port=0", "--version"), 0);
	assert_int_equal(PARSE(t, "--bgp-port=0"), -EDOM);
	assert_int_equal(PARSE(t, "--bgp-port=x", "--help"), -EINVAL);
}

static void test_node_name_comes_from_flag_then_environment_then_host(void **state)
{
	struct options_fixture *t = *state;
	char host[256] = "";
	char *name;

	assert_int_equal(setenv("NODE_NAME", "from-env", 1), 0);
	assert_int_equal(PARSE(t, "--hostname-override=from-flag"), 0);
	assert_int_equal(options_node_name(&t->o, &name, &t->err), 0);
	assert_string_equal(name, "from-flag");
	free(name);
	assert_int_equal(PARSE(t, "--hostname-override="), 0);
	assert_int_equal(options_node_name(&t->o, &name, &t->err), 0);
	assert_string_equal(name, "from-env");
	free(name);
	assert_int_equal(setenv("NODE_NAME", "", 1), 0);
	assert_int_equal(options_node_name(&t->o, &name, &t->err), 0);
	assert_int_equal(gethostname(host, sizeof(host) - 1), 0);
	assert_string_equal(name, host);
	free(name);
}

static void test_H1_each_failed_allocation_is_told(void **state)
{
	struct options_fixture *t = *state;
	unsigned n = 1;

	for (;; n++) {
		char *name = NULL;
		int r;

		fail_alloc_at(n);
		r = PARSE(t, "--manifests=a", "--manifests=b", "--peer-router-ips=10.0.0.1",
			  "--peer-router-asns=65001",
			  "--peer-router-passwords=cHc=", "--service-node-port-range=1:2");
		if (r == 0)
			r = options_node_name(&t->o, &name, &t->err);
		if (!fail_alloc_end()) {
			assert_int_equal(r, 0);
			free(name);
			break;
		}
		assert_int_equal(r, -ENOMEM);
		assert_says(t, "out of memory");
	}
	assert_in_range(n, 15, 200);
}

static void test_S4_messages_hold_no_control_bytes(void **state)
{
	struct options_fixture *t = *state;

	assert_int_equal(PARSE(t, "--enable-bfd=\033[2J\n"), -EINVAL);
	for (const char *p = t->err.message; *p; p++)
		assert_true((unsigned char)*p >= ' ');
	assert_int_equal(PARSE(t, "\033[2J"), -EDOM);
	assert_null(strchr(t->err.message, '\033'));
	assert_int_equal(PARSE(t, "--\033[2J"), -EINVAL);
	assert_null(strchr(t->err.message, '\033'));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		OPTIONS_TEST(test_all_79_flags_of_kube_router_have_its_defaults),
		OPTIONS_TEST(test_defaults_that_are_no_numbers),
		OPTIONS_TEST(test_names_and_letters_are_unique),
		OPTIONS_TEST(test_values_joined_or_apart),
		OPTIONS_TEST(test_letters),
		OPTIONS_TEST(test_boolean_words),
		OPTIONS_TEST(test_durations_as_go_reads_them),
		OPTIONS_TEST(test_S11_numbers_stop_at_their_width),
		OPTIONS_TEST(test_lists_are_split_and_repeated),
		OPTIONS_TEST(test_lists_replace_their_default),
		OPTIONS_TEST(test_list_items_that_are_refused),
		OPTIONS_TEST(test_last_scalar_wins),
		OPTIONS_TEST(test_unknown_flags_name_the_nearest),
		OPTIONS_TEST(test_another_flag_is_no_value),
		OPTIONS_TEST(test_stray_arguments_are_refused),
		OPTIONS_TEST(test_help_and_version_come_before_the_rules),
		OPTIONS_TEST(test_node_name_comes_from_flag_then_environment_then_host),
		OPTIONS_TEST(test_H1_each_failed_allocation_is_told),
		OPTIONS_TEST(test_S4_messages_hold_no_control_bytes),
	};

	return cmocka_run_group_tests_name("options", tests, NULL, NULL);
}
