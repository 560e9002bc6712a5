#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/addr.h"
#include "base/cleanup.h"
#include "base/ranges.h"

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

static void test_addresses_print_in_their_canonical_form(void **state)
{
	static const char *const forms[][2] = {
		{ "10.96.0.10", "10.96.0.10" },
		{ "0.0.0.0", "0.0.0.0" },
		{ "255.255.255.255", "255.255.255.255" },
		{ "::", "::" },
		{ "2001:DB8::1", "2001:db8::1" },
		{ "2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1" },
		{ "2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1" },
		{ "0001:0:0:0:0:0:0:0", "1::" },
		{ "64:ff9b::192.0.2.33", "64:ff9b::c000:221" },
		{ "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
		  "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" },
	};
	char text[ADDR_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		struct addr a = addr(forms[i][0]);

		assert_string_equal(addr_format(&a, text), forms[i][1]);
	}
}

static void test_other_texts_are_no_addresses(void **state)
{
	static const char *const texts[] = {
		"",
		" ",
		"10.0.0",
		"10.0.0.0.0",
		"10.0.0.256",
		"10.0.0.01",
		"010.0.0.1",
		"0x0a.0.0.1",
		"10.0.0.1 ",
		" 10.0.0.1",
		"10.0.0.1/32",
		"10.0.0.1:80",
		"167772161",
		"localhost",
		":",
		":::",
		"1::2::3",
		"12345::",
		"fe80::1%eth0",
		"fe80::1%1",
		"[::1]",
		"::1/128",
		"1:2:3:4:5:6:7",
		"1:2:3:4:5:6:7:8:9",
		"::ffff:10.0.0.1",
		"::ffff:0a00:1",
		"0:0:0:0:0:ffff:10.0.0.1",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct addr a = { .family = 99 };

		assert_int_equal(addr_parse(texts[i], &a), -EINVAL);
		assert_int_equal(a.family, 99);
	}
}

static void test_prefixes_keep_their_host_bits(void **state)
{
	static const char *const texts[] = { "10.0.0.1/8", "0.0.0.0/0",  "192.0.2.1/32",
					     "::/0",       "fd00::1/64", "::1/128" };
	char text[PREFIX_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct prefix p = prefix(texts[i]);

		assert_string_equal(prefix_format(&p, text), texts[i]);
	}
	assert_int_equal(prefix("10.0.0.1/8").len, 8);
}

static void test_other_texts_are_no_prefixes(void **state)
{
	static const char *const texts[] = {
		"10.0.0.0",
		"10.0.0.0/",
		"10.0.0.0/33",
		"10.0.0.0/08",
		"10.0.0.0/+8",
		"10.0.0.0/-1",
		"10.0.0.0/ 8",
		"10.0.0.0/8 ",
		"10.0.0.0/8/8",
		"10.0.0.0/0x8",
		"10.0.0.0/255.0.0.0",
		"10.0.0.0/18446744073709551624",
		"10.0.0/8",
		"/8",
		"::/129",
		"::ffff:10.0.0.0/104",
		"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/8",
		"",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct prefix p = { .len = 99 };

		assert_int_equal(prefix_parse(texts[i], &p), -EINVAL);
		assert_int_equal(p.len, 99);
	}
}

static int sign(int n)
{
	return (n > 0) - (n < 0);
}

static void test_order_is_by_family_then_bytes(void **state)
{
	static const char *const sorted[] = { "0.0.0.0", "9.255.255.255", "10.0.0.0", "255.0.0.0",
					      "::",      "::1",           "1::",      "fe80::1" };

	(void)state;
	for (int i = 0; i < (int)ARRAY_SIZE(sorted); i++) {
		for (int k = 0; k < (int)ARRAY_SIZE(sorted); k++) {
			struct addr a = addr(sorted[i]), b = addr(sorted[k]);

			assert_int_equal(sign(addr_cmp(&a, &b)), sign(i - k));
			assert_int_equal(addr_equal(&a, &b), i == k);
		}
	}
}

static void test_classes(void **state)
{
	static const struct {
		bool (*is)(const struct addr *a);
		const char *inside[4], *outside[4];
	} rows[] = {
		{ addr_is_unspecified,
		  { "0.0.0.0", "0.255.255.255", "::" },
		  { "1.0.0.0", "::1", "255.255.255.255" } },
		{ addr_is_loopback,
		  { "127.0.0.0", "127.0.0.1", "127.255.255.255", "::1" },
		  { "126.255.255.255", "128.0.0.0", "::", "::2" } },
		{ addr_is_link_local,
		  { "169.254.0.0", "169.254.255.255", "fe80::", "febf:ffff::1" },
		  { "169.253.255.255", "169.255.0.0", "fec0::", "fe7f::1" } },
		{ addr_is_multicast,
		  { "224.0.0.0", "239.255.255.255", "ff00::", "ff02::1" },
		  { "223.255.255.255", "240.0.0.0", "feff::1", "::" } },
		{ addr_is_broadcast,
		  { "255.255.255.255" },
		  { "255.255.255.254", "ffff:ffff::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" } },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		for (size_t k = 0; k < 4 && rows[i].inside[k]; k++) {
			struct addr a = addr(rows[i].inside[k]);

			assert_true(rows[i].is(&a));
		}
		for (size_t k = 0; k < 4 && rows[i].outside[k]; k++) {
			struct addr a = addr(rows[i].outside[k]);

			assert_false(rows[i].is(&a));
		}
	}
}

static void check_prefix(const char *text, const char *first, const char *last)
{
	struct prefix p = prefix(text);
	struct addr_range r = prefix_range(&p);
	struct addr a = addr(first), b = addr(last);

	assert_true(addr_equal(&r.first, &a));
	assert_true(addr_equal(&r.last, &b));
	assert_true(prefix_contains(&p, &a));
	assert_true(prefix_contains(&p, &b));
	if (addr_next(&b, &b))
		assert_false(prefix_contains(&p, &b));
}

static void test_ranges_of_prefixes(void **state)
{
	struct prefix every = prefix("0.0.0.0/0");
	struct addr v6 = addr("::");

	(void)state;
	check_prefix("10.1.2.3/8", "10.0.0.0", "10.255.255.255");
	check_prefix("10.1.2.3/23", "10.1.2.0", "10.1.3.255");
	check_prefix("10.1.2.3/32", "10.1.2.3", "10.1.2.3");
	check_prefix("10.1.2.3/0", "0.0.0.0", "255.255.255.255");
	check_prefix("fd00:1:2:3::1/61", "fd00:1:2::", "fd00:1:2:7:ffff:ffff:ffff:ffff");
	check_prefix("::/0", "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
	assert_false(prefix_contains(&every, &v6));
}

static void test_next_address(void **state)
{
	struct addr a = addr("10.0.255.255"), b = addr("::ff:ffff"), next, expected;

	(void)state;
	assert_true(addr_next(&a, &next));
	expected = addr("10.1.0.0");
	assert_true(addr_equal(&next, &expected));
	assert_true(addr_next(&b, &next));
	expected = addr("::100:0");
	assert_true(addr_equal(&next, &expected));

	a = addr("255.255.255.255");
	b = addr("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
	assert_false(addr_next(&a, &next));
	assert_false(addr_next(&b, &next));
	assert_true(addr_equal(&next, &expected));
}

static void test_previous_address(void **state)
{
	struct addr a = addr("10.1.0.0"), b = addr("::100:0"), previous, expected;

	(void)state;
	assert_true(addr_previous(&a, &previous));
	expected = addr("10.0.255.255");
	assert_true(addr_equal(&previous, &expected));
	assert_true(addr_previous(&b, &previous));
	expected = addr("::ff:ffff");
	assert_true(addr_equal(&previous, &expected));

	a = addr("0.0.0.0");
	b = addr("::");
	assert_false(addr_previous(&a, &previous));
	assert_false(addr_previous(&b, &previous));
	assert_true(addr_equal(&previous, &expected));
}

/* The @n prefixes in @texts merge into @expected, "FIRST-LAST" separated by blanks. */
static void check_merge(const char *const *texts, size_t n, uint8_t family, const char *expected)
{
	struct prefix prefixes[8];
	_cleanup_ranges_ struct ranges ranges = { 0 };
	char first[ADDR_TEXT_MAX], last[ADDR_TEXT_MAX], merged[512] = "";
	size_t len = 0;

	for (size_t i = 0; i < n; i++)
		prefixes[i] = prefix(texts[i]);
	assert_int_equal(ranges_of_prefixes(&ranges, prefixes, n, family), 0);
	for (size_t i = 0; i < ranges.n; i++)
		len += (size_t)snprintf(merged + len, sizeof(merged) - len, "%s%s-%s", i ? " " : "",
					addr_format(&ranges.items[i].first, first),
					addr_format(&ranges.items[i].last, last));
	assert_string_equal(merged, expected);
}

static void test_merging_of_both_families(void **state)
{
	static const char *const texts[] = {
		"10.0.1.0/24", "fd00::/64",       "10.0.0.0/24", "10.0.0.7/32",
		"10.9.0.0/16", "fd00:0:0:1::/64", "10.0.1.0/24", "fd00::/48",
	};
	static const char *const all[] = { "10.0.0.0/8", "0.0.0.0/0", "255.255.255.255/32" };
	static const char *const halves[] = { "8000::/1", "::/1" };
	static const char *const ends[] = { "255.255.255.255/32", "0.0.0.0/32" };

	(void)state;
	check_merge(texts, 8, AF_INET, "10.0.0.0-10.0.1.255 10.9.0.0-10.9.255.255");
	check_merge(texts, 8, AF_INET6, "fd00::-fd00::ffff:ffff:ffff:ffff:ffff");
	check_merge(all, 3, AF_INET, "0.0.0.0-255.255.255.255");
	check_merge(all, 3, AF_INET6, "");
	check_merge(all, 0, AF_INET, "");
	check_merge(halves, 2, AF_INET6, "::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
	check_merge(ends, 2, AF_INET, "0.0.0.0-0.0.0.0 255.255.255.255-255.255.255.255");
}

static void test_prefixes_that_no_other_contains(void **state)
{
	struct prefix prefixes[] = {
		prefix("10.1.2.3/16"), prefix("fd00::/64"),     prefix("10.1.0.0/16"),
		prefix("10.2.0.0/16"), prefix("10.1.128.0/17"), prefix("fd00::1/128"),
		prefix("0.0.0.0/32"),  prefix("10.3.0.0/24"),   prefix("fd00:0:0:1::7/64"),
	};
	static const char *const expected[] = { "0.0.0.0/32",  "10.1.0.0/16", "10.2.0.0/16",
						"10.3.0.0/24", "fd00::/64",   "fd00:0:0:1::/64" };
	struct prefix all[] = { prefix("10.0.0.0/8"), prefix("1.2.3.4/0"), prefix("::/0") };
	char text[PREFIX_TEXT_MAX];

	(void)state;
	assert_int_equal(prefixes_outermost(prefixes, ARRAY_SIZE(prefixes)), ARRAY_SIZE(expected));
	for (size_t i = 0; i < ARRAY_SIZE(expected); i++)
		assert_string_equal(prefix_format(&prefixes[i], text), expected[i]);
	assert_int_equal(prefixes_outermost(all, ARRAY_SIZE(all)), 2);
	assert_string_equal(prefix_format(&all[0], text), "0.0.0.0/0");
	assert_string_equal(prefix_format(&all[1], text), "::/0");
	assert_int_equal(prefixes_outermost(NULL, 0), 0);
}

static void test_prefix_of_a_range(void **state)
{
	static const char *const texts[] = { "0.0.0.0/0",   "10.0.0.0/8", "10.0.0.0/32",
					     "128.0.0.0/1", "::/0",       "fd00::/64",
					     "fd00::7/128", "8000::/1",   "255.255.255.254/31" };
	char text[PREFIX_TEXT_MAX];
	struct addr_range range;
	struct prefix p;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		const struct prefix made = prefix(texts[i]);

		range = prefix_range(&made);
		assert_true(prefix_of_range(&range, &p));
		assert_string_equal(prefix_format(&p, text), texts[i]);
		range.last.bytes[addr_len_bytes(&range.last) - 1] ^= 2;
		assert_false(prefix_of_range(&range, &p));
	}
	range = (struct addr_range){ addr("10.0.0.1"), addr("10.0.0.2") };
	assert_false(prefix_of_range(&range, &p));
	range = (struct addr_range){ addr("10.0.0.2"), addr("10.0.0.1") };
	assert_false(prefix_of_range(&range, &p));
}

enum { UNIVERSE = 256, MAX_PREFIXES = 12 };

/* Which addresses of @base/24 the ranges hold; they are sorted, and not even adjacent. */
static void members_of_ranges(const struct addr_range *ranges, size_t n, bool members[UNIVERSE])
{
	int behind = -1;

	memset(members, 0, UNIVERSE * sizeof(*members));
	for (size_t i = 0; i < n; i++) {
		int first = ranges[i].first.bytes[3], last = ranges[i].last.bytes[3];

		assert_true(first > behind);
		assert_true(first <= last);
		for (int k = first; k <= last; k++)
			members[k] = true;
		behind = last + 1;
	}
}

/* The same addresses, by prefixes that share nothing. */
static void check_outermost(struct prefix *prefixes, size_t n, const bool members[UNIVERSE])
{
	unsigned found[UNIVERSE] = { 0 };

	n = prefixes_outermost(prefixes, n);
	for (size_t i = 0; i < n; i++)
		for (int k = 0; k < UNIVERSE; k++) {
			const struct addr a = { AF_INET, { 255, 255, 255, (uint8_t)k } };

			found[k] += prefix_contains(&prefixes[i], &a);
		}
	for (int k = 0; k < UNIVERSE; k++)
		assert_int_equal(found[k], members[k]);
}

static void check_against_brute_force(struct prefix *prefixes, size_t n)
{
	_cleanup_ranges_ struct ranges ranges = { 0 };
	bool members[UNIVERSE];

	assert_int_equal(ranges_of_prefixes(&ranges, prefixes, n, AF_INET), 0);
	members_of_ranges(ranges.items, ranges.n, members);
	for (int k = 0; k < UNIVERSE; k++) {
		bool expected = false;

		for (size_t i = 0; i < n; i++)
			expected |= (k ^ prefixes[i].addr.bytes[3]) >> (32 - prefixes[i].len) == 0;
		assert_int_equal(members[k], expected);
	}
	check_outermost(prefixes, n, members);
}

/* At the top of the address space, where the last range has no successor. */
static void test_merging_equals_brute_force(void **state)
{
	unsigned seed = 1;

	(void)state;
	for (int round = 0; round < 3000; round++) {
		struct prefix prefixes[MAX_PREFIXES];
		size_t n = (size_t)rand_r(&seed) % (MAX_PREFIXES + 1);

		for (size_t i = 0; i < n; i++)
			prefixes[i] = (struct prefix){
				{ AF_INET, { 255, 255, 255, (uint8_t)rand_r(&seed) } },
				(uint8_t)(24 + rand_r(&seed) % 9),
			};
		check_against_brute_force(prefixes, n);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addresses_print_in_their_canonical_form),
		cmocka_unit_test(test_other_texts_are_no_addresses),
		cmocka_unit_test(test_prefixes_keep_their_host_bits),
		cmocka_unit_test(test_other_texts_are_no_prefixes),
		cmocka_unit_test(test_order_is_by_family_then_bytes),
		cmocka_unit_test(test_classes),
		cmocka_unit_test(test_ranges_of_prefixes),
		cmocka_unit_test(test_next_address),
		cmocka_unit_test(test_previous_address),
		cmocka_unit_test(test_merging_of_both_families),
		cmocka_unit_test(test_prefixes_that_no_other_contains),
		cmocka_unit_test(test_prefix_of_a_range),
		cmocka_unit_test(test_merging_equals_brute_force),
	};

	return cmocka_run_group_tests_name("addr", tests, NULL, NULL);
}
