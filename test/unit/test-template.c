#include <arpa/inet.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/hash.h"
#include "elements.h"
#include "fail-alloc.h"
#include "ruleset/template.h"
#include "ruleset/transaction.h"
#include "ruleset/uses.h"

static const uint8_t families[] = { AF_INET, AF_INET6 };

static unsigned count(const char *text, const char *word)
{
	unsigned n = 0;

	while ((text = strstr(text, word))) {
		text += strlen(word);
		n++;
	}
	return n;
}

/* The lines from "\tKIND NAME {" to the next "\t}". Valid until the next call. */
static const char *object(const char *text, const char *kind, const char *name)
{
	static char copy[8192];
	char head[64];
	const char *begin, *end;

	snprintf(head, sizeof(head), "\n\t%s %s {\n", kind, name);
	begin = strstr(text, head);
	if (!begin)
		return NULL;
	end = strstr(begin, "\n\t}\n");
	assert_non_null(end);
	snprintf(copy, sizeof(copy), "%.*s", (int)(end - begin), begin);
	return copy;
}

static const char *set_kind(unsigned set)
{
	const struct set_layout *layout = set_layout((enum set_id)set);

	return layout->verdict || layout->target ? "map" : "set";
}

/* Two elements of every set in both families, and their chains. */
static void whole_make(struct transaction *tx)
{
	for (unsigned i = 0; i < 4 * SET_COUNT; i++) {
		const struct element e = element_make(i / 4, families[i % 2], i % 4 / 2, i % 4 / 2);
		struct dispatch d[2];

		transaction_add(tx, &e);
		for (size_t n = element_chains(&e, d); n > 0; n--)
			transaction_need_chain(tx, &d[n - 1]);
	}
	assert_int_equal(transaction_settle(tx), 0);
}

static void assert_no_template_left(const char *text)
{
	assert_null(strstr(text, "${"));
	assert_null(strstr(text, "\n%"));
	assert_null(strstr(text, "\t\n"));
	assert_int_not_equal(text[0], '%');
	assert_int_equal(count(text, "{"), count(text, "}"));
}

static void test_comment_has_the_hash_of_the_template(void **state)
{
	char text[65536], expected[TEMPLATE_COMMENT_MAX], comment[TEMPLATE_COMMENT_MAX];
	FILE *f = fopen("nft-templates/table.nft", "re");
	size_t len;

	(void)state;
	assert_non_null(f);
	len = fread(text, 1, sizeof(text), f);
	fclose(f);
	assert_in_range(len, 1000, sizeof(text) - 1);
	snprintf(expected, sizeof(expected), "kube-nft skeleton %016" PRIx64,
		 hash_bytes(text, len));
	assert_ptr_equal(template_comment(comment), comment);
	assert_string_equal(comment, expected);
	assert_string_equal(template_comment(comment), expected);
}

static void test_whole_of_nothing(void **state)
{
	_cleanup_transaction_ struct transaction none = { 0 };
	char comment[TEMPLATE_COMMENT_MAX];

	(void)state;
	for (size_t f = 0; f < ARRAY_SIZE(families); f++) {
		_cleanup_buf_ struct buf text = { 0 };
		const char *head = f ? "table ip6 kube-nft {\n" : "table ip kube-nft {\n";

		template_print(families[f], &none, &text);
		assert_memory_equal(buf_text(&text), head, strlen(head));
		assert_non_null(strstr(buf_text(&text), template_comment(comment)));
		assert_no_template_left(buf_text(&text));
		assert_null(strstr(buf_text(&text), "elements"));
		assert_null(strstr(buf_text(&text), "dormant"));
		assert_null(strstr(buf_text(&text), "chain lb-"));
		assert_int_equal(count(buf_text(&text), f ? "ip saddr" : "ip6 saddr"), 0);
		for (unsigned set = 0; set < SET_COUNT; set++)
			assert_non_null(
				object(buf_text(&text), set_kind(set), set_name((enum set_id)set)));
	}
}

/* Each element of the family stands in its set, in order, and no other does. */
static void test_elements_stand_in_their_sets(void **state)
{
	_cleanup_transaction_ struct transaction whole = { 0 };

	(void)state;
	whole_make(&whole);
	for (size_t f = 0; f < ARRAY_SIZE(families); f++) {
		_cleanup_buf_ struct buf text = { 0 };

		template_print(families[f], &whole, &text);
		assert_no_template_left(buf_text(&text));
		for (unsigned set = 0; set < SET_COUNT; set++) {
			const struct element a = element_make(set, families[f], 0, 0);
			const struct element b = element_make(set, families[f], 1, 1);
			const char *got = object(buf_text(&text), set_kind(set), set_name(set));
			_cleanup_buf_ struct buf want = { 0 };

			assert_non_null(got);
			buf_puts(&want, "\t\telements = {\n\t\t\t");
			element_print(&a, &want);
			buf_puts(&want, ",\n\t\t\t");
			element_print(&b, &want);
			buf_puts(&want, "\n\t\t}");
			assert_non_null(strstr(got, buf_text(&want)));
			assert_int_equal(count(got, "elements"), 1);
		}
	}
}

static void test_dispatch_chains_of_the_family_in_use(void **state)
{
	static const struct dispatch used[] = {
		{ AF_INET, VERDICT_LB, 1 },
		{ AF_INET, VERDICT_LB, 65535 },
		{ AF_INET, VERDICT_AFFINITY_LOCAL_LB, 3 },
		{ AF_INET, VERDICT_LEARN_AFFINITY, 60 },
		{ AF_INET6, VERDICT_LOCAL_LB, 4 },
		{ AF_INET6, VERDICT_LEARN_AFFINITY, 86400 },
	};
	_cleanup_transaction_ struct transaction whole = { 0 };
	_cleanup_buf_ struct buf ipv4 = { 0 }, ipv6 = { 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(used); i++)
		transaction_need_chain(&whole, &used[i]);
	assert_int_equal(transaction_settle(&whole), 0);
	template_print(AF_INET, &whole, &ipv4);
	template_print(AF_INET6, &whole, &ipv6);

	for (size_t i = 0; i < ARRAY_SIZE(used); i++) {
		bool is_ipv4 = used[i].family == AF_INET;
		char name[CHAIN_NAME_MAX_BYTES];

		verdict_chain_name(used[i].verdict, used[i].number, name);
		assert_non_null(object(buf_text(is_ipv4 ? &ipv4 : &ipv6), "chain", name));
		assert_null(object(buf_text(is_ipv4 ? &ipv6 : &ipv4), "chain", name));
	}
	assert_int_equal(count(buf_text(&ipv4), "\tchain lb-"), 2);
	assert_non_null(strstr(object(buf_text(&ipv4), "chain", "lb-65535"),
			       "numgen random mod 65535 map @endpoints"));
	assert_non_null(
		strstr(object(buf_text(&ipv4), "chain", "affinity-local-lb-3"), "goto local-lb-3"));
	assert_non_null(strstr(object(buf_text(&ipv6), "chain", "local-lb-4"),
			       "dnat ip6 to ip6 daddr . meta l4proto . th dport . "
			       "numgen random mod 4 map @local-endpoints"));
	assert_int_equal(count(object(buf_text(&ipv6), "chain", "learn-affinity-86400"),
			       "timeout 86400s"),
			 2 * 3);
}

/* Chains that elements may go to by name stand in the template. */
static void test_every_verdict_has_its_chain(void **state)
{
	_cleanup_buf_ struct buf text = { 0 };
	char name[CHAIN_NAME_MAX_BYTES];

	(void)state;
	template_print_skeleton(AF_INET, "x", &text);
	for (unsigned v = VERDICT_REFUSE; v < VERDICT_COUNT; v++)
		if (v != VERDICT_POLICIES)
			assert_non_null(object(buf_text(&text), "chain",
					       verdict_chain_name((enum verdict)v, 1, name)));
}

static void test_skeleton_is_dormant_with_one_pattern_each(void **state)
{
	(void)state;
	for (size_t f = 0; f < ARRAY_SIZE(families); f++) {
		_cleanup_buf_ struct buf text = { 0 };
		const char *head = f ? "table ip6 other {\n\tflags dormant\n" :
				       "table ip other {\n\tflags dormant\n";

		template_print_skeleton(families[f], "other", &text);
		assert_memory_equal(buf_text(&text), head, strlen(head));
		assert_no_template_left(buf_text(&text));
		assert_null(strstr(buf_text(&text), "elements"));
		for (unsigned v = VERDICT_FIRST_DISPATCH; v < VERDICT_COUNT; v++) {
			char line[64];

			snprintf(line, sizeof(line), "\tchain %s-", verdict_chain((enum verdict)v));
			assert_int_equal(count(buf_text(&text), line), 1);
		}
	}
}

static void test_same_input_same_bytes(void **state)
{
	_cleanup_transaction_ struct transaction whole = { 0 };
	_cleanup_buf_ struct buf a = { 0 }, b = { 0 };

	(void)state;
	whole_make(&whole);
	template_print(AF_INET, &whole, &a);
	template_print(AF_INET, &whole, &b);
	assert_string_equal(buf_text(&a), buf_text(&b));
}

static void test_H1_text_without_memory(void **state)
{
	_cleanup_transaction_ struct transaction whole = { 0 };
	unsigned n;

	(void)state;
	whole_make(&whole);
	for (n = 1;; n++) {
		_cleanup_buf_ struct buf text = { 0 };

		fail_alloc_at(n);
		template_print(AF_INET, &whole, &text);
		if (!fail_alloc_end())
			break;
		assert_true(buf_error(&text) < 0);
	}
	assert_true(n > 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_comment_has_the_hash_of_the_template),
		cmocka_unit_test(test_whole_of_nothing),
		cmocka_unit_test(test_elements_stand_in_their_sets),
		cmocka_unit_test(test_dispatch_chains_of_the_family_in_use),
		cmocka_unit_test(test_every_verdict_has_its_chain),
		cmocka_unit_test(test_skeleton_is_dormant_with_one_pattern_each),
		cmocka_unit_test(test_same_input_same_bytes),
		cmocka_unit_test(test_H1_text_without_memory),
	};

	return cmocka_run_group_tests_name("template", tests, NULL, NULL);
}
