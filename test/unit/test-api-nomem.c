/* Any allocation fails, libcurl's included: nothing leaks, hangs or is told twice, and the next call
 * works. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

#include <cmocka.h>

#include "api-fixture.h"
#include "base/secret.h"
#include "fail-alloc.h"

static void serve(struct http_exchange *x, void *userdata)
{
	(void)userdata;
	http_reply(x, 200, NULL, "{}");
}

/* Whether all went well. */
static bool try_calls(struct api_world *w, struct listener *a, struct listener *b)
{
	int r = 0;

	if (!w->client)
		r = api_client_new(w->loop, &w->access, "test", &w->client, &w->err);
	if (r == 0)
		r = api_try(a, &(struct api_request){ .path = "/never" });
	if (r == 0)
		r = api_try(b, &(struct api_request){ .path = "/", .body = "{}", .body_len = 2 });
	a->call = api_call_cancel(a->call);
	if (r < 0) {
		assert_int_equal(r, -ENOMEM);
		assert_int_equal(w->err.code, -ENOMEM);
		return false;
	}
	api_wait(b);
	return strstr(buf_text(&w->log), "b done\n");
}

static void test_short_memory_fails_one_call(void **state)
{
	struct api_world *w = *state;
	struct listener *a = api_listener(w, "a"), *b = api_listener(w, "b");
	bool failed = true;
	unsigned n;

	w->access.token = secret_new("t", 1);
	http_answer(w->server, serve, NULL);
	for (n = 1; failed; n++) {
		bool went_well;

		fail_alloc_at(n);
		went_well = try_calls(w, a, b);
		failed = fail_alloc_end();
		/* libcurl can do without some of its own. */
		assert_true(failed || went_well);
		buf_reset(&w->log);
		assert_true(try_calls(w, a, b));
		buf_reset(&w->log);
		w->client = api_client_free(w->client);
	}
	assert_true(n > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_short_memory_fails_one_call, api_setup,
						api_teardown),
	};

	/* From here on what libcurl allocates is counted. */
	curl_global_init_mem(CURL_GLOBAL_DEFAULT, malloc, free, realloc, strdup, calloc);
	return cmocka_run_group_tests_name("api without memory", tests, NULL, NULL);
}
