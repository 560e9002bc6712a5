#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "fail-alloc.h"
#include "kernel-fixture.h"
#include "kernel/links.h"

static void ip(const char *arguments)
{
	_cleanup_buf_ struct buf command = { 0 };

	buf_printf(&command, "ip %s", arguments);
	assert_int_equal(system(buf_text(&command)), 0);
}

static void assert_addrs(const char *expected)
{
	_cleanup_free_ struct addr *addrs = NULL;
	_cleanup_buf_ struct buf got = { 0 };
	char text[ADDR_TEXT_MAX];
	size_t n;

	assert_int_equal(links_addrs(&addrs, &n, NULL), 0);
	for (size_t i = 0; i < n; i++)
		buf_printf(&got, "%s ", addr_format(&addrs[i], text));
	assert_string_equal(buf_text(&got), expected);
}

static bool is_readable(const struct links *l)
{
	struct pollfd p = { .fd = links_fd(l), .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

static void test_addresses_of_all_interfaces_but_loopback_ones(struct kernel *k)
{
	(void)k;
	assert_addrs("");
	ip("link set lo up");
	assert_addrs("");
	ip("link add one type veth peer name two");
	ip("link set one up");
	ip("link set two up"); /* now they have link-local addresses */
	ip("addr add 192.0.2.2/24 dev two");
	ip("addr add 192.0.2.1/24 dev one");
	ip("addr add 192.0.2.1/24 dev two"); /* again */
	ip("addr add 169.254.1.1/16 dev two");
	ip("addr add 2001:db8::1/64 dev one nodad");
	ip("addr add 198.51.100.1/32 dev lo");
	ip("addr add fd00::1/128 dev lo nodad");
	assert_addrs("192.0.2.1 192.0.2.2 198.51.100.1 2001:db8::1 fd00::1 ");
	ip("addr flush dev one");
	assert_addrs("192.0.2.1 192.0.2.2 198.51.100.1 fd00::1 ");
	ip("link delete two");
	assert_addrs("198.51.100.1 fd00::1 ");
}

static void test_coming_and_going_wakes(struct kernel *k)
{
	_cleanup_(links_closep) struct links *l = NULL;

	assert_int_equal(links_open(&l, &k->err), 0);
	assert_false(is_readable(l));
	ip("link add one type veth");
	assert_false(is_readable(l));
	ip("addr add 192.0.2.1/24 dev one");
	assert_true(is_readable(l));
	links_drain(l);
	assert_false(is_readable(l));
	ip("addr add 2001:db8::1/64 dev one nodad");
	ip("addr delete 192.0.2.1/24 dev one");
	assert_true(is_readable(l));
	links_drain(l);
	assert_false(is_readable(l));
}

static void test_lost_notifications_are_drained(struct kernel *k)
{
	_cleanup_(links_closep) struct links *l = NULL;
	int smallest = 1;

	assert_int_equal(links_open(&l, &k->err), 0);
	assert_int_equal(setsockopt(links_fd(l), SOL_SOCKET, SO_RCVBUFFORCE, &smallest,
				    sizeof(smallest)),
			 0);
	ip("link add one type veth");
	for (int i = 1; i <= 9; i++) {
		char command[] = "addr add 192.0.2.0/24 dev one";

		command[strcspn(command, "/") - 1] = (char)('0' + i);
		ip(command);
	}
	assert_true(is_readable(l));
	links_drain(l);
	assert_false(is_readable(l));
	ip("addr delete 192.0.2.1/24 dev one");
	assert_true(is_readable(l));
}

static void test_H1_addresses_without_memory(struct kernel *k)
{
	_cleanup_free_ struct addr *addrs = NULL;
	struct links *l = NULL;
	size_t n;

	ip("link set lo up");
	ip("addr add 192.0.2.1/32 dev lo");
	fail_alloc_at(1);
	assert_int_equal(links_addrs(&addrs, &n, &k->err), -ENOMEM);
	assert_true(fail_alloc_end());
	fail_alloc_at(1);
	assert_int_equal(links_open(&l, &k->err), -ENOMEM);
	assert_true(fail_alloc_end());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		kernel_test(test_addresses_of_all_interfaces_but_loopback_ones),
		kernel_test(test_coming_and_going_wakes),
		kernel_test(test_lost_notifications_are_drained),
		kernel_test(test_H1_addresses_without_memory),
	};

	return cmocka_run_group_tests_name("kernel-links", tests, kernel_announce, NULL);
}
