#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <libnftnl/common.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <nftables/libnftables.h>
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
#include "fail-alloc.h"
#include "kernel-fixture.h"
#include "kernel/netlink.h"
#include "kernel/tables-internal.h"

static const uint8_t families[] = { AF_INET, AF_INET6 };

static void sweep(struct kernel *k)
{
	if (tables_sweep(k->tables, k->ruleset, &k->err) < 0)
		fail_msg("%s", k->err.message);
}

static bool has_chain(struct kernel *k, const char *family, const char *name)
{
	return nft_try(k, "list chain %s kube-nft %s", family, name);
}

static void test_families_that_are_on_have_a_table(struct kernel *k)
{
	kernel_open(k, true, true);
	assert_string_equal(nft_list(k, "list tables"), "");
	kernel_replace(k);
	assert_string_equal(nft_list(k, "list tables"), "table ip kube-nft\ntable ip6 kube-nft\n");

	kernel_open(k, false, true);
	kernel_replace(k);
	assert_string_equal(nft_list(k, "list tables"), "table ip6 kube-nft\n");
	kernel_open(k, true, false);
	kernel_replace(k);
	assert_string_equal(nft_list(k, "list tables"), "table ip kube-nft\n");
}

/* An agent that was killed while it compiled the template has left this. */
static void test_left_over_staging_is_no_obstacle(struct kernel *k)
{
	nft(k, "add table ip kube-nft-staging; add chain ip kube-nft-staging lb-1");
	kernel_open(k, true, true);
	assert_string_equal(nft_list(k, "list tables"), "");
}

static void test_chains_come_when_needed_and_go_when_swept(struct kernel *k)
{
	const struct element affinity = element_make(SET_AFFINITY_TIMEOUTS, AF_INET, 0, 3);
	const struct element plain = element_make(SET_SERVICES, AF_INET6, 1, 1);
	const struct element both[] = { affinity, plain };

	kernel_open(k, true, true);
	kernel_replace(k);
	assert_false(has_chain(k, "ip", "local-learn-11.0.3.0-tcp-83-86400"));

	kernel_change(k, both, 2);
	assert_true(has_chain(k, "ip", "local-learn-11.0.3.0-tcp-83-86400"));
	assert_true(has_chain(k, "ip", "mixed-learn-11.0.3.0-tcp-83-86400"));
	assert_true(has_chain(k, "ip6", "lb-2"));
	assert_false(has_chain(k, "ip6", "lb-3"));
	sweep(k);
	assert_true(has_chain(k, "ip", "local-learn-11.0.3.0-tcp-83-86400"));

	kernel_change(k, &plain, 1);
	assert_true(has_chain(k, "ip", "local-learn-11.0.3.0-tcp-83-86400"));
	kernel_change(k, both, 2); /* used again before it is swept */
	kernel_change(k, &plain, 1);
	sweep(k);
	assert_false(has_chain(k, "ip", "local-learn-11.0.3.0-tcp-83-86400"));
	assert_false(has_chain(k, "ip", "mixed-learn-11.0.3.0-tcp-83-86400"));
	assert_true(has_chain(k, "ip6", "lb-2"));
	assert_reconciles(k, TABLES_EQUAL);
	kernel_change(k, both, 2);
	assert_reconciles(k, TABLES_EQUAL);
}

/* A chain that somebody else goes to can't be deleted. */
static void test_sweep_that_fails_forgets_nothing(struct kernel *k)
{
	const struct element e = element_make(SET_SERVICES, AF_INET, 1, 1);

	kernel_open(k, true, true);
	kernel_replace(k);
	kernel_change(k, &e, 1);
	nft(k, "add rule ip kube-nft output jump lb-2");
	kernel_change(k, NULL, 0);
	assert_int_equal(tables_sweep(k->tables, k->ruleset, &k->err), -EBUSY);
	assert_true(has_chain(k, "ip", "lb-2"));
	kernel_change(k, &e, 1);
	kernel_change(k, NULL, 0);
	nft(k, "flush chain ip kube-nft output");
	sweep(k);
	assert_false(has_chain(k, "ip", "lb-2"));
}

static void test_empty_difference_is_not_sent(struct kernel *k)
{
	_cleanup_transaction_ struct transaction tx = { 0 };
	uint32_t before, after;

	kernel_open(k, true, true);
	assert_int_equal(netlink_generation(k->nl, &before, NULL), 0);
	assert_int_equal(kernel_commit(k, &tx), 0);
	assert_int_equal(netlink_generation(k->nl, &after, NULL), 0);
	assert_int_equal(before, after);
	assert_int_equal(k->commit.bytes, 0);
}

static void test_commit_is_counted(struct kernel *k)
{
	const struct element e[] = { element_make(SET_SERVICES, AF_INET, 1, 0),
				     element_make(SET_SERVICES, AF_INET, 2, 0) };
	const struct element changed = element_make(SET_SERVICES, AF_INET, 2, 1);
	uint32_t before, after;

	kernel_open(k, true, true);
	kernel_replace(k);
	kernel_change(k, e, 2);
	assert_int_equal(k->commit.added, 2);
	assert_int_equal(k->commit.deleted, 0);
	assert_in_range(k->commit.bytes, 200, 4096);
	assert_int_equal(netlink_generation(k->nl, &before, NULL), 0);
	kernel_change(k, &changed, 1);
	assert_int_equal(netlink_generation(k->nl, &after, NULL), 0);
	assert_int_equal(after, before + 1); /* one transaction */
	assert_int_equal(k->commit.added, 1);
	assert_int_equal(k->commit.deleted, 2);
}

enum { KEYS = 5, MAX_ELEMENTS = 2 * SET_COUNT * KEYS };

static size_t elements_at_random(struct element ret[static MAX_ELEMENTS])
{
	unsigned density = (unsigned)rand() % 4; /* of 3 */
	size_t n = 0;

	for (unsigned i = 0; i < MAX_ELEMENTS; i++)
		if ((unsigned)rand() % 3 < density)
			ret[n++] = element_make(i / 2 % SET_COUNT, families[i % 2],
						i / 2 / SET_COUNT, (unsigned)rand() % N_VALUES);
	return n;
}

static void test_differences_come_to_the_whole(struct kernel *k)
{
	struct element elements[MAX_ELEMENTS];

	srand(1);
	kernel_open(k, true, true);
	kernel_replace(k);
	for (unsigned step = 0; step < 300; step++) {
		kernel_change(k, elements, elements_at_random(elements));
		if (rand() % 4 == 0)
			sweep(k);
		assert_kernel_has_what_is_wanted(k);
		if (step % 20 == 0)
			assert_reconciles(k, TABLES_EQUAL);
	}
}

/* More than one netlink message holds, so that the parts and their order count. */
static void test_many_elements_in_one_transaction(struct kernel *k)
{
	enum { MANY = 4000 };
	static struct element elements[MANY];

	for (unsigned i = 0; i < MANY; i++)
		elements[i] = element_make(i % 2 ? SET_ENDPOINTS : SET_SERVICES,
					   families[i / 2 % 2], i, i % N_VALUES);
	kernel_open(k, true, true);
	kernel_replace(k);
	kernel_change(k, elements, MANY);
	assert_true(k->commit.bytes > 3 * 65536);
	assert_kernel_has_what_is_wanted(k);
	kernel_change(k, elements, 1);
	assert_kernel_has_what_is_wanted(k);
}

/* Everything that can be seen of our tables. Freed by the caller. */
static char *listing(struct kernel *k)
{
	char *text = strdup(nft_list(k, "list ruleset"));

	assert_non_null(text);
	return text;
}

/* What the kernel refuses is named, and nothing else of the transaction is done. */
static void assert_refused(struct kernel *k, const struct element *elements, size_t n,
			   const struct element *culprit, int code)
{
	_cleanup_transaction_ struct transaction tx = { 0 };
	_cleanup_free_ char *before = listing(k), *after = NULL;

	kernel_want(k, elements, n, &tx);
	assert_int_equal(kernel_commit(k, &tx), code);
	assert_non_null(k->commit.culprit);
	assert_int_equal(element_cmp(k->commit.culprit, culprit), 0);
	after = listing(k);
	assert_string_equal(before, after);
}

static void test_N3_addition_that_is_refused_is_named(struct kernel *k)
{
	struct element e[100];

	for (unsigned i = 0; i < ARRAY_SIZE(e); i++)
		e[i] = element_make(SET_SERVICES, AF_INET6, i, 1);
	kernel_open(k, true, true);
	kernel_replace(k);
	nft(k, "add element ip6 kube-nft services { fd0a::49:0:0:0 . udp . 74 : accept }");
	assert_refused(k, e, ARRAY_SIZE(e), &e[73], -EEXIST);
	assert_reconciles(k, TABLES_ADOPTED);
	assert_kernel_has_what_is_wanted(k);
}

static void test_N3_deletion_that_is_refused_is_named(struct kernel *k)
{
	struct element e[100];

	for (unsigned i = 0; i < ARRAY_SIZE(e); i++)
		e[i] = element_make(SET_ENDPOINTS, AF_INET, i, 1);
	kernel_open(k, true, true);
	kernel_replace(k);
	kernel_change(k, e, ARRAY_SIZE(e));
	nft(k, "delete element ip kube-nft endpoints { 10.0.50.0 . sctp . 51 . 2 }");
	assert_refused(k, NULL, 0, &e[50], -ENOENT);
	assert_reconciles(k, TABLES_ADOPTED);
	assert_kernel_has_what_is_wanted(k);
}

static void test_N3_replacement_that_is_refused_changes_nothing(struct kernel *k)
{
	const struct element good = element_make(SET_SERVICES, AF_INET, 1, 1);
	struct element bad[] = { element_make(SET_POD_CIDRS, AF_INET, 1, 0),
				 element_make(SET_POD_CIDRS, AF_INET, 2, 0) };
	_cleanup_transaction_ struct transaction whole = { 0 };
	_cleanup_free_ char *before = NULL, *after = NULL;

	kernel_open(k, true, true);
	kernel_want(k, &good, 1, NULL);
	kernel_replace(k);
	before = listing(k);

	memset(bad[0].other, 0xff, 4); /* overlaps the next */
	kernel_want(k, bad, 2, NULL);
	assert_int_equal(ruleset_whole(k->ruleset, &whole), 0);
	assert_true(tables_replace(k->tables, &whole, &k->commit, &k->err) < 0);
	assert_non_null(k->commit.culprit);
	assert_int_equal(k->commit.culprit->set, SET_POD_CIDRS);
	after = listing(k);
	assert_string_equal(before, after);
}

static void test_missing_tables_are_told(struct kernel *k)
{
	const struct element e = element_make(SET_SERVICES, AF_INET, 1, 1);
	_cleanup_transaction_ struct transaction tx = { 0 };

	kernel_open(k, true, true);
	kernel_want(k, &e, 1, &tx);
	assert_int_equal(kernel_commit(k, &tx), -ENOENT);
	assert_non_null(strstr(k->err.message, "nftables transaction"));
}

/* Objects of kinds that we do not know the attributes of, ours by name but of other families, and ones
 * beside which ours would be confused. Each is added by itself: a kernel may lack some. */
static const char *const foreign[] = {
	"table inet a { comment \"of somebody else\"; }",
	"table inet a { counter c { comment \"counted\"; }; }",
	"table inet a { quota q { over 100 mbytes; }; }",
	"table inet a { limit l { rate 400/minute; }; }",
	"table inet a { ct helper ftp { type \"ftp\" protocol tcp; }; }",
	"table inet a { ct timeout t { protocol tcp; policy = { established: 100s }; }; }",
	"table inet a { synproxy s { mss 1460; wscale 7; timestamp sack-perm; }; }",
	("table inet a { set s { type ipv4_addr . inet_service; flags interval; "
	 "elements = { 10.0.0.0/8 . 1-1024 }; }; }"),
	("table inet a { map m { type inet_service : verdict; flags timeout; "
	 "elements = { 22 timeout 1d : accept }; }; }"),
	("table inet a { set d { type ipv4_addr; flags dynamic, timeout; timeout 1d; "
	 "elements = { 192.0.2.1 expires 1h }; }; }"),
	"table inet a { chain c { type filter hook input priority 10; tcp dport { 7, 9 } drop; }; }",
	"table inet kube-nft { map services { type ipv4_addr : verdict; }; chain lb-1 { }; }",
	"table ip kube-nft-staging2 { map services { type ipv4_addr : verdict; }; }",
	"table arp kube-nft { chain c { type filter hook input priority 0; }; }",
	"table bridge kube-nft { chain c { type filter hook forward priority 0; }; }",
	"table netdev kube-nft { chain c { type filter hook ingress device lo priority 0; }; }",
};

/* All but our two tables, with handles, without what time changes. Freed by the caller. */
static char *foreign_listing(struct kernel *k)
{
	_cleanup_free_ char *tables = strdup(nft_list(k, "list tables"));
	struct buf all = { .data = NULL };
	char *rest = NULL;

	assert_non_null(tables);
	nft_ctx_output_set_flags(k->nft, NFT_CTX_OUTPUT_STATELESS | NFT_CTX_OUTPUT_HANDLE);
	for (char *t = strtok_r(tables, "\n", &rest); t; t = strtok_r(NULL, "\n", &rest))
		if (strcmp(t, "table ip kube-nft") != 0 && strcmp(t, "table ip6 kube-nft") != 0)
			buf_puts(&all, nft_list(k, "list %s", t));
	nft_ctx_output_set_flags(k->nft, 0);
	assert_int_equal(buf_error(&all), 0);
	return all.data;
}

static void test_N11_other_tables_stay_untouched(struct kernel *k)
{
	struct element elements[MAX_ELEMENTS];
	_cleanup_free_ char *before = NULL, *after = NULL;
	unsigned added = 0;

	for (size_t i = 0; i < ARRAY_SIZE(foreign); i++)
		added += nft_try(k, "%s", foreign[i]);
	assert_in_range(added, 8, ARRAY_SIZE(foreign));
	before = foreign_listing(k);

	srand(1);
	kernel_open(k, true, true);
	assert_reconciles(k, TABLES_REPLACED);
	for (unsigned i = 0; i < 10; i++) {
		kernel_change(k, elements, elements_at_random(elements));
		sweep(k);
		assert_reconciles(k, TABLES_EQUAL);
	}
	nft(k, "delete table ip6 kube-nft");
	assert_reconciles(k, TABLES_REPLACED);
	kernel_change(k, NULL, 0);
	kernel_open(k, true, false);
	assert_reconciles(k, TABLES_REPLACED);
	after = foreign_listing(k);
	assert_string_equal(before, after);
}

static void test_generation_tells_of_others(struct kernel *k)
{
	const struct element e = element_make(SET_SERVICES, AF_INET, 1, 1);

	kernel_open(k, true, true);
	assert_reconciles(k, TABLES_REPLACED);
	assert_false(tables_worth_checking(k->tables));
	kernel_change(k, &e, 1);
	assert_false(tables_worth_checking(k->tables));
	kernel_change(k, NULL, 0);
	sweep(k);
	assert_false(tables_worth_checking(k->tables));
	nft(k, "add table inet other");
	assert_true(tables_worth_checking(k->tables));
	assert_reconciles(k, TABLES_EQUAL);
	assert_false(tables_worth_checking(k->tables));
}

static void assert_udp_frontends(struct kernel *k, size_t n)
{
	_cleanup_flows_ struct flows found = { 0 };

	if (tables_read_udp_frontends(k->tables, &found, &k->err) < 0)
		fail_msg("%s", k->err.message);
	assert_int_equal(found.n, n);
	for (size_t i = 0; i < n; i++) {
		assert_true(flow_is_frontend(&found.items[i]));
		assert_int_equal(found.items[i].port, i == 1 || i == 3 ? 54 : 53);
	}
}

static void test_N16_udp_frontends_are_read_back(struct kernel *k)
{
	struct element e[4];

	kernel_open(k, true, true);
	assert_udp_frontends(k, 0);
	kernel_replace(k);
	assert_udp_frontends(k, 0);
	for (unsigned i = 0; i < ARRAY_SIZE(e); i++) {
		e[i] = (struct element){ .set = SET_UDP_SERVICES, .protocol = IPPROTO_UDP };
		e[i].family = i < 2 ? AF_INET : AF_INET6;
		e[i].port = i % 2 ? 54 : 53;
		e[i].addr[0] = 10;
	}
	kernel_change(k, e, ARRAY_SIZE(e));
	assert_udp_frontends(k, 4);
	nft(k, "delete table ip6 kube-nft; table ip6 kube-nft { set udp-services { "
	       "type ipv6_addr; elements = { fd96::1 }; }; }");
	assert_udp_frontends(k, 2);
}

/* Somebody asked, and gave up before the kernel said no. */
static void test_N7_answers_to_others_are_not_taken_for_ones_own(struct kernel *k)
{
	const struct element wanted = element_make(SET_NO_ENDPOINTS, AF_INET, 1, 0);
	char request[256] __attribute__((aligned(8)));
	struct nlmsghdr *nlh = nftnl_nlmsg_build_hdr(request, NFT_MSG_GETSETELEM, NFPROTO_IPV4, 0,
						     0);

	kernel_open(k, true, true);
	kernel_replace(k);
	mnl_attr_put_strz(nlh, NFTA_SET_ELEM_LIST_TABLE, "none");
	mnl_attr_put_strz(nlh, NFTA_SET_ELEM_LIST_SET, "none");
	assert_int_equal(netlink_dump_begin(k->tables->nl, nlh, &k->err), 0);
	kernel_change(k, &wanted, 1);
	assert_kernel_has_what_is_wanted(k);
}

static void test_H1_opening_without_memory(struct kernel *k)
{
	unsigned n;

	for (n = 1;; n++) {
		struct tables *t = NULL;
		bool failed;
		int r;

		fail_alloc_at(n);
		r = tables_open(true, true, &t, &k->err);
		failed = fail_alloc_end();
		tables_close(t);
		assert_int_equal(r, failed ? -ENOMEM : 0);
		if (!failed)
			break;
		nft_try(k, "delete table ip kube-nft-staging; "); /* deleting it takes memory */
		nft_try(k, "delete table ip6 kube-nft-staging; ");
	}
	assert_true(n > 20);
	assert_string_equal(nft_list(k, "list tables"), "");
}

/* Whatever became of it, the error is told and the next comparison repairs. */
static void test_H1_commit_without_memory(struct kernel *k)
{
	struct element elements[MAX_ELEMENTS];
	enum tables_state state;
	unsigned n = 0;
	bool failed = true;

	srand(1);
	kernel_open(k, true, true);
	kernel_replace(k);
	while (failed) {
		_cleanup_transaction_ struct transaction tx = { 0 };
		int r;

		kernel_want(k, elements, elements_at_random(elements), &tx);
		fail_alloc_at(++n);
		r = kernel_commit(k, &tx);
		failed = fail_alloc_end();
		assert_int_equal(r, failed ? -ENOMEM : 0);
		assert_int_equal(kernel_reconcile(k, &state), 0);
		assert_kernel_has_what_is_wanted(k);
	}
	assert_true(n > 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		kernel_test(test_families_that_are_on_have_a_table),
		kernel_test(test_left_over_staging_is_no_obstacle),
		kernel_test(test_chains_come_when_needed_and_go_when_swept),
		kernel_test(test_sweep_that_fails_forgets_nothing),
		kernel_test(test_empty_difference_is_not_sent),
		kernel_test(test_commit_is_counted),
		kernel_test(test_differences_come_to_the_whole),
		kernel_test(test_many_elements_in_one_transaction),
		kernel_test(test_N3_addition_that_is_refused_is_named),
		kernel_test(test_N3_deletion_that_is_refused_is_named),
		kernel_test(test_N3_replacement_that_is_refused_changes_nothing),
		kernel_test(test_missing_tables_are_told),
		kernel_test(test_N11_other_tables_stay_untouched),
		kernel_test(test_generation_tells_of_others),
		kernel_test(test_N16_udp_frontends_are_read_back),
		kernel_test(test_N7_answers_to_others_are_not_taken_for_ones_own),
		kernel_test(test_H1_opening_without_memory),
		kernel_test(test_H1_commit_without_memory),
	};

	return cmocka_run_group_tests_name("kernel-tables", tests, kernel_announce, NULL);
}
