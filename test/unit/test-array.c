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

static void check_unique(const struct pair *given, size_t n, const struct pair *expected,
			 size_t n_expected)
{
	struct pair items[8] = { 0 };

	memcpy(items, given, n * sizeof(*given));
	assert_int_equal(array_unique(items, n, sizeof(items[0]), pair_cmp), n_expected);
	assert_memory_equal(items, expected, n_expected * sizeof(*expected));
}

static void test_first_of_those_alike_is_kept(void **state)
{
	static const struct pair all[] = { { 1, 0 }, { 1, 1 }, { 2, 0 }, { 3, 0 },
					   { 3, 1 }, { 3, 2 }, { 4, 0 } };
	static const struct pair kept[] = { { 1, 0 }, { 2, 0 }, { 3, 0 }, { 4, 0 } };

	(void)state;
	check_unique(all, 7, kept, 4);
	check_unique(all, 6, kept, 3);
	check_unique(all, 2, kept, 1);
	check_unique(all, 1, kept, 1);
	check_unique(kept, 4, kept, 4);
}

static void test_nothing_has_nothing_alike(void **state)
{
	(void)state;
	assert_int_equal(array_unique(NULL, 0, sizeof(struct pair), pair_cmp), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_of_those_alike_is_kept),
		cmocka_unit_test(test_nothing_has_nothing_alike),
	};

	return cmocka_run_group_tests_name("array", tests, NULL, NULL);
}
