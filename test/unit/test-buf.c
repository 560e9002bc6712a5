#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/array.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "fail-alloc.h"

static void test_empty_buffer_is_an_empty_text(void **state)
{
	_cleanup_buf_ struct buf b = { 0 };

	(void)state;
	assert_string_equal(buf_text(&b), "");
	assert_int_equal(buf_error(&b), 0);
	buf_append(&b, "", 0);
	assert_string_equal(buf_text(&b), "");
}

static void test_writes_follow_each_other(void **state)
{
	_cleanup_buf_ struct buf b = { 0 };

	(void)state;
	buf_puts(&b, "lb-");
	buf_printf(&b, "%d %s", 3, "goto");
	buf_append(&b, "\0x", 2);
	assert_int_equal(b.len, 11);
	assert_memory_equal(b.data, "lb-3 goto\0x", 12);
}

static void test_growing_keeps_every_byte(void **state)
{
	_cleanup_buf_ struct buf b = { 0 };

	(void)state;
	for (unsigned i = 0; i < 5000; i++) {
		buf_printf(&b, "%04u", i);
		assert_int_equal(b.data[b.len], '\0');
		assert_true(b.len < b.capacity);
	}
	assert_int_equal(b.len, 20000);
	for (unsigned i = 0; i < 5000; i++) {
		char number[16];

		snprintf(number, sizeof(number), "%04u", i);
		assert_memory_equal(b.data + 4 * (size_t)i, number, 4);
	}
}

static void test_caller_writes_into_reserved_room(void **state)
{
	_cleanup_buf_ struct buf b = { 0 };
	char *room;

	(void)state;
	buf_puts(&b, "read: ");
	room = buf_reserve(&b, 100);
	memset(room, 'r', 100);
	assert_int_equal(b.len, 6);
	buf_advance(&b, 3);
	assert_string_equal(buf_text(&b), "read: rrr");
}

static void test_reset_keeps_the_memory(void **state)
{
	_cleanup_buf_ struct buf b = { 0 };
	size_t capacity;

	(void)state;
	buf_printf(&b, "%1000d", 1);
	capacity = b.capacity;
	buf_reset(&b);
	assert_string_equal(buf_text(&b), "");
	fail_alloc_at(1);
	buf_printf(&b, "%1000d", 2);
	assert_false(fail_alloc_end());
	assert_int_equal(b.len, 1000);
	assert_int_equal(b.capacity, capacity);
}

static void test_first_failed_allocation_sticks(void **state)
{
	_cleanup_buf_ struct buf b = { 0 };

	(void)state;
	buf_puts(&b, "kept");
	fail_alloc_at(1);
	buf_printf(&b, "%100d", 1);
	assert_true(fail_alloc_end());
	buf_puts(&b, "dropped");
	assert_null(buf_reserve(&b, 1));
	assert_int_equal(buf_error(&b), -ENOMEM);
	assert_string_equal(buf_text(&b), "kept");
	buf_reset(&b);
	buf_puts(&b, "again");
	assert_int_equal(buf_error(&b), 0);
	assert_string_equal(buf_text(&b), "again");
}

static void test_S11_buffer_sizes_do_not_overflow(void **state)
{
	static const size_t sizes[] = { SIZE_MAX, SIZE_MAX - 1, SIZE_MAX - 4, SIZE_MAX / 2 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		_cleanup_buf_ struct buf b = { 0 };

		buf_puts(&b, "1234");
		assert_null(buf_reserve(&b, sizes[i]));
		assert_int_equal(buf_error(&b), -ENOMEM);
		assert_string_equal(buf_text(&b), "1234");
	}
}

static void test_array_doubles(void **state)
{
	uint64_t *items = NULL;
	size_t n = 0, capacity = 0;
	unsigned n_moves = 0;

	(void)state;
	while (n < 10000) {
		size_t before = capacity;

		assert_int_equal(ARRAY_RESERVE(items, n, capacity), 0);
		n_moves += capacity != before;
		items[n] = n * n;
		n++;
	}
	assert_in_range(n_moves, 1, 12);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(items[i], i * i);
	free(items);
}

static void test_S11_array_errors_change_nothing(void **state)
{
	uint64_t *items = NULL;
	size_t capacity = 0;
	void *p;

	(void)state;
	assert_int_equal(ARRAY_RESERVE(items, (size_t)0, capacity), 0);
	p = items;
	fail_alloc_at(1);
	assert_int_equal(ARRAY_RESERVE(items, capacity, capacity), -ENOMEM);
	assert_true(fail_alloc_end());
	assert_int_equal(ARRAY_RESERVE(items, SIZE_MAX / sizeof(*items), capacity), -ENOMEM);
	assert_int_equal(ARRAY_RESERVE(items, SIZE_MAX / 2, capacity), -ENOMEM);
	assert_ptr_equal(items, p);
	assert_int_equal(capacity, 8);
	free(items);
}

static int number_cmp(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

static void test_arrays_are_sorted_and_searched(void **state)
{
	int numbers[] = { 5, 3, 9, 1 };
	int key = 5, *found;

	(void)state;
	array_sort(numbers, ARRAY_SIZE(numbers), sizeof(numbers[0]), number_cmp);
	found = array_find(&key, numbers, ARRAY_SIZE(numbers), sizeof(numbers[0]), number_cmp);
	assert_ptr_equal(found, &numbers[2]);
	key = 4;
	assert_null(array_find(&key, numbers, ARRAY_SIZE(numbers), sizeof(numbers[0]), number_cmp));
	array_sort(NULL, 0, sizeof(numbers[0]), number_cmp);
	assert_null(array_find(&key, NULL, 0, sizeof(numbers[0]), number_cmp));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty_buffer_is_an_empty_text),
		cmocka_unit_test(test_writes_follow_each_other),
		cmocka_unit_test(test_growing_keeps_every_byte),
		cmocka_unit_test(test_caller_writes_into_reserved_room),
		cmocka_unit_test(test_reset_keeps_the_memory),
		cmocka_unit_test(test_first_failed_allocation_sticks),
		cmocka_unit_test(test_S11_buffer_sizes_do_not_overflow),
		cmocka_unit_test(test_array_doubles),
		cmocka_unit_test(test_S11_array_errors_change_nothing),
		cmocka_unit_test(test_arrays_are_sorted_and_searched),
	};

	return cmocka_run_group_tests_name("buf", tests, NULL, NULL);
}
