#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "base/buf.h"
#include "proxy-world.h"
#include "proxy/proxy.h"

#define LOCAL_AT(port)                                                                        \
	"'type':'LoadBalancer','clusterIP':'10.96.0.1','clusterIPs':['10.96.0.1','fd96::1']," \
	"'ports':[{'name':'http','port':80}],'externalTrafficPolicy':'Local',"                \
	"'healthCheckNodePort':" port
#define LOCAL LOCAL_AT("30100")

/* Sync, then compare the list: "NAMESPACE/NAME IPv4 PORT COUNT\n". */
static void assert_ports(struct world *w, const char *expected)
{
	struct buf text = { .data = NULL };
	const struct health_check_port *ports;
	size_t n;

	world_sync(w);
	ports = proxy_health_check_ports(w->proxy, &n);
	for (size_t i = 0; i < n; i++)
		buf_printf(&text, "%s/%s IPv%d %u %u\n", ports[i].namespace, ports[i].name,
			   ports[i].family == AF_INET ? 4 : 6, ports[i].port,
			   ports[i].local_endpoints);
	assert_string_equal(buf_text(&text), expected);
	buf_free(&text);
}

static void test_only_load_balancers_with_local_policy(void **state)
{
	static const char *const none[] = {
		"'type':'NodePort','clusterIP':'10.96.0.1','ports':[{'port':80,'nodePort':30080}],"
		"'externalTrafficPolicy':'Local','healthCheckNodePort':30100",
		"'type':'LoadBalancer','clusterIP':'10.96.0.1','ports':[{'port':80}],"
		"'externalTrafficPolicy':'Cluster','healthCheckNodePort':30100",
		"'type':'LoadBalancer','clusterIP':'10.96.0.1','ports':[{'port':80}],"
		"'externalTrafficPolicy':'Local'",
		"'type':'LoadBalancer','clusterIP':'None','ports':[{'port':80}],"
		"'externalTrafficPolicy':'Local','healthCheckNodePort':30100",
	};
	struct world *w = *state;

	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		world_service(w, "web", 1, LOCAL);
		assert_ports(w, "default/web IPv4 30100 0\ndefault/web IPv6 30100 0\n");
		world_service(w, "web", 1, none[i]);
		assert_ports(w, "");
	}
}

static void test_a_family_that_is_not_served_has_none(void **state)
{
	const struct proxy_config ipv6 = { .node = "me", .ipv6 = true };
	struct world *w = *state;

	world_service(w, "web", 1, LOCAL);
	world_configure(w, &ipv6);
	assert_ports(w, "default/web IPv6 30100 0\n");
	world_service(w, "web", 1,
		      "'type':'LoadBalancer','clusterIP':'10.96.0.1','ports':[{'port':80}],"
		      "'externalTrafficPolicy':'Local','healthCheckNodePort':30100");
	assert_ports(w, "");
}

static void test_local_ready_endpoints_count(void **state)
{
	struct world *w = *state;

	world_service(w, "web", 1, LOCAL);
	world_slice(w, "web-1", "web",
		    "10.1.0.1@me 10.1.0.2@other 10.1.0.3@me/unready 10.1.0.4@me");
	world_slice(w, "web-2", "web", "fd00::1@me fd00::2@other");
	assert_ports(w, "default/web IPv4 30100 2\ndefault/web IPv6 30100 1\n");
	world_slice(w, "web-1", "web", "10.1.0.2@other 10.1.0.4@me");
	assert_ports(w, "default/web IPv4 30100 1\ndefault/web IPv6 30100 1\n");
	world_remove(w, KIND_ENDPOINT_SLICE, "web-1");
	assert_ports(w, "default/web IPv4 30100 0\ndefault/web IPv6 30100 1\n");
}

/* The load balancer is to leave while stragglers are still served. */
static void test_O16_terminating_endpoints_do_not_count(void **state)
{
	struct world *w = *state;

	world_service(w, "web", 1, LOCAL);
	world_slice(w, "web-1", "web", "10.1.0.1@me/draining 10.1.0.2@me/dead 10.1.0.3@me/serving");
	assert_ports(w, "default/web IPv4 30100 0\ndefault/web IPv6 30100 0\n");
	assert_non_null(strstr(world_elements(w, "10.1.0.1"), "10.1.0.1"));
}

/* One address is one endpoint, however many ports and slices tell of it. */
static void test_addresses_count_once(void **state)
{
	struct world *w = *state;

	world_service(w, "web", 1, LOCAL);
	world_slice(w, "web-1", "web", "10.1.0.1@me 10.1.0.2@me");
	world_slice(w, "web-2", "web", "10.1.0.2@me 10.1.0.3@me");
	assert_ports(w, "default/web IPv4 30100 3\ndefault/web IPv6 30100 0\n");
}

static void test_a_slice_without_ports_does_not_count(void **state)
{
	struct world *w = *state;

	world_service(w, "web", 1, LOCAL);
	world_apply(w, "{'apiVersion':'discovery.k8s.io/v1','kind':'EndpointSlice','metadata':{"
		       "'name':'web-1','namespace':'default',"
		       "'labels':{'kubernetes.io/service-name':'web'}},'addressType':'IPv4',"
		       "'ports':[],'endpoints':[{'addresses':['10.1.0.1'],'nodeName':'me'}]}");
	assert_ports(w, "default/web IPv4 30100 0\ndefault/web IPv6 30100 0\n");
}

static void test_port_follows_and_leaves(void **state)
{
	struct world *w = *state;

	world_service(w, "web", 1, LOCAL);
	world_slice(w, "web-1", "web", "10.1.0.1@me");
	assert_ports(w, "default/web IPv4 30100 1\ndefault/web IPv6 30100 0\n");
	world_service(w, "web", 1, LOCAL_AT("30200"));
	assert_ports(w, "default/web IPv4 30200 1\ndefault/web IPv6 30200 0\n");
	world_remove(w, KIND_SERVICE, "web");
	assert_ports(w, "");
}

static void world_services(struct world *w, int n)
{
	for (int i = 0; i < n; i++) {
		char name[16], spec[512];

		snprintf(name, sizeof(name), "s-%03d", i * 37 % n);
		snprintf(spec, sizeof(spec),
			 "'type':'LoadBalancer','clusterIP':'10.97.0.%d','ports':[{'port':80}],"
			 "'externalTrafficPolicy':'Local','healthCheckNodePort':%d",
			 1 + i * 37 % n, 31000 + i * 37 % n);
		world_service(w, name, 1, spec);
		world_sync(w);
	}
}

static void test_sorted_whatever_the_order_of_events(void **state)
{
	struct buf expected = { .data = NULL };
	struct world *w = *state;

	world_services(w, 100);
	for (int i = 0; i < 100; i++)
		buf_printf(&expected, "default/s-%03d IPv4 %d 0\n", i, 31000 + i);
	assert_ports(w, buf_text(&expected));
	buf_reset(&expected);
	for (int i = 0; i < 100; i++) {
		char name[16];

		snprintf(name, sizeof(name), "s-%03d", i);
		if (i % 3)
			world_remove(w, KIND_SERVICE, name);
		else
			buf_printf(&expected, "default/%s IPv4 %d 0\n", name, 31000 + i);
	}
	assert_ports(w, buf_text(&expected));
	buf_free(&expected);
}

static void test_only_what_changed_is_computed(void **state)
{
	struct world *w = *state;

	world_services(w, 20);
	world_slice(w, "x", "s-007", "10.1.0.1@me");
	world_sync(w);
	assert_int_equal(w->computed, 1);
}

#define OTHER(port)                                                            \
	"'type':'LoadBalancer','clusterIP':'10.96.0.9','ports':[{'port':80}]," \
	"'externalTrafficPolicy':'Local','healthCheckNodePort':" port

static void test_contested_port_belongs_to_the_older(void **state)
{
	struct world *w = *state;

	world_service(w, "a-young", 20, OTHER("30100"));
	assert_ports(w, "default/a-young IPv4 30100 0\n");
	world_service(w, "old", 10, LOCAL);
	assert_ports(w, "default/old IPv4 30100 0\ndefault/old IPv6 30100 0\n");
	assert_string_equal(world_reports(w),
			    "FailedToStartServiceHealthcheck Service default/a-young: "
			    "health check port 30100 belongs to Service default/old\n");
	assert_int_equal(proxy_stats(w->proxy).contested, 1);
	/* Who loses it for itself is no loser for others. */
	assert_non_null(strstr(world_elements(w, "10.96.0.9"), "10.96.0.9"));
	world_service(w, "old", 10, LOCAL_AT("30200"));
	assert_ports(w, "default/a-young IPv4 30100 0\n"
			"default/old IPv4 30200 0\ndefault/old IPv6 30200 0\n");
	assert_string_equal(world_reports(w), "");
	assert_int_equal(proxy_stats(w->proxy).contested, 0);
}

static void test_two_services_swap_their_ports(void **state)
{
	struct world *w = *state;

	world_service(w, "one", 1, LOCAL);
	world_service(w, "two", 2, OTHER("30200"));
	world_sync(w);
	world_service(w, "one", 1, LOCAL_AT("30200"));
	world_service(w, "two", 2, OTHER("30100"));
	assert_ports(w, "default/one IPv4 30200 0\ndefault/one IPv6 30200 0\n"
			"default/two IPv4 30100 0\n");
	assert_string_equal(world_reports(w), "");
}

/* Nothing of it is in the tables. */
static void test_the_ruleset_does_not_know_the_port(void **state)
{
	struct world *w = *state;

	world_service(w, "web", 1, LOCAL);
	world_slice(w, "web-1", "web", "10.1.0.1@me");
	assert_world(w, "30100", "");
}

static void test_short_memory(void **state)
{
	struct world *w = *state;

	for (unsigned n = 1;; n++) {
		world_service(w, "web", 1, LOCAL);
		world_service(w, "other", 2, OTHER("30200"));
		world_slice(w, "web-1", "web", "10.1.0.1@me");
		w->fail_at = n;
		(void)world_try_sync(w);
		w->fail_at = 0;
		assert_ports(w, "default/other IPv4 30200 0\n"
				"default/web IPv4 30100 1\ndefault/web IPv6 30100 0\n");
		if (!w->failed && n > 1)
			break;
		world_remove(w, KIND_SERVICE, "web");
		world_remove(w, KIND_SERVICE, "other");
		world_remove(w, KIND_ENDPOINT_SLICE, "web-1");
		assert_ports(w, "");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		world_test(test_only_load_balancers_with_local_policy),
		world_test(test_a_family_that_is_not_served_has_none),
		world_test(test_local_ready_endpoints_count),
		world_test(test_O16_terminating_endpoints_do_not_count),
		world_test(test_addresses_count_once),
		world_test(test_a_slice_without_ports_does_not_count),
		world_test(test_port_follows_and_leaves),
		world_test(test_sorted_whatever_the_order_of_events),
		world_test(test_only_what_changed_is_computed),
		world_test(test_contested_port_belongs_to_the_older),
		world_test(test_two_services_swap_their_ports),
		world_test(test_the_ruleset_does_not_know_the_port),
		world_test(test_short_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
