/* kernel-fixture.h - the kernel's nftables, anew for each test: a network namespace of its own.
 *
 * Needs root; without, the tests are skipped. Every function fails the test when it can't do its job.
 */
#ifndef KUBE_NFT_TEST_KERNEL_FIXTURE_H
#define KUBE_NFT_TEST_KERNEL_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "elements.h"
#include "kernel/tables.h"
#include "ruleset/ruleset.h"

struct netlink;
struct nft_ctx;

struct kernel {
	void (*test)(struct kernel *k);
	struct nft_ctx *nft;     /* the stranger's and the observer's */
	struct netlink *nl;      /* the observer's */
	struct tables *tables;   /* of both families, after kernel_open() */
	struct ruleset *ruleset; /* what is wanted */
	struct error err;        /* of the last call that could fail */
	struct commit commit;    /* the last one */
	const char *why;         /* of the last kernel_reconcile() */
};

struct kernel_case {
	void (*test)(struct kernel *k);
};

#define kernel_test(test)                                                               \
	{                                                                               \
#test, kernel_run, kernel_setup, kernel_teardown, &(struct kernel_case) \
		{                                                                       \
			test                                                            \
		}                                                                       \
	}

int kernel_setup(void **state);
int kernel_teardown(void **state);
void kernel_run(void **state);
/* For the group's setup: says why tests are skipped. */
int kernel_announce(void **state);

/* Open k->tables; closes them when they are open. */
void kernel_open(struct kernel *k, bool ipv4, bool ipv6);

/* What nft would do with this text. False: it refuses. */
bool nft_try(struct kernel *k, const char *format, ...) __attribute__((format(printf, 2, 3)));
void nft(struct kernel *k, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* What it prints. Valid until the next call of any of the three. */
const char *nft_list(struct kernel *k, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* From now on these elements are wanted, and no others; @tx, if not NULL, gets the difference. */
void kernel_want(struct kernel *k, const struct element *elements, size_t n,
		 struct transaction *tx);
/* Commit settled @tx. */
int kernel_commit(struct kernel *k, const struct transaction *tx);
/* kernel_want() and the commit of the difference, which must succeed. */
void kernel_change(struct kernel *k, const struct element *elements, size_t n);
/* Replace the tables by what is wanted. */
void kernel_replace(struct kernel *k);
/* 0 or what went wrong. */
int kernel_reconcile(struct kernel *k, enum tables_state *ret);
/* Fails unless it finds this state. */
void assert_reconciles(struct kernel *k, enum tables_state state);

/* Fails unless exactly what is wanted can be read from the kernel. */
void assert_kernel_has_what_is_wanted(struct kernel *k);

#endif
