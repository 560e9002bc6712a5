/* test-frames-limits.c - row A10: bodies that are too much. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "frames-text.h"
#include "object/decode.h"

/* "{'items':[BEFORE xxx... BEHIND,{}]}" where the object with @n times @fill is the first item. */
static void assert_filled(const char *before, char fill, size_t n, const char *behind,
			  const char *expected)
{
	_cleanup_buf_ struct buf body = { 0 }, out = { 0 };
	_cleanup_free_ char *expected_text = strdup(expected);
	char *room;

	buf_puts(&body, "{\"kind\":\"PodList\",\"items\":[");
	buf_puts(&body, before);
	room = buf_reserve(&body, n);
	assert_true(room && expected_text);
	memset(room, fill, n);
	buf_advance(&body, n);
	buf_puts(&body, behind);
	buf_puts(&body, ",{}]}");
	frames_print(FRAMES_LIST, body.data, body.len, 1000, 16384, &out);
	quotes_double(expected_text);
	assert_string_equal(buf_text(&out), expected_text);
}

static void test_A10_object_at_the_limit(void **state)
{
	static const char before[] = "{\"metadata\":{\"name\":\"a\"},\"b\":\"", behind[] = "\"}";
	size_t room = FRAME_MAX_BYTES - strlen(before) - strlen(behind);

	(void)state;
	assert_filled(before, 'x', room, behind, "/a@ 10485760 bytes\n/@ {}\n= PodList  \n");
	assert_filled(before, 'x', room + 1, behind,
		      "/a@ too big 10485760 bytes\n/@ {}\n= PodList  \n");
}

/* An object is named even when its name is behind what is kept of it. */
static void test_A10_object_of_100_megabytes(void **state)
{
	(void)state;
	assert_filled("{\"b\":\"", 'x', 100 * 1000 * 1000,
		      "\",\"metadata\":{\"name\":\"a\",\"namespace\":\"n\"}}",
		      "n/a@ too big 10485760 bytes\n/@ {}\n= PodList  \n");
}

static void test_A10_managed_fields_of_100_megabytes(void **state)
{
	(void)state;
	assert_filled("{\"metadata\":{\"managedFields\":[\"", 'x', 100 * 1000 * 1000,
		      "\"],\"name\":\"a\"}}",
		      "/a@ {'metadata':{'managedFields':null,'name':'a'}}\n/@ {}\n= PodList  \n");
}

/* Its parser says what is wrong with it. */
static void test_A10_deep_object_ends_no_list(void **state)
{
	static const size_t depths[] = { 1000, 1000000 };
	static const char behind[] = "],\"metadata\":{\"name\":\"a\"}}";

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(depths); i++) {
		_cleanup_free_ char *inside = malloc(depths[i] + sizeof(behind));
		char expected[128];

		assert_non_null(inside);
		memset(inside, ']', depths[i] - 1);
		memcpy(inside + depths[i] - 1, behind, sizeof(behind));
		snprintf(expected, sizeof(expected), "/a@ %zu bytes\n/@ {}\n= PodList  \n",
			 2 * depths[i] + strlen("{\"b\":") + strlen(behind) - 1);
		assert_filled("{\"b\":", '[', depths[i], inside, expected);
	}
}

static void test_A10_brackets_match_down_to_the_limit(void **state)
{
	char inside[FRAME_MAX_DEPTH + 8];

	(void)state;
	for (size_t n = FRAME_MAX_DEPTH - 1; n <= FRAME_MAX_DEPTH; n++) {
		bool matched = n < FRAME_MAX_DEPTH;

		memset(inside, ']', n);
		strcpy(inside + n, "}");
		inside[0] = '}';
		assert_filled("{\"b\":", '[', n, inside,
			      matched ? "! byte 95: '}]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]"
					"]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}' is not expected here\n" :
					"/@ 134 bytes\n/@ {}\n= PodList  \n");
	}
}

static void test_A10_a_million_labels(void **state)
{
	enum { LABELS = 1000 * 1000 };
	_cleanup_free_ char *labels = malloc(LABELS * 16);
	size_t len = 0;

	(void)state;
	assert_non_null(labels);
	for (size_t i = 0; i < LABELS; i++)
		len += (size_t)sprintf(labels + len, "\"k%zu\":\"\",", i);
	strcpy(labels + len, "\"\":\"\"},\"name\":\"a\"}}");
	assert_filled("{\"metadata\":{\"labels\":{", ' ', 1, labels,
		      "/a@ too big 10485760 bytes\n/@ {}\n= PodList  \n");
}

/* What is told of a list with a bad object between good ones. */
struct corpus_told {
	size_t n_good, n_bad;
	int code;
	char name[8];
};

static int corpus_read(const struct frame *frame, void *userdata)
{
	struct corpus_told *told = userdata;
	struct object *o = NULL;
	json_t *root = NULL;
	int r;

	r = frame->too_big ? -E2BIG : json_parse(frame->text, frame->len, &root, NULL);
	if (r == 0)
		r = object_decode_kind(root, KIND_NODE, &o, NULL, NULL);
	json_decref(root);
	object_free(o);
	if (r == 0) {
		told->n_good++;
		return 0;
	}
	told->n_bad++;
	told->code = r;
	snprintf(told->name, sizeof(told->name), "%s", frame->name);
	return 0;
}

static void test_A10_bad_objects_are_named_and_the_others_read(void **state)
{
	static const struct {
		const char *labels;
		int code;
	} rows[] = {
		{ "{\"a\":\"x\",\"a\":\"y\"}", -EINVAL },
		{ "{\"a\":9223372036854775808}", -EINVAL },
		{ "{\"a\":1e999}", -EINVAL },
		{ "{\"a\":NaN}", -EINVAL },
		{ "{\"a\":-Infinity}", -EINVAL },
		{ "{\"a\":\"\\ud800\"}", -EINVAL },
		{ "{\"a\":\"\xc0\xaf\"}", -EINVAL },
		{ "{\"a\":\"\n\"}", -EINVAL },
		{ "{\"a\" \"b\"}", -EINVAL },
		{ "{\"a\":}", -EINVAL },
		{ "{,}", -EINVAL },
		{ "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["
		  "]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]",
		  -E2BIG },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_(frames_freep) struct frames *f = NULL;
		_cleanup_buf_ struct buf body = { 0 };
		struct corpus_told told = { 0 };

		buf_printf(&body,
			   "{\"kind\":\"NodeList\",\"items\":[{\"metadata\":{\"name\":\"a\"}},"
			   "{\"metadata\":{\"labels\":%s,\"name\":\"bad\"}},"
			   "{\"metadata\":{\"name\":\"b\"}}]}",
			   rows[i].labels);
		assert_int_equal(frames_new(FRAMES_LIST, corpus_read, &told, &f), 0);
		assert_int_equal(frames_push(f, body.data, body.len, NULL), 0);
		assert_int_equal(frames_end(f, NULL), 0);
		assert_int_equal(told.n_good, 2);
		assert_int_equal(told.n_bad, 1);
		assert_int_equal(told.code, rows[i].code);
		assert_string_equal(told.name, "bad");
	}
}

static bool head_fits(enum frames_kind kind, const char *before, size_t n, const char *behind)
{
	_cleanup_buf_ struct buf body = { 0 }, out = { 0 };
	char *room;

	buf_puts(&body, before);
	room = buf_reserve(&body, n);
	assert_non_null(room);
	memset(room, 'x', n);
	buf_advance(&body, n);
	buf_puts(&body, behind);
	frames_print(kind, body.data, body.len, 100, 10000, &out);
	return !strstr(buf_text(&out), "! more than 65536 bytes besides the objects\n");
}

static void test_A10_head_at_the_limit(void **state)
{
	static const struct {
		enum frames_kind kind;
		const char *before, *behind;
		size_t len; /* with null for the objects */
	} rows[] = {
		{ FRAMES_LIST, "{\"metadata\":{\"continue\":\"",
		  "\"},\"items\":[{},{}],\"kind\":\"PodList\"}",
		  strlen("{'metadata':{'continue':''},'items':null,'kind':'PodList'}") },
		{ FRAMES_WATCH, "{\"object\":{},\"type\":\"", "\"}",
		  strlen("{'object':null,'type':''}") },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		size_t room = FRAME_MAX_HEAD_BYTES - rows[i].len;

		assert_true(head_fits(rows[i].kind, rows[i].before, room, rows[i].behind));
		assert_false(head_fits(rows[i].kind, rows[i].before, room + 1, rows[i].behind));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_A10_object_at_the_limit),
		cmocka_unit_test(test_A10_object_of_100_megabytes),
		cmocka_unit_test(test_A10_managed_fields_of_100_megabytes),
		cmocka_unit_test(test_A10_deep_object_ends_no_list),
		cmocka_unit_test(test_A10_brackets_match_down_to_the_limit),
		cmocka_unit_test(test_A10_a_million_labels),
		cmocka_unit_test(test_A10_bad_objects_are_named_and_the_others_read),
		cmocka_unit_test(test_A10_head_at_the_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
