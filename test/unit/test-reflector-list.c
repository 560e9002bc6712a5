/* How a reflector comes by a whole list, and by the list after that. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/loop.h"
#include "reflector-fixture.h"

#define FIRST_LIST SERVICES "?resourceVersion=0"

/* A watch that is told to list again: its position is 9. */
static void relist(struct reflected *f, const char *list)
{
	struct http_exchange *x = reflected_watch(f, list);

	http_begin(x, 200, NULL);
	http_chunk(x, EVENT("ERROR", GONE));
}

static void test_list_is_told_then_watched(void **state)
{
	struct reflected *f = *state;
	struct reflector_stats stats;

	reflected_start(f, false);
	http_reply(next_request(f, FIRST_LIST), 200, NULL,
		   LIST("9", ITEM("a", "u1", "3") "," ITEM("b", "u2", "4")));
	assert_reflected(f, "apply default/a@3\n"
			    "apply default/b@4\n"
			    "synced Service\n");
	next_stream(f, WATCH_QUERY("9"));
	assert_backed_off(f, 0);
	stats = reflector_stats(f->reflector);
	assert_int_equal(stats.objects, 2);
	assert_int_equal(stats.lists, 1);
	assert_int_equal(stats.watches, 1);
	assert_int_equal(stats.failures, 0);
	assert_true(stats.synced);
	assert_in_range(stats.last_heard_us, 1, monotonic_us());
}

static void test_empty_list(void **state)
{
	struct reflected *f = *state;

	reflected_start(f, false);
	assert_int_equal(reflector_stats(f->reflector).last_heard_us, 0);
	http_reply(next_request(f, FIRST_LIST), 200, NULL, LIST("9", ""));
	assert_reflected(f, "synced Service\n");
	next_stream(f, WATCH_QUERY("9"));
}

static void test_selectors_are_part_of_every_request(void **state)
{
	const struct reflector_config config = {
		.kind = KIND_POD, .label_selector = "!a/b", .field_selector = "x!=Y", .seed = 1
	};
	static const char selectors[] = "&labelSelector=%21a%2Fb&fieldSelector=x%21%3DY";
	struct reflected *f = *state;
	struct source_events events = reflected_events(f);
	struct http_exchange *x;

	assert_int_equal(reflector_new(f->client, f->loop, &config, &events, NULL, NULL,
				       &f->reflector, NULL),
			 0);
	for (int i = 0; i < 2; i++) {
		x = http_next(f->server);
		assert_non_null(strstr(http_target(x), i ? "/api/v1/pods?resourceVersion=0" :
							   "/api/v1/pods?watch=true"));
		assert_string_equal(strstr(http_target(x), "&labelSelector"), selectors);
		http_reply(x, 400, NULL, "");
	}
}

static void test_A4_relist_tells_the_difference_at_once(void **state)
{
	static const char list[] = LIST(
		"12", ITEM("c", "u3", "10") "," ITEM("a", "u1", "3") "," ITEM("d", "u4", "11"));
	struct reflected *f = *state;
	struct http_exchange *x;

	relist(f,
	       LIST("9", ITEM("a", "u1", "3") "," ITEM("b", "u2", "4") "," ITEM("d", "u4", "5")));
	x = next_request(f, SERVICES "?resourceVersion=9");
	assert_backed_off(f, BACKOFF_FIRST_MS);
	http_begin(x, 200, NULL);
	http_chunk_bytes(x, list, sizeof(list) - 5);
	http_settle(f->server);
	assert_reflected(f, "");
	http_chunk(x, list + sizeof(list) - 5);
	http_end(x);
	assert_reflected(f, "remove default/b\n"
			    "apply default/c@10\n"
			    "apply default/d@11\n");
	next_stream(f, WATCH_QUERY("12"));
	assert_int_equal(reflector_stats(f->reflector).objects, 3);
	assert_int_equal(reflector_stats(f->reflector).failures, 0);
}

static void test_what_was_told_is_not_even_decoded(void **state)
{
	struct reflected *f = *state;

	relist(f, LIST("9", ITEM("a", "u1", "3")));
	http_reply(next_request(f, SERVICES "?resourceVersion=9"), 200, NULL,
		   LIST("12", BAD_ITEM("a", "u1", "3")));
	next_stream(f, WATCH_QUERY("12"));
	assert_reflected(f, "");
}

static void test_same_version_of_another_object_is_told(void **state)
{
	struct reflected *f = *state;

	relist(f, LIST("9", ITEM("a", "u1", "3")));
	http_reply(next_request(f, SERVICES "?resourceVersion=9"), 200, NULL,
		   LIST("12", ITEM("a", "u2", "3")));
	assert_reflected(f, "remove default/a\n"
			    "apply default/a@3\n");
}

static void test_without_a_version_everything_is_told(void **state)
{
	struct reflected *f = *state;

	relist(f, LIST("9", ITEM("a", "u1", "")));
	http_reply(next_request(f, SERVICES "?resourceVersion=9"), 200, NULL,
		   LIST("12", ITEM("a", "u1", "")));
	assert_reflected(f, "apply default/a@\n");
}

static void test_half_a_list_is_no_list(void **state)
{
	static const char half[] =
		"{\"kind\":\"ServiceList\",\"metadata\":{\"resourceVersion\":\"9\"},"
		"\"items\":[" ITEM("old", "u1", "3") ",";
	static const struct {
		void (*end)(struct http_exchange *x); /* NULL: other credentials */
		uint64_t step;
		unsigned failures;
	} ends[] = {
		{ NULL, 0, 0 },
		{ http_end, BACKOFF_FIRST_MS, 1 },
		{ http_cut, BACKOFF_FIRST_MS, 1 },
		{ http_reset, BACKOFF_FIRST_MS, 1 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		struct http_exchange *x;
		struct reflected *f;

		reflected_setup(state);
		f = *state;
		reflected_start(f, false);
		x = next_request(f, FIRST_LIST);
		http_begin(x, 200, NULL);
		http_chunk(x, half);
		http_settle(f->server);
		if (ends[i].end)
			ends[i].end(x);
		else
			reflected_renew(f);
		x = next_request(f, FIRST_LIST);
		assert_backed_off(f, ends[i].step);
		assert_int_equal(reflector_stats(f->reflector).failures, ends[i].failures);
		assert_false(reflector_stats(f->reflector).synced);
		buf_reset(&f->log);
		http_reply(x, 200, NULL, LIST("9", ITEM("new", "u1", "3")));
		assert_reflected(f, "apply default/new@3\n"
				    "synced Service\n");
		reflected_teardown(state);
	}
}

static void test_pages(void **state)
{
	struct reflected *f = *state;
	struct http_exchange *x;

	reflected_start(f, false);
	http_reply(next_request(f, FIRST_LIST), 200, NULL, PAGE("9", "t/1=", ITEM("a", "u1", "3")));
	x = next_request(f, SERVICES "?continue=t%2F1%3D&limit=500");
	http_reply(x, 200, NULL, PAGE("9", "t2", ITEM("b", "u2", "4")));
	x = next_request(f, SERVICES "?continue=t2&limit=500");
	http_settle(f->server);
	assert_reflected(f, "");
	http_reply(x, 200, NULL, PAGE("10", "", ITEM("c", "u3", "5")));
	x = next_stream(f, WATCH_QUERY("9"));
	assert_reflected(f, "apply default/a@3\n"
			    "apply default/b@4\n"
			    "apply default/c@5\n"
			    "synced Service\n");
	/* A server that pages like this has no watch cache, so that a whole list would cost it much. */
	http_chunk(x, EVENT("ERROR", GONE));
	next_request(f, SERVICES "?resourceVersion=9&limit=500");
}

static void test_A5_expired_token_restarts_the_list(void **state)
{
	struct reflected *f = *state;

	relist(f, LIST("9", ITEM("a", "u1", "3")));
	http_reply(next_request(f, SERVICES "?resourceVersion=9"), 200, NULL,
		   PAGE("9", "t", ITEM("a", "u1", "3")));
	http_reply(next_request(f, SERVICES "?continue=t&limit=500"), 410, NULL, GONE);
	/* At once, but not for ever. */
	http_reply(next_request(f, SERVICES), 200, NULL, PAGE("20", "t", ITEM("b", "u2", "3")));
	assert_backed_off(f, BACKOFF_FIRST_MS);
	http_reply(next_request(f, SERVICES "?continue=t&limit=500"), 410, NULL, GONE);
	http_reply(next_request(f, SERVICES), 200, NULL, LIST("20", ITEM("c", "u3", "15")));
	assert_backed_off(f, 2 * BACKOFF_FIRST_MS);
	assert_reflected(f, "remove default/a\n"
			    "apply default/c@15\n");
	/* From then on versions count again. */
	http_reply(next_request(f, WATCH_QUERY("20")), 410, NULL, GONE);
	next_request(f, SERVICES "?resourceVersion=20");
}

static void test_A5_version_ahead_of_the_server(void **state)
{
	struct reflected *f = *state;

	relist(f, LIST("9", ITEM("a", "u1", "3")));
	http_reply(next_request(f, SERVICES "?resourceVersion=9"), 504, NULL, TOO_LARGE);
	http_reply(next_request(f, SERVICES), 200, NULL, LIST("5", ITEM("a", "u1", "3")));
	assert_backed_off(f, BACKOFF_FIRST_MS);
	next_request(f, WATCH_QUERY("5"));
	assert_reflected(f, "");
}

static void test_A5_expired_version(void **state)
{
	struct reflected *f = *state;

	relist(f, LIST("9", ITEM("a", "u1", "3")));
	http_reply(next_request(f, SERVICES "?resourceVersion=9"), 410, NULL, GONE);
	http_reply(next_request(f, SERVICES), 200, NULL, LIST("20", ""));
	assert_reflected(f, "remove default/a\n");
}

static void test_A6_page_is_asked_for_again_after_the_delay(void **state)
{
	struct reflected *f = *state;
	uint64_t begin;

	reflected_start(f, false);
	http_reply(next_request(f, FIRST_LIST), 200, NULL, PAGE("9", "t", ITEM("a", "u1", "3")));
	http_reply(next_request(f, SERVICES "?continue=t&limit=500"), 429,
		   "Retry-After: 1\r\nContent-Type: application/json\r\n",
		   STATUS(429, "TooManyRequests", "slow down", ""));
	begin = monotonic_us();
	http_reply(next_request(f, SERVICES "?continue=t&limit=500"), 503, NULL, "");
	assert_true(monotonic_us() - begin >= 990 * 1000);
	http_reply(next_request(f, SERVICES "?continue=t&limit=500"), 200, NULL,
		   LIST("9", ITEM("b", "u2", "4")));
	assert_backed_off(f, 2 * BACKOFF_FIRST_MS);
	next_stream(f, WATCH_QUERY("9"));
	assert_reflected(f,
			 "report services: can't list services: the server answers 429: slow down\n"
			 "report services: can't list services: the server answers 503\n"
			 "apply default/a@3\n"
			 "apply default/b@4\n"
			 "synced Service\n"
			 "recovered services: followed again after N s\n");
	assert_int_equal(reflector_stats(f->reflector).failures, 2);
}

static void test_A8_forbidden_is_said_once_with_verb_and_resource(void **state)
{
	static const char forbidden[] = STATUS(403, "Forbidden", "User n cannot list", "");
	struct reflected *f = *state;

	reflected_start(f, false);
	for (int i = 0; i < 4; i++)
		http_reply(next_request(f, FIRST_LIST), 403, NULL, forbidden);
	http_reply(next_request(f, FIRST_LIST), 200, NULL, LIST("9", ""));
	http_reply(next_request(f, WATCH_QUERY("9")), 403, NULL, forbidden);
	next_stream(f, WATCH_QUERY("9"));
	assert_reflected(f, "report services: may not list services: User n cannot list (RBAC)\n"
			    "synced Service\n"
			    "recovered services: followed again after N s\n");
	assert_backed_off(f, 16 * BACKOFF_FIRST_MS);
}

static void test_refusals_of_a_list(void **state)
{
	struct reflected *f = *state;

	reflected_start(f, false);
	http_reply(next_request(f, FIRST_LIST), 401, NULL, "");
	http_reply(next_request(f, FIRST_LIST), 401, NULL, "");
	http_reply(next_request(f, FIRST_LIST), 500, NULL, "<html>oops</html>");
	/* Whatever is wrong with the request, the version may be what is wrong. */
	http_reply(next_request(f, FIRST_LIST), 404, NULL, "");
	http_reply(next_request(f, SERVICES), 400, NULL, "");
	next_request(f, SERVICES);
	assert_reflected(f, "report services: can't list services: the server answers 401\n"
			    "report services: can't list services: the server answers 500: "
			    "<html>oops</html>\n"
			    "report services: can't list services: the server answers 404\n");
}

static void test_refused_token_restarts_the_list(void **state)
{
	struct reflected *f = *state;

	reflected_start(f, false);
	http_reply(next_request(f, FIRST_LIST), 200, NULL, PAGE("9", "t", ITEM("a", "u1", "3")));
	http_reply(next_request(f, SERVICES "?continue=t&limit=500"), 400, NULL, "");
	http_reply(next_request(f, SERVICES "?limit=500"), 200, NULL, LIST("9", ""));
	next_request(f, WATCH_QUERY("9"));
	assert_reflected(f, "report services: can't list services: the server answers 400\n"
			    "synced Service\n");
}

static void test_A9_answers_that_are_no_list(void **state)
{
	static const struct {
		const char *headers, *body;
	} answers[] = {
		{ "Content-Type: text/html\r\n", "<html><body>Please log in</body></html>" },
		{ "Content-Type: text/html\r\n", LIST("9", ITEM("a", "u1", "3")) },
		{ "Content-Type: application/vnd.kubernetes.protobuf\r\n", "k8s" },
		{ "", LIST("9", ITEM("a", "u1", "3")) },
		{ NULL, "" },
		{ NULL, "<html></html>" },
		{ NULL, "[]" },
		{ NULL, LIST("9", ITEM("a", "u1", "3")) LIST("9", "") },
		{ NULL, LIST("9", ITEM("a", "u1", "3") "," ITEM("b", "u1", "3") "]") },
		{ NULL, LIST("9", ITEM("a", "u1", "3") ",null") },
		{ NULL, LIST("", ITEM("a", "u1", "3")) },
		{ NULL,
		  "{\"kind\":\"PodList\",\"metadata\":{\"resourceVersion\":\"9\"},\"items\":[" ITEM(
			  "a", "u1", "3") "]}" },
		{ NULL, GONE },
	};
	struct reflected *f = *state;

	reflected_start(f, false);
	for (size_t i = 0; i < ARRAY_SIZE(answers); i++)
		http_reply(next_request(f, FIRST_LIST), 200, answers[i].headers, answers[i].body);
	next_request(f, FIRST_LIST);
	assert_reflected(f, "report services: can't list services: the answer is \"text/html\", "
			    "not JSON\n");
	assert_int_equal(reflector_stats(f->reflector).failures, ARRAY_SIZE(answers));
	assert_int_equal(reflector_stats(f->reflector).objects, 0);
}

static void test_A9_bytes_that_are_no_gzip(void **state)
{
	struct reflected *f = *state;

	reflected_start(f, false);
	http_reply(next_request(f, FIRST_LIST), 200,
		   "Content-Type: application/json\r\nContent-Encoding: gzip\r\n",
		   LIST("9", ITEM("a", "u1", "3")));
	next_request(f, FIRST_LIST);
	assert_int_equal(reflector_stats(f->reflector).failures, 1);
	assert_int_equal(reflector_stats(f->reflector).objects, 0);
}

static void test_version_that_is_too_long_for_us(void **state)
{
	struct buf list = { 0 };
	struct reflected *f = *state;

	buf_puts(&list,
		 "{\"kind\":\"ServiceList\",\"items\":[],\"metadata\":{\"resourceVersion\":\"");
	for (int i = 0; i < VERSION_BYTES; i++)
		buf_puts(&list, "1");
	buf_puts(&list, "\"}}");
	reflected_start(f, false);
	http_reply(next_request(f, FIRST_LIST), 200, NULL, buf_text(&list));
	next_request(f, FIRST_LIST);
	assert_reflected(f,
			 "report services: can't list services: the answer is no ServiceList with "
			 "a resourceVersion\n");
	buf_free(&list);
}

static void test_bad_objects_of_a_list(void **state)
{
	struct reflected *f = *state;
	struct http_exchange *x;

	relist(f, LIST("9", ITEM("a", "u1", "3") "," BAD_ITEM("b", "u2", "4")));
	/* Both are there, so neither is gone; "b" is as bad as before, "a" newly so. */
	x = next_request(f, SERVICES "?resourceVersion=9");
	http_reply(x, 200, NULL,
		   LIST("12", BAD_ITEM("a", "u1", "10") "," BAD_ITEM("b", "u2", "4") "," ITEM(
				      "c", "u3", "5") ",{},{\"x\":1}"));
	x = next_stream(f, WATCH_QUERY("12"));
	assert_reflected(f,
			 "report services: Service default/a: spec.ports[0].port: 0 is not a port "
			 "(1 to 65535)\n"
			 "report services: Service: metadata.name: is missing\n"
			 "apply default/c@5\n");
	assert_int_equal(reflector_stats(f->reflector).refused, 5);
	http_chunk(x, EVENT("ERROR", GONE));
	http_reply(next_request(f, SERVICES "?resourceVersion=12"), 200, NULL,
		   LIST("15", BAD_ITEM("b", "u2", "13")));
	assert_reflected(f,
			 "report services: Service default/b: spec.ports[0].port: 0 is not a port "
			 "(1 to 65535)\n"
			 "remove default/a\n"
			 "remove default/c\n");
}

static void test_A10_object_that_is_too_big_is_named(void **state)
{
	static char padding[FRAME_MAX_BYTES + 1];
	struct reflected *f = *state;
	struct http_exchange *x;

	reflected_start(f, false);
	x = next_request(f, FIRST_LIST);
	http_begin(x, 200, NULL);
	http_chunk(
		x,
		"{\"kind\":\"ServiceList\",\"metadata\":{\"resourceVersion\":\"9\"},\"items\":[");
	http_chunk(x, "{\"metadata\":{\"name\":\"big\",\"namespace\":\"default\"},\"x\":\"");
	memset(padding, 'x', FRAME_MAX_BYTES);
	http_chunk(x, padding);
	http_chunk(x, "\"}," ITEM("a", "u1", "3") "]}");
	http_end(x);
	assert_reflected(f, "report services: Service default/big: more than 10485760 bytes\n"
			    "apply default/a@3\n"
			    "synced Service\n");
}

static void test_limit_of_objects(void **state)
{
	static const char two[] = LIST("9", ITEM("a", "u1", "3") "," ITEM("b", "u2", "3"));
	static const char bad[] = EVENT("ADDED", BAD_ITEM("c", "u3", "10"));
	static const char good[] = EVENT("ADDED", ITEM("c", "u3", "10"));
	struct reflected *f = *state;

	reflected_start(f, false);
	assert_int_equal(f->reflector->limits.max_objects, REFLECTOR_MAX_OBJECTS);
	f->reflector->limits.max_objects = 2;
	f->reflector->limits.watch_short_ms = UINT32_MAX;
	http_reply(next_request(f, FIRST_LIST), 200, NULL,
		   LIST("9",
			ITEM("a", "u1", "3") "," ITEM("b", "u2", "3") "," ITEM("c", "u3", "3")));
	assert_reflected(f, "report services: can't list services: more than 2 objects\n");
	http_reply(next_request(f, FIRST_LIST), 200, NULL, two);
	http_chunk(next_stream(f, WATCH_QUERY("9")), good);
	http_chunk(next_stream(f, WATCH_QUERY("9")), bad);
	/* What would make room may stand behind the event that we can't take. */
	http_reply(next_request(f, SERVICES "?resourceVersion=9"), 200, NULL,
		   LIST("10", ITEM("b", "u2", "3") "," ITEM("c", "u3", "10")));
	assert_reflected(f, "apply default/a@3\n"
			    "apply default/b@3\n"
			    "synced Service\n"
			    "remove default/a\n"
			    "apply default/c@10\n");
}

static void test_A10_pages_without_end(void **state)
{
	struct reflected *f = *state;

	reflected_start(f, false);
	assert_int_equal(f->reflector->limits.max_pages, REFLECTOR_MAX_PAGES);
	f->reflector->limits.max_pages = 3;
	http_reply(next_request(f, FIRST_LIST), 200, NULL, PAGE("9", "t", ""));
	http_reply(next_request(f, SERVICES "?continue=t&limit=500"), 200, NULL,
		   PAGE("9", "t", ""));
	http_reply(next_request(f, SERVICES "?continue=t&limit=500"), 200, NULL,
		   PAGE("9", "t", ""));
	next_request(f, SERVICES "?resourceVersion=0&limit=500");
	assert_backed_off(f, BACKOFF_FIRST_MS);
	assert_reflected(f, "report services: can't list services: more than 3 pages\n");
}

static void test_A11_list_that_trickles_is_given_up(void **state)
{
	struct reflected *f = *state;
	struct http_exchange *x;

	reflected_start(f, false);
	f->reflector->limits.list_ms = 60;
	x = next_request(f, FIRST_LIST);
	http_begin(x, 200, NULL);
	http_chunk(x, "{\"kind\":\"ServiceList\",\"items\":[" ITEM("a", "u1", "3"));
	reflected_trickle(f, x);
	f->reflector->limits.list_ms = 60000; /* the next one is in no hurry */
	next_request(f, FIRST_LIST);
	assert_reflected(f, "report services: can't list services: SERVER: no whole answer within "
			    "60 ms\n");
	assert_int_equal(reflector_stats(f->reflector).objects, 0);
}

static void test_receiver_that_fails_gets_the_rest_later(void **state)
{
	struct reflected *f = *state;

	reflected_start(f, false);
	f->apply_error = -ENOMEM;
	http_reply(next_request(f, FIRST_LIST), 200, NULL, LIST("9", ITEM("a", "u1", "3")));
	assert_reflected(f, "report services: can't list services: out of memory\n");
	f->apply_error = 0;
	http_reply(next_request(f, FIRST_LIST), 200, NULL, LIST("9", ITEM("a", "u1", "3")));
	assert_reflected(f, "apply default/a@3\n"
			    "synced Service\n");
	assert_int_equal(reflector_stats(f->reflector).objects, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		REFLECTED_TEST(test_list_is_told_then_watched),
		REFLECTED_TEST(test_empty_list),
		REFLECTED_TEST(test_selectors_are_part_of_every_request),
		REFLECTED_TEST(test_A4_relist_tells_the_difference_at_once),
		REFLECTED_TEST(test_what_was_told_is_not_even_decoded),
		REFLECTED_TEST(test_same_version_of_another_object_is_told),
		REFLECTED_TEST(test_without_a_version_everything_is_told),
		cmocka_unit_test(test_half_a_list_is_no_list),
		REFLECTED_TEST(test_pages),
		REFLECTED_TEST(test_A5_expired_token_restarts_the_list),
		REFLECTED_TEST(test_A5_version_ahead_of_the_server),
		REFLECTED_TEST(test_A5_expired_version),
		REFLECTED_TEST(test_A6_page_is_asked_for_again_after_the_delay),
		REFLECTED_TEST(test_A8_forbidden_is_said_once_with_verb_and_resource),
		REFLECTED_TEST(test_refusals_of_a_list),
		REFLECTED_TEST(test_refused_token_restarts_the_list),
		REFLECTED_TEST(test_A9_answers_that_are_no_list),
		REFLECTED_TEST(test_A9_bytes_that_are_no_gzip),
		REFLECTED_TEST(test_version_that_is_too_long_for_us),
		REFLECTED_TEST(test_bad_objects_of_a_list),
		REFLECTED_TEST(test_A10_object_that_is_too_big_is_named),
		REFLECTED_TEST(test_limit_of_objects),
		REFLECTED_TEST(test_A10_pages_without_end),
		REFLECTED_TEST(test_A11_list_that_trickles_is_given_up),
		REFLECTED_TEST(test_receiver_that_fails_gets_the_rest_later),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
