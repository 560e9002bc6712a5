#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "object/object.h"
#include "ruleset/dispatch.h"

static const struct dispatch none;

static void assert_same(const struct dispatch *a, const struct dispatch *b)
{
	assert_int_equal(dispatch_cmp(a, b), 0);
	assert_true(dispatch_hash(a) == dispatch_hash(b));
}

static void assert_leads_back(const struct dispatch *d)
{
	char name[CHAIN_NAME_MAX_BYTES];
	struct dispatch got;

	assert_ptr_equal(dispatch_name(d, name), name);
	assert_true(dispatch_parse(name, d->family, &got));
	assert_same(&got, d);
	assert_true(strlen(name) < CHAIN_NAME_MAX_BYTES - 1); /* not cut off */
}

static void test_names_of_shared_chains_lead_back(void **state)
{
	static const uint32_t numbers[] = { 1, 2, 10, DISPATCH_MAX_ENDPOINTS, UINT32_MAX };
	struct dispatch d = { .family = AF_INET };

	(void)state;
	for (unsigned v = VERDICT_REFUSE; v < VERDICT_FIRST_OWN; v++)
		for (size_t i = 0; v != VERDICT_POLICIES && i < ARRAY_SIZE(numbers); i++) {
			d.verdict = (uint8_t)v;
			d.number = v < VERDICT_FIRST_DISPATCH ? 0 : numbers[i];
			assert_leads_back(&d);
		}
}

static void test_names_of_own_chains_lead_back(void **state)
{
	static const uint8_t protocols[] = { PROTOCOL_TCP, PROTOCOL_UDP, PROTOCOL_SCTP };
	static const uint32_t numbers[] = { 1, 8080, 65535, 2U << 16 | 1, 65535U << 16 | 65534 };
	const struct dispatch ends[] = {
		{ .family = AF_INET, .port = 1, .addr = { 10, 96, 0, 10 } },
		{ .family = AF_INET, .port = 65535, .addr = { 255, 255, 255, 255 } },
		{ .family = AF_INET6, .port = 1, .addr = { 0xfd, 0x96, [15] = 1 } },
		{ .family = AF_INET6,
		  .port = 65535,
		  .addr = { 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
			    255, 255 } },
	};

	(void)state;
	for (unsigned v = VERDICT_FIRST_OWN; v < VERDICT_COUNT; v++)
		for (size_t i = 0; i < ARRAY_SIZE(ends) * ARRAY_SIZE(numbers); i++) {
			struct dispatch d = ends[i % ARRAY_SIZE(ends)];

			d.verdict = (uint8_t)v;
			d.protocol = protocols[i % 3];
			d.number = numbers[i / ARRAY_SIZE(ends)];
			assert_leads_back(&d);
		}
}

static void test_names_are_readable(void **state)
{
	static const struct {
		struct dispatch d;
		const char *name;
	} rows[] = {
		{ { AF_INET, VERDICT_LOCAL_SH_PORT, .number = 65535 }, "local-sh-port-65535" },
		{ { AF_INET, VERDICT_REFUSE, .number = 7 }, "refuse" },
		{ { AF_INET, VERDICT_RR, PROTOCOL_TCP, 80, 3, { 10, 96, 0, 10 } },
		  "rr-10.96.0.10-tcp-80-3" },
		{ { AF_INET,
		    VERDICT_LOCAL_RECALL,
		    PROTOCOL_UDP,
		    53,
		    8081U << 16 | 8080,
		    { 10, 96, 0, 10 } },
		  "local-recall-10.96.0.10-udp-53-8080-8081" },
		{ { AF_INET6,
		    VERDICT_LOCAL_LEARN,
		    PROTOCOL_SCTP,
		    80,
		    10800,
		    { 0xfd, 0x96, [14] = 0xa } },
		  "local-learn-fd96.0.0.0.0.0.0.a00-sctp-80-10800" },
	};
	char name[CHAIN_NAME_MAX_BYTES];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_string_equal(dispatch_name(&rows[i].d, name), rows[i].name);
	for (unsigned v = VERDICT_NONE; v <= VERDICT_DROP; v++)
		assert_null(dispatch_name(&(struct dispatch){ .verdict = (uint8_t)v }, name));
}

static void assert_foreign(const char *name, uint8_t family)
{
	struct dispatch got, want = none;

	want.family = family;
	if (dispatch_parse(name, family, &got))
		fail_msg("%s is taken for ours", name);
	assert_same(&got, &want);
}

static void test_foreign_names_are_none(void **state)
{
	static const char *const names[] = {
		"",
		"lb",
		"lb-",
		"lb-0",
		"lb-01",
		"lb-1x",
		"lb--1",
		"lb-+1",
		"lb- 1",
		"LB-1",
		"lb-1 ",
		"lb-4294967296",
		"lb_1",
		"xlb-1",
		"refuse-1",
		"refused",
		"lb-99999999999999999999999",
		"-1",
		"drop",
		"accept",
		"input",
		"recall-",
		"learn-affinity",
		"local-",
		"sh-port",
		"sh-port-",
		"rr-3",
		"rr-10.96.0.10-tcp-80",
		"rr-10.96.0.10-tcp-80-",
		"rr-10.96.0.10-tcp-80-3-4",
		"rr-10.96.0.10-tcp-65536-3",
		"rr-10.96.0.10-icmp-80-3",
		"rr-10.96.0-tcp-80-3",
		"rr-10.96.0.10-tcp-0-3",
		"rr-10.96.0.010-tcp-80-3",
		"rr--tcp-80-3",
		"rr-fd96.0.0.0.0.0.0.1-tcp-80-3",
		"recall-10.96.0.10-tcp-80-8081-8080",
		"recall-10.96.0.10-tcp-80-8080-8080",
		"recall-10.96.0.10-tcp-80-1-2-3",
		"recall-10.96.0.10-tcp-80-65536",
		"mixed-rr-10.96.0.10-tcp-80-3",
	};
	static const char *const ipv6_names[] = {
		"rr-10.96.0.10-tcp-80-3",           "rr-fd96..1-tcp-80-3",
		"rr-fd96.0.0.0.0.0.1-tcp-80-3",     "rr-fd96.0.0.0.0.0.0.01-tcp-80-3",
		"rr-FD96.0.0.0.0.0.0.1-tcp-80-3",   "rr-fd96:0:0:0:0:0:0:1-tcp-80-3",
		"rr-0.0.0.0.0.ffff.a00.1-tcp-80-3",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		assert_foreign(names[i], AF_INET);
	for (size_t i = 0; i < ARRAY_SIZE(ipv6_names); i++)
		assert_foreign(ipv6_names[i], AF_INET6);
}

static void test_mixed_chains_go_on_to_two(void **state)
{
	struct dispatch d = { AF_INET, 0, PROTOCOL_TCP, 80, 8080, { 10 } }, behind[2];

	(void)state;
	for (unsigned v = 0; v < VERDICT_COUNT; v++) {
		d.verdict = (uint8_t)v;
		assert_int_equal(dispatch_behind(&d, behind), v == VERDICT_MIXED_LEARN ? 2 : 0);
	}
	d.verdict = VERDICT_MIXED_LEARN;
	dispatch_behind(&d, behind);
	d.verdict = VERDICT_LEARN;
	assert_same(&behind[0], &d);
	d.verdict = VERDICT_LOCAL_LEARN;
	assert_same(&behind[1], &d);
}

/* Each verdict's twin, where there is one, is the next. */
static void test_twins_are_for_local_endpoints(void **state)
{
	(void)state;
	for (unsigned v = VERDICT_FIRST_DISPATCH; v < VERDICT_COUNT; v++) {
		if (!verdict_is_local(v))
			continue;
		assert_memory_equal(verdict_chain(v), "local-", strlen("local-"));
		assert_string_equal(verdict_chain(v) + strlen("local-"), verdict_chain(v - 1));
	}
	assert_true(verdict_is_local(VERDICT_LOCAL_RR));
	assert_false(verdict_is_local(VERDICT_MIXED_LEARN));
}

static void test_only_chains_that_recall_return(void **state)
{
	(void)state;
	for (unsigned v = 0; v < VERDICT_COUNT; v++)
		assert_int_equal(verdict_is_jump(v),
				 v == VERDICT_RECALL || v == VERDICT_LOCAL_RECALL);
}

static void test_chains_that_choose(void **state)
{
	(void)state;
	for (unsigned v = 0; v < VERDICT_FIRST_DISPATCH; v++)
		assert_false(verdict_is_choice(v));
	assert_true(verdict_is_choice(VERDICT_LB));
	assert_true(verdict_is_choice(VERDICT_LOCAL_RR));
	assert_false(verdict_is_choice(VERDICT_RECALL));
	assert_false(verdict_is_choice(VERDICT_LEARN));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names_of_shared_chains_lead_back),
		cmocka_unit_test(test_names_of_own_chains_lead_back),
		cmocka_unit_test(test_names_are_readable),
		cmocka_unit_test(test_foreign_names_are_none),
		cmocka_unit_test(test_mixed_chains_go_on_to_two),
		cmocka_unit_test(test_twins_are_for_local_endpoints),
		cmocka_unit_test(test_only_chains_that_recall_return),
		cmocka_unit_test(test_chains_that_choose),
	};

	return cmocka_run_group_tests_name("dispatch", tests, NULL, NULL);
}
