#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fail-alloc.h"
#include "ruleset-fixture.h"

/* Have @owner own the frontends with ports @first to @last, each with endpoints @target and @target + 1. */
static int own(struct ruleset *rs, const char *owner, uint16_t first, uint16_t last,
	       uint16_t target)
{
	struct block *b;

	assert_int_equal(block_new(0, &b), 0);
	for (uint16_t port = first; port <= last; port++) {
		const uint16_t targets[] = { 0, target, (uint16_t)(target + 1) };

		for (size_t i = 0; i < ARRAY_SIZE(targets); i++)
			assert_int_equal(flows_add(&b->flows,
						   &(struct flow){ .family = AF_INET,
								   .port = port,
								   .target_port = targets[i] }),
					 0);
	}
	return ruleset_replace(rs, owner, b, NULL, NULL);
}

static bool has(const struct flows *f, uint16_t port, uint16_t target)
{
	return flows_have(f,
			  &(struct flow){ .family = AF_INET, .port = port, .target_port = target });
}

/* What was not taken can be taken later. */
static void test_H1_flows_without_memory(void **state)
{
	_cleanup_flows_ struct flows kept = { 0 }, gone = { 0 };
	struct ruleset *rs = *state;
	unsigned n = 0;
	bool failed = true;

	assert_int_equal(own(rs, "a", 1, 100, 5000), 0);
	assert_int_equal(own(rs, "b", 101, 400, 5000), 0);
	while (failed) {
		int r;

		fail_alloc_at(++n);
		r = ruleset_replace(rs, "b", NULL, NULL, NULL);
		if (r == 0)
			r = ruleset_take_flows(rs, &kept, &gone);
		failed = fail_alloc_end();
		assert_int_equal(r, failed ? -ENOMEM : 0);
		assert_int_equal(ruleset_flows_changed(rs), failed);
		assert_int_equal(kept.n, failed ? 0 : 300);
	}
	assert_int_equal(gone.n, 300);
	assert_true(n > 4);
}

static void test_same_flows_are_no_change(void **state)
{
	_cleanup_flows_ struct flows kept = { 0 }, gone = { 0 };
	struct ruleset *rs = *state;

	assert_int_equal(own(rs, "a", 1, 10, 5000), 0);
	assert_true(ruleset_flows_changed(rs));
	assert_int_equal(ruleset_take_flows(rs, &kept, &gone), 0);
	assert_int_equal(own(rs, "a", 1, 10, 5000), 0);
	assert_false(ruleset_flows_changed(rs));
	assert_int_equal(own(rs, "a", 1, 10, 5001), 0);
	assert_true(ruleset_flows_changed(rs));
}

/* Its flows go as they went before; those of a frontend that another has got, as that one says. */
static void test_O8_refused_owner_has_its_flows_of_before(void **state)
{
	_cleanup_flows_ struct flows kept = { 0 }, gone = { 0 };
	struct ruleset *rs = *state;
	bool some;

	assert_int_equal(own(rs, "a", 1, 3, 5000), 0);
	ruleset_accept(rs);
	assert_int_equal(own(rs, "a", 1, 1, 6000), 0);
	assert_int_equal(own(rs, "b", 3, 3, 7000), 0);
	assert_int_equal(ruleset_take_flows(rs, &kept, &gone), 0);
	assert_int_equal(kept.n, 6);
	assert_int_equal(gone.n, 2);

	assert_int_equal(ruleset_revert(rs, "a", &some), 0);
	assert_true(ruleset_flows_changed(rs));
	assert_int_equal(ruleset_take_flows(rs, &kept, &gone), 0);
	assert_int_equal(kept.n, 9);
	assert_true(has(&kept, 1, 5000) && has(&kept, 2, 5001) && has(&kept, 3, 7000));

	assert_int_equal(own(rs, "c", 2, 2, 8000), 0);
	assert_int_equal(ruleset_take_flows(rs, &kept, &gone), 0);
	assert_int_equal(kept.n, 9);
	assert_true(has(&kept, 2, 8000) && !has(&kept, 2, 5000));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ruleset_test(test_H1_flows_without_memory),
		ruleset_test(test_same_flows_are_no_change),
		ruleset_test(test_O8_refused_owner_has_its_flows_of_before),
	};

	return cmocka_run_group_tests_name("ruleset-flows", tests, NULL, NULL);
}
