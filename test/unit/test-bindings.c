#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "object/object.h"
#include "ruleset/bindings.h"
#include "ruleset/dispatch.h"

static const struct dispatch ipv4 = { AF_INET, VERDICT_LEARN, PROTOCOL_TCP,
				      80,      600,           { 10, 96, 0, 10 } };
static const struct dispatch ipv6 = { AF_INET6, VERDICT_LEARN, PROTOCOL_TCP,
				      80,       600,           { 0xfd, 0x96, [15] = 0x10 } };

/* Read from a kernel, Linux 6.18 on x86-64, where a map was keyed with them. */
static void test_target_hash_is_the_kernels(void **state)
{
	static const struct {
		uint16_t port;
		uint32_t hash;
	} rows[] = {
		{ 1, 474192542 },     { 80, 553954626 },     { 256, 2406016524 },
		{ 8080, 1472883244 }, { 65535, 2237571718 },
	};
	uint32_t words[BINDING_WORDS];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		binding_words(&ipv4, rows[i].port, words);
		assert_int_equal(words[BINDING_TARGET], rows[i].hash);
	}
}

/* They must never change: an upgrade would forget every client. */
static void test_words_are_fixed(void **state)
{
	const uint8_t addr[] = { 10, 96, 0, 10 };
	uint32_t words[BINDING_WORDS];

	(void)state;
	binding_words(&ipv4, 8080, words);
	assert_memory_equal(&words[BINDING_ID_FIRST], addr, sizeof(addr));
	assert_int_equal(words[BINDING_ID_SECOND], 80 << 16 | 6 << 8);
	binding_words(&ipv6, 8080, words);
	assert_int_equal(words[BINDING_ID_FIRST], 3609379442);
	assert_int_equal(words[BINDING_ID_SECOND], 2075159841);
}

/* What recalls finds what learnt. Number, timeout and target ports are no part of it. */
static void test_chains_of_one_service_port_have_the_same(void **state)
{
	static const enum verdict verdicts[][2] = {
		{ VERDICT_LEARN, VERDICT_RECALL },
		{ VERDICT_LOCAL_LEARN, VERDICT_LOCAL_RECALL },
	};
	const struct dispatch *ports[] = { &ipv4, &ipv6 };

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		struct dispatch learn = *ports[i / 2], recall = learn;
		uint32_t learnt[BINDING_WORDS], recalled[BINDING_WORDS];

		learn.verdict = (uint8_t)verdicts[i % 2][0];
		recall.verdict = (uint8_t)verdicts[i % 2][1];
		recall.number = 8080;
		binding_words(&learn, 8080, learnt);
		binding_words(&recall, 8080, recalled);
		assert_memory_equal(learnt, recalled, sizeof(learnt));
	}
}

/* Whatever makes another service port makes other words, and so do list and target port. */
static void test_service_ports_are_told_apart(void **state)
{
	const struct dispatch *ports[] = { &ipv4, &ipv6 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ports); i++) {
		struct dispatch others[] = { *ports[i], *ports[i], *ports[i], *ports[i],
					     *ports[i] };
		uint32_t words[ARRAY_SIZE(others) + 1][BINDING_WORDS];
		const size_t n = ARRAY_SIZE(others);

		others[1].addr[3] ^= 1;
		others[2].port++;
		others[3].protocol = PROTOCOL_UDP;
		others[4].verdict = VERDICT_LOCAL_LEARN;
		for (size_t j = 0; j < n; j++)
			binding_words(&others[j], 8080, words[j]);
		binding_words(ports[i], 8081, words[n]);
		for (size_t j = 0; j <= n; j++)
			for (size_t l = 0; l < j; l++)
				assert_memory_not_equal(words[j], words[l], sizeof(words[j]));
	}
}

static struct binding binding(uint32_t word)
{
	return (struct binding){ .family = AF_INET, .words = { word } };
}

static void test_settled_they_can_be_found(void **state)
{
	struct bindings s = { 0 };

	(void)state;
	bindings_settle(&s);
	assert_false(bindings_have(&s, &(struct binding){ 0 }));
	for (uint32_t i = 0; i < 1000; i++) {
		struct binding one = binding(i * 7919 % 500 * 2);

		assert_int_equal(bindings_add(&s, &one), 0);
	}
	bindings_settle(&s);
	assert_int_equal(s.n, 500);
	for (uint32_t i = 0; i < 1000; i++) {
		struct binding one = binding(i);

		assert_int_equal(bindings_have(&s, &one), i % 2 == 0);
	}
	bindings_free(&s);
	assert_int_equal(s.n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_target_hash_is_the_kernels),
		cmocka_unit_test(test_words_are_fixed),
		cmocka_unit_test(test_chains_of_one_service_port_have_the_same),
		cmocka_unit_test(test_service_ports_are_told_apart),
		cmocka_unit_test(test_settled_they_can_be_found),
	};

	return cmocka_run_group_tests_name("bindings", tests, NULL, NULL);
}
