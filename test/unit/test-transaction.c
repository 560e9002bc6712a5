#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/cleanup.h"
#include "elements.h"
#include "fail-alloc.h"
#include "object/object.h"
#include "ruleset/transaction.h"

enum { LONGEST = 8 };

static void note(struct transaction *tx, bool add, unsigned key, unsigned value)
{
	struct element e = element_make(SET_SERVICES, AF_INET, key, value);

	if (add)
		transaction_add(tx, &e);
	else
		transaction_delete(tx, &e);
}

static void assert_change(const struct change *c, bool add, unsigned key, unsigned value)
{
	struct element e = element_make(SET_SERVICES, AF_INET, key, value);

	assert_int_equal(c->add, add);
	assert_int_equal(element_cmp(&c->element, &e), 0);
	e.comment = add ? e.comment : NULL;
	assert_true(element_same_value(&c->element, &e));
}

/* One key that is there or not at first, and then comes and goes @n times with ever other values: the
 * net effect takes away the value that was there and brings the one that is there at last. */
static void check_comings_and_goings(bool there, unsigned n)
{
	_cleanup_transaction_ struct transaction tx = { 0 };
	const bool there_at_last = there != (n % 2 == 1);
	unsigned value = 0;
	bool now = there;

	for (unsigned i = 0; i < n; i++) {
		now = !now;
		value = (value + now) % N_VALUES;
		note(&tx, now, 7, value);
	}
	assert_int_equal(transaction_settle(&tx), 0);
	assert_int_equal(tx.n_changes, n == 0 ? 0 : there + there_at_last);
	if (n > 0 && there)
		assert_change(&tx.changes[0], false, 7, 0);
	if (n > 0 && there_at_last)
		assert_change(&tx.changes[tx.n_changes - 1], true, 7, value);
}

static void test_net_effect_of_one_key(void **state)
{
	(void)state;
	for (unsigned n = 0; n <= LONGEST; n++) {
		check_comings_and_goings(false, n);
		check_comings_and_goings(true, n);
	}
}

/* A copy that is there when @present says so for each key, with value 0. */
static void copy_fill(struct copy *c, const bool *present, unsigned n)
{
	_cleanup_transaction_ struct transaction tx = { 0 };

	for (unsigned key = 0; key < n; key++)
		if (present[key])
			note(&tx, true, key, 0);
	assert_int_equal(transaction_settle(&tx), 0);
	copy_commit(c, &tx);
}

/* Whether the settled difference leads to where a replay, change by change, has led. */
static void check_replay(unsigned n_keys, unsigned n_changes)
{
	_cleanup_transaction_ struct transaction tx = { 0 };
	struct copy kernel = { 0 }, replay = { 0 };
	bool present[16];
	struct transaction wanted = { 0 };

	for (unsigned key = 0; key < n_keys; key++)
		present[key] = rand() % 2;
	copy_fill(&kernel, present, n_keys);
	copy_fill(&replay, present, n_keys);
	for (unsigned i = 0; i < n_changes; i++) {
		_cleanup_transaction_ struct transaction one = { 0 };
		unsigned key = (unsigned)rand() % n_keys, value = (unsigned)rand() % N_VALUES;

		present[key] = !present[key];
		note(&tx, present[key], key, value);
		note(&one, present[key], key, value);
		copy_commit(&replay, &one);
	}
	assert_int_equal(transaction_settle(&tx), 0);
	copy_commit(&kernel, &tx);
	for (size_t i = 0; i < replay.n; i++)
		transaction_add(&wanted, &replay.elements[i]);
	assert_copy_equals(&kernel, &wanted);
	transaction_free(&wanted);
	copy_free(&kernel);
	copy_free(&replay);
}

static void test_net_effect_equals_a_replay(void **state)
{
	(void)state;
	srand(1);
	for (unsigned i = 0; i < 3000; i++)
		check_replay(1 + (unsigned)rand() % 16, (unsigned)rand() % 64);
}

static void test_settled_changes_are_sorted(void **state)
{
	_cleanup_transaction_ struct transaction tx = { 0 };

	(void)state;
	for (unsigned i = 0; i < 500; i++) {
		struct element e = element_make(i * 7 % SET_COUNT, i % 2 ? AF_INET : AF_INET6,
						i * 31 % 500, 0);

		transaction_add(&tx, &e);
	}
	assert_int_equal(transaction_settle(&tx), 0);
	assert_int_equal(tx.n_changes, 500);
	for (size_t i = 1; i < tx.n_changes; i++)
		assert_true(element_cmp(&tx.changes[i - 1].element, &tx.changes[i].element) < 0);
}

static void test_chains_are_sorted_and_each_there_once(void **state)
{
	static const struct dispatch noted[] = {
		{ AF_INET6, VERDICT_LB, .number = 2 },
		{ AF_INET, VERDICT_LB, .number = 3 },
		{ AF_INET, VERDICT_LEARN, PROTOCOL_TCP, 80, 1, { 10 } },
		{ AF_INET, VERDICT_LB, .number = 3 },
		{ AF_INET, VERDICT_LB, .number = 10 },
		{ AF_INET6, VERDICT_LB, .number = 2 },
		{ AF_INET, VERDICT_LEARN, PROTOCOL_TCP, 80, 1, { 11 } },
		{ AF_INET, VERDICT_LEARN, PROTOCOL_TCP, 81, 1, { 10 } },
		{ AF_INET, VERDICT_LEARN, PROTOCOL_UDP, 80, 1, { 10 } },
		{ AF_INET, VERDICT_LEARN, PROTOCOL_TCP, 80, 1, { 10 } },
	};
	static const size_t expected[] = { 1, 4, 2, 6, 7, 8, 0 };
	_cleanup_transaction_ struct transaction tx = { 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(noted); i++)
		transaction_need_chain(&tx, &noted[i]);
	assert_int_equal(transaction_settle(&tx), 0);
	assert_int_equal(tx.n_chains, ARRAY_SIZE(expected));
	for (size_t i = 0; i < ARRAY_SIZE(expected); i++)
		assert_int_equal(dispatch_cmp(&tx.chains[i], &noted[expected[i]]), 0);
}

/* Comments of a block that goes away live as long as the transaction, unless it is reset. */
static void test_kept_comments_outlive_their_block(void **state)
{
	_cleanup_transaction_ struct transaction tx = { 0 };
	struct arena *arena = arena_new(64);
	struct element e = element_make(SET_SERVICES, AF_INET, 1, 1);

	(void)state;
	assert_non_null(arena);
	e.comment = arena_strdup(arena, "default/web");
	transaction_add(&tx, &e);
	transaction_keep(&tx, arena);
	assert_int_equal(transaction_settle(&tx), 0);
	assert_string_equal(tx.changes[0].element.comment, "default/web");

	transaction_reset(&tx);
	assert_true(transaction_is_empty(&tx));
	assert_int_equal(tx.n_chains + tx.n_comments, 0);
	note(&tx, true, 2, 2);
	assert_false(transaction_is_empty(&tx));
}

static void test_deletions_forget_their_comment(void **state)
{
	_cleanup_transaction_ struct transaction tx = { 0 };

	(void)state;
	note(&tx, false, 1, 0);
	assert_null(tx.changes[0].element.comment);
}

static void fill(struct transaction *tx)
{
	const struct dispatch d = { AF_INET, VERDICT_LB, .number = 1 };

	for (unsigned key = 0; key < 100; key++)
		note(tx, true, key, 0);
	transaction_need_chain(tx, &d);
	transaction_keep(tx, arena_new(64));
	note(tx, false, 200, 0);
}

static void test_H1_failed_allocation_sticks(void **state)
{
	unsigned n = 1;

	(void)state;
	for (;; n++) {
		_cleanup_transaction_ struct transaction tx = { 0 };

		fail_alloc_at(n);
		fill(&tx);
		if (!fail_alloc_end())
			break;
		if (tx.error == 0) { /* it was the arena, which is no loss */
			assert_int_equal(transaction_settle(&tx), 0);
			continue;
		}
		note(&tx, true, 300, 0);
		assert_int_equal(transaction_settle(&tx), -ENOMEM);
		transaction_reset(&tx);
		fill(&tx);
		assert_int_equal(transaction_settle(&tx), 0);
		assert_int_equal(tx.n_changes, 101);
	}
	assert_true(n > 4);
}

static bool may_revoke(enum set_id set, bool add, uint8_t family)
{
	_cleanup_transaction_ struct transaction tx = { 0 };
	struct element e = element_make(set, AF_INET, 7, 0);

	if (add)
		transaction_add(&tx, &e);
	else
		transaction_delete(&tx, &e);
	return transaction_may_revoke(&tx, family);
}

static void test_what_may_take_a_permission_back(void **state)
{
	const struct definition chain = { .kind = DEFINITION_INGRESS_POLICY, .family = AF_INET6 };
	_cleanup_transaction_ struct transaction tx = { 0 };

	(void)state;
	assert_true(may_revoke(SET_PODS, false, AF_INET));
	assert_true(may_revoke(SET_EGRESS_PODS, false, AF_INET));
	assert_false(may_revoke(SET_PODS, false, AF_INET6));
	assert_false(may_revoke(SET_PODS, true, AF_INET));
	assert_false(may_revoke(SET_SERVICES, false, AF_INET));
	assert_false(may_revoke(SET_CLUSTER_RANGES, false, AF_INET));
	transaction_define(&tx, &chain);
	assert_true(transaction_may_revoke(&tx, AF_INET6));
	assert_false(transaction_may_revoke(&tx, AF_INET));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_net_effect_of_one_key),
		cmocka_unit_test(test_net_effect_equals_a_replay),
		cmocka_unit_test(test_settled_changes_are_sorted),
		cmocka_unit_test(test_chains_are_sorted_and_each_there_once),
		cmocka_unit_test(test_kept_comments_outlive_their_block),
		cmocka_unit_test(test_deletions_forget_their_comment),
		cmocka_unit_test(test_what_may_take_a_permission_back),
		cmocka_unit_test(test_H1_failed_allocation_sticks),
	};

	return cmocka_run_group_tests_name("transaction", tests, NULL, NULL);
}
