#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/sha256.h"
#include "ruleset/content-id.h"

static const char *hex(const void *data, size_t len)
{
	static char text[2 * SHA256_BYTES + 1];
	uint8_t hash[SHA256_BYTES];

	sha256(data, len, hash);
	for (size_t i = 0; i < SHA256_BYTES; i++)
		snprintf(text + 2 * i, 3, "%02x", hash[i]);
	return text;
}

/* FIPS 180-4's examples, and what coreutils says of runs of "a" around the ends of blocks. */
static void test_known_answers(void **state)
{
	static const struct {
		size_t n;
		const char *hash;
	} runs[] = {
		{ 0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
		{ 55, "9f4390f8d30c2dd92ec9f095b65e2b9ae9b0a925a5258e241c9f1e910f734318" },
		{ 56, "b35439a4ac6f0948b6d6f9e3c6af0f5f590ce20f1bde7090ef7970686ec6738a" },
		{ 64, "ffe054fe7ae0cb6dc65c3af9b61d5209f439851db43d0ba5997337df154668eb" },
		{ 119, "31eba51c313a5c08226adf18d4a359cfdfd8d2e816b13f4af952f7ea6584dcfb" },
	};
	char text[128];

	(void)state;
	memset(text, 'a', sizeof(text));
	for (size_t i = 0; i < sizeof(runs) / sizeof(runs[0]); i++)
		assert_string_equal(hex(text, runs[i].n), runs[i].hash);
	assert_string_equal(hex("abc", 3),
			    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
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
