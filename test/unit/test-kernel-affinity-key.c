#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/addr.h"
#include "base/cleanup.h"
#include "kernel/affinity-key.h"
#include "object/object.h"
#include "ruleset/element.h"

static void addr_set(uint8_t ret[static 16], const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse(text, &a), 0);
	memcpy(ret, a.bytes, sizeof(a.bytes));
}

/* Read from a kernel, Linux 6.18 on x86-64, where a map was keyed with them. */
static void test_hash_is_the_kernels(void **state)
{
	static const struct {
		const char *addr;
		uint32_t seed, hash;
	} rows[] = {
		{ "fd00::2", 1, 3118910669 },
		{ "fd00::1", 0x106, 2144730481 },
		{ "fd00::1", 0x206, 2318790812 },
	};

	(void)state;
	if (htonl(1) == 1)
		skip(); /* the hash is of the host's words */
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		uint8_t addr[16];

		addr_set(addr, rows[i].addr);
		assert_int_equal(affinity_key_hash(addr, rows[i].seed), rows[i].hash);
	}
}

static void test_ipv4_frontend_is_in_plain(void **state)
{
	static const uint8_t want[AFFINITY_FRONTEND_BYTES] = {
		10, 96, 0, 10, 6, 0, 0, 0, 0x1f, 0x90
	};
	struct element e = { .family = AF_INET, .protocol = PROTOCOL_TCP, .port = 8080 };
	uint8_t got[AFFINITY_FRONTEND_BYTES];

	(void)state;
	addr_set(e.addr, "10.96.0.10");
	affinity_key_frontend(&e, got);
	assert_memory_equal(got, want, sizeof(want));
}

/* Each part of an IPv6 frontend makes another key, and address and protocol two other words of it. */
static void test_ipv6_frontends_are_told_apart(void **state)
{
	const struct element e = { .family = AF_INET6, .protocol = PROTOCOL_TCP, .port = 80 };
	struct element others[] = { e, e, e };
	uint8_t first[AFFINITY_FRONTEND_BYTES], got[AFFINITY_FRONTEND_BYTES];

	(void)state;
	others[0].protocol = PROTOCOL_UDP;
	others[1].addr[15] = 1;
	others[2].port = 81;
	affinity_key_frontend(&e, first);
	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		bool other_port = others[i].port != e.port;

		affinity_key_frontend(&others[i], got);
		assert_int_equal(memcmp(got, first, 4) == 0, other_port);
		assert_int_equal(memcmp(got + 4, first + 4, 4) == 0, other_port);
		assert_int_equal(memcmp(got + 8, first + 8, 4) != 0, other_port);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hash_is_the_kernels),
		cmocka_unit_test(test_ipv4_frontend_is_in_plain),
		cmocka_unit_test(test_ipv6_frontends_are_told_apart),
	};

	return cmocka_run_group_tests_name("kernel-affinity-key", tests, NULL, NULL);
}
