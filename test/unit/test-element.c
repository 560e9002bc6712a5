#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "elements.h"
#include "object/object.h"
#include "ruleset/element.h"

static const uint8_t families[] = { AF_INET, AF_INET6 };

static int sign(int n)
{
	return (n > 0) - (n < 0);
}

/* Each differs from the one before in one field, which is more and more significant. */
static void test_order_is_set_family_key(void **state)
{
	static const struct element ascending[] = {
		{ SET_SERVICES, AF_INET, PROTOCOL_TCP, .port = 80, .addr = { 10, 0, 0, 1 } },
		{ SET_SERVICES, AF_INET, PROTOCOL_TCP, .port = 443, .addr = { 10, 0, 0, 1 } },
		{ SET_SERVICES, AF_INET, PROTOCOL_UDP, .port = 80, .addr = { 10, 0, 0, 1 } },
		{ SET_SERVICES, AF_INET, PROTOCOL_SCTP, .port = 1, .addr = { 10, 0, 0, 1 } },
		{ SET_SERVICES, AF_INET, PROTOCOL_TCP, .port = 1, .addr = { 10, 0, 1, 0 } },
		{ SET_SERVICES, AF_INET6, PROTOCOL_TCP, .port = 1, .addr = { 0 } },
		{ SET_ENDPOINTS, AF_INET, PROTOCOL_TCP, .port = 1, .slot = 0 },
		{ SET_ENDPOINTS, AF_INET, PROTOCOL_TCP, .port = 1, .slot = 255 },
		{ SET_ENDPOINTS, AF_INET, PROTOCOL_TCP, .port = 1, .slot = 256 },
		{ SET_ENDPOINTS, AF_INET, PROTOCOL_TCP, .port = 2, .slot = 0 },
		{ SET_UDP_FLOWS, AF_INET, .port = 1, .other = { 10, 0, 0, 1 }, .target_port = 9 },
		{ SET_UDP_FLOWS, AF_INET, .port = 1, .other = { 10, 0, 0, 2 }, .target_port = 1 },
		{ SET_UDP_FLOWS, AF_INET, .port = 1, .other = { 10, 0, 0, 2 }, .target_port = 2 },
		{ SET_UDP_FLOWS, AF_INET, .port = 2, .other = { 0 }, .target_port = 1 },
		{ SET_HAIRPIN, AF_INET, .addr = { 10, 0, 0, 1 }, .other = { 10, 0, 0, 1 } },
		{ SET_HAIRPIN, AF_INET, .addr = { 10, 0, 0, 1 }, .other = { 10, 0, 0, 2 } },
		{ SET_POD_CIDRS, AF_INET, .addr = { 10 }, .other = { 10, 0, 0, 255 } },
		{ SET_POD_CIDRS, AF_INET, .addr = { 10 }, .other = { 10, 255, 255, 255 } },
		{ SET_POD_CIDRS, AF_INET6, .addr = { 0 }, .other = { 0 } },
		{ SET_SOURCE_RANGES, AF_INET, .port = 1, .slot = 8, .other = { 10 } },
		{ SET_SOURCE_RANGES, AF_INET, .port = 1, .slot = 8, .other = { 11 } },
		{ SET_SOURCE_RANGES, AF_INET, .port = 1, .slot = 16, .other = { 10 } },
		{ SET_SOURCE_RANGES, AF_INET, .port = 2, .slot = 0, .other = { 0 } },
		{ SET_SERVICE_ADDRESSES, AF_INET, .addr = { 10, 96, 0, 1 } },
		{ SET_SERVICE_ADDRESSES, AF_INET, .addr = { 10, 96, 0, 2 } },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ascending); i++)
		for (size_t j = 0; j < ARRAY_SIZE(ascending); j++)
			assert_int_equal(sign(element_cmp(&ascending[i], &ascending[j])),
					 sign((int)i - (int)j));
}

/* For every set: the value is no part of the key, and is all that element_same_value() looks at. */
static void test_key_and_value_are_apart(void **state)
{
	(void)state;
	for (unsigned set = 0; set < SET_COUNT; set++) {
		struct element a = element_make((enum set_id)set, AF_INET, 1, 0);
		struct element other_key = element_make((enum set_id)set, AF_INET, 2, 0);

		assert_int_not_equal(element_cmp(&a, &other_key), 0);
		assert_true(element_same_value(&a, &a));
		for (unsigned value = 1; value < N_VALUES; value++) {
			struct element b = element_make((enum set_id)set, AF_INET, 1, value);
			bool same = !set_has_values((enum set_id)set);

			assert_int_equal(element_cmp(&a, &b), 0);
			assert_int_equal(element_same_value(&a, &b), same);
		}
	}
}

static void test_every_field_of_the_value_counts(void **state)
{
	const struct element frontend = { SET_SERVICES, .verdict = VERDICT_LB, .number = 2,
					  .comment = "a" };
	const struct element row = { SET_ENDPOINTS, .target_port = 80, .other = { 10 } };
	struct element e;

	(void)state;
	e = frontend, e.verdict = VERDICT_RR;
	assert_false(element_same_value(&frontend, &e));
	e = frontend, e.number = 3;
	assert_false(element_same_value(&frontend, &e));
	e = frontend, e.other[15] = 1;
	assert_false(element_same_value(&frontend, &e));
	e = frontend, e.target_port = 1;
	assert_false(element_same_value(&frontend, &e));
	e = frontend, e.comment = "b";
	assert_false(element_same_value(&frontend, &e));
	e = frontend, e.comment = NULL;
	assert_false(element_same_value(&frontend, &e));
	e = row, e.target_port = 81;
	assert_false(element_same_value(&row, &e));
	e = row, e.other[15] = 1;
	assert_false(element_same_value(&row, &e));
	e = row, e.comment = "";
	assert_true(element_same_value(&row, &e));
}

static void test_set_names_lead_back(void **state)
{
	(void)state;
	for (unsigned set = 0; set < SET_COUNT; set++)
		assert_int_equal(set_by_name(set_name((enum set_id)set)), set);
	assert_string_equal(set_name(SET_LOCAL_ENDPOINTS), "local-endpoints");
	assert_int_equal(set_by_name("service"), SET_COUNT);
	assert_int_equal(set_by_name("services2"), SET_COUNT);
	assert_int_equal(set_by_name(""), SET_COUNT);
}

static void test_every_set_prints(void **state)
{
	static const struct {
		enum set_id set;
		unsigned value;
		const char *ipv4, *ipv6;
	} rows[] = {
		{ SET_SERVICES, 0,
		  "ip services 10.1.1.0 . sctp . 258 comment \"default/web:http\" : goto lb-1",
		  "ip6 services fd0a::101:0:0:0 . sctp . 258 comment \"default/web:http\" : "
		  "goto lb-1" },
		{ SET_LOCAL_SERVICES, 5,
		  "ip local-services 10.1.1.0 . sctp . 258 comment \"a/c\" : accept",
		  "ip6 local-services fd0a::101:0:0:0 . sctp . 258 comment \"a/c\" : accept" },
		{ SET_ENDPOINTS, 1, "ip endpoints 10.1.1.0 . sctp . 258 . 1 : 44.0.1.0 . 8081",
		  "ip6 endpoints fd0a::101:0:0:0 . sctp . 258 . 1 : fd2c::1:0:0:0 . 8081" },
		{ SET_LOCAL_ENDPOINTS, 1,
		  "ip local-endpoints 10.1.1.0 . sctp . 258 . 1 : 44.0.1.0 . 8081",
		  "ip6 local-endpoints fd0a::101:0:0:0 . sctp . 258 . 1 : fd2c::1:0:0:0 . 8081" },
		{ SET_NO_ENDPOINTS, 1, "ip no-endpoints 10.1.1.0 . sctp . 258 : drop",
		  "ip6 no-endpoints fd0a::101:0:0:0 . sctp . 258 : drop" },
		{ SET_SERVICES, 3,
		  "ip services 10.1.1.0 . sctp . 258 comment \"\" : jump recall-11.0.3.0-sctp-83-8080-8081",
		  "ip6 services fd0a::101:0:0:0 . sctp . 258 comment \"\" : jump "
		  "recall-fd0b.0.0.0.3.0.0.0-sctp-83-8080-8081" },
		{ SET_AFFINITY_SERVICES, 1,
		  "ip affinity-services 10.1.1.0 . sctp . 258 : goto sh-2",
		  "ip6 affinity-services fd0a::101:0:0:0 . sctp . 258 : goto sh-2" },
		{ SET_LOCAL_AFFINITY_SERVICES, 3,
		  "ip local-affinity-services 10.1.1.0 . sctp . 258 comment \"\" : goto "
		  "local-rr-11.0.3.0-sctp-83-4",
		  "ip6 local-affinity-services fd0a::101:0:0:0 . sctp . 258 comment \"\" : goto "
		  "local-rr-fd0b.0.0.0.3.0.0.0-sctp-83-4" },
		{ SET_AFFINITY_TIMEOUTS, 1,
		  "ip affinity-timeouts 10.1.1.0 . sctp . 258 : goto learn-11.0.1.0-sctp-81-60",
		  "ip6 affinity-timeouts fd0a::101:0:0:0 . sctp . 258 : goto "
		  "learn-fd0b.0.0.0.1.0.0.0-sctp-81-60" },
		{ SET_MASQUERADE_SERVICES, 1,
		  "ip masquerade-services 10.1.1.0 . sctp . 258 : goto masquerade-outside",
		  "ip6 masquerade-services fd0a::101:0:0:0 . sctp . 258 : "
		  "goto masquerade-outside" },
		{ SET_UDP_SERVICES, 0,
		  "ip udp-services 10.1.1.0 . sctp . 258 comment \"default/web:http\"",
		  "ip6 udp-services fd0a::101:0:0:0 . sctp . 258 comment \"default/web:http\"" },
		{ SET_UDP_FLOWS, 1, "ip udp-flows 10.1.1.0 . sctp . 258 . 44.1.1.0 . 8081",
		  "ip6 udp-flows fd0a::101:0:0:0 . sctp . 258 . fd2c::101:0:0:0 . 8081" },
		{ SET_HAIRPIN, 0, "ip hairpin 10.1.1.0 . 10.1.1.0",
		  "ip6 hairpin fd0a::101:0:0:0 . fd0a::101:0:0:0" },
		{ SET_POD_CIDRS, 0, "ip pod-cidrs 10.1.1.0-10.1.1.255",
		  "ip6 pod-cidrs fd0a::101:0:0:0-fd0a::101:ffff:ffff:ffff" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct element ipv4 = element_make(rows[i].set, AF_INET, 257, rows[i].value);
		struct element ipv6 = element_make(rows[i].set, AF_INET6, 257, rows[i].value);

		assert_string_equal(element_text(&ipv4), rows[i].ipv4);
		assert_string_equal(element_text(&ipv6), rows[i].ipv6);
	}
}

static void test_S11_limits_print(void **state)
{
	struct element row = { SET_ENDPOINTS,        AF_INET,           PROTOCOL_TCP, .port = 65535,
			       .target_port = 65535, .slot = UINT32_MAX };
	struct element one = { SET_POD_CIDRS, AF_INET, .addr = { 10 }, .other = { 10 } };
	struct element all = { .set = SET_POD_CIDRS, .family = AF_INET6 };

	(void)state;
	memset(row.addr, 0xff, 4);
	memset(all.other, 0xff, 16);
	assert_string_equal(element_text(&row), "ip endpoints 255.255.255.255 . tcp . 65535 . "
						"4294967295 : 0.0.0.0 . 65535");
	assert_string_equal(element_text(&one), "ip pod-cidrs 10.0.0.0");
	assert_string_equal(element_text(&all),
			    "ip6 pod-cidrs ::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
}

/* The fixture of other tests: another number is another key, and none is in another's interval. */
static void test_made_elements_differ(void **state)
{
	(void)state;
	for (unsigned set = 0; set < SET_COUNT; set++)
		for (size_t f = 0; f < ARRAY_SIZE(families); f++)
			for (unsigned key = 1; key < 1000; key++) {
				struct element a = element_make(set, families[f], key - 1, 0);
				struct element b = element_make(set, families[f], key, 0);

				assert_true(element_cmp(&a, &b) < 0);
				assert_true(memcmp(a.other, b.addr, sizeof(b.addr)) < 0 ||
					    !set_layout(set)->interval);
			}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order_is_set_family_key),
		cmocka_unit_test(test_key_and_value_are_apart),
		cmocka_unit_test(test_every_field_of_the_value_counts),
		cmocka_unit_test(test_set_names_lead_back),
		cmocka_unit_test(test_every_set_prints),
		cmocka_unit_test(test_S11_limits_print),
		cmocka_unit_test(test_made_elements_differ),
	};

	return cmocka_run_group_tests_name("element", tests, NULL, NULL);
}
