#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "object/object.h"

static const char *const words[] = { "a", "b", "c", "d" };

enum { N_WORDS = ARRAY_SIZE(words), ROUNDS = 200000 };

static bool matches(const struct selector_requirement *r, const struct key_values *labels)
{
	struct selector s = { .requirements = r, .n = 1 };

	return selector_matches(&s, labels);
}

static void test_operators(void **state)
{
	static const char *const values[] = { "front", "web" };
	const struct key_value items[] = { { "empty", "" }, { "tier", "web" } };
	const struct key_values labels = { .items = items, .n = ARRAY_SIZE(items) };
	static const struct {
		const char *key;
		bool in, not_in, exists;
	} rows[] = {
		{ "tier", true, false, true },
		{ "empty", false, true, true },
		{ "absent", false, true, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct selector_requirement r = { rows[i].key, SELECTOR_IN, values, 2 };

		assert_int_equal(matches(&r, &labels), rows[i].in);
		r.op = SELECTOR_NOT_IN;
		assert_int_equal(matches(&r, &labels), rows[i].not_in);
		r = (struct selector_requirement){ .key = rows[i].key, .op = SELECTOR_EXISTS };
		assert_int_equal(matches(&r, &labels), rows[i].exists);
		r.op = SELECTOR_DOES_NOT_EXIST;
		assert_int_equal(matches(&r, &labels), !rows[i].exists);
	}
}

static void test_no_requirement_selects_everything(void **state)
{
	const struct key_value item = { "a", "b" };

	(void)state;
	assert_true(selector_matches(&(struct selector){ 0 }, &(struct key_values){ 0 }));
	assert_true(selector_matches(&(struct selector){ 0 }, &(struct key_values){ &item, 1 }));
}

static void test_all_requirements_must_hold(void **state)
{
	static const char *const value[] = { "1" };
	const struct selector_requirement both[] = {
		{ "a", SELECTOR_IN, value, 1 },
		{ "b", SELECTOR_EXISTS, NULL, 0 },
	};
	const struct selector s = { .requirements = both, .n = 2 };
	const struct key_value items[] = { { "a", "1" }, { "b", "2" } };

	(void)state;
	assert_true(selector_matches(&s, &(struct key_values){ items, 2 }));
	assert_false(selector_matches(&s, &(struct key_values){ items, 1 }));
	assert_false(selector_matches(&s, &(struct key_values){ items + 1, 1 }));
}

/* The definition, word for word, without any use of the order of things. */
static bool naive_holds(const struct selector_requirement *r, const struct key_values *labels)
{
	bool there = false, listed = false;

	for (size_t i = 0; i < labels->n; i++)
		if (strcmp(labels->items[i].key, r->key) == 0) {
			there = true;
			for (size_t j = 0; j < r->n_values; j++)
				listed |= strcmp(labels->items[i].value, r->values[j]) == 0;
		}
	switch (r->op) {
	case SELECTOR_IN:
		return there && listed;
	case SELECTOR_NOT_IN:
		return !there || !listed;
	case SELECTOR_EXISTS:
		return there;
	case SELECTOR_DOES_NOT_EXIST:
		break;
	}
	return !there;
}

static uint32_t random_next(uint32_t *seed, uint32_t below)
{
	*seed = *seed * 1664525 + 1013904223;
	return (*seed >> 8) % below;
}

/* The words whose bit is set in @mask, which are sorted as the words are. */
static size_t words_pick(uint32_t mask, const char **ret)
{
	size_t n = 0;

	for (size_t i = 0; i < N_WORDS; i++)
		if (mask & (1U << i))
			ret[n++] = words[i];
	return n;
}

static struct selector_requirement requirement_make(uint32_t *seed, const char **values)
{
	struct selector_requirement r = {
		.key = words[random_next(seed, N_WORDS)],
		.op = (enum selector_operator)random_next(seed, 4),
		.values = values,
	};

	if (r.op == SELECTOR_IN || r.op == SELECTOR_NOT_IN)
		r.n_values = words_pick(1 + random_next(seed, (1 << N_WORDS) - 1), values);
	return r;
}

static void test_random_selectors_agree_with_the_definition(void **state)
{
	uint32_t seed = 1;
	size_t n_matched = 0;

	(void)state;
	for (size_t round = 0; round < ROUNDS; round++) {
		const char *keys[N_WORDS], *values[2][N_WORDS];
		struct key_value items[N_WORDS];
		struct key_values labels = { .items = items };
		struct selector_requirement requirements[2];
		struct selector s = { .requirements = requirements };
		bool expected = true;

		labels.n = words_pick(random_next(&seed, 1 << N_WORDS), keys);
		for (size_t i = 0; i < labels.n; i++)
			items[i] = (struct key_value){ keys[i],
						       words[random_next(&seed, N_WORDS)] };
		s.n = random_next(&seed, 3);
		for (size_t i = 0; i < s.n; i++) {
			requirements[i] = requirement_make(&seed, values[i]);
			expected &= naive_holds(&requirements[i], &labels);
		}
		assert_int_equal(selector_matches(&s, &labels), expected);
		n_matched += expected;
	}
	assert_in_range(n_matched, ROUNDS / 4, ROUNDS * 3 / 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_operators),
		cmocka_unit_test(test_no_requirement_selects_everything),
		cmocka_unit_test(test_all_requirements_must_hold),
		cmocka_unit_test(test_random_selectors_agree_with_the_definition),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
