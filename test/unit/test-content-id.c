#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ruleset/content-id.h"

static const char *hex(const void *data, size_t len)
{
	static char text[CONTENT_ID_TEXT];
	struct content_id id = content_id_of(data, len);

	return content_id_format(&id, text);
}

/* FIPS 180-4's examples, and what coreutils says of runs of "a" around the ends of blocks. */
static void test_known_answers(void **state)
{
	static const struct {
		size_t n;
		const char *hash;
	} runs[] = {
		{ 0, "e3b0c44298fc1c149afb" },   { 55, "9f4390f8d30c2dd92ec9" },
		{ 56, "b35439a4ac6f0948b6d6" },  { 64, "ffe054fe7ae0cb6dc65c" },
		{ 119, "31eba51c313a5c08226a" },
	};
	char text[128];

	(void)state;
	memset(text, 'a', sizeof(text));
	for (size_t i = 0; i < sizeof(runs) / sizeof(runs[0]); i++)
		assert_string_equal(hex(text, runs[i].n), runs[i].hash);
	assert_string_equal(hex("abc", 3), "ba7816bf8f01cfea4141");
}

static void test_ids_lead_back(void **state)
{
	struct content_id a = content_id_of("abc", 3), b;
	char text[CONTENT_ID_TEXT];

	(void)state;
	assert_string_equal(content_id_format(&a, text), "ba7816bf8f01cfea4141");
	assert_true(content_id_parse(text, &b));
	assert_int_equal(content_id_cmp(&a, &b), 0);
	b = content_id_of("abd", 3);
	assert_int_not_equal(content_id_cmp(&a, &b), 0);
	assert_false(content_id_parse("ba7816bf8f01cfea414", &b));
	assert_false(content_id_parse("ba7816bf8f01cfea41411", &b));
	assert_false(content_id_parse("BA7816bf8f01cfea4141", &b));
	assert_false(content_id_parse("", &b));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known_answers),
		cmocka_unit_test(test_ids_lead_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
