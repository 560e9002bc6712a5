#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "ruleset/element.h"

#define ALLOWED "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 ._:/-"
enum { HASH_BYTES = 17 }; /* "-0123456789abcdef" */

typedef char comment[COMMENT_MAX_BYTES + 1];

static void assert_hash(const char *text)
{
	assert_int_equal(text[0], '-');
	assert_int_equal(strspn(text + 1, "0123456789abcdef"), HASH_BYTES - 1);
	assert_int_equal(text[HASH_BYTES], '\0');
}

static void test_plain_names_stay(void **state)
{
	comment got;

	(void)state;
	comment_from("", got);
	assert_string_equal(got, "");
	comment_from("kube-system/kube-dns:dns-tcp", got);
	assert_string_equal(got, "kube-system/kube-dns:dns-tcp");
	comment_from(ALLOWED, got);
	assert_string_equal(got, ALLOWED);
}

static void test_S1_every_byte_is_allowed_or_replaced(void **state)
{
	(void)state;
	for (unsigned byte = 1; byte <= UINT8_MAX; byte++) {
		const char text[] = { 'a', (char)byte, 'b', '\0' };
		comment got;

		comment_from(text, got);
		if (strchr(ALLOWED, (char)byte)) {
			assert_string_equal(got, text);
			continue;
		}
		assert_memory_equal(got, "a_b", 3);
		assert_hash(got + 3);
	}
}

static void test_S1_text_that_closes_the_string(void **state)
{
	comment got;

	(void)state;
	comment_from("x\\\" ; flush ruleset; #", got);
	assert_memory_equal(got, "x__ _ flush ruleset_ _", 22);
	assert_hash(got + 22);
	comment_from("\n\x1b[2J$(reboot){}\xe2\x80\xae", got);
	assert_null(strpbrk(got, "\n\x1b[]$(){}\xe2\x80\xae"));
}

static void test_S1_replaced_bytes_stay_different(void **state)
{
	static const char *const names[] = { "a\"b", "a;b", "a_b", "a\\b", "a\nb", "a@b", "a__b" };
	comment got[ARRAY_SIZE(names)];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		comment_from(names[i], got[i]);
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(got[i], got[j]);
	}
}

static void test_S2_what_was_made_safe_is_safe(void **state)
{
	comment once, twice;

	(void)state;
	comment_from("\"quoted\"\n", once);
	comment_from(once, twice);
	assert_string_equal(once, twice);
}

/* Up to the limit nothing is changed; behind it the result has the limit's length. */
static void test_O9_long_names_are_cut(void **state)
{
	char text[400];
	comment got;

	(void)state;
	for (size_t len = COMMENT_MAX_BYTES - HASH_BYTES - 1; len < sizeof(text); len++) {
		memset(text, 'n', len);
		text[len] = '\0';
		comment_from(text, got);
		if (len <= COMMENT_MAX_BYTES) {
			assert_string_equal(got, text);
			continue;
		}
		assert_int_equal(strlen(got), COMMENT_MAX_BYTES);
		assert_hash(got + COMMENT_MAX_BYTES - HASH_BYTES);
	}
}

/* The same with a byte that is replaced: the hash must fit behind any length. */
static void test_O9_long_names_with_other_bytes_are_cut(void **state)
{
	char text[400];
	comment got;

	(void)state;
	for (size_t len = 1; len < sizeof(text); len++) {
		size_t kept = len < COMMENT_MAX_BYTES - HASH_BYTES ? len :
								     COMMENT_MAX_BYTES - HASH_BYTES;

		memset(text, 'n', len);
		text[len - 1] = '\xc3';
		text[len] = '\0';
		comment_from(text, got);
		assert_int_equal(strlen(got), kept + HASH_BYTES);
		assert_hash(got + kept);
	}
}

static void test_O9_long_names_stay_different(void **state)
{
	static const size_t places[] = { 0, 63, 109, 110, 126, 127, 128, 252 };
	comment got[ARRAY_SIZE(places)];
	char text[254];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		memset(text, 'n', sizeof(text) - 1);
		text[sizeof(text) - 1] = '\0';
		text[places[i]] = 'x';
		comment_from(text, got[i]);
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(got[i], got[j]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain_names_stay),
		cmocka_unit_test(test_S1_every_byte_is_allowed_or_replaced),
		cmocka_unit_test(test_S1_text_that_closes_the_string),
		cmocka_unit_test(test_S1_replaced_bytes_stay_different),
		cmocka_unit_test(test_S2_what_was_made_safe_is_safe),
		cmocka_unit_test(test_O9_long_names_are_cut),
		cmocka_unit_test(test_O9_long_names_with_other_bytes_are_cut),
		cmocka_unit_test(test_O9_long_names_stay_different),
	};

	return cmocka_run_group_tests_name("comment", tests, NULL, NULL);
}
