#include "kernel-fixture.h"

#include <arpa/inet.h>
#include <nftables/libnftables.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "kernel/dump.h"
#include "kernel/netlink.h"
#include "ruleset/template.h"

static bool is_root(void)
{
	return geteuid() == 0;
}

int kernel_announce(void **state)
{
	(void)state;
	if (!is_root())
		printf("SKIPPED kernel tests: network namespaces need root\n");
	fflush(stdout);
	return 0;
}

int kernel_setup(void **state)
{
	const struct kernel_case *c = *state;
	struct kernel *k;

	if (!is_root())
		return 0;
	k = calloc(1, sizeof(*k));
	assert_non_null(k);
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	k->test = c->test;
	k->nft = nft_ctx_new(NFT_CTX_DEFAULT);
	assert_non_null(k->nft);
	assert_int_equal(nft_ctx_buffer_error(k->nft) | nft_ctx_buffer_output(k->nft), 0);
	assert_int_equal(netlink_open(&k->nl, NULL), 0);
	assert_int_equal(ruleset_new(&k->ruleset), 0);
	*state = k;
	return 0;
}

int kernel_teardown(void **state)
{
	struct kernel *k = *state;

	if (!is_root())
		return 0;
	tables_close(k->tables);
	ruleset_free(k->ruleset);
	netlink_close(k->nl);
	nft_ctx_free(k->nft);
	free(k);
	return 0;
}

void kernel_run(void **state)
{
	struct kernel *k = *state;

	if (is_root())
		k->test(k);
	else
		skip();
}

void kernel_open(struct kernel *k, bool ipv4, bool ipv6)
{
	k->tables = tables_close(k->tables);
	if (tables_open(ipv4, ipv6, &k->tables, &k->err) < 0)
		fail_msg("%s", k->err.message);
}

static bool nft_run_format(struct kernel *k, const char *format, va_list args)
	__attribute__((format(printf, 2, 0)));

static bool nft_run_format(struct kernel *k, const char *format, va_list args)
{
	char *text;
	bool done;

	assert_true(vasprintf(&text, format, args) >= 0);
	done = nft_run_cmd_from_buffer(k->nft, text) == 0;
	free(text);
	return done;
}

bool nft_try(struct kernel *k, const char *format, ...)
{
	va_list args;
	bool done;

	va_start(args, format);
	done = nft_run_format(k, format, args);
	va_end(args);
	return done;
}

void nft(struct kernel *k, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	if (!nft_run_format(k, format, args))
		fail_msg("%s", nft_ctx_get_error_buffer(k->nft));
	va_end(args);
}

const char *nft_list(struct kernel *k, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	if (!nft_run_format(k, format, args))
		fail_msg("%s", nft_ctx_get_error_buffer(k->nft));
	va_end(args);
	return nft_ctx_get_output_buffer(k->nft);
}

void kernel_want(struct kernel *k, const struct element *elements, size_t n, struct transaction *tx)
{
	assert_int_equal(ruleset_replace(k->ruleset, "all", block_of(elements, n), tx, &k->err), 0);
	if (tx)
		assert_int_equal(transaction_settle(tx), 0);
}

int kernel_commit(struct kernel *k, const struct transaction *tx)
{
	return tables_commit(k->tables, tx, &k->commit, &k->err);
}

void kernel_change(struct kernel *k, const struct element *elements, size_t n)
{
	_cleanup_transaction_ struct transaction tx = { 0 };

	kernel_want(k, elements, n, &tx);
	if (kernel_commit(k, &tx) < 0)
		fail_msg("%s", k->err.message);
}

void kernel_replace(struct kernel *k)
{
	_cleanup_transaction_ struct transaction whole = { 0 };

	assert_int_equal(ruleset_whole(k->ruleset, &whole), 0);
	if (tables_replace(k->tables, &whole, &k->commit, &k->err) < 0)
		fail_msg("%s", k->err.message);
}

int kernel_reconcile(struct kernel *k, enum tables_state *ret)
{
	_cleanup_transaction_ struct transaction whole = { 0 };

	assert_int_equal(ruleset_whole(k->ruleset, &whole), 0);
	return tables_reconcile(k->tables, &whole, ret, &k->why, &k->commit, &k->err);
}

void assert_reconciles(struct kernel *k, enum tables_state state)
{
	enum tables_state got;

	if (kernel_reconcile(k, &got) < 0)
		fail_msg("%s", k->err.message);
	if (got != state)
		fail_msg("found state %d instead of %d: %s", got, state, k->why);
}

static void table_read(struct kernel *k, uint8_t family, struct dump *ret)
{
	size_t strange = 0;

	for (unsigned set = 0; set < SET_COUNT; set++) {
		const struct element in = { .set = (uint8_t)set, .family = family };

		if (dump_set(ret, k->nl, TABLE_NAME, &in, &strange, &k->err) < 0)
			fail_msg("%s", k->err.message);
	}
	assert_int_equal(strange, 0);
}

void assert_kernel_has_what_is_wanted(struct kernel *k)
{
	_cleanup_transaction_ struct transaction whole = { 0 };
	_cleanup_dump_ struct dump found;
	struct copy copy;

	assert_int_equal(dump_new(&found), 0);
	table_read(k, AF_INET, &found);
	table_read(k, AF_INET6, &found);
	dump_settle(&found);
	copy = (struct copy){ .elements = found.elements, .n = found.n };
	assert_int_equal(ruleset_whole(k->ruleset, &whole), 0);
	assert_copy_equals(&copy, &whole);
}
