#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/ranges.h"
#include "fail-alloc.h"
#include "firewall/networks.h"

enum { N_RANDOM = 3000, N_BLOCKS = 4, MAX_EXCEPTS = 3 };

static struct addr_range range_of(const char *text)
{
	struct prefix p;

	if (prefix_parse(text, &p) < 0)
		fail_msg("%s", text);
	return prefix_range(&p);
}

static int put_line(const char *text, void *userdata)
{
	buf_printf(userdata, "%s\n", text);
	return buf_error(userdata);
}

/* Add what "P except Q and R" says. */
static void add_told(struct ranges *all, const char *told)
{
	_cleanup_ranges_ struct ranges holes = { 0 };
	char copy[512], *saved = NULL, *word;
	struct addr_range whole;

	assert_true(strlen(told) < sizeof(copy));
	strcpy(copy, told);
	whole = range_of(strtok_r(copy, " ", &saved));
	while ((word = strtok_r(NULL, " ", &saved))) {
		struct addr_range hole;

		if (strcmp(word, "except") == 0 || strcmp(word, "and") == 0)
			continue;
		hole = range_of(word);
		assert_int_equal(ranges_add(&holes, &hole), 0);
	}
	ranges_settle(&holes);
	assert_int_equal(ranges_add_without(all, &whole, &holes), 0);
}

static void assert_told(const char *const *blocks, const char *wanted)
{
	_cleanup_ranges_ struct ranges all = { 0 };
	_cleanup_buf_ struct buf text = { 0 };

	for (; *blocks; blocks++)
		add_told(&all, *blocks);
	ranges_settle(&all);
	assert_int_equal(networks_tell(all.items, all.n, put_line, &text), 0);
	assert_string_equal(buf_text(&text), wanted);
}

#define ASSERT_TOLD(wanted, ...) assert_told((const char *const[]){ __VA_ARGS__, NULL }, wanted)

static void test_blocks_are_told_as_they_were_written(void **state)
{
	(void)state;
	ASSERT_TOLD("10.0.0.0/8\n", "10.0.0.0/8");
	ASSERT_TOLD("192.0.2.7/32\n", "192.0.2.7/32");
	ASSERT_TOLD("0.0.0.0/0\n", "0.0.0.0/0");
	ASSERT_TOLD("10.0.0.0/8 except 10.1.0.0/16\n", "10.0.0.0/8 except 10.1.0.0/16");
	ASSERT_TOLD("10.0.0.0/8 except 10.64.0.0/10\n", "10.0.0.0/8 except 10.64.0.0/10");
	ASSERT_TOLD("10.0.0.0/8 except 10.1.0.0/16 and 10.200.0.0/24\n",
		    "10.0.0.0/8 except 10.1.0.0/16 and 10.200.0.0/24");
	ASSERT_TOLD("0.0.0.0/0 except 10.0.0.0/8 and 172.16.0.0/12 and 192.168.0.0/16\n",
		    "0.0.0.0/0 except 10.0.0.0/8 and 172.16.0.0/12 and 192.168.0.0/16");
	ASSERT_TOLD("10.0.0.0/24\n192.168.0.0/16 except 192.168.3.0/24\n",
		    "192.168.0.0/16 except 192.168.3.0/24", "10.0.0.0/24");
	ASSERT_TOLD("2000::/3 except 2001:db8::/32\n", "2000::/3 except 2001:db8::/32");
	ASSERT_TOLD("::/0\n", "::/0");
	ASSERT_TOLD("fd00::7/128\n", "fd00::7/128");
}

static void test_what_can_be_said_shorter_is(void **state)
{
	(void)state;
	ASSERT_TOLD("10.0.0.0/8\n", "10.0.0.0/9", "10.128.0.0/9");
	ASSERT_TOLD("10.128.0.0/9\n", "10.0.0.0/8 except 10.0.0.0/9");
	/* An exception of one block that another one has. */
	ASSERT_TOLD("10.0.0.0/8\n", "10.0.0.0/8 except 10.1.0.0/16", "10.1.0.0/16");
	ASSERT_TOLD("", "10.0.0.0/8 except 10.0.0.0/8");
}

static void put_random_prefix(struct buf *text, int len_bits)
{
	buf_printf(text, "10.0.%d.%d/%d", rand() % 4, rand() % 256,
		   len_bits + rand() % (33 - len_bits));
}

static void add_random_block(struct ranges *all)
{
	_cleanup_buf_ struct buf text = { 0 };

	put_random_prefix(&text, 22);
	buf_puts(&text, " except");
	for (int i = rand() % (MAX_EXCEPTS + 1); i > 0; i--) {
		buf_puts(&text, " ");
		put_random_prefix(&text, 24);
	}
	add_told(all, buf_text(&text));
}

static int add_line(const char *text, void *userdata)
{
	add_told(userdata, text);
	return 0;
}

static void test_random_blocks_mean_the_same_when_told(void **state)
{
	(void)state;
	srand(7);
	for (int i = 0; i < N_RANDOM; i++) {
		_cleanup_ranges_ struct ranges all = { 0 }, told = { 0 };

		for (int j = rand() % N_BLOCKS; j >= 0; j--)
			add_random_block(&all);
		ranges_settle(&all);
		assert_int_equal(networks_tell(all.items, all.n, add_line, &told), 0);
		ranges_settle(&told);
		assert_true(ranges_equal(&all, &told));
	}
}

/* Three of every four addresses from 10.0.0.0 on. */
static void put_many(struct ranges *all, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct addr_range range = range_of("10.0.0.0/30");

		range.first.bytes[2] = range.last.bytes[2] = (uint8_t)(i / 64);
		range.first.bytes[3] = (uint8_t)(i % 64 * 4);
		range.last.bytes[3] = (uint8_t)(i % 64 * 4 + 2);
		assert_int_equal(ranges_add(all, &range), 0);
	}
}

static void test_many_ranges_are_told_as_they_are(void **state)
{
	_cleanup_ranges_ struct ranges all = { 0 };
	_cleanup_buf_ struct buf text = { 0 };
	const char *head = "10.0.0.0-10.0.0.2\n10.0.0.4-10.0.0.6\n";

	(void)state;
	put_many(&all, NETWORKS_MAX_RANGES);
	assert_int_equal(networks_tell(all.items, all.n, put_line, &text), 0);
	assert_null(strstr(buf_text(&text), "10.0.0.0-"));
	buf_reset(&text);
	all.n = 0;
	put_many(&all, NETWORKS_MAX_RANGES + 1);
	assert_int_equal(networks_tell(all.items, all.n, put_line, &text), 0);
	assert_memory_equal(buf_text(&text), head, strlen(head));
}

static int refuse(const char *text, void *userdata)
{
	(void)text;
	(void)userdata;
	return -EINTR;
}

static void test_an_error_ends_the_telling(void **state)
{
	_cleanup_ranges_ struct ranges all = { 0 };

	(void)state;
	assert_int_equal(networks_tell(NULL, 0, refuse, NULL), 0);
	add_told(&all, "10.0.0.0/8 except 10.1.0.0/16");
	assert_int_equal(networks_tell(all.items, all.n, refuse, NULL), -EINTR);
	fail_alloc_at(1);
	assert_int_equal(networks_tell(all.items, all.n, refuse, NULL), -ENOMEM);
	assert_true(fail_alloc_end());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_blocks_are_told_as_they_were_written),
		cmocka_unit_test(test_what_can_be_said_shorter_is),
		cmocka_unit_test(test_random_blocks_mean_the_same_when_told),
		cmocka_unit_test(test_many_ranges_are_told_as_they_are),
		cmocka_unit_test(test_an_error_ends_the_telling),
	};

	return cmocka_run_group_tests_name("networks", tests, NULL, NULL);
}
