#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "command/policies-print.h"
#include "fail-alloc.h"
#include "firewall-fixture.h"

#define WEB_IS_APP "'podSelector':{'matchLabels':{'app':'web'}}"

static void shop(struct policy_world *w)
{
	policy_namespace(w, "shop", "'team':'red'");
	policy_namespace(w, "tools", "'team':'blue'");
	policy_pod(w, "shop", "web", "'app':'web'", "10.0.0.1");
	policy_pod(w, "shop", "db", "'app':'db'", "10.0.0.2");
	policy_pod(w, "tools", "probe", "'app':'probe'", "10.0.0.3");
}

static const struct firewall_policy *policy_of(const struct firewall *f, const char *name)
{
	for (size_t i = 0; i < f->n_policies; i++)
		if (strcmp(f->policies[i].name.name, name) == 0)
			return &f->policies[i];
	fail_msg("no policy %s", name);
	return NULL;
}

static const struct firewall_pod *pod_of(const struct firewall *f, const char *name)
{
	for (size_t i = 0; i < f->n_pods; i++)
		if (strcmp(f->pods[i].name.name, name) == 0)
			return &f->pods[i];
	fail_msg("no pod %s", name);
	return NULL;
}

/* What it allows, a line a rule. */
static void assert_side(const struct firewall_side *side, enum firewall_direction direction,
			const char *wanted)
{
	_cleanup_buf_ struct buf text = { 0 };

	assert_true(side->isolates);
	for (size_t i = 0; i < side->n; i++) {
		policies_print_rule(&side->rules[i], direction, 4, &text);
		buf_puts(&text, "\n");
	}
	assert_string_equal(buf_text(&text), wanted);
}

/* What a policy of pod shop/web says, in the words that it is read in. */
static void assert_words(struct policy_world *w, const char *spec, const char *ingress,
			 const char *egress)
{
	_cleanup_fixture_ struct firewall_fixture fx = { 0 };
	_cleanup_(firewall_freep) struct firewall *f = NULL;
	const struct firewall_policy *p;
	_cleanup_buf_ struct buf whole = { 0 };

	buf_printf(&whole, WEB_IS_APP ",%s", spec);
	policy_policy(w, "shop", "p", buf_text(&whole));
	fixture_read(&fx, w);
	f = fixture_build(&fx);
	assert_int_equal(f->strange, 0);
	p = policy_of(f, "p");
	assert_int_equal(p->sides[FIREWALL_INGRESS].isolates, ingress != NULL);
	assert_int_equal(p->sides[FIREWALL_EGRESS].isolates, egress != NULL);
	if (ingress)
		assert_side(&p->sides[FIREWALL_INGRESS], FIREWALL_INGRESS, ingress);
	if (egress)
		assert_side(&p->sides[FIREWALL_EGRESS], FIREWALL_EGRESS, egress);
}

static void test_peers_in_words(void **state)
{
	struct policy_world *w = *state;

	shop(w);
	assert_words(w, "'ingress':[{}]", "everything\n", NULL);
	assert_words(w, "'ingress':[]", "", NULL);
	assert_words(w, "'ingress':[{'from':[{'podSelector':{'matchLabels':{'app':'db'}}}]}]",
		     "from pods of shop: app is db (1 now)\n", NULL);
	assert_words(w, "'ingress':[{'from':[{'podSelector':{'matchLabels':{'app':'typo'}}}]}]",
		     "from pods of shop: app is typo (0 now)\n", NULL);
	assert_words(
		w,
		"'ingress':[{'from':[{'namespaceSelector':{'matchLabels':{'team':'blue'}},"
		"'podSelector':{'matchExpressions':[{'key':'app','operator':'In','values':['a',"
		"'probe']}]}}]}]",
		"from pods of namespaces where team is blue: app in a probe (1 now)\n", NULL);
	assert_words(w, "'ingress':[{'from':[{'namespaceSelector':{}}]}]",
		     "from pods of all namespaces (3 now)\n", NULL);
	assert_words(w,
		     "'policyTypes':['Egress'],'egress':[{'to':[{'ipBlock':{'cidr':'10.0.0.0/8',"
		     "'except':['10.1.0.0/16']}},{'ipBlock':{'cidr':'192.0.2.0/24'}}]}]",
		     NULL, "to 10.0.0.0/8 except 10.1.0.0/16, 192.0.2.0/24\n");
	assert_words(w,
		     "'ingress':[{'from':[{'ipBlock':{'cidr':'2001:db8::/32'}},"
		     "{'ipBlock':{'cidr':'192.0.2.0/24'}}]}]",
		     "from 192.0.2.0/24\nfrom 2001:db8::/32\n", NULL);
}

/* Pod shop/db with a port that has a name. */
static void database(struct policy_world *w, const char *ips)
{
	policy_apply(w,
		     "{'kind':'Pod','apiVersion':'v1','metadata':{'namespace':'shop','name':'db',"
		     "'labels':{'app':'db'}},'spec':{'nodeName':'me','containers':[{'name':'c',"
		     "'ports':[{'name':'sql','containerPort':5432}]}]},'status':{'phase':"
		     "'Running','podIPs':[%s]}}",
		     ips);
}

/* Each pod is counted once, whatever addresses it has. */
static void test_pods_with_two_addresses(void **state)
{
	struct policy_world *w = *state;

	shop(w);
	database(w, "{'ip':'10.0.0.2'},{'ip':'fd00::2'}");
	assert_words(w, "'ingress':[{'from':[{'podSelector':{}}],'ports':[{'port':'sql'}]}]",
		     "from pods of shop (2 now), on TCP sql (0 pods now)\n", NULL);
	assert_words(w,
		     "'policyTypes':['Egress'],'egress':[{'to':[{'podSelector':{}}],"
		     "'ports':[{'port':'sql'}]}]",
		     NULL, "to pods of shop, on TCP sql (1 pod now)\n");
}

static void test_ports_in_words(void **state)
{
	struct policy_world *w = *state;

	shop(w);
	database(w, "{'ip':'10.0.0.2'}");
	assert_words(
		w,
		"'ingress':[{'ports':[{'port':80},{'port':443,'endPort':450},{'protocol':'UDP',"
		"'port':53},{'protocol':'SCTP'}]}]",
		"from anybody, on TCP 80, 443-450, UDP 53, SCTP\n", NULL);
	assert_words(w, "'ingress':[{'ports':[{'port':'http'},{'protocol':'UDP','port':'dns'}]}]",
		     "from anybody, on TCP http, UDP dns (0 pods now)\n", NULL);
	assert_words(w,
		     "'policyTypes':['Egress'],'egress':[{'to':[{'podSelector':{'matchLabels':"
		     "{'app':'db'}}}],'ports':[{'port':'sql'}]}]",
		     NULL, "to pods of shop: app is db, on TCP sql (1 pod now)\n");
	assert_words(w,
		     "'policyTypes':['Egress'],'egress':[{'to':[{'podSelector':{}}],"
		     "'ports':[{'port':53,'protocol':'UDP'},{'port':'sql'}]}]",
		     NULL,
		     "to pods of shop (2 now), on UDP 53\n"
		     "to pods of shop, on TCP sql (1 pod now)\n");
	assert_words(w,
		     "'ingress':[{'ports':[{'port':1},{'port':3},{'port':5},{'port':7},{'port':9},"
		     "{'port':11}]}]",
		     "from anybody, on TCP 1, 3, 5, 7 and 2 others\n", NULL);
}

static void two_policies(struct policy_world *w)
{
	shop(w);
	policy_pod(w, "shop", "web2", "'app':'web'", "fd00::4");
	policy_policy(w, "shop", "deny", "'podSelector':{}");
	policy_policy(w, "shop", "web",
		      WEB_IS_APP ",'policyTypes':['Ingress','Egress'],'ingress':[{'from':["
				 "{'podSelector':{'matchLabels':{'app':'db'}}}]}]");
}

static void assert_isolated(const struct firewall_isolation *isolation, const char *policies,
			    size_t n_pods, uint64_t refused)
{
	_cleanup_buf_ struct buf text = { 0 };

	assert_non_null(isolation);
	for (size_t i = 0; i < isolation->n; i++)
		buf_printf(&text, "%s ", isolation->policies[i]->name.name);
	assert_string_equal(buf_text(&text), policies);
	assert_int_equal(isolation->n_pods, n_pods);
	assert_int_equal(isolation->refused.packets, refused);
	assert_int_equal(isolation->refused.bytes, 100 * refused);
}

static void test_which_policies_select_which_pod(void **state)
{
	_cleanup_fixture_ struct firewall_fixture fx = { 0 };
	_cleanup_(firewall_freep) struct firewall *f = NULL;

	two_policies(*state);
	fixture_read(&fx, *state);
	fixture_count(&fx, AF_INET, "egress-", 3, 5);
	fixture_count(&fx, AF_INET6, "egress-", 3, 3);
	f = fixture_build(&fx);
	assert_int_equal(f->n_pods, 3);
	assert_string_equal(f->pods[0].name.name, "db");
	assert_isolated(pod_of(f, "db")->isolations[FIREWALL_INGRESS], "deny ", 1, 0);
	assert_null(pod_of(f, "db")->isolations[FIREWALL_EGRESS]);
	assert_isolated(pod_of(f, "web")->isolations[FIREWALL_INGRESS], "deny web ", 2, 0);
	assert_isolated(pod_of(f, "web2")->isolations[FIREWALL_EGRESS], "web ", 2, 8);
	assert_int_equal(pod_of(f, "web")->n_addrs, 1);
	assert_false(f->default_deny);
	assert_int_equal(policy_of(f, "web")->sides[FIREWALL_EGRESS].refused.packets, 8);
	assert_int_equal(policy_of(f, "web")->sides[FIREWALL_INGRESS].refused.packets, 0);
}

/* The number of the chain of which @n policies are asked. */
static const char *chain_of(const struct firewall_fixture *fx, size_t n)
{
	for (size_t i = 0; i < fx->definitions.n; i++) {
		const struct definition *d = &fx->definitions.items[i].definition;

		if (d->kind == DEFINITION_INGRESS && d->n_rules == n + 4)
			return d->name;
	}
	fail();
	return NULL;
}

static void test_what_is_refused_counts_at_each_policy(void **state)
{
	_cleanup_fixture_ struct firewall_fixture fx = { 0 };
	_cleanup_(firewall_freep) struct firewall *f = NULL;

	two_policies(*state);
	fixture_read(&fx, *state);
	fixture_count(&fx, AF_INET, chain_of(&fx, 1), 3, 10);
	fixture_count(&fx, AF_INET, chain_of(&fx, 2), 4, 4);
	fixture_count(&fx, AF_INET, "ingress/shop/web", 0, 6);
	fixture_count(&fx, AF_INET6, "ingress/shop/web", 0, 1);
	f = fixture_build(&fx);
	assert_isolated(pod_of(f, "db")->isolations[FIREWALL_INGRESS], "deny ", 1, 10);
	assert_isolated(pod_of(f, "web")->isolations[FIREWALL_INGRESS], "deny web ", 2, 4);
	assert_int_equal(policy_of(f, "deny")->sides[FIREWALL_INGRESS].refused.packets, 14);
	assert_int_equal(policy_of(f, "web")->sides[FIREWALL_INGRESS].refused.packets, 4);
	assert_int_equal(policy_of(f, "web")->sides[FIREWALL_INGRESS].n, 1);
	assert_int_equal(policy_of(f, "web")->sides[FIREWALL_INGRESS].rules->allowed.packets, 7);
}

static void test_a_policy_that_could_not_be_rendered(void **state)
{
	_cleanup_fixture_ struct firewall_fixture fx = { 0 };
	_cleanup_(firewall_freep) struct firewall *f = NULL;

	shop(*state);
	policy_policy(*state, "shop", "broken",
		      WEB_IS_APP ",'ingress':[{'ports':[{'port':99999}]}]");
	fixture_read(&fx, *state);
	f = fixture_build(&fx);
	assert_true(policy_of(f, "broken")->sides[FIREWALL_INGRESS].closed);
	assert_side(&policy_of(f, "broken")->sides[FIREWALL_INGRESS], FIREWALL_INGRESS, "");
	assert_isolated(pod_of(f, "web")->isolations[FIREWALL_INGRESS], "broken ", 1, 0);
}

static void test_default_deny_knows_pods_without_policies(void **state)
{
	const struct policies_config config = {
		.node = "me", .ipv4 = true, .ipv6 = true, .default_deny = true
	};
	_cleanup_fixture_ struct firewall_fixture fx = { 0 };
	_cleanup_(firewall_freep) struct firewall *f = NULL;

	policy_world_configure(*state, &config);
	policy_apply(*state, "{'kind':'Node','apiVersion':'v1','metadata':{'name':'me'},"
			     "'spec':{'podCIDRs':['10.0.0.0/24']}}");
	shop(*state);
	fixture_read(&fx, *state);
	fx.definitions.unknown = (struct counter){ 9, 900 };
	f = fixture_build(&fx);
	assert_true(f->default_deny);
	assert_int_equal(f->unknown.packets, 9);
	assert_int_equal(f->n_pods, 3);
	assert_null(pod_of(f, "web")->isolations[FIREWALL_INGRESS]);
}

static void test_filters(void **state)
{
	static const struct {
		struct firewall_filter want;
		const char *shown;
	} cases[] = {
		{ { NULL, NULL }, "db web web2 probe deny web tools " },
		{ { "shop", NULL }, "db web web2 deny web " },
		{ { NULL, "db" }, "db deny " },
		{ { "tools", "probe" }, "probe tools " },
		{ { "tools", "db" }, "" },
		{ { "", NULL }, "" },
	};
	_cleanup_fixture_ struct firewall_fixture fx = { 0 };
	_cleanup_(firewall_freep) struct firewall *f = NULL;

	two_policies(*state);
	policy_policy(*state, "tools", "tools", "'podSelector':{}");
	fixture_read(&fx, *state);
	f = fixture_build(&fx);
	for (size_t c = 0; c < ARRAY_SIZE(cases); c++) {
		_cleanup_buf_ struct buf text = { 0 };

		firewall_select(f, &cases[c].want);
		for (size_t i = 0; i < f->n_pods; i++)
			if (f->pods[i].shown)
				buf_printf(&text, "%s ", f->pods[i].name.name);
		for (size_t i = 0; i < f->n_policies; i++)
			if (f->policies[i].shown)
				buf_printf(&text, "%s ", f->policies[i].name.name);
		assert_string_equal(buf_text(&text), cases[c].shown);
	}
}

/* What somebody else has put there is never told as if it were ours. */
static void test_foreign_sets_and_rules(void **state)
{
	static const struct definition_rule foreign[] = { { .shape = RULE_SHAPES },
							  { .shape = RULE_ANY } };
	_cleanup_fixture_ struct firewall_fixture fx = { 0 };
	_cleanup_(firewall_freep) struct firewall *f = NULL;
	struct definition *d;

	two_policies(*state);
	fixture_read(&fx, *state);
	fixture_definition(&fx, AF_INET, "pods-")->comment = "\x1b[31mred\xe2\x80\xae";
	fixture_definition(&fx, AF_INET6, "pods-")->comment = "";
	d = fixture_definition(&fx, AF_INET, "egress/shop/web");
	d->rules = foreign;
	d->n_rules = 2;
	fx.definitions
		.items[defined_find(&fx.definitions, DEFINITION_EGRESS_POLICY, AF_INET,
				    "egress/shop/web") -
		       fx.definitions.items]
		.counters = arena_array(fx.definitions.arena, 2, sizeof(struct counter));
	fx.elements.elements[0].verdict = VERDICT_ACCEPT;
	f = fixture_build(&fx);
	assert_int_equal(f->strange, 2);
	assert_side(&policy_of(f, "web")->sides[FIREWALL_EGRESS], FIREWALL_EGRESS,
		    "a rule that is not kube-nft's\neverything\n");
	assert_side(&policy_of(f, "web")->sides[FIREWALL_INGRESS], FIREWALL_INGRESS,
		    "from __31mred___-24074a745653c597 (1 now)\n");
}

/* A set that somebody has emptied lets nobody through: that is not "anybody". */
static void test_empty_sets(void **state)
{
	_cleanup_fixture_ struct firewall_fixture fx = { 0 };
	_cleanup_(firewall_freep) struct firewall *f = NULL;

	shop(*state);
	policy_policy(*state, "shop", "p",
		      WEB_IS_APP ",'ingress':[{'from':[{'ipBlock':{'cidr':'192.0.2.0/24'}}],"
				 "'ports':[{'port':80}]}]");
	fixture_read(&fx, *state);
	fx.elements.n = 0;
	f = fixture_build(&fx);
	assert_side(&policy_of(f, "p")->sides[FIREWALL_INGRESS], FIREWALL_INGRESS,
		    "from nobody, on no port\n");
}

static void test_nothing(void **state)
{
	_cleanup_fixture_ struct firewall_fixture fx = { 0 };
	_cleanup_(firewall_freep) struct firewall *f = NULL;

	fixture_read(&fx, *state);
	f = fixture_build(&fx);
	assert_int_equal(f->n_pods + f->n_policies + f->n_isolations, 0);
	firewall_free(NULL);
}

static void test_H1_without_memory(void **state)
{
	_cleanup_fixture_ struct firewall_fixture fx = { 0 };
	bool failed = true;
	unsigned n = 0;

	two_policies(*state);
	policy_policy(*state, "shop", "p",
		      WEB_IS_APP ",'ingress':[{'from':[{'ipBlock':{'cidr':'192.0.2.0/24'}}],"
				 "'ports':[{'port':80},{'port':'http'}]}]");
	fixture_read(&fx, *state);
	while (failed) {
		_cleanup_(firewall_freep) struct firewall *f = NULL;
		int r;

		fail_alloc_at(++n);
		r = firewall_build(&fx.definitions, &fx.elements, &f);
		failed = fail_alloc_end();
		assert_int_equal(r, failed ? -ENOMEM : 0);
		assert_int_equal(!f, failed);
	}
	assert_true(n > 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		policy_test(test_peers_in_words),
		policy_test(test_pods_with_two_addresses),
		policy_test(test_ports_in_words),
		policy_test(test_which_policies_select_which_pod),
		policy_test(test_what_is_refused_counts_at_each_policy),
		policy_test(test_a_policy_that_could_not_be_rendered),
		policy_test(test_default_deny_knows_pods_without_policies),
		policy_test(test_filters),
		policy_test(test_foreign_sets_and_rules),
		policy_test(test_empty_sets),
		policy_test(test_nothing),
		policy_test(test_H1_without_memory),
	};

	return cmocka_run_group_tests_name("firewall", tests, NULL, NULL);
}
