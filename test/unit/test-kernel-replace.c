/* Replacing the tables: at any time one of them is in force, whole. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kernel-fixture.h"
#include "kernel/netlink.h"
#include "kernel/tables-internal.h"

static const char *const words[N_FAMILIES] = { "ip", "ip6" };
static const uint8_t families[N_FAMILIES] = { AF_INET, AF_INET6 };

static uint32_t generation(struct kernel *k)
{
	uint32_t now;

	assert_int_equal(netlink_generation(k->nl, &now, NULL), 0);
	return now;
}

static void assert_presence(struct kernel *k, const char *table, enum table_presence want)
{
	for (size_t f = 0; f < N_FAMILIES; f++) {
		enum table_presence got;

		assert_int_equal(tables_presence(k->tables, families[f], table, &got, &k->err), 0);
		assert_int_equal(got, want);
	}
}

/* A table of this name that is none of ours. */
static void load(struct kernel *k, const char *table, const char *property)
{
	for (size_t f = 0; f < N_FAMILIES; f++)
		nft(k, "table %s %s { %s; chain refuse { type filter hook forward priority 0; }; }",
		    words[f], table, property);
}

static void open_and_want_one(struct kernel *k)
{
	const struct element e[] = { element_make(SET_SERVICES, AF_INET, 1, 0),
				     element_make(SET_SERVICES, AF_INET6, 1, 0) };

	kernel_open(k, true, true);
	kernel_want(k, e, 2, NULL);
}

/* A comparison replaces the tables in so many transactions, and says @why. */
static void assert_replaces(struct kernel *k, const char *why, uint32_t transactions)
{
	uint32_t before = generation(k);

	assert_reconciles(k, TABLES_REPLACED);
	assert_string_equal(k->why, why);
	assert_int_equal(generation(k), before + transactions);
	assert_presence(k, TABLE_NAME, TABLE_AWAKE);
	assert_presence(k, INTERIM_TABLE, TABLE_ABSENT);
	assert_kernel_has_what_is_wanted(k);
	assert_reconciles(k, TABLES_EQUAL);
}

static void test_presence_of_a_table(struct kernel *k)
{
	open_and_want_one(k);
	assert_presence(k, "other", TABLE_ABSENT);
	load(k, "other", "flags dormant");
	assert_presence(k, "other", TABLE_DORMANT);
	nft(k, "add table ip other; add table ip6 other");
	assert_presence(k, "other", TABLE_AWAKE);
}

static void test_first_tables_are_made_and_woken(struct kernel *k)
{
	open_and_want_one(k);
	assert_replaces(k, "table ip kube-nft: is not there", 2);
}

static void test_tables_in_force_are_stood_in_for(struct kernel *k)
{
	open_and_want_one(k);
	load(k, TABLE_NAME, "comment \"other\"");
	assert_replaces(k, "table ip kube-nft: has another skeleton", 4);
}

/* An agent was killed when the interim tables had been made. */
static void test_interim_tables_that_are_left_are_made_anew(struct kernel *k)
{
	open_and_want_one(k);
	kernel_replace(k);
	load(k, INTERIM_TABLE, "flags dormant");
	assert_replaces(k, "table ip kube-nft: was being replaced", 4);
}

/* It was killed when they were in force; or later, when the new tables had been made. They stay until those
 * are woken. */
static void test_interim_tables_in_force_are_gone_on_from(struct kernel *k)
{
	open_and_want_one(k);
	load(k, INTERIM_TABLE, "comment \"in force\"");
	assert_replaces(k, "table ip kube-nft: was being replaced", 2);

	nft(k, "delete table ip kube-nft; delete table ip6 kube-nft");
	load(k, INTERIM_TABLE, "comment \"in force\"");
	load(k, TABLE_NAME, "flags dormant");
	assert_replaces(k, "table ip kube-nft: was being replaced", 2);
}

/* The interim tables are those of both families, also when one is switched on or off. */
static void test_families_switched(struct kernel *k)
{
	kernel_open(k, false, true);
	kernel_replace(k);
	open_and_want_one(k);
	assert_reconciles(k, TABLES_REPLACED);
	assert_presence(k, TABLE_NAME, TABLE_AWAKE);
	kernel_open(k, true, false);
	kernel_want(k, NULL, 0, NULL);
	assert_reconciles(k, TABLES_REPLACED);
	assert_string_equal(nft_list(k, "list tables"), "table ip kube-nft\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		kernel_test(test_presence_of_a_table),
		kernel_test(test_first_tables_are_made_and_woken),
		kernel_test(test_tables_in_force_are_stood_in_for),
		kernel_test(test_interim_tables_that_are_left_are_made_anew),
		kernel_test(test_interim_tables_in_force_are_gone_on_from),
		kernel_test(test_families_switched),
	};

	return cmocka_run_group_tests_name("kernel-replace", tests, kernel_announce, NULL);
}
