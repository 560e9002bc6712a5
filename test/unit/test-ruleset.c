#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "ruleset-fixture.h"

/* Every chain that an addition goes to is asked for. */
static void assert_needs(const struct transaction *tx)
{
	for (size_t i = 0; i < tx->n_changes; i++) {
		const struct element *e = &tx->changes[i].element;
		unsigned needed = 0;

		for (size_t j = 0; j < tx->n_chains; j++)
			needed += element_goes_to(e, &tx->chains[j]);
		if (tx->changes[i].add && set_layout(e->set)->verdict &&
		    e->verdict >= VERDICT_FIRST_DISPATCH)
			assert_int_equal(needed, e->verdict == VERDICT_MIXED_LEARN ? 3 : 1);
	}
}

static void test_differences_lead_from_old_to_new(void **state)
{
	static struct model m;
	struct copy kernel = { 0 };
	struct ruleset *rs = *state;

	srand(1);
	memset(&m, 0, sizeof(m));
	for (unsigned step = 0; step < N_STEPS;) {
		_cleanup_transaction_ struct transaction tx = { 0 };

		for (unsigned n = 1 + (unsigned)rand() % 6; n > 0; n--, step++) {
			unsigned owner = (unsigned)rand() % N_OWNERS;

			model_shuffle(&m, owner);
			owner_replace(rs, owner_name(owner), m.elements[owner], m.n[owner], &tx);
		}
		assert_int_equal(transaction_settle(&tx), 0);
		assert_needs(&tx);
		copy_commit(&kernel, &tx);
		assert_whole(rs, &kernel);
		assert_model(&m, &kernel);
		assert_chains(rs, &kernel);
	}
	copy_free(&kernel);
}

static void test_same_block_is_no_difference(void **state)
{
	const struct element e[] = { element_make(SET_SERVICES, AF_INET, 1, 0),
				     element_make(SET_HAIRPIN, AF_INET, 1, 0) };
	_cleanup_transaction_ struct transaction tx = { 0 };

	owner_replace(*state, "a", e, 2, NULL);
	owner_replace(*state, "a", e, 2, &tx);
	assert_int_equal(transaction_settle(&tx), 0);
	assert_true(transaction_is_empty(&tx));
}

static void test_order_in_the_block_does_not_count(void **state)
{
	const struct element e[] = { element_make(SET_SERVICES, AF_INET, 2, 0),
				     element_make(SET_SERVICES, AF_INET, 1, 0) };
	const struct element turned[] = { e[1], e[0] };
	_cleanup_transaction_ struct transaction tx = { 0 };

	owner_replace(*state, "a", e, 2, NULL);
	owner_replace(*state, "a", turned, 2, &tx);
	assert_true(transaction_is_empty(&tx));
}

static void test_key_passes_from_one_owner_to_another(void **state)
{
	const struct element old = element_make(SET_SERVICES, AF_INET, 1, 0);
	const struct element new = element_make(SET_SERVICES, AF_INET, 1, 1);
	_cleanup_transaction_ struct transaction tx = { 0 };

	owner_replace(*state, "a", &old, 1, NULL);
	owner_replace(*state, "a", NULL, 0, &tx);
	owner_replace(*state, "b", &new, 1, &tx);
	assert_int_equal(transaction_settle(&tx), 0);
	assert_int_equal(tx.n_changes, 2);
	assert_false(tx.changes[0].add);
	assert_true(tx.changes[1].add);
	assert_true(element_same_value(&tx.changes[1].element, &new));
	assert_string_equal(ruleset_owner(*state, &new), "b");
}

static void test_shared_element_stays_until_the_last_owner_goes(void **state)
{
	const struct element e = element_make(SET_HAIRPIN, AF_INET6, 1, 0);
	const struct element twice[] = { e, e };
	static const struct {
		const char *owner;
		size_t n;
		size_t changes;
		bool add;
	} steps[] = {
		{ "a", 2, 1, true },  { "b", 1, 0, false }, { "a", 1, 0, false },
		{ "b", 0, 0, false }, { "c", 0, 0, false }, { "a", 0, 1, false },
		{ "b", 1, 1, true },
	};

	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		_cleanup_transaction_ struct transaction tx = { 0 };

		owner_replace(*state, steps[i].owner, twice, steps[i].n, &tx);
		assert_int_equal(tx.n_changes, steps[i].changes);
		if (tx.n_changes)
			assert_int_equal(tx.changes[0].add, steps[i].add);
	}
	assert_int_equal(ruleset_count(*state), 1);
}

static void test_owner_is_found_by_key(void **state)
{
	const struct element a = element_make(SET_SERVICES, AF_INET, 1, 0);
	const struct element b = element_make(SET_SERVICES, AF_INET6, 1, 0);
	const struct element other = element_make(SET_LOCAL_SERVICES, AF_INET, 1, 0);

	owner_replace(*state, "a", &a, 1, NULL);
	owner_replace(*state, "b", &b, 1, NULL);
	assert_string_equal(ruleset_owner(*state, &a), "a");
	assert_string_equal(ruleset_owner(*state, &b), "b");
	assert_null(ruleset_owner(*state, &other));
}

static void test_repeated_key_is_refused_and_changes_nothing(void **state)
{
	const struct element old[] = { element_make(SET_SERVICES, AF_INET, 1, 0),
				       element_make(SET_HAIRPIN, AF_INET, 1, 0) };
	const struct element repeated[] = { element_make(SET_SERVICES, AF_INET, 1, 1),
					    element_make(SET_SERVICES, AF_INET, 2, 1),
					    element_make(SET_HAIRPIN, AF_INET, 2, 0),
					    element_make(SET_SERVICES, AF_INET, 2, 3) };
	_cleanup_transaction_ struct transaction before = { 0 }, tx = { 0 };
	struct copy kernel = { 0 };
	struct error err = { 0 };

	owner_replace(*state, "a", old, ARRAY_SIZE(old), &before);
	assert_int_equal(transaction_settle(&before), 0);
	copy_commit(&kernel, &before);
	for (int i = 0; i < 2; i++) {
		struct block *b = block_of(repeated, ARRAY_SIZE(repeated));

		assert_int_equal(ruleset_replace(*state, i ? "b" : "a", b, &tx, &err), -EEXIST);
		assert_string_equal(err.message, i ? "b: two elements with one key in services" :
						     "a: two elements with one key in services");
		assert_int_equal(transaction_settle(&tx), 0);
		assert_true(transaction_is_empty(&tx));
		assert_whole(*state, &kernel);
		assert_chains(*state, &kernel);
	}
	copy_free(&kernel);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ruleset_test(test_differences_lead_from_old_to_new),
		ruleset_test(test_same_block_is_no_difference),
		ruleset_test(test_order_in_the_block_does_not_count),
		ruleset_test(test_key_passes_from_one_owner_to_another),
		ruleset_test(test_shared_element_stays_until_the_last_owner_goes),
		ruleset_test(test_owner_is_found_by_key),
		ruleset_test(test_repeated_key_is_refused_and_changes_nothing),
	};

	return cmocka_run_group_tests_name("ruleset", tests, NULL, NULL);
}
