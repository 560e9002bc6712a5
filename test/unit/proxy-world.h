/* proxy-world.h - a store, a proxy and a ruleset, with a strict copy of what the kernel would have.
 *
 * Every world_sync() also checks that the transaction leads from the old elements to the new ones:
 * nothing is deleted that is not there, nothing added twice, and the result is the whole ruleset.
 * JSON is written with single quotes.
 */
#ifndef KUBE_NFT_TEST_PROXY_WORLD_H
#define KUBE_NFT_TEST_PROXY_WORLD_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "proxy/proxy.h"
#include "ruleset/ruleset.h"
#include "store/store.h"

struct world {
	struct proxy_config config;
	struct store *store;
	struct proxy *proxy;
	struct ruleset *ruleset;
	struct transaction kernel; /* additions of all elements */
	char reports[8192];        /* "REASON OBJECT: PROBLEM\n" since world_reports() */
	struct buf text;
	size_t computed;  /* by the last sync */
	unsigned fail_at; /* the allocation that fails in the next sync; 0: none */
	bool failed;      /* whether it did */
};

/* For cmocka: a world with node "me", IPv4 and IPv6, no Node object, no checks of ranges. */
int world_setup(void **state);
int world_teardown(void **state);
#define world_test(test) cmocka_unit_test_setup_teardown(test, world_setup, world_teardown)
/* Begin again with another configuration, the store kept. */
void world_configure(struct world *w, const struct proxy_config *config);

/* default/NAME, created in the second @created; @spec are the fields of its spec. */
void world_service(struct world *w, const char *name, int created, const char *spec);
/* Any object. */
void world_apply(struct world *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A slice of default/@service with ports "http" 8080/TCP and "dns" 5353/UDP. @endpoints: "ADDRESS[@NODE][/FLAG]... ..."
 * with flags unready, serving (though not ready), draining, dead, node:NAME, zone:NAME. */
void world_slice(struct world *w, const char *name, const char *service, const char *endpoints);
void world_remove(struct world *w, enum object_kind kind, const char *name);
/* The Node "me" with the fields of its status.addresses[] as "TYPE ADDRESS, ...". */
void world_node(struct world *w, const char *name, const char *metadata, const char *spec,
		const char *addrs);
void world_local_addrs(struct world *w, const char *addrs);

/* 0 or -ENOMEM; every other error fails the test. */
int world_try_sync(struct world *w);
void world_sync(struct world *w);

/* All elements, "SET ELEMENT\n", sorted; only those whose line has @word when it is not NULL. Valid
 * until the next call. */
const char *world_elements(struct world *w, const char *word);
/* The reports since the last call. Valid until the next call of either. */
const char *world_reports(struct world *w);
/* Sync, then compare those elements that have @word. */
void assert_world(struct world *w, const char *word, const char *expected);
/* Sync, then compare. */
void assert_reports(struct world *w, const char *expected);

#endif
