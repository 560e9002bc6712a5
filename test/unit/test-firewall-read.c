/* Network policy as the kernel tells it, whoever has put it there. */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "command/policies-print.h"
#include "firewall/read.h"
#include "kernel-fixture.h"
#include "kernel/netlink.h"

static const struct firewall_filter everything;

#define ID "0123456789abcdef0123"
#define INTO "add rule ip kube-nft "

static struct firewall *must_read(struct kernel *k)
{
	struct firewall *f;

	if (firewall_read(&everything, &f, &k->err) < 0)
		fail_msg("%s", k->err.message);
	return f;
}

static void add_sets(struct kernel *k)
{
	nft(k, "add set ip kube-nft pods-" ID " { type ipv4_addr; comment \"pods of shop\"; "
	       "elements = { 10.244.2.2 comment \"shop/db\", 10.244.2.3 comment \"shop/x\" }; }");
	nft(k, "add set ip kube-nft block-" ID " { type ipv4_addr; flags interval; "
	       "elements = { 10.0.0.0-10.0.255.255, 10.2.0.0-10.255.255.255 }; }");
	nft(k, "add set ip kube-nft ports-" ID " { typeof meta l4proto . th dport; flags interval; "
	       "elements = { tcp . 80, tcp . 443-450, icmp . 7, udp . 0-65535 }; }");
	nft(k,
	    "add set ip kube-nft named-ports-" ID " { typeof ip daddr . meta l4proto . th dport; "
	    "comment \"port http/TCP of pods of shop: app is web\"; "
	    "elements = { 10.244.1.2 . tcp . 8080 comment \"shop/web\" }; }");
}

#define PORTS "meta l4proto . th dport @ports-" ID " "
#define NAMED "ip daddr . meta l4proto . th dport @named-ports-" ID " "

static void add_policy(struct kernel *k)
{
	nft(k, "add chain ip kube-nft ingress/shop/web { comment \"what the policy allows\"; }");
	nft(k, INTO "ingress/shop/web ip saddr @pods-" ID
		    " counter packets 7 bytes 420 goto ingress-accept");
	nft(k, INTO "ingress/shop/web ip saddr @block-" ID " " PORTS "counter goto ingress-accept");
	nft(k, INTO "ingress/shop/web ip saddr @pods-" ID " " NAMED "counter goto ingress-accept");
	nft(k, INTO "ingress/shop/web " NAMED "counter goto ingress-accept");
	nft(k, INTO "ingress/shop/web " PORTS "counter goto ingress-accept");
	nft(k, INTO "ingress/shop/web counter packets 5000000000 bytes 6 goto ingress-accept");
	nft(k, "add chain ip kube-nft ingress/shop/deny { "
	       "comment \"it could not be rendered: it allows nothing\"; }");
}

static void add_pod(struct kernel *k)
{
	nft(k, "add chain ip kube-nft ingress-" ID);
	nft(k, INTO "ingress-" ID " jump ingress-recall");
	nft(k, INTO "ingress-" ID " jump ingress/shop/deny");
	nft(k, INTO "ingress-" ID " jump ingress/shop/web");
	nft(k, INTO "ingress-" ID " jump exceptions");
	nft(k,
	    INTO "ingress-" ID " counter packets 9 bytes 540 limit rate 10/minute burst 10 packets "
		 "log prefix \"x \" group 100");
	nft(k, INTO "ingress-" ID " goto refuse");
	nft(k, "add element ip kube-nft ingress-pods { "
	       "10.244.1.2 comment \"shop/web\" : goto ingress-" ID " }");
}

static void open_with_a_policy(struct kernel *k)
{
	kernel_open(k, true, true);
	kernel_replace(k);
	add_sets(k);
	add_policy(k);
	add_pod(k);
}

static void test_without_tables(struct kernel *k)
{
	struct firewall *f;

	assert_int_equal(firewall_read(&everything, &f, &k->err), -ENOENT);
	assert_string_equal(k->err.message, "there is no table kube-nft here");
}

static void test_table_of_one_family(struct kernel *k)
{
	_cleanup_(firewall_freep) struct firewall *f = NULL;

	kernel_open(k, false, true);
	kernel_replace(k);
	f = must_read(k);
	assert_int_equal(f->n_pods + f->n_policies, 0);
	assert_int_equal(f->strange, 0);
}

/* clang-format off */
static const char tables[] =
	"POD        REFUSED  ISOLATED BY\n"
	"shop/web            10.244.1.2\n"
	"  ingress        9  shop/deny, shop/web\n"
	"  egress         -  not isolated: everything is allowed\n"
	"\n"
	"POLICY     REFUSED     ALLOWED  WHAT IT ALLOWS\n"
	"shop/deny\n"
	"  ingress        9           -  nothing, since it could not be rendered\n"
	"shop/web\n"
	"  ingress        9           7  from pods of shop (2 now)\n"
	"                             0  from 10.0.0.0/8 except 10.1.0.0/16, on protocol 1 7, TCP 80, 443-450, UDP\n"
	"                             0  from pods of shop (2 now), on TCP http (1 pod now)\n"
	"                             0  from anybody, on TCP http (1 pod now)\n"
	"                             0  from anybody, on protocol 1 7, TCP 80, 443-450, UDP\n"
	"                    5000000000  everything\n";
/* clang-format on */

static void test_a_policy_and_its_pod(struct kernel *k)
{
	_cleanup_(firewall_freep) struct firewall *f = NULL;
	_cleanup_buf_ struct buf text = { 0 };

	open_with_a_policy(k);
	f = must_read(k);
	assert_int_equal(f->strange, 0);
	policies_print_tables(f, &text);
	assert_string_equal(buf_text(&text), tables);
}

/* Each of these is none that we would make, and is not told as one. */
static void test_rules_of_a_stranger(struct kernel *k)
{
	static const char *const rules[] = {
		"ingress/shop/web ip saddr 10.9.9.9 counter goto ingress-accept",
		"ingress/shop/web ip saddr != @pods-" ID " counter goto ingress-accept",
		"ingress/shop/web counter drop",
		"ingress/shop/web jump refuse",
		"ingress/shop/web ip saddr @pod-cidrs goto ingress-accept",
		"ingress/shop/web ip saddr @pods-" ID " ip daddr @pods-" ID " goto ingress-accept",
		"ingress/shop/web log goto ingress-accept",
		"ingress/shop/web accept",
		"ingress-" ID " accept",
		"ingress-" ID " jump unserved",
		"ingress-" ID " ip saddr @pods-" ID " goto refuse",
	};

	open_with_a_policy(k);
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
		_cleanup_(firewall_freep) struct firewall *f = NULL;

		nft(k, INTO "%s", rules[i]);
		f = must_read(k);
		assert_int_equal(f->strange, i + 1);
		assert_int_equal(f->isolations[0].n, 2);
	}
}

static void test_elements_of_a_stranger(struct kernel *k)
{
	_cleanup_(firewall_freep) struct firewall *f = NULL;

	open_with_a_policy(k);
	nft(k, "add element ip kube-nft egress-pods { 10.244.1.9 : drop }");
	nft(k, "add element ip kube-nft egress-pods { 10.244.1.2 comment \"shop/web\" : "
	       "goto refuse }");
	f = must_read(k);
	assert_int_equal(f->strange, 2);
	assert_int_equal(f->n_pods, 2);
	assert_string_equal(f->pods[0].name.name, "");
	assert_null(f->pods[1].isolations[FIREWALL_EGRESS]);
}

static void test_counters_of_no_policy(struct kernel *k)
{
	_cleanup_(firewall_freep) struct firewall *f = NULL;

	open_with_a_policy(k);
	nft(k, INTO "refuse-unknown counter packets 4 bytes 240");
	nft(k, "add rule ip6 kube-nft refuse-unknown counter packets 2 bytes 120");
	nft(k, INTO "exceptions counter packets 3 bytes 180");
	nft(k, "add element ip kube-nft local-pod-cidrs { 10.244.1.0/24 }");
	nft(k, "add element ip kube-nft local-pods { 10.244.1.7 comment \"shop/idle\" }");
	f = must_read(k);
	assert_int_equal(f->unknown.packets, 6);
	assert_int_equal(f->unknown.bytes, 360);
	assert_int_equal(f->invalid.packets, 3);
	assert_true(f->default_deny);
	assert_int_equal(f->n_pods, 2);
}

static void test_other_tables_of_our_name(struct kernel *k)
{
	_cleanup_(firewall_freep) struct firewall *f = NULL;

	nft(k, "table ip kube-nft { map ingress-pods { type inet_service : verdict; "
	       "elements = { 80 : drop }; }; }");
	f = must_read(k);
	assert_int_equal(f->n_pods, 0);
	assert_int_equal(f->strange, 1);
}

static void test_reading_changes_nothing(struct kernel *k)
{
	_cleanup_(firewall_freep) struct firewall *f = NULL;
	uint32_t before, after;

	open_with_a_policy(k);
	assert_int_equal(netlink_generation(k->nl, &before, NULL), 0);
	f = must_read(k);
	assert_int_equal(f->n_policies, 2);
	assert_int_equal(netlink_generation(k->nl, &after, NULL), 0);
	assert_int_equal(before, after);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		kernel_test(test_without_tables),
		kernel_test(test_table_of_one_family),
		kernel_test(test_a_policy_and_its_pod),
		kernel_test(test_rules_of_a_stranger),
		kernel_test(test_elements_of_a_stranger),
		kernel_test(test_counters_of_no_policy),
		kernel_test(test_other_tables_of_our_name),
		kernel_test(test_reading_changes_nothing),
	};

	return cmocka_run_group_tests_name("firewall-read", tests, kernel_announce, NULL);
}
