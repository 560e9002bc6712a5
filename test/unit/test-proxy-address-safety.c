#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "proxy/address-safety.h"

struct row {
	const char *addr;
	const char *problem;
};

#define UNSPECIFIED "is an unspecified address"
#define LOOPBACK "is a loopback address"
#define LINK_LOCAL "is a link-local address"
#define MULTICAST "is a multicast address"

static const struct row never[] = {
	{ "0.0.0.0", UNSPECIFIED },
	{ "0.1.2.3", UNSPECIFIED },
	{ "::", UNSPECIFIED },
	{ "127.0.0.1", LOOPBACK },
	{ "127.255.255.254", LOOPBACK },
	{ "::1", LOOPBACK },
	{ "169.254.169.254", LINK_LOCAL },
	{ "fe80::1", LINK_LOCAL },
	{ "224.0.0.1", MULTICAST },
	{ "239.255.255.255", MULTICAST },
	{ "ff02::1", MULTICAST },
	{ "255.255.255.255", "is the broadcast address" },
};

static const struct row always[] = {
	{ "1.0.0.1", NULL },     { "126.255.255.255", NULL },
	{ "128.0.0.1", NULL },   { "169.253.1.1", NULL },
	{ "169.255.1.1", NULL }, { "223.255.255.255", NULL },
	{ "2001:db8::1", NULL }, { "::2", NULL },
	{ "fec0::1", NULL },     { "192.168.1.1", NULL },
};

static struct addr addr(const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse(text, &a), 0);
	return a;
}

static struct prefix prefix(const char *text)
{
	struct prefix p;

	assert_int_equal(prefix_parse(text, &p), 0);
	return p;
}

static void assert_problem(const char *actual, const char *expected)
{
	if (expected)
		assert_string_equal(actual, expected);
	else
		assert_null(actual);
}

static void check_external(const struct row *rows, size_t n, const struct address_rules *rules)
{
	for (size_t i = 0; i < n; i++) {
		struct addr a = addr(rows[i].addr);

		assert_problem(external_addr_problem(&a, rules), rows[i].problem);
	}
}

static void test_O2_external_ip_refused(void **state)
{
	const struct prefix everything[] = { prefix("0.0.0.0/0"), prefix("::/0") };
	const struct address_rules lax = { .strict = false };
	const struct address_rules strict = {
		.strict = true,
		.allowed_ranges = everything,
		.n_allowed_ranges = ARRAY_SIZE(everything),
	};

	(void)state;
	check_external(never, ARRAY_SIZE(never), &lax);
	check_external(never, ARRAY_SIZE(never), &strict);
	check_external(always, ARRAY_SIZE(always), &lax);
	check_external(always, ARRAY_SIZE(always), &strict);
}

static void test_O2_strict_external_ip_refused(void **state)
{
	static const struct row rows[] = {
		{ "10.96.0.1", "is inside a range of cluster IPs" },
		{ "10.96.0.10", "is inside a range of cluster IPs" },
		{ "fd00::1", "is inside a range of cluster IPs" },
		{ "192.168.0.7", "is outside the ranges configured for its type" },
		{ "2001:db9::1", "is outside the ranges configured for its type" },
		{ "10.0.0.5", "is an address of a node" },
		{ "10.0.0.4", NULL },
		{ "2001:db8::1", NULL },
	};
	const struct prefix cluster[] = { prefix("10.96.0.0/12"), prefix("fd00::/108") };
	const struct prefix allowed[] = { prefix("10.0.0.0/8"), prefix("2001:db8::/32") };
	const struct addr node[] = { addr("10.0.0.5"), addr("192.168.0.7") };
	const struct address_rules rules = {
		.strict = true,
		.cluster_ranges = cluster,
		.n_cluster_ranges = ARRAY_SIZE(cluster),
		.allowed_ranges = allowed,
		.n_allowed_ranges = ARRAY_SIZE(allowed),
		.node_addrs = node,
		.n_node_addrs = ARRAY_SIZE(node),
	};
	struct address_rules lax = rules;

	(void)state;
	check_external(rows, ARRAY_SIZE(rows), &rules);
	lax.strict = false;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct addr a = addr(rows[i].addr);

		assert_null(external_addr_problem(&a, &lax));
	}
}

static void test_O2_strict_without_a_range_refuses_all(void **state)
{
	const struct address_rules rules = { .strict = true };
	struct addr a = addr("192.0.2.1");

	(void)state;
	assert_string_equal(external_addr_problem(&a, &rules),
			    "is refused: no range is configured for its type");
}

static void test_O3_endpoint_addr_skipped(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(never); i++) {
		struct addr a = addr(never[i].addr);

		assert_problem(endpoint_addr_problem(&a), never[i].problem);
	}
	for (size_t i = 0; i < ARRAY_SIZE(always); i++) {
		struct addr a = addr(always[i].addr);

		assert_null(endpoint_addr_problem(&a));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_O2_external_ip_refused),
		cmocka_unit_test(test_O2_strict_external_ip_refused),
		cmocka_unit_test(test_O2_strict_without_a_range_refuses_all),
		cmocka_unit_test(test_O3_endpoint_addr_skipped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
