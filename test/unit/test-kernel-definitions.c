/* Sets and chains of network policy in the kernel: made, changed, found again, swept. */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/cleanup.h"
#include "kernel-fixture.h"
#include "kernel/netlink.h"

static const uint8_t families[] = { AF_INET, AF_INET6 };

#define PODS "pods-0123456789abcdef0123"
#define BLOCK "block-0123456789abcdef0123"
#define PORTS "ports-0123456789abcdef0123"
#define NAMED "named-ports-0123456789abcdef0123"
#define INGRESS "ingress-0123456789abcdef0123"
#define POLICY "ingress/default/web"

static void define(struct block *b, enum definition_kind kind, uint8_t family, const char *name,
		   const struct definition_rule *rules, size_t n)
{
	struct definition *d = block_define(b);

	assert_non_null(d);
	d->kind = (uint8_t)kind;
	d->family = family;
	d->name = name;
	d->comment = "of a test";
	d->log_prefix = "ingress default/web ";
	d->rules = rules;
	d->n_rules = n;
}

static void replace(struct kernel *k, const char *owner, struct block *b, struct transaction *tx)
{
	assert_int_equal(ruleset_replace(k->ruleset, owner, b, tx, &k->err), 0);
}

static void want_sets(struct kernel *k, struct transaction *tx)
{
	static const struct {
		enum definition_kind kind;
		const char *name;
	} sets[] = {
		{ DEFINITION_PODS, PODS },
		{ DEFINITION_BLOCK, BLOCK },
		{ DEFINITION_PORTS, PORTS },
		{ DEFINITION_NAMED_PORTS, NAMED },
	};
	struct block *b;

	assert_int_equal(block_new(0, &b), 0);
	for (size_t f = 0; f < 2; f++)
		for (size_t i = 0; i < ARRAY_SIZE(sets); i++) {
			struct definition d = { .kind = (uint8_t)sets[i].kind,
						.name = sets[i].name };
			struct element *e = block_add(b);

			define(b, sets[i].kind, families[f], sets[i].name, NULL, 0);
			*e = element_make(definition_set(sets[i].kind), families[f], 7, 0);
			e->comment = NULL;
			assert_true(definition_id(&d, &e->id));
		}
	replace(k, "sets", b, tx);
}

static const struct definition_rule all_rules[] = {
	{ .shape = RULE_PEER, .peer = PODS },
	{ .shape = RULE_PEER, .peer = BLOCK },
	{ .shape = RULE_PORTS, .ports = PORTS },
	{ .shape = RULE_PEER_PORTS, .peer = BLOCK, .ports = PORTS },
	{ .shape = RULE_NAMED_PORTS, .ports = NAMED },
	{ .shape = RULE_PEER_NAMED_PORTS, .peer = PODS, .ports = NAMED },
	{ .shape = RULE_ANY },
};
static const struct definition_rule pod_rules[] = {
	{ .shape = RULE_RECALL },     { .shape = RULE_POLICY, .policy = POLICY },
	{ .shape = RULE_EXCEPTIONS }, { .shape = RULE_LOG },
	{ .shape = RULE_REFUSE },
};

/* @n of all_rules. */
static void want_policy(struct kernel *k, size_t n, struct transaction *tx)
{
	struct block *b;

	assert_int_equal(block_new(0, &b), 0);
	for (size_t f = 0; f < 2; f++)
		define(b, DEFINITION_INGRESS_POLICY, families[f], POLICY, all_rules, n);
	replace(k, "policy", b, tx);
}

static void want_pods(struct kernel *k, struct transaction *tx)
{
	struct definition d = { .kind = DEFINITION_INGRESS, .name = INGRESS };
	struct block *b;

	assert_int_equal(block_new(0, &b), 0);
	for (size_t f = 0; f < 2; f++) {
		struct element *e = block_add(b);

		define(b, DEFINITION_INGRESS, families[f], INGRESS, pod_rules,
		       ARRAY_SIZE(pod_rules));
		*e = element_make(SET_INGRESS_PODS, families[f], 7, 0);
		e->verdict = VERDICT_POLICIES;
		assert_true(definition_id(&d, &e->id));
	}
	replace(k, "pods", b, tx);
}

static void want_all(struct kernel *k, struct transaction *tx)
{
	want_sets(k, tx);
	want_policy(k, ARRAY_SIZE(all_rules), tx);
	want_pods(k, tx);
}

static void want_nothing(struct kernel *k, struct transaction *tx)
{
	replace(k, "pods", NULL, tx);
	replace(k, "policy", NULL, tx);
	replace(k, "sets", NULL, tx);
}

static void commit(struct kernel *k, struct transaction *tx)
{
	assert_int_equal(transaction_settle(tx), 0);
	if (tables_commit(k->tables, tx, &k->commit, &k->err) < 0)
		fail_msg("%s", k->err.message);
	transaction_reset(tx);
}

/* All but the sets that are made anew all the time: where these stand says nothing. */
static char *listed(struct kernel *k)
{
	char *text = strdup(nft_list(k, "list ruleset")), *set, *end;

	assert_non_null(text);
	while ((set = strstr(text, "\tset egress-accepted")) ||
	       (set = strstr(text, "\tset ingress-accepted"))) {
		end = strstr(set, "\n\t}\n");
		assert_non_null(end);
		end += strlen("\n\t}\n") + (end[strlen("\n\t}\n")] == '\n');
		memmove(set, end, strlen(end) + 1);
	}
	return text;
}

/* All of them are there, whichever way they came, and nft can load what it lists. */
static void test_differences_come_to_the_whole(struct kernel *k)
{
	_cleanup_transaction_ struct transaction tx = { 0 };
	_cleanup_free_ char *by_differences = NULL, *whole = NULL;

	kernel_open(k, true, true);
	kernel_replace(k);
	want_all(k, &tx);
	commit(k, &tx);
	assert_reconciles(k, TABLES_EQUAL);
	by_differences = listed(k);
	assert_non_null(strstr(by_differences, "jump " POLICY));
	assert_non_null(strstr(by_differences, "log prefix \"ingress default/web \" group 100"));
	assert_non_null(strstr(by_differences,
			       "ip saddr @" PODS " ip daddr . meta l4proto . th dport @" NAMED
			       " counter"));
	kernel_replace(k);
	whole = listed(k);
	assert_string_equal(by_differences, whole);
	kernel_open(k, true, true);
	assert_reconciles(k, TABLES_EQUAL);
}

static void test_a_chain_that_changes_gets_its_rules_anew(struct kernel *k)
{
	_cleanup_transaction_ struct transaction tx = { 0 };
	_cleanup_free_ char *before = NULL, *after = NULL;

	kernel_open(k, true, true);
	want_all(k, NULL);
	kernel_replace(k);
	before = listed(k);
	want_policy(k, 1, &tx);
	commit(k, &tx);
	assert_null(strstr(nft_list(k, "list chain ip kube-nft " POLICY), BLOCK));
	assert_reconciles(k, TABLES_EQUAL);
	want_policy(k, ARRAY_SIZE(all_rules), &tx);
	commit(k, &tx);
	after = listed(k);
	assert_string_equal(before, after);
}

static bool is_remembered(struct kernel *k, const char *set)
{
	return strstr(nft_list(k, "list set ip kube-nft %s", set),
		      "192.0.2.1 . 192.0.2.2 . tcp . 80");
}

static void remember(struct kernel *k)
{
	nft(k, "add element ip kube-nft egress-accepted { 192.0.2.1 . 192.0.2.2 . tcp . 80 }\n"
	       "add element ip kube-nft ingress-accepted { 192.0.2.1 . 192.0.2.2 . tcp . 80 }");
	assert_true(is_remembered(k, "egress-accepted"));
	assert_true(is_remembered(k, "ingress-accepted"));
}

/* One element, in a set of pods or in one of Services. */
static void want_element(struct kernel *k, enum set_id set, bool wanted, struct transaction *tx)
{
	static const struct definition pods = { .kind = DEFINITION_PODS, .name = PODS };
	struct block *b = NULL;
	struct element *e;

	if (wanted) {
		assert_int_equal(block_new(0, &b), 0);
		e = block_add(b);
		assert_non_null(e);
		*e = element_make(set, AF_INET, 8, 0);
		e->comment = NULL;
		if (set == SET_PODS)
			assert_true(definition_id(&pods, &e->id));
	}
	replace(k, "element", b, tx);
	commit(k, tx);
}

static void assert_forgotten(struct kernel *k)
{
	assert_false(is_remembered(k, "egress-accepted"));
	assert_false(is_remembered(k, "ingress-accepted"));
	assert_reconciles(k, TABLES_EQUAL);
}

/* What policies have allowed is forgotten by the commit that may take it back, and by no other. */
static void test_what_may_be_taken_back_is_forgotten(struct kernel *k)
{
	_cleanup_transaction_ struct transaction tx = { 0 };

	kernel_open(k, true, true);
	want_sets(k, NULL);
	want_policy(k, 2, NULL);
	kernel_replace(k);
	remember(k);
	want_policy(k, 1, &tx);
	commit(k, &tx);
	assert_forgotten(k);
	want_pods(k, &tx);
	commit(k, &tx);
	remember(k);
	want_element(k, SET_SERVICE_ADDRESSES, true, &tx);
	want_element(k, SET_SERVICE_ADDRESSES, false, &tx);
	want_element(k, SET_PODS, true, &tx);
	assert_true(is_remembered(k, "egress-accepted"));
	assert_true(is_remembered(k, "ingress-accepted"));
	want_element(k, SET_PODS, false, &tx);
	assert_forgotten(k);
	remember(k);
	replace(k, "pods", NULL, &tx);
	commit(k, &tx);
	assert_forgotten(k);
}

static void test_what_nobody_wants_is_swept(struct kernel *k)
{
	_cleanup_transaction_ struct transaction tx = { 0 };
	_cleanup_free_ char *before = NULL, *after = NULL;

	kernel_open(k, true, true);
	kernel_replace(k);
	before = listed(k);
	want_all(k, &tx);
	commit(k, &tx);
	want_nothing(k, &tx);
	commit(k, &tx);
	assert_int_equal(tables_sweep(k->tables, k->ruleset, &k->err), 0);
	after = listed(k);
	assert_string_equal(before, after);
	/* And what is found by a new agent. */
	want_all(k, &tx);
	commit(k, &tx);
	want_nothing(k, NULL);
	kernel_open(k, true, true);
	assert_reconciles(k, TABLES_ADOPTED);
	assert_int_equal(tables_sweep(k->tables, k->ruleset, &k->err), 0);
	free(TAKE_PTR(after));
	after = listed(k);
	assert_string_equal(before, after);
}

/* A set or chain that is wanted again before it was swept. */
static void test_what_is_wanted_again_is_taken_up(struct kernel *k)
{
	_cleanup_transaction_ struct transaction tx = { 0 };
	_cleanup_free_ char *before = NULL, *after = NULL;

	kernel_open(k, true, true);
	want_all(k, NULL);
	kernel_replace(k);
	before = listed(k);
	want_nothing(k, &tx);
	commit(k, &tx);
	want_all(k, &tx);
	commit(k, &tx);
	after = listed(k);
	assert_string_equal(before, after);
}

/* Left by an agent that was killed before it swept, and wanted by the next before that sweeps. */
static void test_what_was_left_full_is_taken_up_empty(struct kernel *k)
{
	_cleanup_transaction_ struct transaction tx = { 0 };
	_cleanup_free_ char *before = NULL, *after = NULL;

	kernel_open(k, true, true);
	want_all(k, NULL);
	kernel_replace(k);
	before = listed(k);
	want_nothing(k, NULL);
	kernel_open(k, true, true);
	assert_reconciles(k, TABLES_ADOPTED);
	assert_reconciles(k, TABLES_EQUAL);
	want_all(k, &tx);
	commit(k, &tx);
	after = listed(k);
	assert_string_equal(before, after);
}

static void test_N2_change_of_a_stranger_is_found_and_repaired(struct kernel *k)
{
	static const struct {
		const char *change;
		enum tables_state state;
	} rows[] = {
		{ "insert rule ip kube-nft " POLICY " accept", TABLES_ADOPTED },
		{ "flush chain ip6 kube-nft " POLICY, TABLES_ADOPTED },
		{ "flush chain ip kube-nft " INGRESS, TABLES_ADOPTED },
		{ "flush chain ip kube-nft " INGRESS "; add rule ip kube-nft " INGRESS " accept",
		  TABLES_ADOPTED },
		{ "flush set ip kube-nft " PODS, TABLES_ADOPTED },
		{ "add element ip kube-nft " PODS " { 192.0.2.1 }", TABLES_ADOPTED },
		{ "flush set ip6 kube-nft " PORTS, TABLES_ADOPTED },
		{ "add element ip kube-nft " PORTS " { udp . 1-5 }", TABLES_ADOPTED },
		{ "flush map ip kube-nft ingress-pods", TABLES_ADOPTED },
		{ "flush chain ip kube-nft " POLICY "; delete set ip kube-nft " NAMED,
		  TABLES_ADOPTED },
		{ "flush chain ip kube-nft " POLICY "; delete set ip kube-nft " NAMED
		  "; add set ip kube-nft " NAMED " { type ether_addr; }",
		  TABLES_REPLACED },
		{ "add chain ip kube-nft ingress/other/policy", TABLES_EQUAL }, /* to be swept */
		{ "flush chain ip kube-nft exceptions", TABLES_REPLACED },
	};
	_cleanup_free_ char *before = NULL;

	kernel_open(k, true, true);
	want_all(k, NULL);
	kernel_replace(k);
	before = listed(k);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_free_ char *after = NULL;

		nft(k, "%s", rows[i].change);
		assert_reconciles(k, rows[i].state);
		assert_int_equal(tables_sweep(k->tables, k->ruleset, &k->err), 0);
		after = listed(k);
		if (strcmp(before, after) != 0 && rows[i].state == TABLES_REPLACED) {
			free(TAKE_PTR(before));
			before = TAKE_PTR(after);
		}
		assert_reconciles(k, TABLES_EQUAL);
	}
}

/* A rule that looks into a set that is not there: the chain is named, and nothing has changed. */
static void test_O8_the_chain_that_is_refused_is_named(struct kernel *k)
{
	static const struct definition_rule bad[] = { { .shape = RULE_PEER, .peer = PODS } };
	_cleanup_transaction_ struct transaction tx = { 0 };
	struct block *b;

	kernel_open(k, true, true);
	kernel_replace(k);
	assert_int_equal(block_new(0, &b), 0);
	define(b, DEFINITION_INGRESS_POLICY, AF_INET, "ingress/default/good", NULL, 0);
	define(b, DEFINITION_INGRESS_POLICY, AF_INET, POLICY, bad, 1);
	replace(k, "policy", b, &tx);
	assert_int_equal(transaction_settle(&tx), 0);
	assert_int_equal(tables_commit(k->tables, &tx, &k->commit, &k->err), -ENOENT);
	assert_null(k->commit.culprit);
	assert_non_null(k->commit.refused);
	assert_string_equal(k->commit.refused->name, POLICY);
	assert_string_equal(ruleset_definer(k->ruleset, k->commit.refused), "policy");
	assert_false(nft_try(k, "list chain ip kube-nft ingress/default/good"));
}

static uint32_t generation(struct kernel *k)
{
	uint32_t now;

	assert_int_equal(netlink_generation(k->nl, &now, NULL), 0);
	return now;
}

/* Rules that came into force with the elements of a set might find it empty. */
static void test_new_sets_go_ahead_of_rules(struct kernel *k)
{
	_cleanup_transaction_ struct transaction tx = { 0 };
	uint32_t before;

	kernel_open(k, true, true);
	kernel_replace(k);
	before = generation(k);
	want_sets(k, &tx);
	want_policy(k, 2, &tx);
	commit(k, &tx);
	assert_int_equal(generation(k), before + 2);
	assert_reconciles(k, TABLES_EQUAL);
	want_policy(k, ARRAY_SIZE(all_rules), &tx);
	commit(k, &tx);
	assert_int_equal(generation(k), before + 3);

	/* Also in a repair, which is made for one generation. */
	nft(k, "flush chain ip kube-nft " POLICY "; delete set ip kube-nft " BLOCK);
	before = generation(k);
	assert_reconciles(k, TABLES_ADOPTED);
	assert_int_equal(generation(k), before + 2);
	assert_reconciles(k, TABLES_EQUAL);
}

static void test_O8_new_sets_stay_behind_a_refusal(struct kernel *k)
{
	static const struct definition_rule bad[] = { { .shape = RULE_PEER, .peer = "pods-0" } };
	_cleanup_transaction_ struct transaction tx = { 0 };
	_cleanup_free_ char *before = NULL, *after = NULL;
	struct block *b;

	kernel_open(k, true, true);
	kernel_replace(k);
	before = listed(k);
	want_sets(k, &tx);
	assert_int_equal(block_new(0, &b), 0);
	define(b, DEFINITION_INGRESS_POLICY, AF_INET, POLICY, bad, 1);
	replace(k, "policy", b, &tx);
	assert_int_equal(transaction_settle(&tx), 0);
	assert_int_equal(tables_commit(k->tables, &tx, &k->commit, &k->err), -ENOENT);
	assert_non_null(k->commit.refused);
	assert_string_equal(k->commit.refused->name, POLICY);
	assert_null(k->commit.culprit);

	replace(k, "policy", NULL, NULL);
	assert_reconciles(k, TABLES_EQUAL);
	replace(k, "sets", NULL, NULL);
	assert_int_equal(tables_sweep(k->tables, k->ruleset, &k->err), 0);
	after = listed(k);
	assert_string_equal(before, after);
}

static void test_O8_element_of_a_new_set_that_is_refused_is_named(struct kernel *k)
{
	struct definition d = { .kind = DEFINITION_BLOCK, .name = BLOCK };
	_cleanup_transaction_ struct transaction tx = { 0 };
	struct block *b;

	kernel_open(k, true, true);
	kernel_replace(k);
	assert_int_equal(block_new(0, &b), 0);
	define(b, DEFINITION_BLOCK, AF_INET, BLOCK, NULL, 0);
	for (unsigned i = 0; i < 2; i++) {
		struct element *e = block_add(b);

		*e = element_make(SET_BLOCK, AF_INET, 1 + i, 0);
		e->comment = NULL;
		assert_true(definition_id(&d, &e->id));
		if (i == 0)
			memset(e->other, 0xff, 4); /* overlaps the next */
	}
	replace(k, "sets", b, &tx);
	assert_int_equal(transaction_settle(&tx), 0);
	assert_true(tables_commit(k->tables, &tx, &k->commit, &k->err) < 0);
	assert_non_null(k->commit.culprit);
	assert_int_equal(k->commit.culprit->set, SET_BLOCK);
	assert_string_equal(ruleset_owner(k->ruleset, k->commit.culprit), "sets");
	assert_false(nft_try(k, "list set ip kube-nft " BLOCK));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		kernel_test(test_differences_come_to_the_whole),
		kernel_test(test_a_chain_that_changes_gets_its_rules_anew),
		kernel_test(test_what_may_be_taken_back_is_forgotten),
		kernel_test(test_what_nobody_wants_is_swept),
		kernel_test(test_what_is_wanted_again_is_taken_up),
		kernel_test(test_what_was_left_full_is_taken_up_empty),
		kernel_test(test_N2_change_of_a_stranger_is_found_and_repaired),
		kernel_test(test_O8_the_chain_that_is_refused_is_named),
		kernel_test(test_new_sets_go_ahead_of_rules),
		kernel_test(test_O8_new_sets_stay_behind_a_refusal),
		kernel_test(test_O8_element_of_a_new_set_that_is_refused_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
