#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/table.h"
#include "fail-alloc.h"

enum { N_ITEMS = 500 };

struct number {
	unsigned value;
	unsigned hash;
};

static uint64_t number_hash(const void *item)
{
	return ((const struct number *)item)->hash;
}

static bool number_equal(const void *a, const void *b)
{
	return ((const struct number *)a)->value == ((const struct number *)b)->value;
}

static const struct table_type number_type = { .hash = number_hash, .equal = number_equal };

static void test_empty_table_finds_nothing(void **state)
{
	struct table t = { .type = &number_type };
	size_t position = 0;

	(void)state;
	assert_null(table_find(&t, &(struct number){ 1, 1 }));
	assert_null(table_take(&t, &(struct number){ 1, 1 }));
	assert_null(table_next(&t, &position));
	table_free(&t);
}

static void test_put_replaces_the_equal_item(void **state)
{
	struct table t = { .type = &number_type };
	struct number first = { 7, 3 }, second = { 7, 3 };

	(void)state;
	assert_int_equal(table_reserve(&t), 0);
	assert_null(table_put(&t, &first));
	assert_ptr_equal(table_put(&t, &second), &first);
	assert_int_equal(t.n, 1);
	assert_ptr_equal(table_find(&t, &first), &second);
	table_free(&t);
}

/* Against an array, with hashes that collide and wrap around the end: 0 and ~0 are neighbours. */
static void test_random_puts_and_takes(void **state)
{
	struct table t = { .type = &number_type };
	struct number items[N_ITEMS];
	bool present[N_ITEMS] = { false };
	size_t n = 0;

	(void)state;
	srand(1);
	for (unsigned i = 0; i < N_ITEMS; i++)
		items[i] = (struct number){ i, (unsigned)rand() % 64 - 32 };
	for (unsigned step = 0; step < 50000; step++) {
		size_t i = (size_t)rand() % N_ITEMS;

		/* Grow for a while, then shrink: full clusters get holes in every place. */
		if (!present[i] && rand() % 4 < (step / 5000 % 2 ? 1 : 3)) {
			assert_int_equal(table_reserve(&t), 0);
			assert_null(table_put(&t, &items[i]));
			present[i] = true;
			n++;
		} else if (present[i]) {
			assert_ptr_equal(table_take(&t, &items[i]), &items[i]);
			present[i] = false;
			n--;
		}
		assert_int_equal(t.n, n);
		i = (size_t)rand() % N_ITEMS;
		assert_ptr_equal(table_find(&t, &items[i]), present[i] ? &items[i] : NULL);
	}
	for (size_t i = 0; i < N_ITEMS; i++)
		assert_ptr_equal(table_find(&t, &items[i]), present[i] ? &items[i] : NULL);
	table_free(&t);
}

static void test_next_visits_each_item_once(void **state)
{
	struct table t = { .type = &number_type };
	struct number items[N_ITEMS], *item;
	unsigned visits[N_ITEMS] = { 0 };
	size_t position = 0;

	(void)state;
	for (unsigned i = 0; i < N_ITEMS; i++) {
		items[i] = (struct number){ i, i * 17 };
		assert_int_equal(table_reserve(&t), 0);
		table_put(&t, &items[i]);
	}
	while ((item = table_next(&t, &position)))
		visits[item->value]++;
	for (size_t i = 0; i < N_ITEMS; i++)
		assert_int_equal(visits[i], 1);
	table_free(&t);
}

static void test_failed_growth_keeps_the_items(void **state)
{
	struct table t = { .type = &number_type };
	struct number items[N_ITEMS];
	unsigned failures = 0;

	(void)state;
	for (unsigned i = 0; i < N_ITEMS; i++) {
		items[i] = (struct number){ i, i };
		fail_alloc_at(1);
		if (table_reserve(&t) < 0) {
			failures++;
			assert_int_equal(t.n, i);
		}
		fail_alloc_end();
		assert_int_equal(table_reserve(&t), 0);
		table_put(&t, &items[i]);
	}
	assert_true(failures > 3);
	for (size_t i = 0; i < N_ITEMS; i++)
		assert_ptr_equal(table_find(&t, &items[i]), &items[i]);
	table_free(&t);
}

/* That the items are freed, too, is for the sanitizer to say. */
static void test_freed_with_its_items_it_is_empty(void **state)
{
	struct table t = { .type = &number_type };

	(void)state;
	for (unsigned i = 0; i < N_ITEMS; i++) {
		struct number *item = malloc(sizeof(*item));

		assert_non_null(item);
		*item = (struct number){ i, i };
		assert_int_equal(table_reserve(&t), 0);
		table_put(&t, item);
	}
	table_free_items(&t);
	assert_int_equal(t.n, 0);
	assert_null(table_find(&t, &(struct number){ 1, 1 }));
}

static void test_order_of_the_texts_counts(void **state)
{
	(void)state;
	assert_true(table_hash_texts("a", "b") != table_hash_texts("b", "a"));
	assert_true(table_hash_texts("a", "b") == table_hash_texts("a", "b"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty_table_finds_nothing),
		cmocka_unit_test(test_put_replaces_the_equal_item),
		cmocka_unit_test(test_random_puts_and_takes),
		cmocka_unit_test(test_next_visits_each_item_once),
		cmocka_unit_test(test_failed_growth_keeps_the_items),
		cmocka_unit_test(test_freed_with_its_items_it_is_empty),
		cmocka_unit_test(test_order_of_the_texts_counts),
	};

	return cmocka_run_group_tests_name("table", tests, NULL, NULL);
}
