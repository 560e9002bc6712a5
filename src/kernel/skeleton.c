#include "kernel/skeleton.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libnftnl/chain.h>
#include <libnftnl/rule.h>
#include <libnftnl/set.h>
#include <linux/netfilter/nf_tables.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "kernel/batch.h"
#include "kernel/skeleton-internal.h"

struct skeleton *skeleton_free(struct skeleton *s)
{
	if (!s)
		return NULL;
	for (size_t i = 0; i < s->n_sets; i++)
		nftnl_set_free(s->sets[i]);
	for (size_t i = 0; i < s->n_chains; i++)
		nftnl_chain_free(s->chains[i]);
	for (size_t i = 0; i < s->n_rules; i++)
		nftnl_rule_free(s->rules[i]);
	free(s->chains);
	free(s->rules);
	free(s);
	return NULL;
}

static const char *chain_name(const struct nftnl_chain *c)
{
	return nftnl_chain_get_str(c, NFTNL_CHAIN_NAME);
}

static const char *rule_chain(const struct nftnl_rule *r)
{
	const char *name = nftnl_rule_get_str(r, NFTNL_RULE_CHAIN);

	return name ? name : ""; /* of a damaged rule */
}

void skeleton_put(struct skeleton *s, struct batch *b)
{
	struct dispatch d;

	if (s->damaged) {
		b->error = -ENOTRECOVERABLE;
		return;
	}
	for (size_t i = 0; i < s->n_sets; i++)
		batch_add_set(b, s->sets[i]);
	for (size_t i = 0; i < s->n_chains; i++)
		if (!chain_is_dispatch(chain_name(s->chains[i]), s->family, &d))
			batch_add_chain(b, s->family, s->chains[i]);
	for (size_t i = 0; i < s->n_rules; i++)
		if (!chain_is_dispatch(rule_chain(s->rules[i]), s->family, &d))
			batch_add_rule(b, s->rules[i]);
}

/* Whether @rule is one of the pattern of @d. A pattern's rules carry the number that they were last
 * given; the verdict tells. */
static bool rule_is_pattern(const struct nftnl_rule *rule, const struct dispatch *d)
{
	struct dispatch of;

	return chain_is_dispatch(rule_chain(rule), d->family, &of) && of.verdict == d->verdict;
}

void skeleton_put_dispatch(struct skeleton *s, const struct dispatch *d, struct batch *b)
{
	char name[CHAIN_NAME_MAX_BYTES];

	batch_add_chain_name(b, d->family, verdict_chain_name(d->verdict, d->number, name));
	for (size_t i = 0; i < s->n_rules; i++) {
		if (!rule_is_pattern(s->rules[i], d))
			continue;
		s->damaged = s->damaged || rule_set_number(s->rules[i], d) < 0;
		if (s->damaged)
			break;
		batch_add_rule(b, s->rules[i]);
	}
	if (s->damaged && b->error == 0)
		b->error = -ENOTRECOVERABLE;
}

static bool differs(struct skeleton *s, const char *what, const char *name)
{
	snprintf(s->difference, sizeof(s->difference), "%s %.96s", what, name);
	return false;
}

static bool sets_equal(const struct nftnl_set *a, const struct nftnl_set *b)
{
	static const uint16_t attrs[] = {
		NFTNL_SET_FLAGS,     NFTNL_SET_KEY_TYPE, NFTNL_SET_KEY_LEN,
		NFTNL_SET_DATA_TYPE, NFTNL_SET_DATA_LEN,
	};

	for (size_t i = 0; i < ARRAY_SIZE(attrs); i++)
		if (nftnl_set_get_u32(a, attrs[i]) != nftnl_set_get_u32(b, attrs[i]))
			return false;
	return true;
}

static bool sets_match(struct skeleton *s, const struct skeleton *found)
{
	for (size_t i = 0; i < s->n_sets; i++) {
		const char *name = nftnl_set_get_str(s->sets[i], NFTNL_SET_NAME);
		size_t j = 0;

		while (j < found->n_sets &&
		       strcmp(nftnl_set_get_str(found->sets[j], NFTNL_SET_NAME), name) != 0)
			j++;
		if (j == found->n_sets || !sets_equal(s->sets[i], found->sets[j]))
			return differs(s, "set", name);
	}
	return found->n_sets == s->n_sets ? true : differs(s, "a set too many in", "the table");
}

static bool chains_equal(const struct nftnl_chain *a, const struct nftnl_chain *b)
{
	static const uint16_t attrs[] = { NFTNL_CHAIN_HOOKNUM, NFTNL_CHAIN_PRIO,
					  NFTNL_CHAIN_POLICY };
	const char *type_a = nftnl_chain_get_str(a, NFTNL_CHAIN_TYPE);
	const char *type_b = nftnl_chain_get_str(b, NFTNL_CHAIN_TYPE);

	for (size_t i = 0; i < ARRAY_SIZE(attrs); i++)
		if (nftnl_chain_get_u32(a, attrs[i]) != nftnl_chain_get_u32(b, attrs[i]))
			return false;
	return strcmp(type_a ? type_a : "", type_b ? type_b : "") == 0;
}

static const struct nftnl_chain *chain_find(const struct skeleton *s, const char *name)
{
	for (size_t i = 0; i < s->n_chains; i++)
		if (strcmp(chain_name(s->chains[i]), name) == 0)
			return s->chains[i];
	return NULL;
}

static bool chains_match(struct skeleton *s, const struct skeleton *found)
{
	struct dispatch d;

	for (size_t i = 0; i < s->n_chains; i++) {
		const struct nftnl_chain *c;

		if (chain_is_dispatch(chain_name(s->chains[i]), s->family, &d))
			continue;
		c = chain_find(found, chain_name(s->chains[i]));
		if (!c || !chains_equal(s->chains[i], c))
			return differs(s, "chain", chain_name(s->chains[i]));
	}
	for (size_t i = 0; i < found->n_chains; i++)
		if (!chain_is_dispatch(chain_name(found->chains[i]), s->family, &d) &&
		    !chain_find(s, chain_name(found->chains[i])))
			return differs(s, "chain", chain_name(found->chains[i]));
	return true;
}

/* The next rule from @i on that stands in chain @name or, for a pattern, in one of its verdict. */
static size_t rule_next(const struct skeleton *s, size_t i, const char *name,
			const struct dispatch *pattern)
{
	while (i < s->n_rules && (pattern ? !rule_is_pattern(s->rules[i], pattern) :
					    strcmp(rule_chain(s->rules[i]), name) != 0))
		i++;
	return i;
}

static bool rule_matches(struct nftnl_rule *want, struct nftnl_rule *found,
			 const struct dispatch *pattern, bool *damaged)
{
	_cleanup_buf_ struct buf a = { 0 }, b = { 0 };

	if (pattern && rule_set_number(want, pattern) < 0) {
		*damaged = true;
		return false;
	}
	if (rule_fingerprint(want, &a) < 0 || rule_fingerprint(found, &b) < 0)
		return false; /* short of memory: a needless repair does no harm */
	return a.len == b.len && memcmp(a.data, b.data, a.len) == 0;
}

static bool chain_rules_match(struct skeleton *s, struct skeleton *found, const char *name,
			      const struct dispatch *pattern)
{
	size_t i = rule_next(s, 0, name, pattern), j = rule_next(found, 0, name, NULL);

	while (i < s->n_rules && j < found->n_rules) {
		if (!rule_matches(s->rules[i], found->rules[j], pattern, &s->damaged))
			return false;
		i = rule_next(s, i + 1, name, pattern);
		j = rule_next(found, j + 1, name, NULL);
	}
	return i == s->n_rules && j == found->n_rules;
}

bool skeleton_matches(struct skeleton *s, struct skeleton *found,
		      void (*visit)(const struct dispatch *d, void *userdata), void *userdata,
		      const char **ret_difference)
{
	struct dispatch d;

	*ret_difference = s->difference;
	if (s->damaged)
		return differs(s, "memory of", "the table");
	if (found->dormant)
		return differs(s, "flags of", "the table");
	if (!sets_match(s, found) || !chains_match(s, found))
		return false;
	for (size_t i = 0; i < found->n_chains; i++) {
		const char *name = chain_name(found->chains[i]);
		bool dispatch = chain_is_dispatch(name, s->family, &d);

		if (!chain_rules_match(s, found, name, dispatch ? &d : NULL))
			return differs(s, "rules of chain", name);
		if (dispatch)
			visit(&d, userdata);
	}
	return true;
}
