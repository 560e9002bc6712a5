#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "fail-alloc.h"

static void test_memory_is_zeroed_and_aligned(void **state)
{
	static const char zeros[301];
	struct arena *a = arena_new(64);

	(void)state;
	for (size_t size = 0; size <= 300; size++) {
		char *p = arena_alloc(a, size);

		assert_non_null(p);
		assert_int_equal((uintptr_t)p % 8, 0);
		assert_memory_equal(p, zeros, size);
		memset(p, 0xff, size);
	}
	arena_free(a);
}

static void test_pieces_do_not_overlap(void **state)
{
	enum { N = 1000 };
	struct arena *a = arena_new(0);
	uint32_t *pieces[N];

	(void)state;
	for (uint32_t i = 0; i < N; i++) {
		pieces[i] = arena_array(a, i % 40 + 1, sizeof(uint32_t));
		for (uint32_t k = 0; k <= i % 40; k++)
			pieces[i][k] = i;
	}
	for (uint32_t i = 0; i < N; i++)
		for (uint32_t k = 0; k <= i % 40; k++)
			assert_int_equal(pieces[i][k], i);
	arena_free(a);
}

static void test_small_object_costs_one_allocation(void **state)
{
	struct arena *a = arena_new(100);
	size_t size = arena_size(a);

	(void)state;
	assert_in_range(size, 100, 200);
	fail_alloc_at(1);
	assert_non_null(arena_alloc(a, 60));
	assert_non_null(arena_alloc(a, 40));
	assert_false(fail_alloc_end());
	assert_int_equal(arena_size(a), size);
	arena_free(a);
}

static void test_chunks_grow_with_what_is_there(void **state)
{
	struct arena *a = arena_new(0);
	unsigned n_chunks = 0;

	(void)state;
	for (int i = 0; i < 10000; i++) {
		size_t before = arena_size(a);

		assert_non_null(arena_alloc(a, 100));
		n_chunks += arena_size(a) != before;
	}
	assert_in_range(arena_size(a), 10000 * 104, 10000 * 104 + 128 * 1024);
	assert_in_range(n_chunks, 1, 30);
	arena_free(a);
}

static void test_big_piece_gets_a_chunk_of_its_own(void **state)
{
	struct arena *a = arena_new(16);
	char *big = arena_alloc(a, 1024 * 1024);

	(void)state;
	assert_non_null(big);
	big[1024 * 1024 - 1] = 'x';
	assert_in_range(arena_size(a), 1024 * 1024, 1024 * 1024 + 256);
	arena_free(a);
}

static void test_strings_are_copied(void **state)
{
	struct arena *a = arena_new(0);
	char text[] = "default/web";
	char *whole = arena_strdup(a, text);
	char *part = arena_strndup(a, text, 7);
	char *longer = arena_strndup(a, text, 100);
	char *empty = arena_strdup(a, "");

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	assert_string_equal(whole, "default/web");
	assert_string_equal(part, "default");
	assert_string_equal(longer, "default/web");
	assert_string_equal(empty, "");
	arena_free(a);
}

static void test_S11_sizes_do_not_overflow(void **state)
{
	struct arena *a = arena_new(0);

	(void)state;
	assert_null(arena_new(SIZE_MAX));
	assert_null(arena_new(SIZE_MAX - 16));
	assert_null(arena_alloc(a, SIZE_MAX));
	assert_null(arena_alloc(a, SIZE_MAX - 8));
	assert_null(arena_array(a, SIZE_MAX / 2 + 2, 2));
	assert_null(arena_array(a, (size_t)1 << 33, (size_t)1 << 33));
	assert_non_null(arena_array(a, SIZE_MAX, 0));
	arena_free(a);
}

static void test_short_memory_leaves_the_arena_usable(void **state)
{
	struct arena *a;

	(void)state;
	fail_alloc_at(1);
	assert_null(arena_new(8));
	assert_true(fail_alloc_end());

	a = arena_new(8);
	fail_alloc_at(1);
	assert_null(arena_alloc(a, 100));
	assert_true(fail_alloc_end());
	fail_alloc_at(1);
	assert_null(arena_strdup(a, "a text longer than what is left"));
	assert_true(fail_alloc_end());
	assert_non_null(arena_alloc(a, 8));
	assert_non_null(arena_alloc(a, 100));
	arena_free(a);
	assert_null(arena_free(NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_memory_is_zeroed_and_aligned),
		cmocka_unit_test(test_pieces_do_not_overlap),
		cmocka_unit_test(test_small_object_costs_one_allocation),
		cmocka_unit_test(test_chunks_grow_with_what_is_there),
		cmocka_unit_test(test_big_piece_gets_a_chunk_of_its_own),
		cmocka_unit_test(test_strings_are_copied),
		cmocka_unit_test(test_S11_sizes_do_not_overflow),
		cmocka_unit_test(test_short_memory_leaves_the_arena_usable),
	};

	return cmocka_run_group_tests_name("arena", tests, NULL, NULL);
}
