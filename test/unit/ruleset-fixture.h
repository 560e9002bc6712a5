/* ruleset-fixture.h - a ruleset, anew for each test, and a plain model that it must agree with. */
#ifndef KUBE_NFT_TEST_RULESET_FIXTURE_H
#define KUBE_NFT_TEST_RULESET_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>

#include "elements.h"
#include "ruleset/ruleset.h"

enum {
	N_OWNERS = 12,
	KEYS_PER_OWNER = 6,
	N_SHARED_KEYS = 5,
	MAX_ELEMENTS = 2 * SET_COUNT * KEYS_PER_OWNER,
	N_STEPS = 4000,
};

/* What each owner wants, as plain lists. */
struct model {
	struct element elements[N_OWNERS][MAX_ELEMENTS];
	size_t n[N_OWNERS];
};

int ruleset_setup(void **state);
int ruleset_teardown(void **state);
#define ruleset_test(test) cmocka_unit_test_setup_teardown(test, ruleset_setup, ruleset_teardown)

/* Valid until the next call. */
const char *owner_name(unsigned owner);
/* ruleset_replace(), which must succeed; by nothing when @n is 0. */
void owner_replace(struct ruleset *rs, const char *owner, const struct element *elements, size_t n,
		   struct transaction *tx);
/* Whether the chain @d is where @e goes to, directly or behind the affinity. */
bool element_goes_to(const struct element *e, const struct dispatch *d);
/* Other elements for @owner, of keys that are its own but those of shared sets. */
void model_shuffle(struct model *m, unsigned owner);

/* These fail the test unless the ruleset wants exactly what @kernel has, the model wants the same, the chains
 * in use are those that it goes to. */
void assert_whole(const struct ruleset *rs, const struct copy *kernel);
void assert_model(const struct model *m, const struct copy *kernel);
void assert_chains(const struct ruleset *rs, const struct copy *kernel);

#endif
