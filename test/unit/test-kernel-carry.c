#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/addr.h"
#include "base/cleanup.h"
#include "fail-alloc.h"
#include "kernel-fixture.h"
#include "kernel/counted.h"
#include "object/object.h"
#include "ruleset/template.h"

#define VIP "10.96.0.10"
#define VIP6 "fd96::10"
#define WEB "default/web:http"

static struct element frontend(enum set_id set, const char *addr, const char *comment)
{
	struct element e = { .set = (uint8_t)set, .protocol = PROTOCOL_TCP, .port = 80 };
	struct addr a;

	assert_int_equal(addr_parse(addr, &a), 0);
	e.family = a.family;
	memcpy(e.addr, a.bytes, sizeof(e.addr));
	e.comment = comment;
	return e;
}

static struct element verdict(enum set_id set, const char *addr, enum verdict v, uint32_t number)
{
	struct element e = frontend(set, addr, WEB);

	e.verdict = (uint8_t)v;
	e.number = number;
	return e;
}

/* The endpoint with this last byte in its address. */
static struct element row(const char *addr, uint32_t slot, uint8_t endpoint)
{
	struct element e = frontend(SET_ENDPOINTS, addr, WEB);

	e.slot = slot;
	e.other[0] = e.family == AF_INET ? 10 : 0xfd;
	e.other[e.family == AF_INET ? 3 : 15] = endpoint;
	e.target_port = 8080;
	return e;
}

/* As if so many packets of 60 bytes had met the element. */
static void count(struct kernel *k, const struct element *e, uint64_t packets)
{
	struct element key = *e;
	const char *text, *data, *family = e->family == AF_INET ? "ip" : "ip6";

	key.comment = NULL;
	text = element_text(&key) + strlen(family) + 1 + strlen(set_name(e->set)) + 1;
	data = strstr(text, " : ");
	nft(k,
	    "delete element %s kube-nft %s { %.*s };"
	    "add element %s kube-nft %s { %.*s counter packets %lu bytes %lu comment \"%s\"%s }",
	    family, set_name(e->set), (int)(data - text), text, family, set_name(e->set),
	    (int)(data - text), text, packets, 60 * packets, e->comment, data);
}

static void assert_counted(struct kernel *k, const struct element *e, uint64_t packets)
{
	_cleanup_counted_ struct counted_list l;

	assert_int_equal(counted_new(&l), 0);
	assert_int_equal(counted_look_up(&l, k->nl, TABLE_NAME, e, 1, &k->err), 0);
	assert_int_equal(l.n, 1);
	assert_true(element_same_value(&l.items->element, e));
	assert_int_equal(l.items->counter.packets, packets);
	assert_int_equal(l.items->counter.bytes, 60 * packets);
}

static void open_with(struct kernel *k, const struct element *elements, size_t n)
{
	kernel_open(k, true, true);
	kernel_want(k, elements, n, NULL);
	kernel_replace(k);
}

static void test_number_of_endpoints_changes(struct kernel *k)
{
	const struct element before[] = { verdict(SET_SERVICES, VIP, VERDICT_LB, 2),
					  verdict(SET_SERVICES, VIP6, VERDICT_LB, 2) };
	struct element after[] = { verdict(SET_SERVICES, VIP, VERDICT_LB, 3),
				   verdict(SET_SERVICES, VIP6, VERDICT_RECALL, 8080) };

	after[1].target_port = 80;
	open_with(k, before, 2);
	count(k, &before[0], 7);
	count(k, &before[1], 8);
	kernel_change(k, after, 2);
	assert_counted(k, &after[0], 7);
	assert_counted(k, &after[1], 8);
	kernel_change(k, before, 2);
	assert_counted(k, &before[0], 7);
}

static void test_endpoints_that_change_slots(struct kernel *k)
{
	const struct element before[] = { row(VIP, 0, 1), row(VIP, 1, 2), row(VIP, 2, 3),
					  row(VIP6, 0, 1) };
	const struct element after[] = { row(VIP, 0, 2), row(VIP, 1, 4), row(VIP6, 0, 1),
					 row(VIP6, 1, 2) };

	open_with(k, before, 4);
	for (unsigned i = 0; i < 4; i++)
		count(k, &before[i], 10 + i);
	kernel_change(k, after, 4);
	assert_counted(k, &after[0], 11);
	assert_counted(k, &after[1], 0);
	assert_counted(k, &after[2], 13);
	assert_counted(k, &after[3], 0);
}

static void test_other_meaning_begins_at_zero(struct kernel *k)
{
	struct element before[] = { verdict(SET_SERVICES, VIP, VERDICT_LB, 2),
				    verdict(SET_LOCAL_SERVICES, VIP, VERDICT_ACCEPT, 0),
				    verdict(SET_NO_ENDPOINTS, VIP, VERDICT_DROP, 0),
				    row(VIP, 0, 1) };
	struct element after[] = { verdict(SET_SERVICES, VIP, VERDICT_LB, 3),
				   verdict(SET_LOCAL_SERVICES, VIP, VERDICT_LOCAL_LB, 1),
				   verdict(SET_NO_ENDPOINTS, VIP, VERDICT_REFUSE, 0),
				   row(VIP, 0, 2) };

	open_with(k, before, 4);
	for (unsigned i = 0; i < 4; i++)
		count(k, &before[i], 10);
	after[0].comment = "default/other:http"; /* the frontend has another owner */
	kernel_change(k, after, 4);
	assert_counted(k, &after[0], 0);
	assert_counted(k, &after[1], 0);
	assert_counted(k, &after[2], 10); /* unserved all the same */
	assert_counted(k, &after[3], 0);
}

/* A table of another release, or one that somebody damaged. */
static void test_whole_table_is_replaced(struct kernel *k)
{
	const struct element before[] = { verdict(SET_SERVICES, VIP, VERDICT_LB, 2), row(VIP, 0, 1),
					  row(VIP, 1, 2),
					  verdict(SET_SERVICES, VIP6, VERDICT_LB, 1),
					  row(VIP6, 0, 1) };
	const struct element after[] = { verdict(SET_SERVICES, VIP, VERDICT_LB, 3),
					 row(VIP, 0, 2),
					 row(VIP, 1, 3),
					 row(VIP, 2, 1),
					 verdict(SET_SERVICES, VIP6, VERDICT_LB, 1),
					 row(VIP6, 0, 1) };

	open_with(k, before, 5);
	for (unsigned i = 0; i < 5; i++)
		count(k, &before[i], 20 + i);
	nft(k, "flush chain ip6 kube-nft prerouting");
	kernel_open(k, true, true);
	kernel_want(k, after, 6, NULL);
	assert_reconciles(k, TABLES_REPLACED);
	assert_counted(k, &after[0], 20);
	assert_counted(k, &after[1], 22);
	assert_counted(k, &after[2], 0);
	assert_counted(k, &after[3], 21);
	assert_counted(k, &after[4], 23);
	assert_counted(k, &after[5], 24);
	assert_kernel_has_what_is_wanted(k);
}

static void test_adopted_table(struct kernel *k)
{
	const struct element before[] = { verdict(SET_SERVICES, VIP, VERDICT_LB, 2),
					  verdict(SET_NO_ENDPOINTS, VIP6, VERDICT_REFUSE, 0) };
	const struct element after[] = { verdict(SET_SERVICES, VIP, VERDICT_LB, 3),
					 verdict(SET_NO_ENDPOINTS, VIP6, VERDICT_REFUSE, 0) };

	open_with(k, before, 2);
	count(k, &before[0], 7);
	count(k, &before[1], 8);
	kernel_open(k, true, true);
	kernel_want(k, after, 2, NULL);
	assert_reconciles(k, TABLES_ADOPTED);
	assert_counted(k, &after[0], 7);
	assert_counted(k, &after[1], 8);
}

/* The kernel is asked about nothing when nothing is carried. */
static void test_elements_that_are_gone_are_no_obstacle(struct kernel *k)
{
	const struct element before[] = { verdict(SET_SERVICES, VIP, VERDICT_LB, 2),
					  row(VIP, 0, 1) };
	const struct element after[] = { verdict(SET_SERVICES, VIP, VERDICT_LB, 3),
					 row(VIP, 1, 1) };
	_cleanup_transaction_ struct transaction tx = { 0 };

	open_with(k, before, 2);
	nft(k, "delete table ip kube-nft");
	kernel_want(k, after, 2, &tx);
	assert_int_equal(kernel_commit(k, &tx), -ENOENT);
	assert_reconciles(k, TABLES_REPLACED);
	assert_counted(k, &after[0], 0);
	assert_kernel_has_what_is_wanted(k);
}

static void test_many_services_change_at_once(struct kernel *k)
{
	enum { N = 2000 };
	static struct element before[N], after[N];

	for (unsigned i = 0; i < N; i++) {
		before[i] = element_make(SET_SERVICES, i % 2 ? AF_INET6 : AF_INET, i, 0);
		after[i] = element_make(SET_SERVICES, i % 2 ? AF_INET6 : AF_INET, i, 1);
		before[i].comment = after[i].comment = WEB;
	}
	open_with(k, before, N);
	for (unsigned i = 0; i < N; i += 97)
		count(k, &before[i], 1 + i);
	kernel_change(k, after, N);
	for (unsigned i = 0; i < N; i++)
		assert_counted(k, &after[i], i % 97 == 0 ? 1 + i : 0);
}

static void test_H1_without_memory(struct kernel *k)
{
	const struct element before[] = { verdict(SET_SERVICES, VIP, VERDICT_LB, 2),
					  row(VIP, 0, 1) };
	const struct element after[] = { verdict(SET_SERVICES, VIP, VERDICT_LB, 3),
					 row(VIP, 1, 1) };
	bool failed = true;
	unsigned n = 0;

	while (failed) {
		_cleanup_transaction_ struct transaction tx = { 0 };
		int r;

		open_with(k, before, 2);
		count(k, &before[0], 7);
		count(k, &before[1], 8);
		kernel_want(k, after, 2, &tx);
		fail_alloc_at(++n);
		r = kernel_commit(k, &tx);
		failed = fail_alloc_end();
		assert_int_equal(r, failed ? -ENOMEM : 0);
	}
	assert_counted(k, &after[0], 7);
	assert_counted(k, &after[1], 8);
	assert_true(n > 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		kernel_test(test_number_of_endpoints_changes),
		kernel_test(test_endpoints_that_change_slots),
		kernel_test(test_other_meaning_begins_at_zero),
		kernel_test(test_whole_table_is_replaced),
		kernel_test(test_adopted_table),
		kernel_test(test_elements_that_are_gone_are_no_obstacle),
		kernel_test(test_many_services_change_at_once),
		kernel_test(test_H1_without_memory),
	};

	return cmocka_run_group_tests_name("kernel-carry", tests, kernel_announce, NULL);
}
