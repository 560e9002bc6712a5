#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/addr.h"
#include "base/buf.h"
#include "object/object.h"
#include "proxy-world.h"
#include "ruleset/ruleset.h"

#define DNS "'ports':[{'name':'dns','port':53,'protocol':'UDP'}]"
#define BOTH                                         \
	"'clusterIPs':['10.96.0.1'],'ports':["       \
	"{'name':'dns','port':53,'protocol':'UDP'}," \
	"{'name':'http','port':80,'protocol':'TCP'}]"

static void addr_print(uint16_t family, const uint8_t bytes[static 16], struct buf *out)
{
	struct addr a = { .family = (uint8_t)family };
	char text[ADDR_TEXT_MAX];

	memcpy(a.bytes, bytes, sizeof(a.bytes));
	buf_puts(out, addr_format(&a, text));
}

static void flows_print(const struct flows *f, struct buf *out)
{
	for (size_t i = 0; i < f->n; i++) {
		const struct flow *one = &f->items[i];

		buf_puts(out, i ? ", " : "");
		addr_print(one->family, one->addr, out);
		buf_printf(out, " %u", one->port);
		if (one->protocol != PROTOCOL_UDP)
			buf_puts(out, one->protocol == PROTOCOL_TCP ? "/tcp" : "/sctp");
		if (flow_is_frontend(one))
			continue;
		buf_puts(out, " to ");
		addr_print(one->family, one->target, out);
		buf_printf(out, " %u", one->target_port);
	}
}

/* The kernel stops what the agent is going to end, and no other flow. */
static void assert_kernel_is_told(const struct world *w, const struct flows *kept)
{
	struct transaction whole = { .changes = NULL };
	_cleanup_flows_ struct flows told = { 0 };

	assert_int_equal(ruleset_whole(w->ruleset, &whole), 0);
	for (size_t i = 0; i < whole.n_changes; i++) {
		const struct element *e = &whole.changes[i].element;
		struct flow one = { .family = e->family, .protocol = e->protocol, .port = e->port };

		if (e->set != SET_UDP_SERVICES && e->set != SET_UDP_FLOWS)
			continue;
		assert_int_equal(e->protocol, PROTOCOL_UDP);
		one.target_port = e->target_port;
		memcpy(one.addr, e->addr, sizeof(one.addr));
		memcpy(one.target, e->other, sizeof(one.target));
		assert_int_equal(flows_add(&told, &one), 0);
	}
	flows_settle(&told);
	assert_true(flows_equal(&told, kept));
	transaction_free(&whole);
}

/* Sync, then compare the flows that may go on and, behind a bar, the frontends that went. NULL: the sync
 * changed nothing of them. */
static void assert_flows(struct world *w, const char *expected)
{
	_cleanup_flows_ struct flows kept = { 0 }, gone = { 0 };
	struct buf text = { .data = NULL };

	world_sync(w);
	assert_int_equal(ruleset_flows_changed(w->ruleset), expected != NULL);
	if (!expected)
		return;
	assert_int_equal(ruleset_take_flows(w->ruleset, &kept, &gone), 0);
	assert_false(ruleset_flows_changed(w->ruleset));
	if (!w->config.graceful_termination)
		assert_kernel_is_told(w, &kept);
	flows_print(&kept, &text);
	buf_puts(&text, " | ");
	flows_print(&gone, &text);
	assert_string_equal(buf_text(&text), expected);
	buf_free(&text);
}

static void test_flows_are_of_udp(void **state)
{
	struct world *w = *state;

	world_service(w, "web", 1,
		      "'clusterIPs':['10.96.0.1'],'ports':[{'name':'http','port':80}]");
	world_slice(w, "web-1", "web", "10.1.0.1");
	assert_flows(w, NULL);
	world_service(w, "web", 1, BOTH);
	assert_flows(w, "10.96.0.1 53, 10.96.0.1 53 to 10.1.0.1 5353 | ");
	world_service(w, "web", 1,
		      "'clusterIPs':['10.96.0.1'],'ports':[{'name':'http','port':80}]");
	assert_flows(w, " | 10.96.0.1 53");
}

static void test_endpoints_that_serve_keep_flows(void **state)
{
	struct world *w = *state;

	world_service(w, "web", 1, BOTH);
	assert_flows(w, "10.96.0.1 53 | ");
	world_slice(w, "web-1", "web", "10.1.0.1 10.1.0.2/draining 10.1.0.3/unready 10.1.0.4/dead");
	assert_flows(w, "10.96.0.1 53, 10.96.0.1 53 to 10.1.0.1 5353, "
			"10.96.0.1 53 to 10.1.0.2 5353 | ");
	world_slice(w, "web-1", "web", "10.1.0.1 10.1.0.2/dead");
	assert_flows(w, "10.96.0.1 53, 10.96.0.1 53 to 10.1.0.1 5353 | ");
	world_slice(w, "web-1", "web", "10.1.0.1 10.1.0.3/unready 10.1.0.4/dead");
	assert_flows(w, NULL);
	world_slice(w, "web-1", "web", "");
	assert_flows(w, "10.96.0.1 53 | ");
}

static void test_choice_among_them_does_not_matter(void **state)
{
	struct world *w = *state;

	world_service(w, "web", 1, BOTH);
	world_slice(w, "web-1", "web", "10.1.0.1@me 10.1.0.2");
	assert_flows(w, "10.96.0.1 53, 10.96.0.1 53 to 10.1.0.1 5353, "
			"10.96.0.1 53 to 10.1.0.2 5353 | ");
	world_service(w, "web", 1, BOTH ",'internalTrafficPolicy':'Local'");
	assert_flows(w, NULL);
	world_service(w, "web", 1, BOTH ",'sessionAffinity':'ClientIP'");
	assert_flows(w, NULL);
	world_slice(w, "web-1", "web", "10.1.0.1/zone:a 10.1.0.2/zone:b");
	assert_flows(w, NULL);
}

static void test_frontends_of_both_families(void **state)
{
	struct world *w = *state;

	world_service(w, "web", 1, "'clusterIPs':['10.96.0.1','fd96::1']," DNS);
	world_slice(w, "web-1", "web", "10.1.0.1");
	world_slice(w, "web-2", "web", "fd01::1");
	assert_flows(w, "10.96.0.1 53, 10.96.0.1 53 to 10.1.0.1 5353, "
			"fd96::1 53, fd96::1 53 to fd01::1 5353 | ");
	world_remove(w, KIND_SERVICE, "web");
	assert_flows(w, " | 10.96.0.1 53, fd96::1 53");
}

/* Whoever has a frontend says where its flows may go; that it changes hands is told as a loss too. */
static void test_frontend_that_changes_hands(void **state)
{
	struct world *w = *state;

	world_service(w, "a", 2, "'clusterIPs':['10.96.0.1'],'externalIPs':['192.0.2.1']," DNS);
	world_slice(w, "a-1", "a", "10.1.0.1");
	assert_flows(w, "10.96.0.1 53, 10.96.0.1 53 to 10.1.0.1 5353, "
			"192.0.2.1 53, 192.0.2.1 53 to 10.1.0.1 5353 | ");
	world_service(w, "b", 1, "'clusterIPs':['10.96.0.2'],'externalIPs':['192.0.2.1']," DNS);
	assert_flows(w, "10.96.0.1 53, 10.96.0.1 53 to 10.1.0.1 5353, 10.96.0.2 53, "
			"192.0.2.1 53 | 192.0.2.1 53");
}

static void test_what_goes_is_told_until_it_is_taken(void **state)
{
	struct world *w = *state;

	world_service(w, "a", 1, "'clusterIPs':['10.96.0.1']," DNS);
	world_service(w, "b", 1, "'clusterIPs':['10.96.0.2']," DNS);
	world_sync(w);
	world_remove(w, KIND_SERVICE, "a");
	world_sync(w);
	world_remove(w, KIND_SERVICE, "b");
	assert_flows(w, " | 10.96.0.1 53, 10.96.0.2 53");
	assert_flows(w, NULL);
}

/* Connections have flows too, which a pod that terminates keeps though it may not serve; the kernel is
 * told of UDP only. */
static void test_graceful_termination(void **state)
{
	struct world *w = *state;
	const struct proxy_config graceful = {
		.node = "me", .ipv4 = true, .ipv6 = true, .graceful_termination = true
	};

	world_configure(w, &graceful);
	world_service(w, "web", 1, BOTH);
	world_slice(w, "web-1", "web", "10.1.0.1 10.1.0.2/draining 10.1.0.3/unready 10.1.0.4/dead");
	assert_flows(w, "10.96.0.1 80/tcp, 10.96.0.1 80/tcp to 10.1.0.1 8080, "
			"10.96.0.1 80/tcp to 10.1.0.2 8080, 10.96.0.1 80/tcp to 10.1.0.4 8080, "
			"10.96.0.1 53, 10.96.0.1 53 to 10.1.0.1 5353, "
			"10.96.0.1 53 to 10.1.0.2 5353 | ");
	assert_world(w, "10.96.0.1 . tcp . 80 . 10.1", "");
	assert_world(w, "udp-services",
		     "udp-services 10.96.0.1 . udp . 53 comment \"default/web:dns\"\n");
	world_slice(w, "web-1", "web", "10.1.0.1");
	assert_flows(w, "10.96.0.1 80/tcp, 10.96.0.1 80/tcp to 10.1.0.1 8080, "
			"10.96.0.1 53, 10.96.0.1 53 to 10.1.0.1 5353 | ");
	world_remove(w, KIND_SERVICE, "web");
	assert_flows(w, " | 10.96.0.1 80/tcp, 10.96.0.1 53");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		world_test(test_flows_are_of_udp),
		world_test(test_endpoints_that_serve_keep_flows),
		world_test(test_choice_among_them_does_not_matter),
		world_test(test_frontends_of_both_families),
		world_test(test_frontend_that_changes_hands),
		world_test(test_what_goes_is_told_until_it_is_taken),
		world_test(test_graceful_termination),
	};

	return cmocka_run_group_tests_name("proxy-flows", tests, NULL, NULL);
}
