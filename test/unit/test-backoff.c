#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/backoff.h"

enum { FIRST_MS = 800, MAX_MS = 30 * 1000, HEALTHY_MS = 120 * 1000, SECOND_US = 1000 * 1000 };

static struct backoff backoff_with_seed(uint64_t seed)
{
	return (struct backoff){
		.first_ms = FIRST_MS, .max_ms = MAX_MS, .healthy_ms = HEALTHY_MS, .random = seed
	};
}

static void test_steps_double_up_to_half_of_the_maximum(void **state)
{
	static const uint64_t steps[] = { 800, 1600, 3200, 6400, 12800, 15000, 15000, 15000 };

	(void)state;
	for (uint64_t seed = 0; seed < 200; seed++) {
		struct backoff b = backoff_with_seed(seed);
		uint64_t now_us = seed;

		for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
			uint64_t delay = backoff_next(&b, now_us, 0);

			assert_in_range(delay, steps[i], steps[i] * 2 - 1);
			now_us += delay * 1000;
		}
	}
}

static void test_delays_of_a_step_are_spread_over_all_of_it(void **state)
{
	unsigned quarters[4] = { 0 };

	(void)state;
	for (uint64_t seed = 0; seed < 400; seed++) {
		struct backoff b = backoff_with_seed(seed);

		quarters[(backoff_next(&b, 1, 0) - FIRST_MS) * 4 / FIRST_MS]++;
	}
	for (size_t i = 0; i < 4; i++)
		assert_in_range(quarters[i], 70, 130);
}

static void test_equal_seeds_wait_alike(void **state)
{
	struct backoff a = backoff_with_seed(7), b = backoff_with_seed(7);

	(void)state;
	for (uint64_t i = 1; i < 10; i++)
		assert_int_equal(backoff_next(&a, i, 0), backoff_next(&b, i, 0));
}

static void test_health_starts_anew(void **state)
{
	struct backoff b = backoff_with_seed(1);
	uint64_t now_us = 5 * SECOND_US;

	(void)state;
	for (int i = 0; i < 6; i++)
		backoff_next(&b, now_us, 0);
	now_us += HEALTHY_MS * 1000 - 1;
	assert_true(backoff_next(&b, now_us, 0) >= MAX_MS / 2);
	now_us += HEALTHY_MS * 1000;
	assert_true(backoff_next(&b, now_us, 0) < FIRST_MS * 2);
}

static void test_first_failure_of_a_young_machine(void **state)
{
	struct backoff b = backoff_with_seed(1);

	(void)state;
	assert_true(backoff_next(&b, 0, 0) >= FIRST_MS);
}

static void test_A6_wish_of_the_other_side(void **state)
{
	struct backoff b = backoff_with_seed(3);

	(void)state;
	assert_in_range(backoff_next(&b, 1, 5000), 5000, 5000 + FIRST_MS - 1);
	/* The step counts when it is longer. */
	assert_in_range(backoff_next(&b, 1, 1000), 1600, 3199);
	assert_in_range(backoff_next(&b, 1, 60 * 1000), 60 * 1000, 60 * 1000 + 3199);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_steps_double_up_to_half_of_the_maximum),
		cmocka_unit_test(test_delays_of_a_step_are_spread_over_all_of_it),
		cmocka_unit_test(test_equal_seeds_wait_alike),
		cmocka_unit_test(test_health_starts_anew),
		cmocka_unit_test(test_first_failure_of_a_young_machine),
		cmocka_unit_test(test_A6_wish_of_the_other_side),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
