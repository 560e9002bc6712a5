#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "agent/conntrack-watch.h"
#include "base/cleanup.h"
#include "kernel-fixture.h"

static void test_N15_full_is_what_had_no_room(void **state)
{
	static const struct {
		struct conntrack_stats before, now;
		bool full;
	} rows[] = {
		{ { 0, 100, 0, 0 }, { 0, 100, 0, 0 }, false },
		{ { 99, 100, 7, 3 }, { 100, 100, 7, 3 }, false }, /* nobody came */
		{ { 0, 100, 7, 0 }, { 100, 100, 8, 0 }, true },
		{ { 0, 100, 7, 0 }, { 90, 100, 8, 0 }, true },  /* some have ended since */
		{ { 0, 100, 7, 0 }, { 89, 100, 8, 0 }, false }, /* for another reason */
		{ { 0, 0, 7, 0 }, { 1, 0, 8, 0 }, true },       /* a kernel that tells no limit */
		{ { 0, 100, 0, 1 }, { 10, 100, 0, 2 }, true },
		{ { 0, 100, UINT32_MAX, 0 }, { 100, 100, 0, 0 }, true },
		{ { 0, UINT32_MAX, 1, 0 }, { UINT32_MAX, UINT32_MAX, 2, 0 }, true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(conntrack_was_full(&rows[i].before, &rows[i].now), rows[i].full);
}

static void test_N15_room_is_told(struct kernel *k)
{
	struct conntrack_stats stats = { .entries = 1, .dropped = 1, .evicted = 1 };

	assert_int_equal(conntrack_stats_read(k->nl, &stats, &k->err), 0);
	assert_int_equal(stats.entries, 0);
	assert_true(stats.limit > 0);
	assert_int_equal(stats.dropped + stats.evicted, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_N15_full_is_what_had_no_room),
		kernel_test(test_N15_room_is_told),
	};

	return cmocka_run_group_tests(tests, kernel_announce, NULL);
}
