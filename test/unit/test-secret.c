#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/secret.h"
#include "fail-alloc.h"

static void test_secret_is_a_copy_with_a_zero_behind(void **state)
{
	char bytes[] = { 'a', '\0', 'b', 'X' };
	struct secret *s = secret_new(bytes, 3);
	size_t len = 0;
	const char *copy = secret_reveal(s, &len);

	(void)state;
	memset(bytes, 'X', sizeof(bytes));
	assert_int_equal(len, 3);
	assert_memory_equal(copy, "a\0b", 4);
	assert_ptr_equal(secret_reveal(s, NULL), copy);
	assert_null(secret_free(s));
}

static void test_empty_secret(void **state)
{
	struct secret *s = secret_new(NULL, 0);
	size_t len = 1;

	(void)state;
	assert_string_equal(secret_reveal(s, &len), "");
	assert_int_equal(len, 0);
	assert_true(secret_equal(s, s));
	assert_false(secret_equal(s, NULL));
	secret_free(s);
}

static void test_equal_compares_all_bytes(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
	} others[] = { { "tok", 3 }, { "token\0", 6 }, { "tokem", 5 }, { "Token", 5 }, { "", 0 } };
	struct secret *s = secret_new("token", 5), *same = secret_new("token", 5);

	(void)state;
	assert_true(secret_equal(s, same));
	assert_true(secret_equal(NULL, NULL));
	assert_false(secret_equal(s, NULL));
	assert_false(secret_equal(NULL, s));
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		struct secret *other = secret_new(others[i].bytes, others[i].len);

		assert_false(secret_equal(s, other));
		assert_false(secret_equal(other, s));
		secret_free(other);
	}
	secret_free(s);
	secret_free(same);
}

static void test_S7_wiped_memory_is_zero(void **state)
{
	char bytes[] = "canary";

	(void)state;
	secret_wipe(bytes, 4);
	assert_memory_equal(bytes, "\0\0\0\0ry", 7);
	secret_wipe(NULL, 0);
}

/* Freed memory is the allocator's, which writes its own notes into the first bytes of it. What lies
 * behind them is looked at through /proc, where reading it is no undefined behaviour. */
static void test_S7_freed_secret_is_wiped(void **state)
{
	enum { LEN = 200 };
	char bytes[LEN], found[LEN];
	struct secret *s;
	const char *copy;
	FILE *memory = fopen("/proc/self/mem", "re");

	(void)state;
	assert_non_null(memory);
	setvbuf(memory, NULL, _IONBF, 0);
	memset(bytes, 'k', sizeof(bytes));
	s = secret_new(bytes, sizeof(bytes));
	copy = secret_reveal(s, NULL);
	secret_free(s);
	assert_int_equal(fseek(memory, (long)(uintptr_t)copy, SEEK_SET), 0);
	assert_int_equal(fread(found, 1, sizeof(found), memory), LEN);
	fclose(memory);
	for (size_t i = 32; i < LEN; i++)
		assert_int_equal(found[i], '\0');
}

static void check_covered(const char *secret, const char *text, const char *expected)
{
	struct secret *s = secret_new(secret, strlen(secret));
	char room[128];

	snprintf(room, sizeof(room), "%s", text);
	secret_cover(s, room);
	assert_string_equal(room, expected);
	secret_free(s);
}

static void test_S7_repeated_secret_is_covered(void **state)
{
	static const char token[] = "0123456789abcdefghij";

	(void)state;
	check_covered(token, "who is 0123456789abcdefghij?", "who is ********************?");
	check_covered(token, "0123456789abcdefghij0123456789abcdefghij",
		      "****************************************");
	check_covered(token, "cut: 0123456789abcdef", "cut: ****************");
	check_covered(token, "0123456789abcdefX", "****************X");
	check_covered(token, "0123456789abcde is too little", "0123456789abcde is too little");
	check_covered("word", "wor word", "wor ****");
	check_covered("", "text", "text");
	check_covered(token, "", "");
	secret_cover(NULL, NULL);
}

static void test_short_memory_and_impossible_sizes(void **state)
{
	(void)state;
	fail_alloc_at(1);
	assert_null(secret_new("token", 5));
	assert_true(fail_alloc_end());
	assert_null(secret_new("token", SIZE_MAX));
	assert_null(secret_new("token", SIZE_MAX - 8));
	assert_null(secret_free(NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_secret_is_a_copy_with_a_zero_behind),
		cmocka_unit_test(test_empty_secret),
		cmocka_unit_test(test_equal_compares_all_bytes),
		cmocka_unit_test(test_S7_wiped_memory_is_zero),
		cmocka_unit_test(test_S7_freed_secret_is_wiped),
		cmocka_unit_test(test_S7_repeated_secret_is_covered),
		cmocka_unit_test(test_short_memory_and_impossible_sizes),
	};

	return cmocka_run_group_tests_name("secret", tests, NULL, NULL);
}
