#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "fail-alloc.h"
#include "frames-text.h"
#include "object/decode.h"
#include "source/frames.h"

static void test_items_of_a_list(void **state)
{
	(void)state;
	assert_frames(FRAMES_LIST,
		      "{'kind':'ServiceList','apiVersion':'v1','metadata':{'resourceVersion':'7',"
		      "'continue':'abc','remainingItemCount':3},'items':[{'metadata':{'name':'a',"
		      "'namespace':'x','resourceVersion':'5'},'spec':{'b':[{}]}},{},\n"
		      " {'c':[1, 2]} ]}\n",
		      "x/a@5 {'metadata':{'name':'a','namespace':'x','resourceVersion':'5'},"
		      "'spec':{'b':[{}]}}\n"
		      "/@ {}\n"
		      "/@ {'c':[1, 2]}\n"
		      "= ServiceList 7 abc\n");
}

static void test_members_of_a_list_in_any_order(void **state)
{
	(void)state;
	assert_frames(
		FRAMES_LIST,
		" { 'items' : [ { 'a' : 1 } , {'b':2}\t],\r\n'more':[{'items':[{}]}, [], 'items'],"
		"'metadata':{'items':[{}],'resourceVersion':'8'}, 'kind':'PodList'}",
		"/@ { 'a' : 1 }\n"
		"/@ {'b':2}\n"
		"= PodList 8 \n");
}

static void test_lists_without_items(void **state)
{
	(void)state;
	assert_frames(FRAMES_LIST, "{'kind':'PodList','items':[]}", "= PodList  \n");
	assert_frames(FRAMES_LIST, "{'kind':'PodList','items':null,'metadata':{}}",
		      "= PodList  \n");
	assert_frames(FRAMES_LIST, "{'kind':'PodList','items':[ ],'metadata':[]}", "= PodList  \n");
	assert_frames(FRAMES_LIST, "{'kind':'Status','code':410,'metadata':{}}", "= Status  \n");
}

static void test_events_of_a_watch(void **state)
{
	(void)state;
	assert_frames(FRAMES_WATCH, "", "=   \n");
	assert_frames(
		FRAMES_WATCH,
		"{'type':'ADDED','object':{'kind':'Pod','metadata':{'namespace':'n','name':'a'}}}\n"
		"{'object':{'metadata':{'resourceVersion':'9'}},'type':'BOOKMARK'}"
		" {'more':{'object':{}},'type':'DELETED','object':{'object':{'type':'x'}}}\r\n\n",
		"ADDED n/a@ {'kind':'Pod','metadata':{'namespace':'n','name':'a'}}\n"
		"BOOKMARK /@9 {'metadata':{'resourceVersion':'9'}}\n"
		"DELETED /@ {'object':{'type':'x'}}\n"
		"=   \n");
}

static void test_managed_fields_become_null(void **state)
{
	(void)state;
	assert_frames(FRAMES_LIST,
		      "{'kind':'PodList','items':[{'managedFields':[1],'metadata':{'name':'a',"
		      "'managedFields':[{'metadata':'[\\'','x':{'name':'b'}}],'uid':'u'},"
		      "'spec':{'metadata':{'managedFields':[2],'name':'c'}}},"
		      "{'metadata':{'managedFields' :\t{'name':'b'}\n}},"
		      "{'metadata':{'managedFields':'no list','ownerReferences':[{'name':'d',"
		      "'managedFields':[3]}]}}]}",
		      "/a@#u {'managedFields':[1],'metadata':{'name':'a','managedFields':null,"
		      "'uid':'u'},'spec':{'metadata':{'managedFields':[2],'name':'c'}}}\n"
		      "/@ {'metadata':{'managedFields' :\tnull\n}}\n"
		      "/@ {'metadata':{'managedFields':'no list','ownerReferences':[{'name':'d',"
		      "'managedFields':[3]}]}}\n"
		      "= PodList  \n");
	assert_frames(FRAMES_WATCH,
		      "{'object':{'metadata':{'managedFields':[{}],'name':'a'}},'type':'ADDED'}",
		      "ADDED /a@ {'metadata':{'managedFields':null,'name':'a'}}\n"
		      "=   \n");
}

/* A key of theirs may be what no parser takes; a pod that is not known is isolated by no policy. */
static void test_S11_volumes_become_null(void **state)
{
	(void)state;
	assert_frames(FRAMES_WATCH,
		      "{'object':{'spec':{'volumes':[{'csi':{'x':{'\\u0000':''}}}],'a':1},"
		      "'metadata':{'name':'a'}},'type':'ADDED'}",
		      "ADDED /a@ {'spec':{'volumes':null,'a':1},'metadata':{'name':'a'}}\n"
		      "=   \n");
	assert_frames(FRAMES_WATCH,
		      "{'object':{'volumes':[1],'metadata':{'volumes':[2]},"
		      "'spec':{'a':[{'volumes':[3]}]}},'type':'ADDED'}",
		      "ADDED /@ {'volumes':[1],'metadata':{'volumes':[2]},"
		      "'spec':{'a':[{'volumes':[3]}]}}\n"
		      "=   \n");
}

/* Names are plain text: what is written in another way is no name that an object can have. */
static void test_names_are_plain_text(void **state)
{
	(void)state;
	assert_frames(FRAMES_WATCH,
		      "{'type':'ADDED','object':{'name':'no','metadata':{'name':'a\\u002eb',"
		      "'resourceVersion':['no'],'namespace':{'namespace':'no'}}}}",
		      "ADDED /@ {'name':'no','metadata':{'name':'a\\u002eb',"
		      "'resourceVersion':['no'],'namespace':{'namespace':'no'}}}\n=   \n");
	assert_frames(FRAMES_WATCH,
		      "{'type':'ADDED','object':{'metadata':{'name':5,'namespace':'\\\\'}}}"
		      "{'type':'ADDED','object':{'metadata':['name','namespace','x']}}",
		      "ADDED /@ {'metadata':{'name':5,'namespace':'\\\\'}}\n"
		      "ADDED /@ {'metadata':['name','namespace','x']}\n=   \n");
}

static void test_keys_are_whole_words(void **state)
{
	(void)state;
	assert_frames(FRAMES_WATCH,
		      "{'type':'A','object':{'metadata':{'n':'x','names':'y','':'z','ui':'u'}}}",
		      "A /@ {'metadata':{'n':'x','names':'y','':'z','ui':'u'}}\n=   \n");
	assert_frames(FRAMES_LIST, "{'item':[{}],'items2':[{}],'items':null,'kind':'PodList'}",
		      "= PodList  \n");
}

/* Members count where they belong, and only with the type that they have there. */
static void test_members_elsewhere(void **state)
{
	(void)state;
	assert_frames(FRAMES_LIST,
		      "{'object':{},'more':{'items':[{}]},'kind':'PodList','items':[]}",
		      "= PodList  \n");
	assert_frames(FRAMES_LIST, "{'items':{'more':[{}]}}",
		      "! '{'items':{'more':[{}]}}' is not a list\n");
	assert_frames(FRAMES_WATCH, "{'items':[{}],'more':{'object':{}},'object':{},'type':'A'}",
		      "A /@ {}\n=   \n");
	assert_frames(FRAMES_WATCH, "{'type':'A','object':[{}]}",
		      "! '{'type':'A','object':[{}]}' is not an event\n");
	assert_frames(FRAMES_WATCH, "{'type':'A','object':{'metadata':['managedFields',[1]]}}",
		      "A /@ {'metadata':['managedFields',[1]]}\n=   \n");
	assert_frames(FRAMES_WATCH, "{'type':'A','object':{'metadata':[{'a':{'name':'b'}}]}}",
		      "A /@ {'metadata':[{'a':{'name':'b'}}]}\n=   \n");
}

static void name_told(size_t len, size_t expected)
{
	_cleanup_buf_ struct buf out = { 0 };
	char body[512], name[300];

	memset(name, 'n', len);
	name[len] = '\0';
	snprintf(body, sizeof(body),
		 "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"%s\"}}}", name);
	frames_print(FRAMES_WATCH, body, strlen(body), 70, 10, &out);
	assert_int_equal(strcspn(buf_text(&out) + strlen("ADDED /"), "@"), expected);
}

static void test_longest_name(void **state)
{
	(void)state;
	name_told(OBJECT_MAX_NAME, OBJECT_MAX_NAME);
	name_told(255, 255);
	name_told(256, 0);
	name_told(257, 0);
}

static void test_A10_strings_are_passed_on(void **state)
{
	static const char body[] =
		"{\"items\":[{\"a\":\"\\\"}],\\\\\",\"b\":\"\\ud800\xff\x01\n\0{\""
		"},{\"metadata\":{\"name\":\"a\0b\"}}],\"kind\":\"PodList\"}";
	static const char expected[] = "/@ {\"a\":\"\\\"}],\\\\\",\"b\":\"\\ud800\xff\x01\n\0{\"}\n"
				       "/@ {\"metadata\":{\"name\":\"a\0b\"}}\n"
				       "= PodList  \n";
	_cleanup_buf_ struct buf out = { 0 };

	(void)state;
	for (size_t first = 0; first < sizeof(body); first++) {
		buf_reset(&out);
		frames_print(FRAMES_LIST, body, sizeof(body) - 1, first, 1, &out);
		assert_int_equal(out.len, sizeof(expected) - 1);
		assert_memory_equal(out.data, expected, sizeof(expected));
	}
}

static void test_A10_zero_bytes_between_objects_are_refused(void **state)
{
	static const char list[] = "{\"items\":[{}\0]}", watch[] = "\0{}";

	(void)state;
	assert_frames_of(FRAMES_LIST, list, sizeof(list) - 1,
			 "/@ {}\n! byte 12: \"\" is not expected here\n");
	assert_frames_of(FRAMES_WATCH, watch, sizeof(watch) - 1,
			 "! byte 0: \"\" is not expected here\n");
}

static void test_A10_numbers_and_duplicate_keys_are_passed_on(void **state)
{
	(void)state;
	assert_frames(FRAMES_LIST,
		      "{'kind':'PodList','items':[{'a':NaN,'a':1e999},{'b':99999999999999999999},"
		      "{'metadata':{'name':'a','name':'b'}},{'c' 'd':,},{}]}",
		      "/@ {'a':NaN,'a':1e999}\n"
		      "/@ {'b':99999999999999999999}\n"
		      "/b@ {'metadata':{'name':'a','name':'b'}}\n"
		      "/@ {'c' 'd':,}\n"
		      "/@ {}\n"
		      "= PodList  \n");
}

static void test_A9_what_is_no_list_is_refused(void **state)
{
	static const struct {
		const char *body;
		const char *expected;
	} rows[] = {
		{ "", "! is empty\n" },
		{ " \n", "! is empty\n" },
		{ "<html><head><title>502 Bad Gateway</title>\r\n<body>to show all of it would be"
		  " too much",
		  "! byte 0: '<html><head><title>502 Bad Gateway</title>\\x0d\\x0a<body>to show all "
		  "of' is not expected here\n" },
		{ "404 page not found\n",
		  "! byte 0: '404 page not found\\x0a' is not expected here\n" },
		{ "[{}]", "! byte 0: '[{}]' is not expected here\n" },
		{ "}", "! byte 0: '}' is not expected here\n" },
		{ "\xef\xbb\xbf{}", "! byte 0: '\xef\xbb\xbf{}' is not expected here\n" },
		{ "{}", "! '{}' is not a list\n" },
		{ "{'kind':'PodList','metadata':{}}",
		  "! '{'kind':'PodList','metadata':{}}' is not a list\n" },
		{ "{'kind':'PodList','items':{}}",
		  "! '{'kind':'PodList','items':{}}' is not a list\n" },
		{ "{'kind':'PodList','items':'x'}",
		  "! '{'kind':'PodList','items':'x'}' is not a list\n" },
		{ "{'items':[1]}", "! byte 10: '1]}' is not expected here\n" },
		{ "{'items':[null]}", "! byte 10: 'null]}' is not expected here\n" },
		{ "{'items':[[]]}", "! byte 10: '[]]}' is not expected here\n" },
		{ "{'items':['{}']}", "! byte 10: ''{}']}' is not expected here\n" },
		{ "{'items':[,{}]}", "! byte 10: ',{}]}' is not expected here\n" },
		{ "{'items':[{},]}", "/@ {}\n! byte 13: ']}' is not expected here\n" },
		{ "{'items':[{},,{}]}", "/@ {}\n! byte 13: ',{}]}' is not expected here\n" },
		{ "{'items':[{}{}]}", "/@ {}\n! byte 12: '{}]}' is not expected here\n" },
		{ "{'items':[{}}", "/@ {}\n! byte 12: '}' is not expected here\n" },
		{ "{'items':[{'a':[}]}]}", "! byte 16: '}]}]}' is not expected here\n" },
		{ "{'items':[{]}]}", "! byte 11: ']}]}' is not expected here\n" },
		{ "{'items':[{}]}}", "/@ {}\n! byte 14: '}' is not expected here\n" },
		{ "{'items':[{}]}{'items':[]}",
		  "/@ {}\n! byte 14: '{'items':[]}' is not expected here\n" },
		{ "{'items':[]} x", "! byte 13: 'x' is not expected here\n" },
		{ "{'items':[{}],'items':[{}]}",
		  "/@ {}\n/@ {}\n! '{'items':null,'items':null}': line 1 column 21: duplicate object "
		  "key near `'items'`\n" },
		{ "{'items':[] 'kind':'x'}",
		  "! '{'items':null 'kind':'x'}': line 1 column 20: `}` expected near `'kind'`\n" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_frames(FRAMES_LIST, rows[i].body, rows[i].expected);
}

static void test_A9_what_is_no_event_is_refused(void **state)
{
	static const struct {
		const char *body;
		const char *expected;
	} rows[] = {
		{ "upstream connect error",
		  "! byte 0: 'upstream connect error' is not expected here\n" },
		{ "{'kind':'Status','code':410}",
		  "! '{'kind':'Status','code':410}' is not an event\n" },
		{ "{'type':'ADDED'}", "! '{'type':'ADDED'}' is not an event\n" },
		{ "{'type':'ADDED','object':null}",
		  "! '{'type':'ADDED','object':null}' is not an event\n" },
		{ "{'type':1,'object':{}}", "! '{'type':1,'object':null}' is not an event\n" },
		{ "{'object':{}}", "! '{'object':null}' is not an event\n" },
		{ "{'type':'A','object':{}}{'type':'B'}",
		  "A /@ {}\n! '{'type':'B'}' is not an event\n" },
		{ "{'type':'A','object':{}},{}",
		  "A /@ {}\n! byte 24: ',{}' is not expected here\n" },
		{ "{'type':'A','object':{},'object':{}}",
		  "! '{'type':'A','object':null,'object':null}': line 1 column 34: duplicate object "
		  "key near `'object'`\n" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_frames(FRAMES_WATCH, rows[i].body, rows[i].expected);
}

/* A body is whole at its end and nowhere before. */
static void test_A9_truncated_bodies_are_refused(void **state)
{
	static const char list[] = "{\"kind\":\"PodList\",\"items\":[{\"a\":\"b\"},{}]}";
	static const char event[] = "{\"type\":\"ADDED\",\"object\":{\"a\":[\"\\\"\"]}}";
	char expected[64];

	(void)state;
	for (size_t len = 1; len < sizeof(list) - 1; len++) {
		_cleanup_buf_ struct buf out = { 0 };

		frames_print(FRAMES_LIST, list, len, len, len, &out);
		snprintf(expected, sizeof(expected), "! breaks off after %zu bytes\n", len);
		assert_non_null(strstr(buf_text(&out), expected));
	}
	for (size_t len = 1; len < sizeof(event) - 1; len++) {
		_cleanup_buf_ struct buf out = { 0 };

		frames_print(FRAMES_WATCH, event, len, len, len, &out);
		snprintf(expected, sizeof(expected), "! breaks off after %zu bytes\n", len);
		assert_string_equal(buf_text(&out), expected);
	}
}

static int third_refuse(const struct frame *frame, void *userdata)
{
	size_t *n = userdata;

	(void)frame;
	return ++*n == 3 ? -ECANCELED : 0;
}

static void test_reader_ends_the_reading(void **state)
{
	static const char body[] = "{\"items\":[{},{},{},{}],\"kind\":\"PodList\"}";
	_cleanup_(frames_freep) struct frames *f = NULL;
	struct error err = { 0 };
	size_t n = 0;

	(void)state;
	assert_int_equal(frames_new(FRAMES_LIST, third_refuse, &n, &f), 0);
	assert_int_equal(frames_push(f, body, strlen(body), &err), -ECANCELED);
	assert_int_equal(n, 3);
	assert_int_equal(err.code, 0);
}

static int frame_pass(const struct frame *frame, void *userdata)
{
	(void)frame;
	(void)userdata;
	return 0;
}

static int body_read(enum frames_kind kind, const char *body)
{
	_cleanup_(frames_freep) struct frames *f = NULL;
	struct error err = { 0 };
	int r = frames_new(kind, frame_pass, NULL, &f);

	if (r == 0)
		r = frames_push(f, body, strlen(body), &err);
	if (r == 0)
		r = frames_end(f, &err);
	return r;
}

/* Calls from here are counted, and jansson calls them. */
static void *counted_malloc(size_t size)
{
	return malloc(size);
}

static void test_H1_frames(void **state)
{
	static const char *const bodies[] = {
		[FRAMES_LIST] = "{\"kind\":\"PodList\",\"items\":[{\"a\":1},{\"b\":22222222222}]}",
		[FRAMES_WATCH] = "{\"type\":\"ADDED\",\"object\":{\"a\":1}}\n",
	};

	(void)state;
	json_set_alloc_funcs(counted_malloc, free);
	json_decref(json_object()); /* draws the seed of the hash tables, which opens files */
	for (size_t i = 0; i < ARRAY_SIZE(bodies); i++)
		for (unsigned n = 1;; n++) {
			int r;

			fail_alloc_at(n);
			r = body_read((enum frames_kind)i, bodies[i]);
			if (!fail_alloc_end()) {
				assert_int_equal(r, 0);
				assert_true(n > 5);
				break;
			}
			assert_int_equal(r, -ENOMEM);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_items_of_a_list),
		cmocka_unit_test(test_members_of_a_list_in_any_order),
		cmocka_unit_test(test_lists_without_items),
		cmocka_unit_test(test_events_of_a_watch),
		cmocka_unit_test(test_managed_fields_become_null),
		cmocka_unit_test(test_S11_volumes_become_null),
		cmocka_unit_test(test_names_are_plain_text),
		cmocka_unit_test(test_keys_are_whole_words),
		cmocka_unit_test(test_members_elsewhere),
		cmocka_unit_test(test_longest_name),
		cmocka_unit_test(test_A10_strings_are_passed_on),
		cmocka_unit_test(test_A10_zero_bytes_between_objects_are_refused),
		cmocka_unit_test(test_A10_numbers_and_duplicate_keys_are_passed_on),
		cmocka_unit_test(test_A9_what_is_no_list_is_refused),
		cmocka_unit_test(test_A9_what_is_no_event_is_refused),
		cmocka_unit_test(test_A9_truncated_bodies_are_refused),
		cmocka_unit_test(test_reader_ends_the_reading),
		cmocka_unit_test(test_H1_frames),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
