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
#include "fail-alloc.h"
#include "ruleset-fixture.h"

static bool revert(struct ruleset *rs, const char *owner)
{
	bool kept;

	assert_int_equal(ruleset_revert(rs, owner, &kept), 0);
	return kept;
}

/* Exactly these are wanted, and the first is @owner's. */
static void assert_has(const struct ruleset *rs, const char *owner, const struct element *elements,
		       size_t n)
{
	_cleanup_transaction_ struct transaction wanted = { 0 };
	struct copy want = { 0 };

	for (size_t i = 0; i < n; i++)
		transaction_add(&wanted, &elements[i]);
	assert_int_equal(transaction_settle(&wanted), 0);
	copy_commit(&want, &wanted);
	assert_whole(rs, &want);
	copy_free(&want);
	if (owner)
		assert_string_equal(ruleset_owner(rs, &elements[0]), owner);
}

static void test_O8_refused_owner_gets_back_what_was_accepted(void **state)
{
	const struct element old[] = { element_make(SET_SERVICES, AF_INET, 1, 0),
				       element_make(SET_HAIRPIN, AF_INET, 1, 0) };
	const struct element newer[] = { element_make(SET_SERVICES, AF_INET, 1, 1),
					 element_make(SET_HAIRPIN, AF_INET, 2, 0) };
	const struct element newest = element_make(SET_SERVICES, AF_INET, 1, 2);

	owner_replace(*state, "a", old, 2, NULL);
	ruleset_accept(*state);
	owner_replace(*state, "a", newer, 2, NULL);
	owner_replace(*state, "a", NULL, 0, NULL);
	owner_replace(*state, "a", &newest, 1, NULL);
	assert_true(revert(*state, "a"));
	assert_has(*state, "a", old, 2);

	/* That is refused, too. */
	assert_false(revert(*state, "a"));
	assert_has(*state, NULL, NULL, 0);
	ruleset_accept(*state);
	assert_false(revert(*state, "a"));
}

static void test_O8_refused_owner_that_is_new_has_nothing(void **state)
{
	const struct element e = element_make(SET_SERVICES, AF_INET, 1, 0);

	owner_replace(*state, "a", &e, 1, NULL);
	assert_false(revert(*state, "a"));
	assert_has(*state, NULL, NULL, 0);
	owner_replace(*state, "a", &e, 1, NULL);
	ruleset_accept(*state);
	assert_has(*state, "a", &e, 1);
	assert_false(revert(*state, "a")); /* accepted once, and refused now */
	assert_has(*state, NULL, NULL, 0);
}

/* What another owner has got meanwhile, or gets later, stays that one's. */
static void test_O8_refused_owner_yields_to_others(void **state)
{
	const struct element old[] = { element_make(SET_SERVICES, AF_INET, 1, 0),
				       element_make(SET_SERVICES, AF_INET, 2, 0),
				       element_make(SET_SERVICES, AF_INET, 3, 0) };
	const struct element other = element_make(SET_SERVICES, AF_INET, 9, 0);
	const struct element taken[] = { element_make(SET_SERVICES, AF_INET, 1, 1),
					 element_make(SET_SERVICES, AF_INET, 2, 1) };
	_cleanup_transaction_ struct transaction tx = { 0 }, tx2 = { 0 };

	owner_replace(*state, "a", old, 3, NULL);
	ruleset_accept(*state);
	owner_replace(*state, "a", &other, 1, NULL);
	owner_replace(*state, "b", taken, 1, NULL);
	assert_true(revert(*state, "a"));
	assert_has(*state, "b", (struct element[]){ taken[0], old[1], old[2] }, 3);
	ruleset_accept(*state);

	owner_replace(*state, "c", &taken[1], 1, &tx);
	assert_int_equal(transaction_settle(&tx), 0);
	assert_int_equal(tx.n_changes, 2);
	assert_false(tx.changes[0].add);
	assert_true(tx.changes[1].add);
	assert_has(*state, "c", (struct element[]){ taken[1], taken[0], old[2] }, 3);

	owner_replace(*state, "a", &other, 1, &tx2);
	assert_int_equal(transaction_settle(&tx2), 0);
	assert_int_equal(tx2.n_changes, 2);
	assert_has(*state, "c", (struct element[]){ taken[1], taken[0], other }, 3);

	/* It is as it should be, and need not yield any more. */
	owner_replace(*state, "c", NULL, 0, NULL);
	assert_has(*state, "a", (struct element[]){ other, taken[0] }, 2);
}

static void model_copy_owner(struct model *to, const struct model *from, unsigned owner)
{
	memcpy(to->elements[owner], from->elements[owner], sizeof(to->elements[owner]));
	to->n[owner] = from->n[owner];
}

static void test_O8_refusals_at_random(void **state)
{
	static struct model m, accepted;
	struct ruleset *rs = *state;

	srand(2);
	memset(&m, 0, sizeof(m));
	memset(&accepted, 0, sizeof(accepted));
	for (unsigned step = 0; step < N_STEPS; step++) {
		_cleanup_transaction_ struct transaction whole = { 0 };
		struct copy kernel = { 0 };
		unsigned owner = (unsigned)rand() % N_OWNERS;

		if (rand() % 3) {
			model_shuffle(&m, owner);
			owner_replace(rs, owner_name(owner), m.elements[owner], m.n[owner], NULL);
		} else {
			m.n[owner] = 0;
			if (revert(rs, owner_name(owner)))
				model_copy_owner(&m, &accepted, owner);
			accepted.n[owner] = 0;
		}
		if (rand() % 4 == 0) {
			ruleset_accept(rs);
			accepted = m;
		}
		assert_int_equal(ruleset_whole(rs, &whole), 0);
		copy_commit(&kernel, &whole);
		assert_whole(rs, &kernel);
		assert_model(&m, &kernel);
		assert_chains(rs, &kernel);
		copy_free(&kernel);
	}
}

static void test_H1_revert_without_memory(void **state)
{
	const struct element old[] = { element_make(SET_SERVICES, AF_INET, 1, 3),
				       element_make(SET_HAIRPIN, AF_INET, 1, 0) };
	const struct element new = element_make(SET_SERVICES, AF_INET, 1, 1);
	bool failed = true, kept;

	owner_replace(*state, "a", old, 2, NULL);
	ruleset_accept(*state);
	owner_replace(*state, "a", &new, 1, NULL);
	for (unsigned n = 1; failed; n++) {
		int r;

		fail_alloc_at(n);
		r = ruleset_revert(*state, "a", &kept);
		failed = fail_alloc_end();
		assert_int_equal(r, failed ? -ENOMEM : 0);
		if (failed)
			assert_has(*state, "a", &new, 1);
	}
	assert_true(kept);
	assert_has(*state, "a", old, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ruleset_test(test_O8_refused_owner_gets_back_what_was_accepted),
		ruleset_test(test_O8_refused_owner_that_is_new_has_nothing),
		ruleset_test(test_O8_refused_owner_yields_to_others),
		ruleset_test(test_O8_refusals_at_random),
		ruleset_test(test_H1_revert_without_memory),
	};

	return cmocka_run_group_tests_name("ruleset-refused", tests, NULL, NULL);
}
