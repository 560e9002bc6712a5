#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/drains.h"
#include "base/cleanup.h"
#include "fail-alloc.h"

#define _cleanup_drains_ _cleanup_(drains_free)

static struct flow flow_make(uint16_t target)
{
	return (struct flow){ .family = AF_INET, .port = 80, .target_port = target };
}

/* A pass has found connections to these, up to the first 0; new ones have until @end_us. */
static void find(struct drains *d, uint64_t end_us, const uint16_t targets[static 4])
{
	_cleanup_flows_ struct flows found = { 0 };

	for (size_t i = 0; i < 4 && targets[i]; i++) {
		struct flow one = flow_make(targets[i]);

		assert_int_equal(flows_add(&found, &one), 0);
	}
	flows_settle(&found);
	assert_int_equal(drains_update(d, &found, end_us), 0);
}
#define FIND(d, end_us, ...) find(d, end_us, (const uint16_t[4]){ __VA_ARGS__ })

/* At @now_us there are @n, and the time is over of these, up to the first 0. */
static void assert_ended(const struct drains *d, uint64_t now_us, size_t n,
			 const uint16_t targets[static 4])
{
	_cleanup_flows_ struct flows all = { 0 }, ended = { 0 };
	size_t n_ended = 0;

	assert_int_equal(drains_list(d, now_us, &all, &ended), 0);
	assert_int_equal(all.n, n);
	while (n_ended < 4 && targets[n_ended]) {
		struct flow one = flow_make(targets[n_ended++]);

		assert_true(flows_have(&ended, &one));
		assert_true(flows_have(&all, &one));
	}
	assert_int_equal(ended.n, n_ended);
}
#define ASSERT_ENDED(d, now_us, n, ...) \
	assert_ended(d, now_us, n, (const uint16_t[4]){ __VA_ARGS__ })

static void test_each_has_its_own_time(void **state)
{
	_cleanup_drains_ struct drains d = { 0 };

	(void)state;
	assert_int_equal(drains_next(&d), UINT64_MAX);
	FIND(&d, 100, 2, 4);
	ASSERT_ENDED(&d, 99, 2, 0);
	FIND(&d, 150, 1, 2, 3, 4);
	assert_int_equal(drains_next(&d), 100);
	ASSERT_ENDED(&d, 100, 4, 2, 4);
	FIND(&d, 200, 1, 3);
	assert_int_equal(drains_next(&d), 150);
	ASSERT_ENDED(&d, 149, 2, 0);
	ASSERT_ENDED(&d, 150, 2, 1, 3);
}

/* It is an endpoint again, or its connections have ended: whatever comes later has all its time. */
static void test_what_is_not_found_is_forgotten(void **state)
{
	_cleanup_drains_ struct drains d = { 0 };

	(void)state;
	FIND(&d, 100, 1, 2);
	FIND(&d, 110, 2);
	FIND(&d, 120, 1, 2);
	ASSERT_ENDED(&d, 100, 2, 2);
	FIND(&d, 130, 0);
	assert_int_equal(drains_next(&d), UINT64_MAX);
	ASSERT_ENDED(&d, UINT64_MAX, 0, 0);
}

static void test_H1_without_memory(void **state)
{
	_cleanup_flows_ struct flows found = { 0 }, all = { 0 }, ended = { 0 };
	_cleanup_drains_ struct drains d = { 0 };
	int r;

	(void)state;
	FIND(&d, 100, 1);
	fail_alloc_at(1);
	r = drains_update(&d, &found, 200);
	assert_true(fail_alloc_end());
	assert_int_equal(r, -ENOMEM);
	for (unsigned n = 1; n <= 2; n++) {
		fail_alloc_at(n);
		flows_free(&all);
		r = drains_list(&d, 100, &all, &ended);
		assert_true(fail_alloc_end());
		assert_int_equal(r, -ENOMEM);
	}
	ASSERT_ENDED(&d, 100, 1, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_has_its_own_time),
		cmocka_unit_test(test_what_is_not_found_is_forgotten),
		cmocka_unit_test(test_H1_without_memory),
	};

	return cmocka_run_group_tests_name("drains", tests, NULL, NULL);
}
