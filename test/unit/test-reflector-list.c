/* How a reflector comes by a whole list. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "reflector-fixture.h"

static void test_list_is_told_then_watched(void **state)
{
	struct reflected *f = *state;

	reflected_start(f, false);
	http_reply(next_request(f, SERVICES "?resourceVersion=0"), 200, NULL,
		   LIST("9", ITEM("a", "u1", "3") "," ITEM("b", "u2", "4")));
	assert_reflected(f, "apply default/a@3\n"
		       "apply default/b@4\n"
		       "synced Service\n");
	next_stream(f, WATCH_QUERY("9"));
	assert_int_equal(reflector_stats(f->reflector).objects, 2);
	assert_int_equal(reflector_stats(f->reflector).lists, 1);
	assert_int_equal(reflector_stats(f->reflector).watches, 1);
	assert_backed_off(f, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_list_is_told_then_watched, reflected_setup,
						reflected_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
