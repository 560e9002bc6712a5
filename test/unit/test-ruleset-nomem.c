#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "fail-alloc.h"
#include "ruleset-fixture.h"

/* Enough chains and shared elements to make the tables of the ruleset grow. */
enum { N_MANY = 400 };

static size_t many_make(struct element *ret, uint32_t first_number)
{
	for (unsigned i = 0; i < N_MANY; i++) {
		ret[2 * i] = element_make(SET_AFFINITY_TIMEOUTS, AF_INET, 3 * i, 3);
		ret[2 * i].number = first_number + i;
		ret[2 * i + 1] = element_make(SET_HAIRPIN, AF_INET, first_number + i, 0);
	}
	return (size_t)2 * N_MANY;
}

/* How many of the chains of many_make() are in use. */
static unsigned many_chains(const struct ruleset *rs, uint32_t first_number)
{
	unsigned n = 0;

	for (uint32_t i = 0; i < N_MANY; i++) {
		struct element e = element_make(SET_AFFINITY_TIMEOUTS, AF_INET, 0, 3);
		struct dispatch d;

		e.number = first_number + i;
		d = element_dispatch(&e);
		n += ruleset_uses_chain(rs, &d);
		d.verdict = VERDICT_LEARN;
		n += ruleset_uses_chain(rs, &d);
	}
	return n;
}

/* One try of ruleset_replace() with the @n-th allocation failing. False: none was left to fail. */
static bool replace_without_memory(const char *owner, unsigned n)
{
	static struct element elements[2 * N_MANY];
	_cleanup_(ruleset_freep) struct ruleset *rs = NULL;
	_cleanup_transaction_ struct transaction before = { 0 }, tx = { 0 };
	struct copy kernel = { 0 };
	struct block *b;
	bool failed;
	int r;

	assert_int_equal(ruleset_new(&rs), 0);
	owner_replace(rs, "a", elements, many_make(elements, 1), &before);
	assert_int_equal(transaction_settle(&before), 0);
	copy_commit(&kernel, &before);
	b = block_of(elements, many_make(elements, 1000));

	fail_alloc_at(n);
	r = ruleset_replace(rs, owner, b, &tx, NULL);
	failed = fail_alloc_end();
	assert_int_equal(transaction_settle(&tx), tx.error);
	if (r < 0) {
		assert_int_equal(r, -ENOMEM);
		assert_true(failed);
		assert_whole(rs, &kernel);
		assert_int_equal(many_chains(rs, 1000), 0);
	} else {
		assert_int_equal(many_chains(rs, 1000), 2 * N_MANY);
		assert_int_equal(tx.error < 0, failed);
	}
	copy_free(&kernel);
	return failed;
}

static void test_H1_replace_without_memory_changes_all_or_nothing(void **state)
{
	unsigned n;

	(void)state;
	for (n = 1; replace_without_memory("a", n); n++)
		;
	assert_true(n > 3 * N_MANY);
	/* The owner's own allocations come before and behind those of the block. */
	for (n = 1; n < 20; n++)
		assert_true(replace_without_memory("b", n));
}

static void test_H1_blocks_without_memory(void **state)
{
	const struct element e = element_make(SET_SERVICES, AF_INET, 1, 0);
	struct element many[100];
	unsigned n;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(many); i++)
		many[i] = e;
	for (n = 1;; n++) {
		_cleanup_(block_freep) struct block *b = NULL;

		fail_alloc_at(n);
		b = block_of(many, ARRAY_SIZE(many));
		if (!fail_alloc_end()) {
			assert_non_null(b);
			break;
		}
		assert_null(b);
	}
	assert_true(n > 4);
}

static void test_H1_whole_without_memory(void **state)
{
	struct element elements[20];

	for (unsigned i = 0; i < ARRAY_SIZE(elements); i++)
		elements[i] = element_make(SET_AFFINITY_TIMEOUTS, AF_INET, 3 * i, 3);
	owner_replace(*state, "a", elements, ARRAY_SIZE(elements), NULL);
	for (unsigned n = 1;; n++) {
		_cleanup_transaction_ struct transaction whole = { 0 };
		int r;

		fail_alloc_at(n);
		r = ruleset_whole(*state, &whole);
		if (!fail_alloc_end()) {
			assert_int_equal(r, 0);
			assert_int_equal(whole.n_changes, ARRAY_SIZE(elements));
			assert_true(n > 2);
			break;
		}
		assert_int_equal(r, -ENOMEM);
	}
}

static void test_H1_ruleset_without_memory(void **state)
{
	struct ruleset *rs = NULL;

	(void)state;
	fail_alloc_at(1);
	assert_int_equal(ruleset_new(&rs), -ENOMEM);
	assert_true(fail_alloc_end());
	assert_null(rs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_H1_replace_without_memory_changes_all_or_nothing),
		cmocka_unit_test(test_H1_blocks_without_memory),
		ruleset_test(test_H1_whole_without_memory),
		cmocka_unit_test(test_H1_ruleset_without_memory),
	};

	return cmocka_run_group_tests_name("ruleset-nomem", tests, NULL, NULL);
}
