#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"

static void test_set_keeps_code_and_sentence(void **state)
{
	struct error err = { 0 };

	(void)state;
	assert_int_equal(error_set(&err, -EINVAL, "port %d is none", 70000), -EINVAL);
	assert_int_equal(err.code, -EINVAL);
	assert_string_equal(err.message, "port 70000 is none");
}

static void test_errno_appends_the_reason(void **state)
{
	struct error err = { 0 };

	(void)state;
	assert_int_equal(error_errno(&err, ENOENT, "open %s", "x.yaml"), -ENOENT);
	assert_int_equal(err.code, -ENOENT);
	assert_string_equal(err.message, "open x.yaml: No such file or directory");
}

static void test_wrap_grows_leftwards(void **state)
{
	struct error err = { 0 };

	(void)state;
	error_set(&err, -EEXIST, "map services: File exists");
	assert_int_equal(error_wrap(&err, -EEXIST, "commit"), -EEXIST);
	assert_int_equal(error_wrap(&err, -EAGAIN, "sync %s", "services"), -EAGAIN);
	assert_int_equal(err.code, -EAGAIN);
	assert_string_equal(err.message, "sync services: commit: map services: File exists");
}

static void test_wrap_of_nothing_says_what_the_code_means(void **state)
{
	struct error err = { 0 };

	(void)state;
	error_wrap(&err, -ENOMEM, "load %s", "a.json");
	assert_string_equal(err.message, "load a.json: Cannot allocate memory");
}

static void test_no_error_wanted(void **state)
{
	(void)state;
	assert_int_equal(error_set(NULL, -EIO, "x"), -EIO);
	assert_int_equal(error_errno(NULL, EIO, "x"), -EIO);
	assert_int_equal(error_wrap(NULL, -EIO, "x"), -EIO);
}

static void test_sentence_may_quote_the_error_itself(void **state)
{
	struct error err = { 0 };

	(void)state;
	error_set(&err, -EIO, "inner");
	error_set(&err, -EIO, "outer(%s)", err.message);
	assert_string_equal(err.message, "outer(inner)");
}

static void test_S4_control_characters_are_escaped_once(void **state)
{
	struct error err = { 0 };

	(void)state;
	error_set(&err, -EINVAL, "name \"a\nb\x1b[31m\xff\"");
	assert_string_equal(err.message, "name \"a\\x0ab\\x1b[31m\\xff\"");
	error_wrap(&err, -EINVAL, "file\t1");
	assert_string_equal(err.message, "file\\x091: name \"a\\x0ab\\x1b[31m\\xff\"");
}

/* A sentence of two-byte characters behind @n_ascii letters fills the message up to a character. */
static void check_cut(size_t n_ascii)
{
	struct error err = { 0 };
	char text[2 * ERROR_MAX_BYTES + 1] = "";
	size_t expected = (ERROR_MAX_BYTES - 1 - n_ascii) / 2 * 2 + n_ascii;

	memset(text, 'a', n_ascii);
	for (size_t i = n_ascii; i + 2 < sizeof(text); i += 2) {
		text[i] = '\xc3';
		text[i + 1] = '\xa9';
	}
	error_set(&err, -E2BIG, "%s", text);
	assert_int_equal(strlen(err.message), expected);
	assert_memory_equal(err.message, text, expected);
}

static void test_long_sentence_is_cut_between_characters(void **state)
{
	(void)state;
	for (size_t n_ascii = 0; n_ascii < 4; n_ascii++)
		check_cut(n_ascii);
}

static void test_wrapping_without_end_keeps_the_left(void **state)
{
	struct error err = { 0 };

	(void)state;
	error_set(&err, -EIO, "cause");
	for (int i = 0; i < 1000; i++)
		error_wrap(&err, -EIO, "level %d", i);
	assert_int_equal(strncmp(err.message, "level 999: level 998: ", 22), 0);
	assert_in_range(strlen(err.message), ERROR_MAX_BYTES - 12, ERROR_MAX_BYTES - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_set_keeps_code_and_sentence),
		cmocka_unit_test(test_errno_appends_the_reason),
		cmocka_unit_test(test_wrap_grows_leftwards),
		cmocka_unit_test(test_wrap_of_nothing_says_what_the_code_means),
		cmocka_unit_test(test_no_error_wanted),
		cmocka_unit_test(test_sentence_may_quote_the_error_itself),
		cmocka_unit_test(test_S4_control_characters_are_escaped_once),
		cmocka_unit_test(test_long_sentence_is_cut_between_characters),
		cmocka_unit_test(test_wrapping_without_end_keeps_the_left),
	};

	return cmocka_run_group_tests_name("error", tests, NULL, NULL);
}
