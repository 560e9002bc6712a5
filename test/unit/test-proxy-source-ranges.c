#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "proxy-world.h"

#define COMMENT " comment \"default/web:http\"\n"
#define GUARD "guarded-frontends 192.0.2.1 . tcp . 80" COMMENT
#define RANGE(prefix) "source-ranges 192.0.2.1 . tcp . 80 . " prefix COMMENT

/* default/web with a ClusterIP of each family, an external IP, a NodePort, and these addresses and
 * ranges. */
static void apply_web(struct world *w, const char *ingress, const char *ranges)
{
	world_apply(w,
		    "{'apiVersion':'v1','kind':'Service','metadata':{'namespace':'default',"
		    "'name':'web'},'spec':{'type':'LoadBalancer',"
		    "'clusterIPs':['10.96.0.1','fd96::1'],'externalIPs':['192.0.2.9'],"
		    "'ports':[{'name':'http','port':80,'nodePort':30080}],"
		    "'loadBalancerSourceRanges':[%s]},"
		    "'status':{'loadBalancer':{'ingress':[%s]}}}",
		    ranges, ingress);
}

#define IPV4 "{'ip':'192.0.2.1'}"
#define IPV6 "{'ip':'2001:db8::1'}"

/* Of those sets alone. */
static void assert_guards(struct world *w, const char *guarded, const char *ranges)
{
	assert_world(w, "guarded-frontends", guarded);
	assert_world(w, "source-ranges", ranges);
}

static void test_load_balancer_addresses_only(void **state)
{
	struct world *w = *state;

	world_node(w, "me", "", "", "InternalIP 198.51.100.1");
	apply_web(w, IPV4, "'10.0.0.0/8'");
	assert_guards(w, GUARD, RANGE("10.0.0.0/8"));
	assert_string_equal(world_reports(w), "");
	apply_web(w, IPV4, "");
	assert_guards(w, "", "");
	apply_web(w, "", "'10.0.0.0/8'");
	assert_guards(w, "", "");
	apply_web(w, "{'ip':'192.0.2.1','ipMode':'Proxy'}", "'10.0.0.0/8'");
	assert_guards(w, "", "");
}

/* The interval set of the kernel takes no two that overlap. */
static void test_ranges_inside_others_are_left_out(void **state)
{
	struct world *w = *state;

	apply_web(w, IPV4,
		  "'10.1.0.0/16','10.0.0.0/8','10.0.0.0/9','10.0.0.5/8','11.0.0.7/32',"
		  "'11.0.0.6/32','9.0.0.0/8'");
	assert_guards(w, GUARD,
		      RANGE("9.0.0.0/8") RANGE("10.0.0.0/8") RANGE("11.0.0.6") RANGE("11.0.0.7"));
	apply_web(w, IPV4, "'10.1.0.0/16'");
	assert_guards(w, GUARD, RANGE("10.1.0.0/16"));
}

static void test_everybody_needs_no_guard(void **state)
{
	struct world *w = *state;

	apply_web(w, IPV4, "'10.0.0.0/8','0.0.0.0/0'");
	assert_guards(w, "", "");
	assert_string_equal(world_reports(w), "");
}

static void test_families_are_apart(void **state)
{
	struct world *w = *state;

	apply_web(w, IPV4 "," IPV6, "'10.0.0.0/8','2001:db8:1::/48'");
	assert_guards(
		w, GUARD "guarded-frontends 2001:db8::1 . tcp . 80" COMMENT,
		RANGE("10.0.0.0/8") "source-ranges 2001:db8::1 . tcp . 80 . 2001:db8:1::/48" COMMENT);
	assert_string_equal(world_reports(w), "");
}

static void test_family_without_a_range_is_closed(void **state)
{
	struct world *w = *state;

	apply_web(w, IPV4 "," IPV6, "'10.0.0.0/8'");
	assert_guards(w, GUARD "guarded-frontends 2001:db8::1 . tcp . 80" COMMENT,
		      RANGE("10.0.0.0/8"));
	assert_string_equal(world_reports(w),
			    "NoSourceAllowed Service default/web: nobody may connect to its IPv6 "
			    "load balancer addresses: no range of that family is in "
			    "loadBalancerSourceRanges\n");
}

static void test_ranges_that_are_none_let_nobody_in(void **state)
{
	struct world *w = *state;

	apply_web(w, IPV4, "'nonsense','10.0.0.0/33'");
	assert_guards(w, GUARD, "");
	assert_string_equal(
		world_reports(w),
		"SourceRangeIgnored Service default/web: 2 of its loadBalancerSourceRanges are no "
		"address ranges\n"
		"NoSourceAllowed Service default/web: nobody may connect to its IPv4 load balancer "
		"addresses: no range of that family is in loadBalancerSourceRanges\n");

	apply_web(w, IPV4, "'nonsense','10.0.0.0/8'");
	assert_guards(w, GUARD, RANGE("10.0.0.0/8"));
	assert_string_equal(world_reports(w), "SourceRangeIgnored Service default/web: 1 of its "
					      "loadBalancerSourceRanges are no address ranges\n");
}

static void test_range_of_a_family_that_is_not_there(void **state)
{
	struct world *w = *state;

	world_apply(w, "{'apiVersion':'v1','kind':'Service','metadata':{'namespace':'default',"
		       "'name':'web'},'spec':{'type':'LoadBalancer','clusterIPs':['10.96.0.1'],"
		       "'ports':[{'name':'http','port':80}],"
		       "'loadBalancerSourceRanges':['10.0.0.0/8','2001:db8:1::/48']},"
		       "'status':{'loadBalancer':{'ingress':[{'ip':'192.0.2.1'}]}}}");
	assert_guards(w, GUARD, RANGE("10.0.0.0/8"));
	assert_string_equal(world_reports(w),
			    "SourceRangeIgnored Service default/web: source range 2001:db8:1::/48 "
			    "ignored: the Service has no IPv6\n");
}

/* It connects from the load balancer's address when it has that on an interface. */
static void test_node_in_a_range_may_come_from_the_address_itself(void **state)
{
	struct world *w = *state;

	world_node(w, "me", "", "", "InternalIP 198.51.100.1,InternalIP fd00::1");
	world_node(w, "other", "", "", "InternalIP 198.51.101.1");
	apply_web(w, IPV4 "," IPV6, "'198.51.100.0/24','2001:db8:1::/48'");
	assert_world(w, "source-ranges 192.0.2.1", RANGE("198.51.100.0/24") RANGE("192.0.2.1"));
	assert_world(w, "source-ranges 2001:db8::1",
		     "source-ranges 2001:db8::1 . tcp . 80 . 2001:db8:1::/48" COMMENT);

	world_node(w, "me", "", "", "InternalIP 198.51.102.1");
	assert_world(w, "source-ranges 192.0.2.1", RANGE("198.51.100.0/24"));

	apply_web(w, IPV4, "'198.51.102.0/24','192.0.2.0/24'");
	assert_world(w, "source-ranges 192.0.2.1", RANGE("192.0.2.0/24") RANGE("198.51.102.0/24"));
}

/* The one who lost the address may not open or close it. */
static void test_O1_only_the_holder_guards(void **state)
{
	struct world *w = *state;

	world_service(w, "older", 1,
		      "'clusterIPs':['10.96.0.2'],'externalIPs':['192.0.2.1'],"
		      "'ports':[{'name':'http','port':80}]");
	world_apply(w, "{'apiVersion':'v1','kind':'Service','metadata':{'namespace':'default',"
		       "'name':'web','creationTimestamp':'2026-01-02T00:00:00Z'},"
		       "'spec':{'type':'LoadBalancer','clusterIPs':['10.96.0.1'],"
		       "'ports':[{'name':'http','port':80},{'name':'more','port':81}],"
		       "'loadBalancerSourceRanges':['10.0.0.0/8']},"
		       "'status':{'loadBalancer':{'ingress':[{'ip':'192.0.2.1'}]}}}");
	assert_world(w, "guarded-frontends",
		     "guarded-frontends 192.0.2.1 . tcp . 81 comment \"default/web:more\"\n");
	world_remove(w, KIND_SERVICE, "older");
	assert_world(w, "guarded-frontends",
		     GUARD "guarded-frontends 192.0.2.1 . tcp . 81 comment \"default/web:more\"\n");
}

static void test_S11_too_many_of_them(void **state)
{
	struct world *w = *state;
	struct buf ports = { 0 }, ranges = { 0 }, ingress = { 0 };

	for (unsigned i = 0; i < 1000; i++)
		buf_printf(&ports, "%s{'name':'p%u','port':%u}", i ? "," : "", i, i + 1);
	for (unsigned i = 0; i < 256; i++)
		buf_printf(&ranges, "%s'10.0.%u.0/24'", i ? "," : "", i);
	for (unsigned i = 0; i < 20; i++)
		buf_printf(&ingress, "%s{'ip':'192.0.2.%u'}", i ? "," : "", i);
	world_apply(w,
		    "{'apiVersion':'v1','kind':'Service','metadata':{'namespace':'default',"
		    "'name':'web'},'spec':{'clusterIPs':['10.96.0.1'],'ports':[%s],"
		    "'loadBalancerSourceRanges':[%s]},'status':{'loadBalancer':{'ingress':[%s]}}}",
		    buf_text(&ports), buf_text(&ranges), buf_text(&ingress));
	assert_world(w, NULL, "");
	assert_non_null(strstr(world_reports(w), "ServiceTooLarge"));
	buf_free(&ports);
	buf_free(&ranges);
	buf_free(&ingress);
}

static void test_memory_is_short(void **state)
{
	struct world *w = *state;

	for (unsigned fail_at = 1;; fail_at++) {
		apply_web(w, IPV4 "," IPV6, fail_at % 2 ? "'10.0.0.0/8'" : "'198.51.100.0/24'");
		w->fail_at = fail_at;
		world_try_sync(w);
		if (!w->failed)
			break;
		w->fail_at = 0;
		assert_guards(w, GUARD "guarded-frontends 2001:db8::1 . tcp . 80" COMMENT,
			      fail_at % 2 ? RANGE("10.0.0.0/8") : RANGE("198.51.100.0/24"));
		assert_int_not_equal(fail_at, 1000);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		world_test(test_load_balancer_addresses_only),
		world_test(test_ranges_inside_others_are_left_out),
		world_test(test_everybody_needs_no_guard),
		world_test(test_families_are_apart),
		world_test(test_family_without_a_range_is_closed),
		world_test(test_ranges_that_are_none_let_nobody_in),
		world_test(test_range_of_a_family_that_is_not_there),
		world_test(test_node_in_a_range_may_come_from_the_address_itself),
		world_test(test_O1_only_the_holder_guards),
		world_test(test_S11_too_many_of_them),
		world_test(test_memory_is_short),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
