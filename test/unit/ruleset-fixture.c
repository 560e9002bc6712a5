#include "ruleset-fixture.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"

static const uint8_t families[] = { AF_INET, AF_INET6 };

int ruleset_setup(void **state)
{
	return ruleset_new((struct ruleset **)state);
}

int ruleset_teardown(void **state)
{
	ruleset_free(*state);
	return 0;
}

const char *owner_name(unsigned owner)
{
	static char name[32];

	snprintf(name, sizeof(name), "service default/s%u", owner);
	return name;
}

void owner_replace(struct ruleset *rs, const char *owner, const struct element *elements, size_t n,
		   struct transaction *tx)
{
	struct block *b = n ? block_of(elements, n) : NULL;

	assert_int_equal(ruleset_replace(rs, owner, b, tx, NULL), 0);
}

void assert_whole(const struct ruleset *rs, const struct copy *kernel)
{
	_cleanup_transaction_ struct transaction whole = { 0 };

	assert_int_equal(ruleset_whole(rs, &whole), 0);
	assert_int_equal(ruleset_count(rs), whole.n_changes);
	assert_copy_equals(kernel, &whole);
}

/* All keys are the owner's own but those of shared sets, which all owners draw from a few. */
void model_shuffle(struct model *m, unsigned owner)
{
	const unsigned density = (unsigned)rand() % 4; /* of 3 */
	size_t n = 0;

	for (unsigned i = 0; i < 2 * SET_COUNT * KEYS_PER_OWNER; i++) {
		const enum set_id set = i / 2 % SET_COUNT;
		unsigned key = owner * KEYS_PER_OWNER + i / 2 / SET_COUNT;

		if (set_layout(set)->shared)
			key = (unsigned)rand() % N_SHARED_KEYS;
		if ((unsigned)rand() % 3 < density)
			m->elements[owner][n++] = element_make(set, families[i % 2], key,
							       (unsigned)rand() % N_VALUES);
	}
	m->n[owner] = n;
}

static bool model_has(const struct model *m, unsigned before_owner, size_t before,
		      const struct element *e)
{
	for (unsigned owner = 0; owner <= before_owner; owner++)
		for (size_t i = 0; i < (owner == before_owner ? before : m->n[owner]); i++)
			if (element_cmp(&m->elements[owner][i], e) == 0)
				return true;
	return false;
}

void assert_model(const struct model *m, const struct copy *kernel)
{
	_cleanup_transaction_ struct transaction wanted = { 0 };

	for (unsigned owner = 0; owner < N_OWNERS; owner++)
		for (size_t i = 0; i < m->n[owner]; i++) {
			const struct element *e = &m->elements[owner][i];

			if (!set_layout(e->set)->shared || !model_has(m, owner, i, e))
				transaction_add(&wanted, e);
		}
	assert_int_equal(transaction_settle(&wanted), 0);
	assert_copy_equals(kernel, &wanted);
}

static bool verdict_goes_to(unsigned from, unsigned to)
{
	return from == to ||
	       (from == VERDICT_MIXED_LEARN && (to == VERDICT_LEARN || to == VERDICT_LOCAL_LEARN));
}

bool element_goes_to(const struct element *e, const struct dispatch *d)
{
	bool own = e->verdict >= VERDICT_FIRST_OWN;

	return e->number == d->number && e->family == d->family && set_layout(e->set)->verdict &&
	       verdict_goes_to(e->verdict, d->verdict) &&
	       (!own || (e->protocol == d->protocol && e->target_port == d->port &&
			 memcmp(e->other, d->addr, sizeof(d->addr)) == 0));
}

/* What goes to any chain of the family, as few elements do; freed by the caller. */
static struct element *copy_goers(const struct copy *kernel, uint8_t family, size_t *ret_n)
{
	struct element *goers = calloc(kernel->n + 1, sizeof(*goers));
	size_t n = 0;

	assert_non_null(goers);
	for (size_t i = 0; i < kernel->n; i++) {
		const struct element *e = &kernel->elements[i];

		if (e->family == family && set_layout(e->set)->verdict)
			goers[n++] = *e;
	}
	*ret_n = n;
	return goers;
}

static bool is_used(const struct dispatch *d, const struct element *goers, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (element_goes_to(&goers[i], d))
			return true;
	return false;
}

static void assert_chains_of(const struct ruleset *rs, const struct copy *kernel, uint8_t family)
{
	size_t n;
	_cleanup_free_ struct element *goers = copy_goers(kernel, family, &n);

	for (unsigned i = 0; i < SET_COUNT * N_VALUES * 3; i++) {
		struct element e = element_make(i / 3 % SET_COUNT, family, i % 3,
						i / 3 / SET_COUNT);
		struct dispatch d = element_dispatch(&e);

		if (!set_layout(e.set)->verdict || d.verdict < VERDICT_FIRST_DISPATCH)
			continue;
		for (unsigned v = VERDICT_FIRST_DISPATCH; v < VERDICT_COUNT; v++) {
			d = element_dispatch(&e);
			d.verdict = (uint8_t)v;
			if (v < VERDICT_FIRST_OWN)
				d = (struct dispatch){ d.family, (uint8_t)v, .number = d.number };
			assert_int_equal(ruleset_uses_chain(rs, &d), is_used(&d, goers, n));
		}
	}
}

/* All that elements of the model could go to, and some that none does. */
void assert_chains(const struct ruleset *rs, const struct copy *kernel)
{
	for (size_t i = 0; i < ARRAY_SIZE(families); i++)
		assert_chains_of(rs, kernel, families[i]);
}
