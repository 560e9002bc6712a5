#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mix.h"
#include "base/ranges.h"

enum { N_RANDOM = 20000 };

/* The last byte of an address tells all; @high has the address space end with it. */
static struct addr addr_of(uint8_t family, bool high, unsigned last)
{
	struct addr a = { .family = family };
	size_t len = addr_len_bytes(&a);

	memset(a.bytes, high ? 0xff : 0, len);
	a.bytes[len - 1] = (uint8_t)last;
	return a;
}

static struct addr_range range_of(uint8_t family, bool high, unsigned first, unsigned last)
{
	return (struct addr_range){ addr_of(family, high, first), addr_of(family, high, last) };
}

static bool has(const struct ranges *r, const struct addr *a)
{
	for (size_t i = 0; i < r->n; i++)
		if (addr_cmp(&r->items[i].first, a) <= 0 && addr_cmp(a, &r->items[i].last) <= 0)
			return true;
	return false;
}

static void assert_settled(const struct ranges *r)
{
	for (size_t i = 0; i < r->n; i++) {
		struct addr behind;

		assert_true(addr_cmp(&r->items[i].first, &r->items[i].last) <= 0);
		if (i + 1 == r->n)
			continue;
		assert_true(addr_next(&r->items[i].last, &behind));
		assert_true(addr_cmp(&behind, &r->items[i + 1].first) < 0);
	}
}

/* Each address by itself, at the beginning and at the end of both address spaces. */
static void test_O7_differences_agree_with_brute_force(void **state)
{
	uint64_t seed = 1;

	(void)state;
	for (unsigned round = 0; round < N_RANDOM; round++) {
		const uint8_t family = random_below(&seed, 2) ? AF_INET : AF_INET6;
		const bool high = random_below(&seed, 2);
		bool wanted[256] = { false }, hole[256] = { false };
		struct ranges holes = { 0 }, result = { 0 };
		const size_t n_blocks = 1 + random_below(&seed, 3);

		for (size_t b = 0; b < n_blocks; b++) {
			unsigned first = (unsigned)random_below(&seed, 256);
			unsigned last = first + (unsigned)random_below(&seed, 256 - first);
			struct addr_range whole = range_of(family, high, first, last);

			memset(hole, 0, sizeof(hole));
			holes.n = 0;
			for (size_t n = random_below(&seed, 4); n > 0; n--) {
				unsigned from = (unsigned)random_below(&seed, 256);
				unsigned to = from + (unsigned)random_below(&seed, 256 - from);
				struct addr_range one = range_of(family, high, from, to);

				assert_int_equal(ranges_add(&holes, &one), 0);
				memset(hole + from, true, to - from + 1);
			}
			ranges_settle(&holes);
			assert_settled(&holes);
			assert_int_equal(ranges_add_without(&result, &whole, &holes), 0);
			for (unsigned i = first; i <= last; i++)
				wanted[i] |= !hole[i];
		}
		ranges_settle(&result);
		assert_settled(&result);
		for (unsigned i = 0; i < 256; i++) {
			struct addr a = addr_of(family, high, i);

			assert_int_equal(has(&result, &a), wanted[i]);
		}
		ranges_free(&holes);
		ranges_free(&result);
	}
}

static void test_whole_address_spaces(void **state)
{
	static const char *const texts[] = { "0.0.0.0/0", "::/0" };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct ranges holes = { 0 }, result = { 0 };
		struct addr_range whole;
		struct prefix p;

		assert_int_equal(prefix_parse(texts[i], &p), 0);
		whole = prefix_range(&p);
		assert_int_equal(ranges_add_without(&result, &whole, &holes), 0);
		assert_int_equal(result.n, 1);
		assert_int_equal(ranges_add(&holes, &whole), 0);
		assert_int_equal(ranges_add_without(&result, &whole, &holes), 0);
		assert_int_equal(result.n, 1); /* nothing is left of it */
		ranges_free(&holes);
		ranges_free(&result);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_O7_differences_agree_with_brute_force),
		cmocka_unit_test(test_whole_address_spaces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
