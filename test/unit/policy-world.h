/* policy-world.h - a store, the policies that read it, the ruleset that they write, and what packets would
 * meet in it. */
#ifndef KUBE_NFT_TEST_POLICY_WORLD_H
#define KUBE_NFT_TEST_POLICY_WORLD_H

#include <stdbool.h>

#include "elements.h"
#include "policy/policies.h"
#include "ruleset/ruleset.h"
#include "store/store.h"

struct policy_world {
	struct policies_config config;
	struct store *store;
	struct policies *policies;
	struct ruleset *ruleset;
	struct transaction whole; /* as of the last sync */
	struct transaction tx;    /* the last difference */
	struct copy kernel;
	char reports[4096]; /* "REASON OBJECT: PROBLEM\n" */
	unsigned fail_at;   /* the allocation that fails in the next sync; 0: none */
	bool failed;        /* whether it did */
};

/* For cmocka: the policies of node "me", IPv4 and IPv6. */
int policy_world_setup(void **state);
int policy_world_teardown(void **state);
#define policy_test(test) \
	cmocka_unit_test_setup_teardown(test, policy_world_setup, policy_world_teardown)
/* Begin again with another configuration and an empty store. */
void policy_world_configure(struct policy_world *w, const struct policies_config *config);

void policy_apply(struct policy_world *w, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void policy_remove(struct policy_world *w, enum object_kind kind, const char *namespace,
		   const char *name);
/* A running pod of node "me" with labels "'a':'b', ..." and the address. */
void policy_pod(struct policy_world *w, const char *namespace, const char *name, const char *labels,
		const char *addr);
void policy_namespace(struct policy_world *w, const char *name, const char *labels);
/* A policy with the fields of its spec. */
void policy_policy(struct policy_world *w, const char *namespace, const char *name,
		   const char *spec);

/* 0 or -ENOMEM. Fails the test unless the differences have come to the whole. */
int policy_try_sync(struct policy_world *w);
void policy_sync(struct policy_world *w);

/* What this node says of a packet: of the policies of its pod at either end. */
bool policy_allows(const struct policy_world *w, const char *from, const char *to,
		   enum protocol protocol, uint16_t port);
/* Sync, then ask about TCP port 80: "from>to " for each pair that is allowed. */
void assert_allowed(struct policy_world *w, const char *addrs, const char *expected);

#endif
