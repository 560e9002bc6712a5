#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "object/object.h"
#include "object/problems.h"

static const struct object x = { .name = "x" };

static void report(const struct problem *problem, void *userdata)
{
	buf_printf(userdata, "%s %s %s\n", problem->object->name, problem->reason, problem->text);
}

/* Look at "x" once more, where it suffers from each of the letters of @letters. */
static void assert_reported(struct problem_memory *memory, const char *letters,
			    const char *expected)
{
	struct buf text = { .data = NULL };
	struct problems p = { .report = report, .userdata = &text };

	problems_begin(&p, &x, memory);
	for (; *letters; letters++)
		problems_add(&p, "Suffering", "from %c", *letters);
	assert_int_equal(problems_end(&p, memory), 0);
	assert_string_equal(buf_text(&text), expected);
	buf_free(&text);
}

static void test_told_once_while_it_lasts(void **state)
{
	struct problem_memory memory = { .hashes = NULL };

	(void)state;
	assert_reported(&memory, "a", "x Suffering from a\n");
	assert_reported(&memory, "ba", "x Suffering from b\n");
	assert_reported(&memory, "ab", "");
	assert_reported(&memory, "b", "");
	assert_reported(&memory, "", "");
	assert_reported(&memory, "b", "x Suffering from b\n");
	free(memory.hashes);
}

static void test_told_once_in_one_look(void **state)
{
	struct problem_memory memory = { .hashes = NULL };

	(void)state;
	assert_reported(&memory, "aba", "x Suffering from a\nx Suffering from b\n");
	assert_int_equal(memory.n, 2);
	free(memory.hashes);
}

static void test_S11_problems_have_a_limit(void **state)
{
	const char letters[] = "abcdefghijklmnopqrstuvwxyz";
	struct problem_memory memory = { .hashes = NULL };
	struct buf expected = { .data = NULL };

	(void)state;
	for (size_t i = 0; i < PROBLEMS_MAX; i++)
		buf_printf(&expected, "x Suffering from %c\n", letters[i]);
	assert_reported(&memory, letters, buf_text(&expected));
	assert_int_equal(memory.n, PROBLEMS_MAX);
	assert_reported(&memory, letters, "");
	buf_free(&expected);
	free(memory.hashes);
}

static void test_nobody_listens(void **state)
{
	struct problem_memory memory = { .hashes = NULL };
	struct problems p = { .report = NULL };

	(void)state;
	problems_add(NULL, "Nothing", "nothing");
	problems_begin(&p, &x, &memory);
	problems_add(&p, "Something", "something");
	assert_int_equal(problems_end(&p, &memory), 0);
	assert_int_equal(memory.n, 1);
	free(memory.hashes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_told_once_while_it_lasts),
		cmocka_unit_test(test_told_once_in_one_look),
		cmocka_unit_test(test_S11_problems_have_a_limit),
		cmocka_unit_test(test_nobody_listens),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
