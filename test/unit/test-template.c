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
#include "object/object.h"
#include "ruleset/bindings.h"
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
		struct dispatch d[ELEMENT_MAX_CHAINS];

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
		{ AF_INET, VERDICT_LB, .number = 1 },
		{ AF_INET, VERDICT_LB, .number = 65535 },
		{ AF_INET, VERDICT_RR, PROTOCOL_TCP, 80, 3, { 10, 96, 0, 1 } },
		{ AF_INET,
		  VERDICT_LOCAL_RECALL,
		  PROTOCOL_UDP,
		  53,
		  5354U << 16 | 5353,
		  { 10, 96, 0, 1 } },
		{ AF_INET, VERDICT_MIXED_LEARN, PROTOCOL_TCP, 80, 60, { 10, 96, 0, 1 } },
		{ AF_INET6, VERDICT_LOCAL_SH_PORT, .number = 4 },
		{ AF_INET6, VERDICT_LEARN, PROTOCOL_SCTP, 80, 86400, { 0xfd, [15] = 1 } },
	};
	_cleanup_transaction_ struct transaction whole = { 0 };
	_cleanup_buf_ struct buf ipv4 = { 0 }, ipv6 = { 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(used); i++)
		transaction_need_chain(&whole, &used[i]);
	assert_int_equal(transaction_settle(&whole), 0);
	template_print(AF_INET, &whole, &ipv4);
	template_print(AF_INET6, &whole, &ipv6);
	assert_no_template_left(buf_text(&ipv4));
	assert_no_template_left(buf_text(&ipv6));

	for (size_t i = 0; i < ARRAY_SIZE(used); i++) {
		bool is_ipv4 = used[i].family == AF_INET;
		char name[CHAIN_NAME_MAX_BYTES];

		dispatch_name(&used[i], name);
		assert_non_null(object(buf_text(is_ipv4 ? &ipv4 : &ipv6), "chain", name));
		assert_null(object(buf_text(is_ipv4 ? &ipv6 : &ipv4), "chain", name));
	}
	assert_int_equal(count(buf_text(&ipv4), "\tchain lb-"), 2);
	assert_non_null(strstr(object(buf_text(&ipv4), "chain", "lb-65535"),
			       "numgen random mod 65535 map @endpoints"));
	assert_non_null(strstr(object(buf_text(&ipv4), "chain", "rr-10.96.0.1-tcp-80-3"),
			       "numgen inc mod 3 map @endpoints"));
	assert_non_null(strstr(object(buf_text(&ipv4), "chain", "mixed-learn-10.96.0.1-tcp-80-60"),
			       "goto local-learn-10.96.0.1-tcp-80-60"));
	assert_non_null(strstr(object(buf_text(&ipv6), "chain", "local-sh-port-4"),
			       "dnat ip6 to ip6 daddr . meta l4proto . th dport . jhash ip6 saddr "
			       ". th sport mod 4 seed 0x1 map @local-endpoints"));
	assert_non_null(
		strstr(object(buf_text(&ipv6), "chain", "learn-fd00.0.0.0.0.0.0.1-sctp-80-86400"),
		       "meta l4proto sctp counter update"));
	assert_int_equal(count(buf_text(&ipv6), "timeout 86400s"), 1);
}

/* A chain that recalls has a rule for each target port, with what binding_words() says of it. */
static void test_chains_that_recall_have_a_rule_a_target(void **state)
{
	const struct dispatch d = { AF_INET, VERDICT_RECALL,     PROTOCOL_UDP,
				    53,      5354U << 16 | 5353, { 10, 96, 0, 1 } };
	_cleanup_transaction_ struct transaction whole = { 0 };
	_cleanup_buf_ struct buf text = { 0 };
	const char *chain;

	(void)state;
	transaction_need_chain(&whole, &d);
	assert_int_equal(transaction_settle(&whole), 0);
	template_print(AF_INET, &whole, &text);
	chain = object(buf_text(&text), "chain", "recall-10.96.0.1-udp-53-5353-5354");
	assert_non_null(chain);
	assert_int_equal(count(chain, "meta l4proto udp counter dnat"), 2);
	for (uint16_t target = 5353; target <= 5354; target++) {
		uint32_t words[BINDING_WORDS];
		char rule[256];

		binding_words(&d, target, words);
		snprintf(rule, sizeof(rule),
			 "ip saddr . numgen inc mod 1 offset %" PRIu32
			 " . numgen inc mod 1 offset %" PRIu32 " . numgen inc mod 1 offset %" PRIu32
			 " map @affinity : %u",
			 words[0], words[1], words[2], target);
		assert_non_null(strstr(chain, rule));
	}
}

/* Chains that elements may go to by name stand in the template. */
static void test_every_verdict_has_its_chain(void **state)
{
	_cleanup_buf_ struct buf text = { 0 };
	char name[CHAIN_NAME_MAX_BYTES];

	(void)state;
	template_print_skeleton(AF_INET, "x", &text);
	for (unsigned v = VERDICT_REFUSE; v < VERDICT_COUNT; v++) {
		const struct dispatch pattern = dispatch_pattern((enum verdict)v, AF_INET);

		if (v != VERDICT_POLICIES)
			assert_non_null(
				object(buf_text(&text), "chain", dispatch_name(&pattern, name)));
	}
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
			struct dispatch pattern = dispatch_pattern((enum verdict)v, families[f]);
			char name[CHAIN_NAME_MAX_BYTES], line[128];

			snprintf(line, sizeof(line), "\tchain %s {", dispatch_name(&pattern, name));
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
		cmocka_unit_test(test_chains_that_recall_have_a_rule_a_target),
		cmocka_unit_test(test_every_verdict_has_its_chain),
		cmocka_unit_test(test_skeleton_is_dormant_with_one_pattern_each),
		cmocka_unit_test(test_same_input_same_bytes),
		cmocka_unit_test(test_H1_text_without_memory),
	};

	return cmocka_run_group_tests_name("template", tests, NULL, NULL);
}
