#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/array.h"

struct pair {
	int key, value;
};

static int pair_cmp(const void *a, const void *b)
{
	const struct pair *x = a, *y = b;

	return x->key - y->key;
}

/* A value is ten times the key and something: which of those alike is kept, does not matter. */
static void check_unique(const struct pair *given, size_t n, const int *expected, size_t n_expected)
{
	struct pair items[8] = { 0 };

	memcpy(items, given, n * sizeof(*given));
	assert_int_equal(array_unique(items, n, sizeof(items[0]), pair_cmp), n_expected);
	for (size_t i = 0; i < n_expected; i++) {
		assert_int_equal(items[i].key, expected[i]);
		assert_int_equal(items[i].value / 10, expected[i]);
	}
}

static void test_one_of_those_alike_is_kept(void **state)
{
	static const struct pair all[] = { { 3, 31 }, { 1, 10 }, { 2, 20 }, { 1, 11 },
					   { 3, 30 }, { 3, 32 }, { 4, 40 } };
	static const int kept[] = { 1, 2, 3, 4 };

	(void)state;
	check_unique(all, 7, kept, 4);
	check_unique(all, 6, kept, 3);
	check_unique(all + 1, 3, kept, 2);
	check_unique(all + 1, 1, kept, 1);
}

static void test_nothing_has_nothing_alike(void **state)
{
	(void)state;
	assert_int_equal(array_unique(NULL, 0, sizeof(struct pair), pair_cmp), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_of_those_alike_is_kept),
		cmocka_unit_test(test_nothing_has_nothing_alike),
	};

	return cmocka_run_group_tests_name("array", tests, NULL, NULL);
}
