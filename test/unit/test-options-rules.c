#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/options-table.h"
#include "base/cleanup.h"
#include "options-fixture.h"

enum { ROW_ARGS = 4 };

/* A command line, and the words that must be in its refusal; NULL: it is taken. */
struct row {
	const char *args[ROW_ARGS];
	const char *says;
};

static void assert_rows(struct options_fixture *t, const struct row *rows, size_t n)
{
	for (const struct row *row = rows; row < rows + n; row++) {
		const char *const *a = row->args;
		int r = PARSE(t, a[0], a[1], a[2], a[3]);

		if (r != (row->says ? -EDOM : 0))
			fail_msg("%s %s: %d \"%s\"", a[0], a[1] ? a[1] : "", r, t->err.message);
		if (row->says)
			assert_says(t, row->says);
	}
}

static void test_values_must_be_in_their_range(void **state)
{
	static const struct row rows[] = {
		{ { "--cache-sync-timeout=0" }, "--cache-sync-timeout must be more than 0" },
		{ { "--ipvs-sync-period=0s" }, "--ipvs-sync-period must be more than 0" },
		{ { "--iptables-sync-period=0s" }, "--iptables-sync-period must be more than 0" },
		{ { "--routes-sync-period=0s" }, "--routes-sync-period must be more than 0" },
		{ { "--injected-routes-sync-period=0" }, "must be more than 0, not 0ms" },
		{ { "--loadbalancer-sync-period=0h" }, "must be more than 0" },
		{ { "--ipvs-sync-period=1ns" }, NULL },
		{ { "--ipvs-graceful-period=0" }, NULL },
		{ { "--overlay-encap-port=1023" }, "from 1024 to 65535, not 1023" },
		{ { "--overlay-encap-port=1024" }, NULL },
		{ { "--bgp-port=0" }, "from 1 to 65535, not 0" },
		{ { "--bgp-port=65536" }, "from 1 to 65535" },
		{ { "--bgp-holdtime=2s" }, "from 3s to 65536s, not 2000ms" },
		{ { "--bgp-holdtime=3s" }, NULL },
		{ { "--bgp-holdtime=65536s" }, NULL },
		{ { "--bgp-holdtime=65536.001s" }, "from 3s to 65536s" },
		{ { "--service-node-port-range=2000:2001" }, NULL },
		{ { "--service-node-port-range=2000-2000" }, "not 2000-2000" },
		{ { "--service-node-port-range=3-2" }, "must begin below its end" },
		{ { "--metrics-path=metrics" }, "--metrics-path must begin with /" },
		{ { "--overlay-encap=fou" }, NULL },
		{ { "--overlay-encap=gre" }, "must be ipip or fou, not \"gre\"" },
		{ { "--overlay-type=sometimes" }, NULL },
		{ { "--router-id=generate" }, NULL },
		{ { "--router-id=192.0.2.1" }, NULL },
		{ { "--router-id=fd00::1" }, "--router-id must be an IPv4 address" },
		{ { "--router-id=random" }, "not \"random\"" },
		{ { "--runtime-endpoint=unix:///run/cri.sock" }, NULL },
		{ { "--runtime-endpoint=/run/cri.sock" }, "not \"/run/cri.sock\"" },
		{ { "--cluster-asn=64511" }, "not 64511" },
		{ { "--cluster-asn=64512" }, NULL },
		{ { "--cluster-asn=65535" }, NULL },
		{ { "--cluster-asn=65536" }, "--cluster-asn must be" },
		{ { "--cluster-asn=4199999999" }, "--cluster-asn must be" },
		{ { "--cluster-asn=4200000000" }, NULL },
		{ { "--cluster-asn=4294967295" }, NULL },
	};

	assert_rows(*state, rows, ARRAY_SIZE(rows));
}

static void test_graceful_restart_times_count_only_with_it(void **state)
{
	static const struct row rows[] = {
		{ { "--bgp-graceful-restart-time=0" }, NULL },
		{ { "--bgp-graceful-restart-deferral-time=19h" }, NULL },
		{ { "--bgp-graceful-restart", "--bgp-graceful-restart-time=0" }, "more than 0" },
		{ { "--bgp-graceful-restart", "--bgp-graceful-restart-time=4095s" }, NULL },
		{ { "--bgp-graceful-restart", "--bgp-graceful-restart-time=4096s" }, "4095s" },
		{ { "--bgp-graceful-restart", "--bgp-graceful-restart-deferral-time=0s" },
		  "--bgp-graceful-restart-deferral-time must be more than 0" },
		{ { "--bgp-graceful-restart", "--bgp-graceful-restart-deferral-time=18h" }, NULL },
		{ { "--bgp-graceful-restart", "--bgp-graceful-restart-deferral-time=18h1ms" },
		  "up to 18h" },
	};

	assert_rows(*state, rows, ARRAY_SIZE(rows));
}

static void test_ranges_need_their_family(void **state)
{
	static const struct row rows[] = {
		{ { "--enable-ipv4=false", "--enable-ipv6" },
		  "--service-cluster-ip-range has 10.96.0.0/12 by default, but --enable-ipv4 is" },
		{ { "--enable-ipv4=false", "--enable-ipv6",
		    "--service-cluster-ip-range=fd00::/108" },
		  NULL },
		{ { "--enable-ipv4=false" }, "must not both be false" },
		{ { "--enable-ipv4=false", "--enable-ipv6",
		    "--service-cluster-ip-range=10.0.0.0/8" },
		  "has 10.0.0.0/8, but --enable-ipv4 is false" },
		{ { "--service-cluster-ip-range=10.0.0.0/16,fd00::/108" },
		  "has fd00::/108, but --enable-ipv6 is false" },
		{ { "--service-cluster-ip-range=10.0.0.0/16,fd00::/108", "--enable-ipv6" }, NULL },
		{ { "--service-external-ip-range=fd00::/108" },
		  "--service-external-ip-range has fd00::/108" },
		{ { "--loadbalancer-ip-range=fd00::/108" },
		  "--loadbalancer-ip-range has fd00::/108" },
		{ { "--excluded-cidrs=fd00::/108" }, NULL },
		{ { "--service-cluster-ip-range=" }, "one range or two, not 0" },
		{ { "--service-cluster-ip-range=10.0.0.0/8,11.0.0.0/8",
		    "--service-cluster-ip-range=12.0.0.0/8" },
		  "one range or two, not 3" },
	};

	assert_rows(*state, rows, ARRAY_SIZE(rows));
}

static void test_peers_must_fit_together(void **state)
{
#define PEER "--peer-router-ips=192.0.2.1"
#define ASN "--peer-router-asns=65001"
	static const struct row rows[] = {
		{ { PEER, ASN }, NULL },
		{ { PEER }, "--peer-router-asns must have one item for each" },
		{ { ASN }, "--peer-router-asns" },
		{ { PEER, ASN, "--peer-router-ports=179" }, NULL },
		{ { PEER, ASN, "--peer-router-ports=179,180" }, "--peer-router-ports must have" },
		{ { PEER, ASN, "--peer-router-ports=0" }, "from 1 to 65535, not 0" },
		{ { PEER, ASN, "--peer-router-ports=65536" }, "from 1 to 65535, not 65536" },
		{ { PEER, ASN, "--peer-router-passwords=,cHc=" }, "1 or none, not 2" },
		{ { PEER, "--peer-router-asns=0" }, "not 0" },
		{ { PEER, "--peer-router-asns=23455" }, NULL },
		{ { PEER, "--peer-router-asns=23456" }, "not 23456" },
		{ { PEER, "--peer-router-asns=63999" }, NULL },
		{ { PEER, "--peer-router-asns=64000" }, "not 64000" },
		{ { PEER, "--peer-router-asns=65534" }, NULL },
		{ { PEER, "--peer-router-asns=65535" }, "not 65535" },
		{ { PEER, "--peer-router-asns=131071" }, "not 131071" },
		{ { PEER, "--peer-router-asns=131072" }, NULL },
		{ { PEER, "--peer-router-asns=4294967294" }, NULL },
		{ { PEER, "--peer-router-asns=4294967295" }, "not 4294967295" },
		{ { "--bfd-port=0" }, NULL },
		{ { PEER, ASN, "--bfd-port=0" }, "--bfd-port must be" },
		{ { PEER, ASN, "--bfd-detection-multiplier=256" }, "from 1 to 255" },
		{ { PEER, ASN, "--bfd-desired-min-tx-interval=4294968" }, "1 to 4294967 (ms)" },
		{ { PEER, ASN, "--bfd-required-min-rx-interval=0" }, "1 to 4294967 (ms)" },
	};

	assert_rows(*state, rows, ARRAY_SIZE(rows));
}

static void test_S7_passwords_are_never_repeated(void **state)
{
	static const char *const lines[][3] = {
		{ "--peer-router-passwords=c2VjcmV0!" },
		{ "--peer-router-passwords=c2VjcmV0c" },
		{ "--peer-router-passwords=c2VjcmV0====" },
		{ "--peer-router-passwords=c2VjcmV0" },
		{ "--peer-router-passwords", "cHc=,", "c2VjcmV0" },
		{ "--peer-router-password=c2VjcmV0" },
		{ "-peer-router-passwords=c2VjcmV0" },
		{ "--peer-router-passwords=c2VjcmV0", "--health-port=x" },
		{ "--", "--peer-router-passwords=c2VjcmV0" },
	};
	struct options_fixture *t = *state;

	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		assert_true(PARSE(t, lines[i][0], lines[i][1], lines[i][2]) < 0);
		assert_true(strlen(t->err.message) > 0);
		assert_null(strstr(t->err.message, "c2Vj"));
	}
	assert_int_equal(PARSE(t, PEER, ASN, "--peer-router-passwords=cHc"), -EDOM);
	assert_says(t, "item 1 is not");
	assert_int_equal(PARSE(t, PEER, ASN, "--peer-router-passwords=c2VjcmV0"), 0);
	for (const struct flag *f = flags; f < flags + n_flags; f++)
		assert_int_equal(f->secret, strcmp(f->name, "peer-router-passwords") == 0);
}

static void test_flags_of_commands(void **state)
{
	static const struct {
		const char *command, *arg;
		const char *says; /* NULL: it is taken */
	} rows[] = {
		{ "services", "--json", NULL },
		{ "services", "-nkube-system", NULL },
		{ "services", "--namespace=kube-system", NULL },
		{ "services", "--service=web", NULL },
		{ "services", "-v1", NULL },
		{ "services", "-V", NULL },
		{ "services", "--help", NULL },
		{ "services", "--manifests=x", "kube-nft services does not take --manifests" },
		{ "services", "--run-router=false", "does not take --run-router" },
		{ "services", "web", "\"web\" is neither a flag nor" },
		{ "services", "--pod=web", "kube-nft services does not take --pod" },
		{ "policies", "--json", NULL },
		{ "policies", "-nshop", NULL },
		{ "policies", "--pod=web", NULL },
		{ "policies", "--service=web", "kube-nft policies does not take --service" },
		{ "policies", "--kubeconfig=x", "does not take --kubeconfig" },
		{ "render", "--manifests=x", NULL },
		{ "render", "--json", "--json is for kube-nft services and kube-nft policies" },
		{ NULL, "--pod=web", "--pod is for kube-nft policies" },
		{ NULL, "--service=web", "--service is for kube-nft services" },
		{ NULL, "-nx", "--namespace is for kube-nft services" },
	};
	struct options_fixture *t = *state;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		t->command = rows[i].command;
		assert_int_equal(PARSE(t, rows[i].arg), rows[i].says ? -EDOM : 0);
		if (rows[i].says)
			assert_says(t, rows[i].says);
	}
	t->command = "services";
	assert_int_equal(PARSE(t, "-n", "a", "--service", "b", "--json"), 0);
	assert_string_equal(t->o.namespace, "a");
	assert_string_equal(t->o.service, "b");
	assert_true(t->o.json);
}

static unsigned notices;

static void count_notice(const char *flag, const char *reason)
{
	if (strcmp(flag, "--use-nftables-for-netpol") == 0) {
		assert_non_null(strstr(reason, "has no effect"));
		return;
	}
	assert_string_equal(flag, "--health-port");
	assert_non_null(strstr(reason, "not part of this version"));
	notices++;
}

static void test_parts_that_are_not_built_are_refused(void **state)
{
	static const struct {
		const char *arg;
		const char *says;
	} rows[] = {
		{ "--run-router", "--run-router: routing is not part of this version yet" },
		{ "--run-firewall", NULL },
		{ "--run-loadbalancer", "--run-loadbalancer:" },
		{ "--cleanup-config", "nft delete table ip kube-nft" },
		{ "--enable-pprof", "--enable-pprof:" },
		{ "--metrics-port=1", "--metrics-port:" },
		{ "--metrics-port=65534", "--metrics-port:" },
		{ "--metrics-port=65535", NULL },
		{ "--metrics-port=0", NULL },
		{ "--health-port=20244", "--health-port:" },
		{ "--kubeconfig=", NULL },
		{ "--master=", NULL },
		{ "--ipvs-graceful-termination", NULL },
		{ "--runtime-endpoint=unix:///run/cri.sock", "direct server return" },
		{ "--service-tcp-timeout=1s", "IPVS timeouts do not exist in nftables" },
		{ "--service-tcpfin-timeout=1s", "IPVS timeouts do not exist in nftables" },
		{ "--service-udp-timeout=1s", "IPVS timeouts do not exist in nftables" },
		{ "--service-udp-timeout=0s", NULL },
		{ "--netpol-default-deny", NULL },
		{ "--use-nftables-for-netpol=true", NULL },
		{ "--use-nftables-for-netpol=false", NULL },
		{ "--hairpin-mode", NULL },
		{ "--excluded-cidrs=10.0.0.0/8", NULL },
		{ "--ipvs-permit-all=false", NULL },
		{ "--advertise-cluster-ip", NULL },
	};
	struct options_fixture *t = *state;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		int r;

		assert_int_equal(PARSE(t, "--run-router=false", "--run-firewall=false",
				       "--manifests=x", rows[i].arg),
				 0);
		r = options_check_built(&t->o, count_notice, &t->err);
		if (r != (rows[i].says ? -EOPNOTSUPP : 0))
			fail_msg("%s: %d \"%s\"", rows[i].arg, r, t->err.message);
		if (rows[i].says)
			assert_says(t, rows[i].says);
	}
}

static void test_defaults_that_are_not_built_are_refused_too(void **state)
{
	struct options_fixture *t = *state;

	assert_int_equal(PARSE(t, "--manifests=x"), 0);
	assert_int_equal(options_check_built(&t->o, count_notice, &t->err), -EOPNOTSUPP);
	assert_says(t, "--run-router is on by default, but routing is not part of this version");
}

static void test_objects_come_from_one_source(void **state)
{
	struct options_fixture *t = *state;

	assert_int_equal(PARSE(t, "--manifests=x", "--kubeconfig=y"), -EDOM);
	assert_says(t, "--manifests and --kubeconfig can't be given together");
	assert_int_equal(PARSE(t, "--manifests=x", "--master=https://192.0.2.1"), -EDOM);
	assert_says(t, "--manifests and --master can't be given together");
	assert_int_equal(PARSE(t, "--kubeconfig=y", "--master=https://192.0.2.1", "--manifests="),
			 0);
	assert_int_equal(PARSE(t, "--run-router=false", "--run-firewall=false"), 0);
	assert_int_equal(options_check_built(&t->o, count_notice, &t->err), 0);
}

static void test_default_health_port_is_only_noticed(void **state)
{
	struct options_fixture *t = *state;

	notices = 0;
	assert_int_equal(PARSE(t, "--manifests=x", "--run-router=false", "--run-firewall=false"),
			 0);
	assert_int_equal(options_check_built(&t->o, count_notice, &t->err), 0);
	assert_int_equal(notices, 1);
	assert_int_equal(PARSE(t, "--manifests=x", "--run-router=false", "--run-firewall=false",
			       "--health-port=0"),
			 0);
	assert_int_equal(options_check_built(&t->o, count_notice, &t->err), 0);
	assert_int_equal(notices, 1);
}

static void test_nothing_enabled(void **state)
{
	struct options_fixture *t = *state;

	assert_int_equal(PARSE(t, "--run-router=false", "--run-firewall=false"), 0);
	assert_false(options_nothing_enabled(&t->o));
	assert_int_equal(PARSE(t, "--run-service-proxy=false", "--run-firewall=false"), 0);
	assert_false(options_nothing_enabled(&t->o));
	assert_int_equal(PARSE(t, "--run-service-proxy=false", "--run-firewall=false",
			       "--run-router=false", "--run-loadbalancer"),
			 0);
	assert_true(options_nothing_enabled(&t->o));
}

/* Everything that options_usage() prints; to be freed. */
static char *usage_text(void)
{
	FILE *file = tmpfile();
	int saved = dup(STDOUT_FILENO);
	char *text = calloc(1, 65536);

	assert_true(file && saved >= 0 && text);
	fflush(stdout);
	assert_true(dup2(fileno(file), STDOUT_FILENO) >= 0);
	options_usage();
	fflush(stdout);
	assert_true(dup2(saved, STDOUT_FILENO) >= 0);
	close(saved);
	rewind(file);
	assert_in_range(fread(text, 1, 65536, file), 1000, 65535);
	fclose(file);
	return text;
}

static void test_usage_tells_all_flags_in_100_columns(void **state)
{
	char *text = usage_text();
	size_t n_lines_with_flags = 0;
	char name[64], help[80];
	char *rest = text;
	char *line;

	(void)state;
	for (const struct flag *f = flags; f < flags + n_flags; f++) {
		const char *at;

		snprintf(name, sizeof(name), "--%s", f->name);
		at = strstr(text, name);
		while (at && !strchr(" \n", at[strlen(name)]))
			at = strstr(at + 1, name);
		assert_non_null(at);
		snprintf(help, sizeof(help), " %s", f->help);
		assert_non_null(strstr(text, help));
		assert_true(!f->preset || strstr(text, f->preset));
	}
	while ((line = strsep(&rest, "\n"))) {
		assert_in_range(strlen(line), 0, 100);
		n_lines_with_flags += line[0] == ' ' && line[6] == '-' && line[7] == '-';
	}
	assert_int_equal(n_lines_with_flags, n_flags);
	free(text);
}

/* "--v" and its default of ".It Fl v , \-v Ns = Ns Ar n Pq 0". False when @line starts no flag. */
static bool man_flag(char *line, const char **ret_name, const char **ret_preset)
{
	char *name = strncmp(line, ".It Fl ", 7) == 0 ? strstr(line, "\\-") : NULL;
	char *preset, *to;

	if (!name)
		return false;
	line[strcspn(line, "\n")] = '\0';
	preset = strstr(name, " Pq ");
	*ret_preset = preset ? preset + 4 : NULL;
	name += 2;
	name[strcspn(name, " ")] = '\0';
	*ret_name = to = name;
	for (; *name; name++)
		if (*name != '\\')
			*to++ = *name;
	*to = '\0';
	return true;
}

static void test_man_page_lists_the_flags_of_the_table(void **state)
{
	FILE *page = fopen("docs/man/kube-nft.8", "re");
	const char *name, *preset;
	char *line = NULL;
	size_t size = 0;
	size_t n = 0;

	(void)state;
	assert_non_null(page);
	while (getline(&line, &size, page) > 0) {
		if (!man_flag(line, &name, &preset))
			continue;
		if (n == n_flags || strcmp(flags[n].name, name) != 0)
			fail_msg("the man page's --%s is not the table's next flag", name);
		if (strcmp(flags[n].preset ? flags[n].preset : "", preset ? preset : "") != 0)
			fail_msg("the man page has another default of --%s", name);
		n++;
	}
	assert_int_equal(n, n_flags);
	free(line);
	fclose(page);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		OPTIONS_TEST(test_values_must_be_in_their_range),
		OPTIONS_TEST(test_graceful_restart_times_count_only_with_it),
		OPTIONS_TEST(test_ranges_need_their_family),
		OPTIONS_TEST(test_peers_must_fit_together),
		OPTIONS_TEST(test_S7_passwords_are_never_repeated),
		OPTIONS_TEST(test_flags_of_commands),
		OPTIONS_TEST(test_parts_that_are_not_built_are_refused),
		OPTIONS_TEST(test_defaults_that_are_not_built_are_refused_too),
		OPTIONS_TEST(test_default_health_port_is_only_noticed),
		OPTIONS_TEST(test_objects_come_from_one_source),
		OPTIONS_TEST(test_nothing_enabled),
		OPTIONS_TEST(test_usage_tells_all_flags_in_100_columns),
		OPTIONS_TEST(test_man_page_lists_the_flags_of_the_table),
	};

	return cmocka_run_group_tests_name("options-rules", tests, NULL, NULL);
}
