#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "source/resource.h"

static void test_paths_of_all_kinds(void **state)
{
	static const char *const paths[KIND_COUNT] = {
		[KIND_SERVICE] = "/api/v1/services",
		[KIND_ENDPOINT_SLICE] = "/apis/discovery.k8s.io/v1/endpointslices",
		[KIND_POD] = "/api/v1/pods",
		[KIND_NODE] = "/api/v1/nodes",
		[KIND_NAMESPACE] = "/api/v1/namespaces",
		[KIND_NETWORK_POLICY] = "/apis/networking.k8s.io/v1/networkpolicies",
	};
	struct buf path = { 0 };

	(void)state;
	for (unsigned i = 0; i < KIND_COUNT; i++) {
		buf_reset(&path);
		resource_path(&path, (enum object_kind)i);
		assert_string_equal(buf_text(&path), paths[i]);
		assert_non_null(strstr(paths[i], resource_name((enum object_kind)i)));
	}
	buf_free(&path);
}

static void test_query(void **state)
{
	struct buf path = { 0 };

	(void)state;
	buf_puts(&path, "/p");
	resource_query(&path, "none", NULL);
	assert_string_equal(buf_text(&path), "/p");
	resource_query(&path, "empty", "");
	resource_query(&path, "plain", "aZ09-._~");
	assert_string_equal(buf_text(&path), "/p?empty=&plain=aZ09-._~");
	buf_free(&path);
}

static void test_query_is_percent_encoded(void **state)
{
	struct buf path = { 0 };

	(void)state;
	resource_query(&path, "labelSelector", "a.b/c,!d/e=f&g h%\xc3\xa4\x7f");
	assert_string_equal(buf_text(&path),
			    "?labelSelector=a.b%2Fc%2C%21d%2Fe%3Df%26g%20h%25%C3%A4%7F");
	buf_free(&path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_paths_of_all_kinds),
		cmocka_unit_test(test_query),
		cmocka_unit_test(test_query_is_percent_encoded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
