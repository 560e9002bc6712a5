#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "proxy/slots.h"

#define MANY 300

static struct target target(uint32_t number)
{
	struct target t = { .addr = { 10, (uint8_t)(number >> 16), (uint8_t)(number >> 8),
				      (uint8_t)number },
			    .port = 8080 };

	t.hash = target_hash(t.addr, t.port);
	return t;
}

static int target_cmp_qsort(const void *a, const void *b)
{
	return target_cmp(a, b);
}

/* The slots of targets 0 to @n - 1, without @missing. Returns how many there are. */
static size_t slots(size_t n, size_t missing, struct target *ret)
{
	struct target sorted[MANY];
	uint32_t scratch[2 * MANY];
	size_t n_sorted = 0;

	for (size_t i = 0; i < n; i++)
		if (i != missing)
			sorted[n_sorted++] = target((uint32_t)i);
	qsort(sorted, n_sorted, sizeof(sorted[0]), target_cmp_qsort);
	slots_assign(sorted, n_sorted, scratch, ret);
	return n_sorted;
}

static void test_every_target_has_one_slot(void **state)
{
	struct target order[MANY];

	(void)state;
	for (size_t n = 0; n <= MANY; n++) {
		assert_int_equal(slots(n, n, order), n);
		qsort(order, n, sizeof(order[0]), target_cmp_qsort);
		for (size_t i = 1; i < n; i++)
			assert_true(target_cmp(&order[i - 1], &order[i]) < 0);
		for (size_t i = 0; i < n; i++) {
			struct target wanted = target((uint32_t)i);

			assert_non_null(
				bsearch(&wanted, order, n, sizeof(order[0]), target_cmp_qsort));
		}
	}
}

static size_t rows_moved(const struct target *a, size_t n_a, const struct target *b, size_t n_b)
{
	size_t common = n_a < n_b ? n_a : n_b, moved = 0;

	for (size_t i = 0; i < common; i++)
		moved += target_cmp(&a[i], &b[i]) != 0;
	return moved + (n_a > n_b ? n_a - n_b : n_b - n_a);
}

/* The logarithm to the base of 2, rounded up. */
static size_t bits(size_t n)
{
	return 64 - (size_t)__builtin_clzll((n - 1) | 1);
}

/* Taking out one of n, or putting it back, over all that could be taken out. */
static void test_one_target_more_or_less_moves_few_rows(void **state)
{
	struct target with[MANY], without[MANY];

	(void)state;
	for (size_t n = 2; n <= MANY; n += n < 20 ? 1 : 20) {
		size_t moved = 0;

		slots(n, n, with);
		for (size_t missing = 0; missing < n; missing++) {
			slots(n, missing, without);
			moved += rows_moved(with, n, without, n - 1);
		}
		assert_true(moved <= n * (2 + 2 * bits(n)));
	}
}

/* The same on every machine and in every version: otherwise an upgrade moves every row. */
static void test_the_order_is_fixed(void **state)
{
	static const uint8_t expected[] = { 4, 1, 2, 3, 5, 0, 6, 7 };
	struct target order[MANY];

	(void)state;
	slots(ARRAY_SIZE(expected), MANY, order);
	for (size_t i = 0; i < ARRAY_SIZE(expected); i++)
		assert_int_equal(order[i].addr[3], expected[i]);
}

/* Equal hashes are ordered by address, then port. */
static void test_colliding_hashes_have_an_order(void **state)
{
	struct target sorted[] = { target(1), target(2), target(2), target(3) };
	struct target order[ARRAY_SIZE(sorted)];
	uint32_t scratch[2 * ARRAY_SIZE(sorted)];

	(void)state;
	sorted[2].port++;
	for (size_t i = 0; i < ARRAY_SIZE(sorted); i++) {
		sorted[i].hash = 7;
		assert_true(i == 0 || target_cmp(&sorted[i - 1], &sorted[i]) < 0);
	}
	slots_assign(sorted, ARRAY_SIZE(sorted), scratch, order);
	for (size_t i = 0; i < ARRAY_SIZE(sorted); i++)
		assert_int_equal(target_cmp(&order[i], &sorted[i]), 0);
}

struct maglev {
	struct target sorted[MANY];
	size_t n;
	uint16_t slots[MAGLEV_SLOTS];
};

/* The table of targets 0 to @n - 1, without @missing. */
static void maglev_make(struct maglev *m, size_t n, size_t missing)
{
	uint32_t scratch[2 * MANY];

	m->n = 0;
	for (size_t i = 0; i < n; i++)
		if (i != missing)
			m->sorted[m->n++] = target((uint32_t)i);
	qsort(m->sorted, m->n, sizeof(m->sorted[0]), target_cmp_qsort);
	maglev_assign(m->sorted, m->n, scratch, m->slots);
}

static void test_maglev_slots_are_dealt_out_evenly(void **state)
{
	static const size_t numbers[] = { 1, 2, 3, 10, 50, 299, MANY };
	struct maglev m;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		size_t shares[MANY] = { 0 };

		maglev_make(&m, numbers[i], MANY);
		for (size_t slot = 0; slot < MAGLEV_SLOTS; slot++) {
			assert_true(m.slots[slot] < m.n);
			shares[m.slots[slot]]++;
		}
		for (size_t j = 0; j < m.n; j++)
			assert_in_range(shares[j], MAGLEV_SLOTS / m.n, MAGLEV_SLOTS / m.n + 1);
	}
}

/* Of the slots of others, when one of 50 goes: 3 % at most, whichever it is, and fewer on average. */
static void test_maglev_disturbs_few_others(void **state)
{
	struct maglev with, without;
	size_t all_moved = 0;

	(void)state;
	maglev_make(&with, 50, MANY);
	for (size_t missing = 0; missing < 50; missing++) {
		const struct target gone = target((uint32_t)missing);
		size_t moved = 0, others = 0;

		maglev_make(&without, 50, missing);
		for (size_t slot = 0; slot < MAGLEV_SLOTS; slot++) {
			const struct target *a = &with.sorted[with.slots[slot]];
			const struct target *b = &without.sorted[without.slots[slot]];

			if (target_cmp(a, &gone) == 0)
				continue;
			others++;
			moved += target_cmp(a, b) != 0;
		}
		assert_true(moved * 100 <= 3 * others);
		all_moved += moved;
	}
	assert_true(all_moved * 1000 <= 21 * (size_t)50 * MAGLEV_SLOTS);
}

/* As with the order of slots: other nodes, and the next version, must fill the table alike. */
static void test_the_maglev_table_is_fixed(void **state)
{
	struct maglev m;
	uint64_t sum = 0;

	(void)state;
	maglev_make(&m, 50, MANY);
	for (size_t slot = 0; slot < MAGLEV_SLOTS; slot++)
		sum = sum * 31 + m.sorted[m.slots[slot]].addr[3];
	assert_true(sum == 0x685a22af88b85240);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_target_has_one_slot),
		cmocka_unit_test(test_one_target_more_or_less_moves_few_rows),
		cmocka_unit_test(test_the_order_is_fixed),
		cmocka_unit_test(test_colliding_hashes_have_an_order),
		cmocka_unit_test(test_maglev_slots_are_dealt_out_evenly),
		cmocka_unit_test(test_maglev_disturbs_few_others),
		cmocka_unit_test(test_the_maglev_table_is_fixed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
