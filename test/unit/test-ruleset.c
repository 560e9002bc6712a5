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

#include "base/cleanup.h"
#include "base/error.h"
#include "elements.h"
#include "fail-alloc.h"
#include "ruleset/ruleset.h"

enum {
	N_OWNERS = 12,
	KEYS_PER_OWNER = 6,
	N_SHARED_KEYS = 5,
	MAX_ELEMENTS = 2 * SET_COUNT * KEYS_PER_OWNER,
	N_STEPS = 4000,
};

static const uint8_t families[] = { AF_INET, AF_INET6 };

/* What each owner wants, as plain lists: the model that the ruleset must agree with. */
struct model {
	struct element elements[N_OWNERS][MAX_ELEMENTS];
	size_t n[N_OWNERS];
};

static int ruleset_setup(void **state)
{
	return ruleset_new((struct ruleset **)state);
}

static int ruleset_teardown(void **state)
{
	ruleset_free(*state);
	return 0;
}

#define ruleset_test(test) cmocka_unit_test_setup_teardown(test, ruleset_setup, ruleset_teardown)

static const char *owner_name(unsigned owner)
{
	static char name[32];

	snprintf(name, sizeof(name), "service default/s%u", owner);
	return name;
}

static void replace(struct ruleset *rs, const char *owner, const struct element *elements, size_t n,
		    struct transaction *tx)
{
	struct block *b = n ? block_of(elements, n) : NULL;

	assert_int_equal(ruleset_replace(rs, owner, b, tx, NULL), 0);
}

static void assert_whole(const struct ruleset *rs, const struct copy *kernel)
{
	_cleanup_transaction_ struct transaction whole = { 0 };

	assert_int_equal(ruleset_whole(rs, &whole), 0);
	assert_int_equal(ruleset_count(rs), whole.n_changes);
	assert_copy_equals(kernel, &whole);
}

/* All keys are the owner's own but those of shared sets, which all owners draw from a few. */
static void model_shuffle(struct model *m, unsigned owner)
{
	const unsigned density = (unsigned)rand() % 4; /* of 3 */
	size_t n = 0;

	for (unsigned i = 0; i < 2 * SET_COUNT * KEYS_PER_OWNER; i++) {
		const enum set_id set = i / 2 % SET_COUNT;
		unsigned key = owner * KEYS_PER_OWNER + i / 2 / SET_COUNT;

		if (set_layout(set)->shared)
			key = (unsigned)rand() % N_SHARED_KEYS;
		if ((unsigned)rand() % 3 < density)
			m->elements[owner][n++] = element_make(set, families[i % 2], key,
							       (unsigned)rand() % N_VALUES);
	}
	m->n[owner] = n;
}

static bool model_has(const struct model *m, unsigned before_owner, size_t before,
		      const struct element *e)
{
	for (unsigned owner = 0; owner <= before_owner; owner++)
		for (size_t i = 0; i < (owner == before_owner ? before : m->n[owner]); i++)
			if (element_cmp(&m->elements[owner][i], e) == 0)
				return true;
	return false;
}

static void assert_model(const struct model *m, const struct copy *kernel)
{
	_cleanup_transaction_ struct transaction wanted = { 0 };

	for (unsigned owner = 0; owner < N_OWNERS; owner++)
		for (size_t i = 0; i < m->n[owner]; i++) {
			const struct element *e = &m->elements[owner][i];

			if (!set_layout(e->set)->shared || !model_has(m, owner, i, e))
				transaction_add(&wanted, e);
		}
	assert_int_equal(transaction_settle(&wanted), 0);
	assert_copy_equals(kernel, &wanted);
}

/* The second chain that a verdict with affinity goes on to. */
static bool goes_to(const struct element *e, const struct dispatch *d)
{
	bool behind = (e->verdict == VERDICT_AFFINITY_LB && d->verdict == VERDICT_LB) ||
		      (e->verdict == VERDICT_AFFINITY_LOCAL_LB && d->verdict == VERDICT_LOCAL_LB);

	return set_layout(e->set)->verdict && e->family == d->family && e->number == d->number &&
	       (e->verdict == d->verdict || behind);
}

static bool copy_uses(const struct copy *kernel, const struct dispatch *d)
{
	for (size_t i = 0; i < kernel->n; i++)
		if (goes_to(&kernel->elements[i], d))
			return true;
	return false;
}

static void assert_chains(const struct ruleset *rs, const struct copy *kernel)
{
	static const uint32_t numbers[] = { 1, 2, 3, 7, 60, 10800, 86400, DISPATCH_MAX_ENDPOINTS };

	for (unsigned v = VERDICT_FIRST_DISPATCH; v < VERDICT_COUNT; v++)
		for (size_t i = 0; i < 2 * ARRAY_SIZE(numbers); i++) {
			const struct dispatch d = { families[i % 2], (uint8_t)v, numbers[i / 2] };

			assert_int_equal(ruleset_uses_chain(rs, &d), copy_uses(kernel, &d));
		}
}

/* Every chain that an addition goes to is asked for. */
static void assert_needs(const struct transaction *tx)
{
	for (size_t i = 0; i < tx->n_changes; i++) {
		const struct element *e = &tx->changes[i].element;
		unsigned needed = 0;

		for (size_t j = 0; j < tx->n_chains; j++)
			needed += goes_to(e, &tx->chains[j]);
		if (tx->changes[i].add && set_layout(e->set)->verdict &&
		    e->verdict >= VERDICT_FIRST_DISPATCH)
			assert_int_equal(needed,
					 e->verdict == VERDICT_AFFINITY_LB ||
							 e->verdict == VERDICT_AFFINITY_LOCAL_LB ?
						 2 :
						 1);
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
			replace(rs, owner_name(owner), m.elements[owner], m.n[owner], &tx);
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

	replace(*state, "a", e, 2, NULL);
	replace(*state, "a", e, 2, &tx);
	assert_int_equal(transaction_settle(&tx), 0);
	assert_true(transaction_is_empty(&tx));
}

static void test_order_in_the_block_does_not_count(void **state)
{
	const struct element e[] = { element_make(SET_SERVICES, AF_INET, 2, 0),
				     element_make(SET_SERVICES, AF_INET, 1, 0) };
	const struct element turned[] = { e[1], e[0] };
	_cleanup_transaction_ struct transaction tx = { 0 };

	replace(*state, "a", e, 2, NULL);
	replace(*state, "a", turned, 2, &tx);
	assert_true(transaction_is_empty(&tx));
}

static void test_key_passes_from_one_owner_to_another(void **state)
{
	const struct element old = element_make(SET_SERVICES, AF_INET, 1, 0);
	const struct element new = element_make(SET_SERVICES, AF_INET, 1, 1);
	_cleanup_transaction_ struct transaction tx = { 0 };

	replace(*state, "a", &old, 1, NULL);
	replace(*state, "a", NULL, 0, &tx);
	replace(*state, "b", &new, 1, &tx);
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

		replace(*state, steps[i].owner, twice, steps[i].n, &tx);
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

	replace(*state, "a", &a, 1, NULL);
	replace(*state, "b", &b, 1, NULL);
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

	replace(*state, "a", old, ARRAY_SIZE(old), &before);
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

	replace(*state, "a", old, 2, NULL);
	ruleset_accept(*state);
	replace(*state, "a", newer, 2, NULL);
	replace(*state, "a", NULL, 0, NULL);
	replace(*state, "a", &newest, 1, NULL);
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

	replace(*state, "a", &e, 1, NULL);
	assert_false(revert(*state, "a"));
	assert_has(*state, NULL, NULL, 0);
	replace(*state, "a", &e, 1, NULL);
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

	replace(*state, "a", old, 3, NULL);
	ruleset_accept(*state);
	replace(*state, "a", &other, 1, NULL);
	replace(*state, "b", taken, 1, NULL);
	assert_true(revert(*state, "a"));
	assert_has(*state, "b", (struct element[]){ taken[0], old[1], old[2] }, 3);
	ruleset_accept(*state);

	replace(*state, "c", &taken[1], 1, &tx);
	assert_int_equal(transaction_settle(&tx), 0);
	assert_int_equal(tx.n_changes, 2);
	assert_false(tx.changes[0].add);
	assert_true(tx.changes[1].add);
	assert_has(*state, "c", (struct element[]){ taken[1], taken[0], old[2] }, 3);

	replace(*state, "a", &other, 1, &tx2);
	assert_int_equal(transaction_settle(&tx2), 0);
	assert_int_equal(tx2.n_changes, 2);
	assert_has(*state, "c", (struct element[]){ taken[1], taken[0], other }, 3);

	/* It is as it should be, and need not yield any more. */
	replace(*state, "c", NULL, 0, NULL);
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
			replace(rs, owner_name(owner), m.elements[owner], m.n[owner], NULL);
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

	replace(*state, "a", old, 2, NULL);
	ruleset_accept(*state);
	replace(*state, "a", &new, 1, NULL);
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

/* Enough chains and shared elements to make the tables of the ruleset grow. */
enum { N_MANY = 400 };

static size_t many_make(struct element *ret, uint32_t first_number)
{
	for (unsigned i = 0; i < N_MANY; i++) {
		ret[2 * i] = element_make(SET_SERVICES, AF_INET, i, 3);
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
		n += ruleset_uses_chain(rs, &(struct dispatch){ AF_INET, VERDICT_AFFINITY_LB,
								first_number + i });
		n += ruleset_uses_chain(rs, &(struct dispatch){ AF_INET, VERDICT_LB,
								first_number + i });
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
	replace(rs, "a", elements, many_make(elements, 1), &before);
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
		elements[i] = element_make(SET_SERVICES, AF_INET, i, 3);
	replace(*state, "a", elements, ARRAY_SIZE(elements), NULL);
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
		ruleset_test(test_differences_lead_from_old_to_new),
		ruleset_test(test_same_block_is_no_difference),
		ruleset_test(test_order_in_the_block_does_not_count),
		ruleset_test(test_key_passes_from_one_owner_to_another),
		ruleset_test(test_shared_element_stays_until_the_last_owner_goes),
		ruleset_test(test_owner_is_found_by_key),
		ruleset_test(test_repeated_key_is_refused_and_changes_nothing),
		ruleset_test(test_O8_refused_owner_gets_back_what_was_accepted),
		ruleset_test(test_O8_refused_owner_that_is_new_has_nothing),
		ruleset_test(test_O8_refused_owner_yields_to_others),
		ruleset_test(test_O8_refusals_at_random),
		ruleset_test(test_H1_revert_without_memory),
		cmocka_unit_test(test_H1_replace_without_memory_changes_all_or_nothing),
		cmocka_unit_test(test_H1_blocks_without_memory),
		ruleset_test(test_H1_whole_without_memory),
		cmocka_unit_test(test_H1_ruleset_without_memory),
	};

	return cmocka_run_group_tests_name("ruleset", tests, NULL, NULL);
}
