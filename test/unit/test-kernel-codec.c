#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/addr.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "kernel-fixture.h"
#include "kernel/dump.h"
#include "kernel/element-codec.h"
#include "object/object.h"
#include "ruleset/template.h"

enum { KEYS = 20, MAX_ELEMENTS = 2 * SET_COUNT * KEYS };

static const uint8_t families[] = { AF_INET, AF_INET6 };

static const char *family_word(uint8_t family)
{
	return family == AF_INET ? "ip" : "ip6";
}

/* All sets with KEYS keys; values as of @seed. */
static size_t elements_of_all_sets(struct element ret[static MAX_ELEMENTS], unsigned seed)
{
	size_t n = 0;

	for (unsigned set = 0; set < SET_COUNT; set++)
		for (unsigned key = 0; key < KEYS; key++)
			for (size_t f = 0; f < ARRAY_SIZE(families); f++)
				ret[n++] = element_make((enum set_id)set, families[f], key * 2,
							(key + seed) % N_VALUES);
	return n;
}

static void test_elements_of_every_set_come_back(struct kernel *k)
{
	struct element elements[MAX_ELEMENTS];

	kernel_open(k, true, true);
	kernel_want(k, elements, elements_of_all_sets(elements, 0), NULL);
	kernel_replace(k);
	assert_kernel_has_what_is_wanted(k);
	assert_reconciles(k, TABLES_EQUAL);
}

/* The same by changes: every value becomes another, then all is deleted. */
static void test_elements_of_every_set_change_and_go(struct kernel *k)
{
	struct element elements[MAX_ELEMENTS];

	kernel_open(k, true, true);
	kernel_replace(k);
	for (unsigned seed = 0; seed < N_VALUES; seed++) {
		kernel_change(k, elements, elements_of_all_sets(elements, seed));
		assert_kernel_has_what_is_wanted(k);
	}
	kernel_change(k, NULL, 0);
	assert_kernel_has_what_is_wanted(k);
	assert_reconciles(k, TABLES_EQUAL);
}

/* The listing of a set in one line, without counters. Freed by the caller. */
static char *set_listing(struct kernel *k, uint8_t family, enum set_id set)
{
	static const char counter[] = " counter packets 0 bytes 0";
	const char *kind = set_layout(set)->verdict || set_layout(set)->target ? "map" : "set";
	char *text = strdup(
		nft_list(k, "list %s %s kube-nft %s", kind, family_word(family), set_name(set)));
	char *at;

	assert_non_null(text);
	while ((at = strstr(text, counter)))
		memmove(at, at + strlen(counter), strlen(at + strlen(counter)) + 1);
	while ((at = strpbrk(text, "\n\t")))
		memmove(at, at + 1, strlen(at));
	while ((at = strstr(text, "  ")))
		memmove(at, at + 1, strlen(at));
	return text;
}

static void test_nft_reads_what_was_written(struct kernel *k)
{
	struct element elements[MAX_ELEMENTS];
	size_t n = elements_of_all_sets(elements, 3);

	kernel_open(k, true, true);
	kernel_want(k, elements, n, NULL);
	kernel_replace(k);
	for (size_t i = 0; i < n; i++) {
		_cleanup_buf_ struct buf text = { 0 };
		const struct element *e = &elements[i];
		_cleanup_free_ char *listing = set_listing(k, e->family, e->set);

		element_print(e, &text);
		if (!set_layout(e->set)->interval && !strstr(listing, buf_text(&text)))
			fail_msg("%s is not in %s", buf_text(&text), listing);
	}
}

/* The text of `kube-nft render` and what goes through netlink are one ruleset. */
static void test_printed_table_is_the_written_one(struct kernel *k)
{
	_cleanup_transaction_ struct transaction whole = { 0 };
	_cleanup_buf_ struct buf text = { 0 };
	struct element elements[MAX_ELEMENTS];
	size_t n = elements_of_all_sets(elements, 1), n_ipv4 = 0;

	for (size_t i = 0; i < n; i++)
		if (elements[i].family == AF_INET)
			elements[n_ipv4++] = elements[i];
	kernel_open(k, true, false);
	kernel_want(k, elements, n_ipv4, NULL);
	assert_int_equal(ruleset_whole(k->ruleset, &whole), 0);
	template_print(AF_INET, &whole, &text);
	nft(k, "%s", buf_text(&text));
	assert_reconciles(k, TABLES_EQUAL);
}

static void test_S11_largest_numbers_come_back(struct kernel *k)
{
	struct element elements[16];
	size_t n = 0;

	for (size_t f = 0; f < ARRAY_SIZE(families); f++) {
		struct element last = { .family = families[f],
					.protocol = PROTOCOL_SCTP,
					.port = UINT16_MAX };
		struct element first = { .family = families[f],
					 .protocol = PROTOCOL_TCP,
					 .port = 1 };

		memset(last.addr, 0xff, families[f] == AF_INET ? 4 : 16);
		memcpy(last.other, last.addr, sizeof(last.other));
		elements[n] = first;
		elements[n].set = SET_ENDPOINTS;
		elements[n++].target_port = 1;
		elements[n] = last;
		elements[n].set = SET_ENDPOINTS;
		elements[n].slot = DISPATCH_MAX_ENDPOINTS;
		elements[n++].target_port = UINT16_MAX;
		elements[n] = last;
		elements[n].set = SET_LOCAL_ENDPOINTS;
		elements[n++].slot = UINT32_MAX;
		elements[n] = last;
		elements[n].set = SET_SERVICES;
		elements[n].verdict = VERDICT_RR;
		elements[n].target_port = UINT16_MAX;
		elements[n++].number = DISPATCH_MAX_ENDPOINTS;
		elements[n] = last;
		elements[n].set = SET_LOCAL_SERVICES;
		elements[n].verdict = VERDICT_LOCAL_RECALL;
		elements[n].target_port = UINT16_MAX;
		elements[n++].number = (uint32_t)UINT16_MAX << 16 | (UINT16_MAX - 1);
		elements[n] = last;
		elements[n].set = SET_AFFINITY_TIMEOUTS;
		elements[n].verdict = VERDICT_MIXED_LEARN;
		elements[n].target_port = 1;
		elements[n++].number = UINT32_MAX;
		elements[n] = last;
		elements[n++].set = SET_UDP_FLOWS;
		elements[n].family = families[f];
		elements[n].set = SET_HAIRPIN;
		memcpy(elements[n].addr, last.addr, sizeof(last.addr));
		memcpy(elements[n++].other, last.addr, sizeof(last.addr));
	}
	kernel_open(k, true, true);
	kernel_want(k, elements, n, NULL);
	kernel_replace(k);
	assert_kernel_has_what_is_wanted(k);
	assert_reconciles(k, TABLES_EQUAL);
	kernel_change(k, NULL, 0);
	assert_kernel_has_what_is_wanted(k);
}

static struct element interval(const char *first, const char *last)
{
	struct element e = { .set = SET_POD_CIDRS };
	struct addr a, b;

	assert_int_equal(addr_parse(first, &a) | addr_parse(last, &b), 0);
	e.family = a.family;
	memcpy(e.addr, a.bytes, sizeof(a.bytes));
	memcpy(e.other, b.bytes, sizeof(b.bytes));
	return e;
}

#define TOP "ffff:ffff:ffff:ffff:ffff:ffff:ffff"

static void test_S11_intervals_come_back(struct kernel *k)
{
	static const struct {
		const char *ranges[8]; /* first, last, first, last, ... */
		const char *listed;
	} rows[] = {
		{ { "0.0.0.0", "255.255.255.255" }, "{ 0.0.0.0/0 }" },
		{ { "0.0.0.0", "0.0.0.0" }, "{ 0.0.0.0 }" },
		{ { "255.255.255.255", "255.255.255.255" }, "{ 255.255.255.255 }" },
		{ { "0.0.0.0", "127.255.255.255", "128.0.0.1", "255.255.255.255" },
		  "{ 0.0.0.0/1, 128.0.0.1-255.255.255.255 }" },
		{ { "10.0.0.255", "10.0.1.0" }, "{ 10.0.0.255-10.0.1.0 }" },
		{ { "0.0.0.0", "0.0.0.0", "10.0.0.0", "10.0.0.255", "10.0.2.0", "10.0.2.0",
		    "255.255.255.255", "255.255.255.255" },
		  "{ 0.0.0.0, 10.0.0.0/24, 10.0.2.0, 255.255.255.255 }" },
		{ { "10.0.0.0", "10.0.0.255", "10.0.1.0", "10.0.1.255" },
		  "{ 10.0.0.0/24, 10.0.1.0/24 }" },
		{ { "::", TOP ":ffff" }, "{ ::/0 }" },
		{ { "::", "::" }, "{ :: }" },
		{ { TOP ":ffff", TOP ":ffff" }, "{ " TOP ":ffff }" },
		{ { "::", "fd00::ffff", "fd00::1:1", TOP ":fffe" },
		  "{ ::-fd00::ffff, fd00::1:1-" TOP ":fffe }" },
	};

	kernel_open(k, true, true);
	kernel_replace(k);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct element elements[ARRAY_SIZE(rows[i].ranges) / 2];
		_cleanup_free_ char *listing = NULL;
		size_t n = 0;

		for (; n < ARRAY_SIZE(elements) && rows[i].ranges[2 * n]; n++)
			elements[n] = interval(rows[i].ranges[2 * n], rows[i].ranges[2 * n + 1]);
		kernel_change(k, elements, n); /* from the intervals of the row before */
		assert_kernel_has_what_is_wanted(k);
		listing = set_listing(k, elements[0].family, SET_POD_CIDRS);
		if (!strstr(listing, rows[i].listed))
			fail_msg("%s is not in %s", rows[i].listed, listing);
	}
}

/* Who may connect to one frontend. */
static struct element source_range(const char *text)
{
	struct element e = { .set = SET_SOURCE_RANGES, .protocol = PROTOCOL_TCP, .port = 80 };
	struct prefix p;

	assert_int_equal(prefix_parse(text, &p), 0);
	e.family = p.addr.family;
	e.slot = p.len;
	memset(e.addr, 7, addr_len_bytes(&p.addr));
	memcpy(e.other, p.addr.bytes, sizeof(e.other));
	return e;
}

/* From each row to the next, what is narrower comes in place of what is wider and the reverse, in one
 * transaction. */
static void test_S11_source_ranges_come_back(struct kernel *k)
{
	static const char *const rows[][4] = {
		{ "10.0.0.0/8" },
		{ "10.1.0.0/16", "10.0.0.0/16", "10.255.255.255/32" },
		{ "0.0.0.0/1", "128.0.0.0/1" },
		{ "0.0.0.0/0" },
		{ "0.0.0.0/32", "255.255.255.255/32", "10.0.0.0/8" },
		{ "10.0.0.0/9", "0.0.0.0/32" },
		{ "::/0" },
		{ "fd00::/64", "fd00:0:0:1::/64", "::/128", TOP ":ffff/128" },
		{ "fd00::/48", "8000::/2" },
		{ "10.0.0.0/8", "fd00::/8" },
	};

	kernel_open(k, true, true);
	kernel_replace(k);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct element elements[ARRAY_SIZE(rows[i])];
		size_t n = 0;

		for (; n < ARRAY_SIZE(rows[i]) && rows[i][n]; n++)
			elements[n] = source_range(rows[i][n]);
		kernel_change(k, elements, n);
		assert_kernel_has_what_is_wanted(k);
		assert_reconciles(k, TABLES_EQUAL);
		for (size_t j = 0; j < n; j++) {
			_cleanup_buf_ struct buf text = { 0 };
			_cleanup_free_ char *listing = set_listing(k, elements[j].family,
								   SET_SOURCE_RANGES);

			element_print(&elements[j], &text);
			if (!strstr(listing, buf_text(&text)))
				fail_msg("%s is not in %s", buf_text(&text), listing);
		}
	}
}

/* What is no prefix is none of ours, however it came there. */
static void test_N2_source_range_of_a_stranger_is_replaced(struct kernel *k)
{
	static const char *const strange[] = {
		"7.7.7.7 . tcp . 80 . 10.0.0.1-10.0.0.2",
		"7.7.7.7 . tcp . 80-81 . 10.0.0.0/8",
		"7.7.7.7-7.7.7.9 . tcp . 80 . 10.0.0.0/8",
	};
	const struct element wanted = source_range("11.0.0.0/8");

	kernel_open(k, true, true);
	kernel_want(k, &wanted, 1, NULL);
	kernel_replace(k);
	for (size_t i = 0; i < ARRAY_SIZE(strange); i++) {
		nft(k, "add element ip kube-nft source-ranges { %s }", strange[i]);
		assert_reconciles(k, TABLES_REPLACED);
		assert_kernel_has_what_is_wanted(k);
	}
	nft(k, "add element ip kube-nft source-ranges { 7.7.7.7 . tcp . 81 . 10.0.0.0/8 }");
	assert_reconciles(k, TABLES_ADOPTED);
	assert_kernel_has_what_is_wanted(k);
	nft(k, "add element ip kube-nft source-ranges { 7.7.7.7 . tcp . 81 . 10.0.0.1 }");
	assert_reconciles(k, TABLES_ADOPTED);
	assert_kernel_has_what_is_wanted(k);
}

static void test_comments_of_every_length_come_back(struct kernel *k)
{
	struct element elements[COMMENT_MAX_BYTES];
	char texts[COMMENT_MAX_BYTES][COMMENT_MAX_BYTES + 1];

	for (unsigned i = 0; i < COMMENT_MAX_BYTES; i++) {
		memset(texts[i], 'a' + (int)i % 26, i + 1);
		texts[i][i + 1] = '\0';
		elements[i] = element_make(SET_SERVICES, AF_INET, i, 0);
		elements[i].comment = texts[i];
	}
	kernel_open(k, true, true);
	kernel_want(k, elements, ARRAY_SIZE(elements), NULL);
	kernel_replace(k);
	assert_kernel_has_what_is_wanted(k);
}

/* Any text can be a comment, and the listing is no other than was written. */
static void test_S2_listing_of_any_comment_loads_again(struct kernel *k)
{
	struct element elements[UINT8_MAX];
	char texts[UINT8_MAX][8];
	char *listing;

	for (unsigned byte = 1; byte <= UINT8_MAX; byte++) {
		snprintf(texts[byte - 1], sizeof(texts[0]), "%c\\%c;#", byte, byte);
		elements[byte - 1] = element_make(SET_NO_ENDPOINTS, AF_INET, byte, 0);
		elements[byte - 1].comment = texts[byte - 1];
	}
	kernel_open(k, true, false);
	kernel_want(k, elements, ARRAY_SIZE(elements), NULL);
	kernel_replace(k);
	listing = strdup(nft_list(k, "list ruleset"));
	assert_non_null(listing);
	nft(k, "flush ruleset");
	nft(k, "%s", listing);
	free(listing);
	assert_reconciles(k, TABLES_EQUAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		kernel_test(test_elements_of_every_set_come_back),
		kernel_test(test_elements_of_every_set_change_and_go),
		kernel_test(test_nft_reads_what_was_written),
		kernel_test(test_printed_table_is_the_written_one),
		kernel_test(test_S11_largest_numbers_come_back),
		kernel_test(test_S11_intervals_come_back),
		kernel_test(test_S11_source_ranges_come_back),
		kernel_test(test_N2_source_range_of_a_stranger_is_replaced),
		kernel_test(test_comments_of_every_length_come_back),
		kernel_test(test_S2_listing_of_any_comment_loads_again),
	};

	return cmocka_run_group_tests_name("kernel-codec", tests, kernel_announce, NULL);
}
