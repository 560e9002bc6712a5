#include <arpa/inet.h>
#include <errno.h>
#include <nftables/libnftables.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "fail-alloc.h"
#include "kernel-fixture.h"
#include "kernel/batch.h"
#include "kernel/netlink.h"
#include "kernel/tables-internal.h"
#include "ruleset/template.h"

enum { KEYS = 4, OWN_KEY = 300, MAX_ELEMENTS = 2 * SET_COUNT * KEYS };

static const uint8_t families[] = { AF_INET, AF_INET6 };

/* Some of everything, in the kernel. */
static void fill(struct kernel *k)
{
	static const struct {
		enum set_id set;
		unsigned value;
	} own[] = { { SET_SERVICES, 3 },
		    { SET_LOCAL_AFFINITY_SERVICES, 3 },
		    { SET_AFFINITY_TIMEOUTS, 3 } };
	struct element elements[MAX_ELEMENTS + 2 * ARRAY_SIZE(own)];
	size_t n = 0;

	for (size_t i = 0; i < 2 * ARRAY_SIZE(own); i++)
		elements[n++] = element_make(own[i / 2].set, families[i % 2], OWN_KEY,
					     own[i / 2].value);
	for (unsigned i = 0; i < MAX_ELEMENTS; i++)
		elements[n++] = element_make(i / 2 % SET_COUNT, families[i % 2], i / 2 / SET_COUNT,
					     i / SET_COUNT % N_VALUES);
	kernel_open(k, true, true);
	kernel_want(k, elements, n, NULL);
	assert_reconciles(k, TABLES_REPLACED);
	assert_reconciles(k, TABLES_EQUAL);
}

static void assert_why(const struct kernel *k, const char *words)
{
	if (!strstr(k->why, words))
		fail_msg("\"%s\" does not say \"%s\"", k->why, words);
}

static void test_what_is_as_wanted_is_left_alone(struct kernel *k)
{
	uint32_t before, after;

	fill(k);
	assert_int_equal(netlink_generation(k->nl, &before, NULL), 0);
	assert_reconciles(k, TABLES_EQUAL);
	assert_int_equal(netlink_generation(k->nl, &after, NULL), 0);
	assert_int_equal(before, after);
	assert_string_equal(k->why, "");
	assert_int_equal(k->commit.bytes, 0);

	kernel_open(k, true, true); /* the agent starts anew */
	assert_reconciles(k, TABLES_EQUAL);
}

static void test_missing_tables_are_made(struct kernel *k)
{
	fill(k);
	nft(k, "delete table ip6 kube-nft");
	assert_reconciles(k, TABLES_REPLACED);
	assert_string_equal(k->why, "table ip6 kube-nft: is not there");
	nft(k, "flush ruleset");
	assert_reconciles(k, TABLES_REPLACED);
	assert_string_equal(k->why, "table ip kube-nft: is not there");
	assert_kernel_has_what_is_wanted(k);
}

/* A stranger's change of either table, what is found then, and what is told. */
static const struct {
	const char *command; /* $ip: the family, $addr: of element_make()'s first elements,
			      * $own3: of the service port with value 3 */
	enum tables_state state;
	const char *why;
} meddlings[] = {
	{ "delete element $ip kube-nft services { $addr . tcp . 1 }", TABLES_ADOPTED,
	  "1 elements differ" },
	{ "delete element $ip kube-nft no-endpoints { $addr . tcp . 1 }; "
	  "add element $ip kube-nft no-endpoints { $addr . tcp . 1 : accept }",
	  TABLES_ADOPTED, "2 elements differ" },
	{ "delete element $ip kube-nft services { $addr . tcp . 1 }; "
	  "add element $ip kube-nft services { $addr . tcp . 1 : jump lb-1 }",
	  TABLES_ADOPTED, "2 elements differ" },
	{ "add element $ip kube-nft services { $addr . tcp . 9 : drop }", TABLES_ADOPTED,
	  "1 elements differ" },
	{ "delete element $ip kube-nft services { $addr . tcp . 1 }; "
	  "add element $ip kube-nft services { $addr . tcp . 9 : drop }",
	  TABLES_ADOPTED, "2 elements differ" },
	{ "add element $ip kube-nft services { $addr . icmp . 9 : drop }", TABLES_ADOPTED,
	  "1 elements differ" },
	{ "flush set $ip kube-nft hairpin", TABLES_ADOPTED, "4 elements differ" },
	{ "flush set $ip kube-nft pod-cidrs", TABLES_ADOPTED, "4 elements differ" },
	{ "flush set $ip kube-nft pod-cidrs; add element $ip kube-nft pod-cidrs { $addr }",
	  TABLES_ADOPTED, "5 elements differ" },
	{ "flush map $ip kube-nft endpoints", TABLES_ADOPTED, "4 elements differ" },
	{ "add rule $ip kube-nft prerouting counter", TABLES_REPLACED,
	  "rules of chain prerouting" },
	{ "insert rule $ip kube-nft postrouting accept", TABLES_REPLACED,
	  "rules of chain postrouting" },
	{ "flush chain $ip kube-nft output", TABLES_REPLACED, "rules of chain output" },
	{ "add rule $ip kube-nft lb-1 drop", TABLES_REPLACED, "rules of chain lb-1" },
	{ "flush chain $ip kube-nft local-learn-$own3-tcp-83-86400", TABLES_REPLACED,
	  "rules of chain local-learn-" },
	{ "rename chain $ip kube-nft local-learn-$own3-tcp-83-86400 local-learn-$own3-tcp-83-2",
	  TABLES_REPLACED, "rules of chain local-learn-" },
	{ "rename chain $ip kube-nft learn-$own3-tcp-83-86400 learn-$own3-sctp-83-86400",
	  TABLES_REPLACED, "rules of chain learn-" },
	{ "rename chain $ip kube-nft local-rr-$own3-tcp-83-4 local-rr-$own3-tcp-83-9",
	  TABLES_REPLACED, "rules of chain local-rr-" },
	{ "rename chain $ip kube-nft recall-$own3-tcp-83-8080-8081 recall-$own3-tcp-83-8080",
	  TABLES_REPLACED, "rules of chain recall-" },
	{ "rename chain $ip kube-nft recall-$own3-tcp-83-8080-8081 recall-$own3-tcp-83-8080-8082",
	  TABLES_REPLACED, "rules of chain recall-" },
	{ "rename chain $ip kube-nft recall-$own3-tcp-83-8080-8081 recall-$own3-tcp-80-8080-8081",
	  TABLES_REPLACED, "rules of chain recall-" },
	{ "rename chain $ip kube-nft lb-65535 lb-9", TABLES_REPLACED, "rules of chain lb-9" },
	{ "add chain $ip kube-nft visitor", TABLES_REPLACED, "chain visitor" },
	{ "add chain $ip kube-nft lb-9", TABLES_REPLACED, "rules of chain lb-9" },
	{ "add chain $ip kube-nft hooked { type filter hook forward priority 7; policy drop; }",
	  TABLES_REPLACED, "chain hooked" },
	{ "rename chain $ip kube-nft refuse polite", TABLES_REPLACED, "chain refuse" },
	{ "add chain $ip kube-nft filter-input { policy drop; }", TABLES_REPLACED,
	  "chain filter-input" },
	{ "add set $ip kube-nft luggage { type inet_service; }", TABLES_REPLACED, "set luggage" },
	{ "flush chain $ip kube-nft postrouting; flush chain $ip kube-nft exceptions; "
	  "delete set $ip kube-nft hairpin",
	  TABLES_REPLACED, "set hairpin" },
	{ "flush chain $ip kube-nft postrouting; flush chain $ip kube-nft exceptions; "
	  "delete set $ip kube-nft hairpin; "
	  "add set $ip kube-nft hairpin { type ether_addr; }",
	  TABLES_REPLACED, "set hairpin" },
	{ "add counter $ip kube-nft clicks", TABLES_REPLACED, "object clicks" },
	{ "add quota $ip kube-nft allowance { over 25 mbytes; }", TABLES_REPLACED,
	  "object allowance" },
	{ "add limit $ip kube-nft pace { rate 400/minute; }", TABLES_REPLACED, "object pace" },
	{ "add table $ip kube-nft { flags dormant; }", TABLES_REPLACED, "flags" },
};

/* $ip, $addr and $own replaced by what they are in the family. Valid until the next call. */
static const char *command_of(const char *text, bool ipv6)
{
	static char out[1024];
	struct buf b = { .data = NULL };

	for (const char *c = text; *c; c++) {
		if (strncmp(c, "$ip", 3) == 0) {
			buf_puts(&b, ipv6 ? "ip6" : "ip");
			c += 2;
		} else if (strncmp(c, "$addr", 5) == 0) {
			buf_puts(&b, ipv6 ? "fd0a::" : "10.0.0.0");
			c += 4;
		} else if (strncmp(c, "$own", 4) == 0) {
			buf_printf(&b, ipv6 ? "fd0b.0.0.0.%c.0.0.0" : "11.0.%c.0", c[4]);
			c += 4;
		} else {
			buf_append(&b, c, 1);
		}
	}
	snprintf(out, sizeof(out), "%s", buf_text(&b));
	buf_free(&b);
	return out;
}

static void meddle_and_repair(struct kernel *k)
{
	for (size_t i = 0; i < 2 * ARRAY_SIZE(meddlings); i++) {
		bool ipv6 = i % 2;

		nft(k, "%s", command_of(meddlings[i / 2].command, ipv6));
		assert_reconciles(k, meddlings[i / 2].state);
		assert_why(k, meddlings[i / 2].why);
		if (meddlings[i / 2].state == TABLES_REPLACED)
			assert_why(k, ipv6 ? "table ip6 kube-nft: " : "table ip kube-nft: ");
		assert_kernel_has_what_is_wanted(k);
		assert_reconciles(k, TABLES_EQUAL);
	}
}

static void test_N2_change_of_a_stranger_is_found_and_repaired(struct kernel *k)
{
	fill(k);
	meddle_and_repair(k);
}

/* As in large sets. */
static void test_N2_change_is_found_by_keys_too(struct kernel *k)
{
	fill(k);
	k->tables->by_key_from = 1;
	assert_reconciles(k, TABLES_EQUAL);
	meddle_and_repair(k);
}

/* The packets fill the map affinity; other families are other tables. */
static void test_what_does_not_count_is_no_difference(struct kernel *k)
{
	fill(k);
	nft(k, "add element ip kube-nft affinity { 192.0.2.1 . 1 . 2 . 3 : 10.9.9.9 }");
	nft(k, "add table inet kube-nft; add chain inet kube-nft lb-1");
	assert_reconciles(k, TABLES_EQUAL);
}

static void test_family_that_is_off_loses_its_table(struct kernel *k)
{
	fill(k);
	kernel_change(k, NULL, 0);
	kernel_open(k, true, false);
	assert_reconciles(k, TABLES_REPLACED);
	assert_string_equal(k->why, "table ip6 kube-nft: is there, though the family is off");
	assert_string_equal(nft_list(k, "list tables"), "table ip kube-nft\n");
	assert_reconciles(k, TABLES_EQUAL);
}

static void test_chains_that_are_missing_are_made(struct kernel *k)
{
	const struct element e = element_make(SET_SERVICES, AF_INET6, 1, 3);

	kernel_open(k, true, true);
	kernel_replace(k);
	kernel_want(k, &e, 1, NULL);
	assert_reconciles(k, TABLES_ADOPTED);
	assert_true(
		nft_try(k, "list chain ip6 kube-nft recall-fd0b.0.0.0.3.0.0.0-udp-83-8080-8081"));
	assert_kernel_has_what_is_wanted(k);
	assert_reconciles(k, TABLES_EQUAL);
}

/* Dispatch chains that nobody uses are no reason to replace: they are noted and swept. */
static void test_unused_chains_that_are_found_can_be_swept(struct kernel *k)
{
	_cleanup_(ruleset_freep) struct ruleset *empty = NULL;

	assert_int_equal(ruleset_new(&empty), 0);
	fill(k);
	kernel_change(k, NULL, 0);
	kernel_open(k, true, true);
	assert_reconciles(k, TABLES_EQUAL);
	assert_true(nft_try(k, "list chain ip kube-nft lb-1"));
	assert_int_equal(tables_sweep(k->tables, empty, &k->err), 0);
	assert_false(nft_try(k, "list chain ip kube-nft lb-1"));
	assert_null(strstr(nft_list(k, "list chains"), "learn-fd"));
	assert_reconciles(k, TABLES_EQUAL);
}

/* The table of another release: its comment has another hash. */
static void load_other_skeleton(struct kernel *k, uint8_t family)
{
	_cleanup_transaction_ struct transaction none = { 0 };
	_cleanup_buf_ struct buf text = { 0 };
	char *hash;

	template_print(family, &none, &text);
	hash = strstr(text.data, "kube-nft skeleton ") + strlen("kube-nft skeleton ");
	memset(hash, '0', 16);
	nft(k, "delete table %s kube-nft; %s", family == AF_INET ? "ip" : "ip6", text.data);
}

static void test_N14_another_skeleton_is_replaced(struct kernel *k)
{
	fill(k);
	for (size_t f = 0; f < ARRAY_SIZE(families); f++) {
		load_other_skeleton(k, families[f]);
		assert_reconciles(k, TABLES_REPLACED);
		assert_why(k, "has another skeleton");
		assert_kernel_has_what_is_wanted(k);
		assert_reconciles(k, TABLES_EQUAL);
	}
}

/* Another process in the same namespace, which does @write again and again until it is killed. */
static pid_t start_writer(void (*write)(struct netlink *nl, struct nft_ctx *nft))
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		struct nft_ctx *nft = nft_ctx_new(NFT_CTX_DEFAULT);
		struct netlink *nl;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (!nft || nft_ctx_buffer_error(nft) != 0 || netlink_open(&nl, NULL) < 0)
			_exit(1);
		for (;;)
			write(nl, nft);
	}
	return pid;
}

static void stop_writer(pid_t writer)
{
	assert_int_equal(kill(writer, SIGKILL), 0);
	assert_int_equal(waitpid(writer, NULL, 0), writer);
}

static void wait_for_writer(struct kernel *k, pid_t writer)
{
	uint32_t before, now;

	assert_int_equal(netlink_generation(k->nl, &before, NULL), 0);
	do {
		assert_int_equal(waitpid(writer, NULL, WNOHANG), 0);
		assert_int_equal(netlink_generation(k->nl, &now, NULL), 0);
	} while (now == before);
}

/* Another table comes and goes. */
static void write_other_table(struct netlink *nl, struct nft_ctx *nft)
{
	_cleanup_batch_ struct batch b = { 0 };

	(void)nft;
	batch_begin(&b, "busy", 0);
	batch_delete_table(&b, AF_INET);
	batch_end(&b);
	if (batch_commit(&b, nl, NULL, NULL) < 0)
		_exit(1);
}

static void test_N6_dumps_race_with_another_writer(struct kernel *k)
{
	static const char *const commands[] = {
		"list tables",
		"flush map ip kube-nft endpoints",
		"delete table ip6 kube-nft",
		"add rule ip kube-nft refuse accept",
	};
	unsigned found = 0;
	pid_t writer;

	fill(k);
	writer = start_writer(write_other_table);
	wait_for_writer(k, writer);
	for (unsigned i = 0; i < 60; i++) {
		enum tables_state state;
		int r;

		nft(k, "%s", commands[i % ARRAY_SIZE(commands)]);
		r = kernel_reconcile(k, &state);
		if (r < 0) { /* never got a quiet moment, and says so */
			assert_true(r == -EINTR || r == -ERESTART);
			kernel_replace(k);
		} else {
			found++;
			assert_int_equal(state == TABLES_EQUAL, i % ARRAY_SIZE(commands) == 0);
		}
		assert_kernel_has_what_is_wanted(k);
	}
	stop_writer(writer);
	assert_true(found > 0);
	assert_reconciles(k, TABLES_EQUAL);
}

static int commit_changes(struct netlink *nl, const struct change *changes, size_t n)
{
	_cleanup_batch_ struct batch b = { 0 };

	batch_begin(&b, TABLE_NAME, 0);
	batch_changes(&b, changes, n, false, 0);
	batch_changes(&b, changes, n, true, 0);
	batch_end(&b);
	return batch_commit(&b, nl, NULL, NULL);
}

/* Of two elements, in the sets that are read first and last, one is there, now this one, now that one;
 * when somebody has added the other, one goes. */
static void write_our_table(struct netlink *nl, struct nft_ctx *nft)
{
	static struct change changes[2] = { { .add = true }, { .add = false } };

	(void)nft;
	changes[0].element = element_make(SET_SERVICES, AF_INET, 0, 5);
	changes[1].element = element_make(SET_POD_CIDRS, AF_INET, 0, 0);
	if (commit_changes(nl, changes, 2) < 0)
		commit_changes(nl, &changes[changes[0].add], 1);
	changes[0].add = !changes[0].add;
	changes[1].add = !changes[1].add;
}

static void test_N6_halves_of_two_states_are_no_state(struct kernel *k)
{
	const struct element elements[] = { element_make(SET_SERVICES, AF_INET, 0, 5),
					    element_make(SET_POD_CIDRS, AF_INET, 0, 0) };
	enum tables_state state;
	pid_t writer;

	kernel_open(k, true, true);
	kernel_want(k, elements, 2, NULL);
	kernel_replace(k);
	writer = start_writer(write_our_table);
	for (unsigned i = 0; i < 100; i++) {
		int r;

		wait_for_writer(k, writer); /* what the last pass did is gone */
		r = kernel_reconcile(k, &state);
		assert_true(r == 0 || r == -EINTR || r == -ERESTART);
		if (r == 0)
			assert_int_equal(state, TABLES_ADOPTED);
	}
	stop_writer(writer);
	assert_int_equal(kernel_reconcile(k, &state), 0);
	assert_kernel_has_what_is_wanted(k);
}

/* A difference that was made of one generation is not committed in another. */
static void test_N6_difference_of_another_generation_is_refused(struct kernel *k)
{
	const struct element e = element_make(SET_SERVICES, AF_INET, 1, 1);
	_cleanup_transaction_ struct transaction tx = { 0 };
	uint32_t generation;

	kernel_open(k, true, true);
	kernel_replace(k);
	kernel_want(k, &e, 1, &tx);
	assert_int_equal(netlink_generation(k->nl, &generation, NULL), 0);
	nft(k, "add table inet other");
	assert_int_equal(tables_commit_at(k->tables, &tx, generation, &k->commit, &k->err),
			 -ERESTART);
	assert_false(nft_try(k, "list chain ip kube-nft lb-2"));
	assert_int_equal(tables_commit_at(k->tables, &tx, generation + 1, &k->commit, &k->err), 0);
	assert_kernel_has_what_is_wanted(k);
}

static void test_H1_reconciling_without_memory(struct kernel *k)
{
	static const struct {
		const char *command;
		enum tables_state state;
	} rows[] = {
		{ "flush map ip kube-nft endpoints", TABLES_ADOPTED },
		{ "delete table ip6 kube-nft", TABLES_REPLACED },
		{ "add chain ip kube-nft visitor", TABLES_REPLACED },
	};

	fill(k);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		enum tables_state state;
		bool failed = true;
		unsigned n = 0;

		while (failed) {
			_cleanup_transaction_ struct transaction whole = { 0 };
			int r;

			nft_try(k, "%s", rows[i].command);
			assert_int_equal(ruleset_whole(k->ruleset, &whole), 0);
			fail_alloc_at(++n);
			r = tables_reconcile(k->tables, &whole, &state, &k->why, &k->commit,
					     &k->err);
			failed = fail_alloc_end();
			assert_int_equal(r, r < 0 ? -ENOMEM : 0);
			if (r == 0)
				assert_int_equal(state, rows[i].state);
		}
		assert_true(n > 20);
		assert_kernel_has_what_is_wanted(k);
		assert_reconciles(k, TABLES_EQUAL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		kernel_test(test_what_is_as_wanted_is_left_alone),
		kernel_test(test_missing_tables_are_made),
		kernel_test(test_N2_change_of_a_stranger_is_found_and_repaired),
		kernel_test(test_N2_change_is_found_by_keys_too),
		kernel_test(test_what_does_not_count_is_no_difference),
		kernel_test(test_family_that_is_off_loses_its_table),
		kernel_test(test_chains_that_are_missing_are_made),
		kernel_test(test_unused_chains_that_are_found_can_be_swept),
		kernel_test(test_N14_another_skeleton_is_replaced),
		kernel_test(test_N6_dumps_race_with_another_writer),
		kernel_test(test_N6_halves_of_two_states_are_no_state),
		kernel_test(test_N6_difference_of_another_generation_is_refused),
		kernel_test(test_H1_reconciling_without_memory),
	};

	return cmocka_run_group_tests_name("kernel-reconcile", tests, kernel_announce, NULL);
}
