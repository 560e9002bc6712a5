#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <libnftnl/common.h>
#include <linux/netfilter/nf_tables.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "fail-alloc.h"
#include "kernel-fixture.h"
#include "kernel/counted.h"
#include "kernel/dump.h"
#include "kernel/lookup.h"
#include "kernel/netlink.h"
#include "ruleset/template.h"

enum {
	N_KEYS = 300,
	N_MANY = 20000, /* more than a socket takes at a time */
};

/* Those of element_make() with an even key below @n, in both families, in the kernel. */
static void fill(struct kernel *k, enum set_id set, unsigned n)
{
	_cleanup_free_ struct element *elements = calloc(n, sizeof(*elements));

	assert_non_null(elements);
	for (unsigned i = 0; i < n; i++)
		elements[i] = element_make(set, i % 2 ? AF_INET6 : AF_INET, i - i % 2, 0);
	kernel_open(k, true, true);
	kernel_want(k, elements, n, NULL);
	kernel_replace(k);
}

static void test_counters_are_read_with_their_elements(struct kernel *k)
{
	_cleanup_counted_ struct counted_list l;

	kernel_open(k, true, true);
	kernel_replace(k);
	nft(k, "add element ip6 kube-nft services { "
	       "fd96::a . tcp . 80 counter packets 5000000000 bytes 300000000007 : goto refuse }");
	assert_int_equal(counted_new(&l), 0);
	assert_int_equal(counted_dump(&l, k->nl, AF_INET, TABLE_NAME, SET_SERVICES, &k->err), 0);
	assert_int_equal(l.n, 0);
	assert_int_equal(counted_dump(&l, k->nl, AF_INET6, TABLE_NAME, SET_SERVICES, &k->err), 0);
	assert_int_equal(l.n, 1);
	assert_int_equal(l.strange, 0);
	assert_int_equal(l.items->element.port, 80);
	assert_int_equal(l.items->counter.packets, 5000000000);
	assert_int_equal(l.items->counter.bytes, 300000000007);
}

static void test_maps_without_counters_have_counted_nothing(struct kernel *k)
{
	_cleanup_counted_ struct counted_list l;

	fill(k, SET_MASQUERADE_SERVICES, N_KEYS);
	assert_int_equal(counted_new(&l), 0);
	assert_int_equal(
		counted_dump(&l, k->nl, AF_INET, TABLE_NAME, SET_MASQUERADE_SERVICES, &k->err), 0);
	assert_int_equal(l.n, N_KEYS / 2);
	for (size_t i = 0; i < l.n; i++)
		assert_int_equal(l.items[i].counter.packets, 0);
}

static void test_sets_that_are_not_there(struct kernel *k)
{
	const struct element key = element_make(SET_ENDPOINTS, AF_INET, 1, 0);
	_cleanup_counted_ struct counted_list l;

	assert_int_equal(counted_new(&l), 0);
	assert_int_equal(counted_dump(&l, k->nl, AF_INET, TABLE_NAME, SET_SERVICES, &k->err),
			 -ENOENT);
	assert_int_equal(counted_look_up(&l, k->nl, TABLE_NAME, &key, 1, &k->err), 0);
	assert_int_equal(counted_look_up(&l, k->nl, TABLE_NAME, NULL, 0, &k->err), 0);
	assert_int_equal(l.n, 0);
}

static void test_elements_are_found_by_their_keys(struct kernel *k)
{
	_cleanup_counted_ struct counted_list l;
	struct element keys[2 * N_KEYS + 1];
	size_t n = 0;

	fill(k, SET_ENDPOINTS, N_KEYS);
	nft(k, "add chain ip kube-nft lb-1");
	nft(k, "add element ip kube-nft services { 10.0.0.0 . tcp . 1 counter packets 7 bytes 420 "
	       ": goto lb-1 }");
	keys[n++] = element_make(SET_ENDPOINTS, AF_INET, 0, 3);
	keys[n++] = element_make(SET_SERVICES, AF_INET, 0, 0);
	for (unsigned i = 1; i < N_KEYS; i++)
		keys[n++] = element_make(SET_ENDPOINTS, AF_INET, i, 3);
	for (unsigned i = 0; i < N_KEYS; i++)
		keys[n++] = element_make(SET_ENDPOINTS, AF_INET6, i, 3);
	assert_int_equal(counted_new(&l), 0);
	assert_int_equal(counted_look_up(&l, k->nl, TABLE_NAME, keys, n, &k->err), 0);

	assert_int_equal(l.n, N_KEYS + 1);
	assert_int_equal(l.items[1].element.set, SET_SERVICES);
	assert_int_equal(l.items[1].counter.packets, 7);
	for (unsigned i = 0; i < N_KEYS; i++) {
		uint8_t family = i < N_KEYS / 2 ? AF_INET : AF_INET6;
		const struct element *found = &l.items[i + (i > 0)].element;
		const struct element e = element_make(SET_ENDPOINTS, family, 2 * i % N_KEYS, 0);

		assert_int_equal(element_cmp(found, &e), 0);
		assert_true(element_same_value(found, &e));
	}
}

static int stop_at_third(size_t i, const struct nlattr *attr, void *userdata)
{
	size_t *seen = userdata;

	(void)attr;
	*seen = i;
	return i == 2 ? -ECANCELED : 0;
}

static void test_reader_may_stop(struct kernel *k)
{
	char request[256] __attribute__((aligned(8)));
	struct element keys[N_KEYS];
	struct nlmsghdr *nlh;
	size_t seen = 0;

	fill(k, SET_ENDPOINTS, N_KEYS);
	for (unsigned i = 0; i < N_KEYS; i++)
		keys[i] = element_make(SET_ENDPOINTS, AF_INET, i / 2 * 4 % N_KEYS, 0);
	assert_int_equal(lookup_elements(k->nl, TABLE_NAME, keys, N_KEYS, stop_at_third, &seen,
					 &k->err),
			 -ECANCELED);
	assert_int_equal(seen, 2);
	/* What was still to come does not disturb the next request; nor does an answer to another. */
	nlh = nftnl_nlmsg_build_hdr(request, NFT_MSG_GETGEN, AF_UNSPEC, 0, 0);
	assert_int_equal(netlink_dump_begin(k->nl, nlh, &k->err), 0);
	seen = 0;
	assert_int_equal(lookup_elements(k->nl, TABLE_NAME, keys, 2, stop_at_third, &seen, &k->err),
			 0);
	assert_int_equal(seen, 1);
}

static int stop_at_once(const struct nlattr *attr, void *userdata)
{
	(void)attr;
	(void)userdata;
	return -ECANCELED;
}

/* The kernel begins no dump before the last one of a socket is at its end. */
static void test_N6_dump_that_was_given_up_does_not_disturb_the_next(struct kernel *k)
{
	_cleanup_counted_ struct counted_list l;

	fill(k, SET_ENDPOINTS, N_MANY);
	assert_int_equal(dump_attrs(k->nl, AF_INET, TABLE_NAME, set_name(SET_ENDPOINTS),
				    stop_at_once, NULL, &k->err),
			 -ECANCELED);
	assert_int_equal(counted_new(&l), 0);
	assert_int_equal(counted_dump(&l, k->nl, AF_INET, TABLE_NAME, SET_ENDPOINTS, &k->err), 0);
	assert_int_equal(l.n, N_MANY / 2);
}

static void test_strange_elements_are_counted_not_read(struct kernel *k)
{
	const struct element key = element_make(SET_ENDPOINTS, AF_INET, 1, 0);
	_cleanup_counted_ struct counted_list l;

	nft(k, "table ip kube-nft { map endpoints { "
	       "typeof ip daddr . meta l4proto . th dport . numgen random mod 1 : ip daddr; "
	       "elements = { 10.0.1.0 . udp . 2 . 1 : 10.0.0.1 }; }; }");
	assert_int_equal(counted_new(&l), 0);
	assert_int_equal(counted_dump(&l, k->nl, AF_INET, TABLE_NAME, SET_ENDPOINTS, &k->err), 0);
	assert_int_equal(l.strange, 1);
	assert_int_equal(counted_look_up(&l, k->nl, TABLE_NAME, &key, 1, &k->err), 0);
	assert_int_equal(l.strange, 2);
	assert_int_equal(l.n, 0);
}

static void test_H1_without_memory(struct kernel *k)
{
	struct element keys[N_KEYS];
	bool failed = true;
	unsigned n = 0;

	fill(k, SET_ENDPOINTS, N_KEYS);
	for (unsigned i = 0; i < N_KEYS; i++)
		keys[i] = element_make(SET_ENDPOINTS, AF_INET, i, 0);
	while (failed) {
		struct counted_list l;
		int r;

		fail_alloc_at(++n);
		r = counted_new(&l);
		if (r == 0)
			r = counted_dump(&l, k->nl, AF_INET, TABLE_NAME, SET_ENDPOINTS, &k->err);
		if (r == 0)
			r = counted_look_up(&l, k->nl, TABLE_NAME, keys, N_KEYS, &k->err);
		failed = fail_alloc_end();
		assert_int_equal(r, failed ? -ENOMEM : 0);
		counted_free(&l);
	}
	assert_true(n > 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		kernel_test(test_counters_are_read_with_their_elements),
		kernel_test(test_maps_without_counters_have_counted_nothing),
		kernel_test(test_sets_that_are_not_there),
		kernel_test(test_elements_are_found_by_their_keys),
		kernel_test(test_reader_may_stop),
		kernel_test(test_N6_dump_that_was_given_up_does_not_disturb_the_next),
		kernel_test(test_strange_elements_are_counted_not_read),
		kernel_test(test_H1_without_memory),
	};

	return cmocka_run_group_tests_name("kernel-counted", tests, kernel_announce, NULL);
}
