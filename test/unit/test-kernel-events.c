#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "fail-alloc.h"
#include "kernel-fixture.h"
#include "kernel/events.h"

static struct events *listen_to(struct kernel *k)
{
	struct events *e;

	kernel_open(k, true, true);
	assert_int_equal(events_open(tables_port(k->tables), &e, &k->err), 0);
	return e;
}

static bool is_readable(const struct events *e)
{
	struct pollfd p = { .fd = events_fd(e), .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

/* Notifications are there when the change is. */
static bool told(struct kernel *k, struct events *e)
{
	bool ours = false;

	assert_int_equal(events_read(e, &ours, &k->err), 0);
	assert_false(is_readable(e));
	return ours;
}

static void test_own_changes_are_not_even_read(struct kernel *k)
{
	const struct element e = element_make(SET_SERVICES, AF_INET, 1, 1);
	_cleanup_(events_closep) struct events *events = listen_to(k);

	kernel_replace(k);
	kernel_change(k, &e, 1);
	kernel_change(k, NULL, 0);
	assert_reconciles(k, TABLES_EQUAL);
	assert_false(is_readable(events));
	assert_false(told(k, events));
}

static void test_N1_changes_of_others_are_told(struct kernel *k)
{
	static const char *const commands[] = {
		"add element ip kube-nft services { 10.0.0.1 . tcp . 80 : drop }",
		"delete element ip kube-nft services { 10.0.0.1 . tcp . 80 }",
		"flush set ip6 kube-nft hairpin",
		"add rule ip6 kube-nft output accept",
		"flush chain ip6 kube-nft output",
		"add chain ip kube-nft visitor",
		"rename chain ip kube-nft visitor guest",
		"delete chain ip kube-nft guest",
		"add set ip kube-nft luggage { type mark; }",
		"delete set ip kube-nft luggage",
		"add counter ip kube-nft c",
		"delete counter ip kube-nft c",
		"add table ip kube-nft { flags dormant; }",
		"delete table ip kube-nft",
		"flush ruleset",
		"add table ip kube-nft",
	};
	_cleanup_(events_closep) struct events *events = listen_to(k);
	const struct element hairpin = element_make(SET_HAIRPIN, AF_INET6, 1, 0);

	kernel_want(k, &hairpin, 1, NULL);
	kernel_replace(k);
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		nft(k, "%s", commands[i]);
		if (!told(k, events))
			fail_msg("not told of: %s", commands[i]);
	}
}

static void test_N11_changes_of_other_tables_are_not_told(struct kernel *k)
{
	static const char *const commands[] = {
		"add table inet other",
		"add table ip kube-nft-other { chain services { accept; }; }",
		"add set inet other services { type ipv4_addr; elements = { 10.0.0.1 }; }",
		"add chain inet other kube-nft",
		"add rule inet other kube-nft accept comment \"kube-nft\"",
		"add counter inet other kube-nft",
		"delete table ip kube-nft-other; delete table inet other",
	};
	_cleanup_(events_closep) struct events *events = listen_to(k);

	kernel_replace(k);
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		nft(k, "%s", commands[i]);
		assert_true(is_readable(events));
		if (told(k, events))
			fail_msg("told of: %s", commands[i]);
	}
}

static void flood(struct kernel *k)
{
	for (unsigned i = 0; i < 40; i++)
		nft(k, "add table inet other; add set inet other s { type mark; flags interval; "
		       "elements = { 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23 }; }; "
		       "flush set inet other s");
}

/* Of other tables only, but who knows what else was in what got lost. */
static void test_N5_lost_notifications_count_as_a_change(struct kernel *k)
{
	_cleanup_(events_closep) struct events *events = listen_to(k);
	int smallest = 1;

	flood(k);
	assert_false(told(k, events));
	assert_int_equal(setsockopt(events_fd(events), SOL_SOCKET, SO_RCVBUFFORCE, &smallest,
				    sizeof(smallest)),
			 0);
	flood(k);
	assert_true(told(k, events));
	assert_false(told(k, events));
}

static void test_H1_listening_without_memory(struct kernel *k)
{
	struct events *e = NULL;

	fail_alloc_at(1);
	assert_true(events_open(1, &e, &k->err) < 0);
	assert_true(fail_alloc_end());
	assert_null(e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		kernel_test(test_own_changes_are_not_even_read),
		kernel_test(test_N1_changes_of_others_are_told),
		kernel_test(test_N11_changes_of_other_tables_are_not_told),
		kernel_test(test_N5_lost_notifications_count_as_a_change),
		kernel_test(test_H1_listening_without_memory),
	};

	return cmocka_run_group_tests_name("kernel-events", tests, kernel_announce, NULL);
}
