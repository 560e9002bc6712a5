/* options-fixture.h - one struct options, parsed anew by every PARSE(). */
#ifndef KUBE_NFT_TEST_OPTIONS_FIXTURE_H
#define KUBE_NFT_TEST_OPTIONS_FIXTURE_H

#include "agent/options.h"
#include "base/error.h"

struct options_fixture {
	struct options o;
	struct error err;
	const char *command; /* the command word; NULL: the agent */
};

int options_set_up(void **state);
int options_tear_down(void **state);

/* @args ends with NULL. Forgets what was parsed before. */
int options_parse_again(struct options_fixture *t, const char *const *args);
#define PARSE(t, ...) options_parse_again(t, (const char *const[]){ "kube-nft", __VA_ARGS__, NULL })

/* Fail unless the error's sentence has @words in it. */
void assert_says(const struct options_fixture *t, const char *words);

#define OPTIONS_TEST(name) cmocka_unit_test_setup_teardown(name, options_set_up, options_tear_down)

#endif
