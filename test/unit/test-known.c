#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <malloc.h>

#include <cmocka.h>

#include "fail-alloc.h"
#include "source/known.h"

static void test_needed_is_made_once(void **state)
{
	struct table t = { .type = &known_type };
	struct known *web;

	(void)state;
	assert_null(known_find(&t, "default", "web"));
	web = known_need(&t, "default", "web");
	assert_non_null(web);
	assert_string_equal(web->namespace, "default");
	assert_string_equal(web->name, "web");
	assert_false(web->told);
	assert_ptr_equal(known_need(&t, "default", "web"), web);
	assert_ptr_equal(known_find(&t, "default", "web"), web);
	assert_null(known_find(&t, "web", "default"));
	assert_null(known_find(&t, "", "defaultweb"));
	known_drop(&t, web);
	assert_null(known_find(&t, "default", "web"));
	assert_int_equal(t.n, 0);
	known_free(&t);
}

static void test_names_are_copied(void **state)
{
	char namespace[] = "default", name[] = "web";
	struct table t = { .type = &known_type };

	(void)state;
	known_need(&t, namespace, name);
	strcpy(namespace, "another");
	strcpy(name, "two");
	assert_non_null(known_find(&t, "default", "web"));
	known_free(&t);
}

static void test_sweep_takes_what_the_list_has_not(void **state)
{
	struct table t = { .type = &known_type };
	struct known *gone, *next;
	size_t n = 0;

	(void)state;
	for (unsigned i = 0; i < 1000; i++) {
		char name[16];

		snprintf(name, sizeof(name), "s%u", i);
		known_need(&t, "default", name)->list = i % 3;
	}
	for (gone = known_sweep(&t, 1); gone; gone = next) {
		next = gone->next;
		assert_int_not_equal(gone->list, 1);
		assert_null(known_find(&t, gone->namespace, gone->name));
		free(gone);
		n++;
	}
	assert_int_equal(n, 667);
	assert_int_equal(t.n, 333);
	assert_null(known_sweep(&t, 1));
	known_free(&t);
}

static void test_short_memory_changes_nothing(void **state)
{
	struct table t = { .type = &known_type };

	(void)state;
	for (unsigned n = 1;; n++) {
		struct known *k;

		fail_alloc_at(n);
		k = known_need(&t, "default", "web");
		if (!fail_alloc_end()) {
			assert_non_null(k);
			break;
		}
		assert_null(k);
		assert_int_equal(t.n, 0);
	}
	known_free(&t);
}

/* 10,000 objects with names as clusters have them take less than 1.5 MB. */
static void test_table_is_small(void **state)
{
	struct table t = { .type = &known_type };
	size_t before = mallinfo2().uordblks;

	(void)state;
	for (unsigned i = 0; i < 10000; i++) {
		char name[64];

		snprintf(name, sizeof(name), "backend-service-%05u-x7k2p", i);
		assert_non_null(known_need(&t, "team-namespace", name));
	}
	assert_true(mallinfo2().uordblks - before < 1500 * 1000);
	known_free(&t);
}

static void test_hash_of_nothing(void **state)
{
	(void)state;
	assert_int_equal(known_hash(NULL), 0);
	assert_int_equal(known_hash(""), 0);
	assert_int_not_equal(known_hash("1"), 0);
	assert_int_not_equal(known_hash("1"), known_hash("2"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_needed_is_made_once),
		cmocka_unit_test(test_names_are_copied),
		cmocka_unit_test(test_sweep_takes_what_the_list_has_not),
		cmocka_unit_test(test_short_memory_changes_nothing),
		cmocka_unit_test(test_table_is_small),
		cmocka_unit_test(test_hash_of_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
