#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "decode-text.h"
#include "policy-world.h"

#define A "10.0.0.1"
#define B "10.0.0.2"
#define C "10.0.0.3"
#define EVERYTHING_BUT_TO_A A ">" B " " A ">" C " " B ">" C " " C ">" B " "

/* Three pods of one namespace, app=a, b and c. */
static void three_pods(struct policy_world *w)
{
	policy_namespace(w, "x", "'team':'red'");
	policy_pod(w, "x", "a", "'app':'a'", A);
	policy_pod(w, "x", "b", "'app':'b'", B);
	policy_pod(w, "x", "c", "'app':'c'", C);
}

#define OPEN_TO_A A ">" B " " A ">" C " " B ">" A " " B ">" C " " C ">" A " " C ">" B " "

static void test_nothing_is_isolated_without_a_policy(void **state)
{
	struct policy_world *w = *state;

	three_pods(w);
	assert_allowed(w, A " " B " " C, OPEN_TO_A);
	assert_int_equal(policies_stats(w->policies).pods, 0);
}

static void test_O5_a_policy_without_rules_closes(void **state)
{
	struct policy_world *w = *state;

	three_pods(w);
	policy_policy(w, "x", "p", "'podSelector':{'matchLabels':{'app':'a'}}");
	assert_allowed(w, A " " B " " C, EVERYTHING_BUT_TO_A);
	/* Nobody has such labels: nobody is allowed. */
	policy_policy(
		w, "x", "p",
		"'podSelector':{'matchLabels':{'app':'a'}},'ingress':[{'from':[{'podSelector':"
		"{'matchLabels':{'app':'nobody'}}}]}]");
	assert_allowed(w, A " " B " " C, EVERYTHING_BUT_TO_A);
	policy_remove(w, KIND_NETWORK_POLICY, "x", "p");
	assert_allowed(w, A " " B " " C, OPEN_TO_A);
	assert_int_equal(w->whole.n_definitions, 0);
}

#define ONLY_B                                                                           \
	"'podSelector':{'matchLabels':{'app':'a'}},'ingress':[{'from':[{'podSelector':{" \
	"'matchLabels':{'app':'b'}}}]}]"

static void test_O11_a_label_moves_a_pod_in_and_out(void **state)
{
	struct policy_world *w = *state;

	three_pods(w);
	policy_policy(w, "x", "p", ONLY_B);
	assert_allowed(w, A " " B " " C,
		       A ">" B " " A ">" C " " B ">" A " " B ">" C " " C ">" B " ");
	policy_pod(w, "x", "b", "'app':'c'", B);
	policy_pod(w, "x", "c", "'app':'b'", C);
	assert_allowed(w, A " " B " " C,
		       A ">" B " " A ">" C " " B ">" C " " C ">" A " " C ">" B " ");
	assert_int_equal(w->tx.n_definitions, 0);
	assert_int_equal(w->tx.n_changes, 2); /* one out, one in, in one transaction */
	policy_pod(w, "x", "a", "'app':'z'", A);
	assert_allowed(w, A " " B " " C, OPEN_TO_A);
}

static void test_O11_a_label_of_a_namespace_counts(void **state)
{
	struct policy_world *w = *state;

	three_pods(w);
	policy_namespace(w, "y", "'team':'blue'");
	policy_pod(w, "y", "d", "'app':'d'", "10.0.0.4");
	policy_policy(w, "x", "p",
		      "'podSelector':{'matchLabels':{'app':'a'}},'ingress':[{'from':[{"
		      "'namespaceSelector':{'matchLabels':{'team':'red'}}}]}]");
	assert_allowed(w, A " 10.0.0.4", A ">10.0.0.4 ");
	policy_namespace(w, "y", "'team':'red'");
	assert_allowed(w, A " 10.0.0.4", A ">10.0.0.4 10.0.0.4>" A " ");
	assert_int_equal(w->tx.n_definitions, 0);
	policy_namespace(w, "y", "");
	assert_allowed(w, A " 10.0.0.4", A ">10.0.0.4 ");
}

/* The label with its name is there though no manifest says so. */
static void test_a_namespace_is_selected_by_name(void **state)
{
	struct policy_world *w = *state;

	policy_pod(w, "x", "a", "", A);
	policy_pod(w, "y", "b", "", B);
	policy_pod(w, "z", "c", "", C);
	policy_policy(w, "x", "p",
		      "'podSelector':{},'ingress':[{'from':[{'namespaceSelector':{'matchLabels':{"
		      "'kubernetes.io/metadata.name':'y'}}}]}]");
	assert_allowed(w, A " " B " " C,
		       A ">" B " " A ">" C " " B ">" A " " B ">" C " " C ">" B " ");
}

/* A rule for one direction says nothing about the other. */
static void test_directions_are_apart(void **state)
{
	struct policy_world *w = *state;

	three_pods(w);
	policy_policy(w, "x", "p",
		      "'podSelector':{},'policyTypes':['Ingress','Egress'],'ingress':[{'from':[{"
		      "'podSelector':{}}]}],'egress':[]");
	assert_allowed(w, A " " B " " C, "");
	policy_policy(w, "x", "p", "'podSelector':{},'egress':[{}]");
	assert_allowed(w, A " " B " " C, "");
	policy_policy(w, "x", "p", "'podSelector':{},'policyTypes':['Egress'],'egress':[{}]");
	assert_allowed(w, A " " B " " C, OPEN_TO_A);
}

static void test_pods_with_the_same_policies_share_a_chain(void **state)
{
	struct policy_world *w = *state;

	three_pods(w);
	policy_policy(w, "x", "all", "'podSelector':{}");
	policy_policy(w, "x", "some",
		      "'podSelector':{'matchExpressions':[{'key':'app','operator':"
		      "'In','values':['a','b']}]}");
	policy_sync(w);
	assert_int_equal(policies_stats(w->policies).combinations, 2);
	assert_int_equal(policies_stats(w->policies).pods, 3);
	assert_int_equal(policies_stats(w->policies).policies, 2);
}

/* What selects no pod of this node is nothing to it. */
static void test_policies_of_other_nodes_cost_nothing(void **state)
{
	struct policy_world *w = *state;

	policy_apply(w,
		     "{'apiVersion':'v1','kind':'Pod','metadata':{'namespace':'x','name':'a'},"
		     "'spec':{'nodeName':'other'},'status':{'phase':'Running','podIP':'" A "'}}");
	policy_policy(w, "x", "p", "'podSelector':{},'ingress':[{'from':[{'podSelector':{}}]}]");
	policy_sync(w);
	assert_int_equal(w->whole.n_definitions, 0);
	assert_int_equal(policies_stats(w->policies).selectors, 0);
}

#define POD_START(namespace, name, more)                                                        \
	"{'apiVersion':'v1','kind':'Pod','metadata':{'namespace':'" namespace "','name':'" name \
									      "'" more "}"

static void test_O4_an_address_is_the_youngest_running_pods(void **state)
{
	struct policy_world *w = *state;

	policy_pod(w, "y", "b", "", B);
	policy_policy(w, "x", "closed", "'podSelector':{}");
	policy_apply(
		w,
		POD_START(
			"x", "old",
			",'creationTimestamp':'2026-01-01T00:00:00Z'") ",'spec':{"
								       "'nodeName':'me'},'status':{'phase':'Running','podIP':'" A
								       "'}}");
	assert_allowed(w, A " " B, A ">" B " ");
	/* The new one is not of that namespace. */
	policy_apply(
		w,
		POD_START(
			"y", "new",
			",'creationTimestamp':'2026-01-02T00:00:00Z'") ",'spec':{"
								       "'nodeName':'me'},'status':{'phase':'Running','podIP':'" A
								       "'}}");
	assert_allowed(w, A " " B, A ">" B " " B ">" A " ");
	/* The late deletion of the old one takes nothing away. */
	policy_remove(w, KIND_POD, "x", "old");
	assert_allowed(w, A " " B, A ">" B " " B ">" A " ");
	assert_int_equal(w->tx.n_changes, 0);
}

static void test_O4_finished_and_host_network_pods_have_no_address(void **state)
{
	static const char *const pods[] = {
		POD_START("x", "a", "") ",'spec':{'nodeName':'me'},'status':{'phase':'Succeeded',"
					"'podIP':'" A "'}}",
		POD_START("x", "a", "") ",'spec':{'nodeName':'me'},'status':{'phase':'Failed',"
					"'podIP':'" A "'}}",
		POD_START("x", "a", "") ",'spec':{'nodeName':'me','hostNetwork':true},'status':{"
					"'phase':'Running','podIP':'" A "'}}",
		POD_START("x", "a", "") ",'spec':{'nodeName':'me'},'status':{'phase':'Pending'}}",
	};
	struct policy_world *w = *state;

	policy_policy(w, "x", "closed", "'podSelector':{}");
	for (size_t i = 0; i < sizeof(pods) / sizeof(pods[0]); i++) {
		policy_pod(w, "x", "a", "", A);
		assert_allowed(w, A " " B, A ">" B " ");
		policy_apply(w, "%s", pods[i]);
		assert_allowed(w, A " " B, A ">" B " " B ">" A " ");
	}
}

/* Policies go first; the pods run on for a while. */
static void test_O10_policies_of_an_ending_namespace_hold(void **state)
{
	struct policy_world *w = *state;

	three_pods(w);
	policy_policy(w, "x", "p", "'podSelector':{'matchLabels':{'app':'a'}}");
	assert_allowed(w, A " " B " " C, EVERYTHING_BUT_TO_A);
	policy_apply(w, "{'apiVersion':'v1','kind':'Namespace','metadata':{'name':'x'},"
			"'status':{'phase':'Terminating'}}");
	policy_sync(w);
	policy_remove(w, KIND_NETWORK_POLICY, "x", "p");
	assert_allowed(w, A " " B " " C, EVERYTHING_BUT_TO_A);
	policy_remove(w, KIND_NAMESPACE, "", "x");
	assert_allowed(w, A " " B " " C, EVERYTHING_BUT_TO_A);
	policy_remove(w, KIND_POD, "x", "a");
	policy_sync(w);
	assert_int_equal(w->whole.n_definitions, 0);
	assert_int_equal(policies_stats(w->policies).policies, 0);
}

/* What was not in force is not held: the policy is gone before its first pod is seen. */
static void test_O10_a_pod_that_comes_too_late_has_no_policy(void **state)
{
	struct policy_world *w = *state;

	policy_apply(w, "{'apiVersion':'v1','kind':'Namespace','metadata':{'name':'x'},"
			"'status':{'phase':'Terminating'}}");
	policy_policy(w, "x", "p", "'podSelector':{}");
	policy_sync(w);
	policy_pod(w, "x", "a", "", A);
	policy_pod(w, "x", "b", "", B);
	policy_remove(w, KIND_NETWORK_POLICY, "x", "p");
	assert_allowed(w, A " " B, A ">" B " " B ">" A " ");
	assert_int_equal(w->whole.n_definitions, 0);
}

/* One that begins anew has no policy of before. */
static void test_O10_a_namespace_that_comes_back_is_open(void **state)
{
	struct policy_world *w = *state;

	three_pods(w);
	policy_policy(w, "x", "p", "'podSelector':{}");
	policy_sync(w);
	policy_apply(w, "{'apiVersion':'v1','kind':'Namespace','metadata':{'name':'x'},"
			"'status':{'phase':'Terminating'}}");
	policy_remove(w, KIND_NETWORK_POLICY, "x", "p");
	assert_allowed(w, A " " B, "");
	policy_namespace(w, "x", "");
	assert_allowed(w, A " " B, A ">" B " " B ">" A " ");
}

/* Whatever is written in another namespace: labels, namespaces' names as labels, policies. */
static void test_S9_no_namespace_opens_another(void **state)
{
	struct policy_world *w = *state;

	three_pods(w);
	policy_namespace(w, "evil", "'team':'red','kubernetes.io/metadata.name':'x'");
	policy_pod(w, "evil", "b", "'app':'b','kubernetes.io/metadata.name':'x'", "10.0.0.9");
	policy_policy(w, "evil", "p", "'podSelector':{},'ingress':[{}]");
	policy_policy(w, "x", "p", ONLY_B);
	policy_policy(w, "x", "q",
		      "'podSelector':{'matchLabels':{'app':'a'}},'ingress':[{'from':[{"
		      "'namespaceSelector':{'matchLabels':{'kubernetes.io/metadata.name':'x'}},"
		      "'podSelector':{'matchLabels':{'app':'c'}}}]}]");
	assert_allowed(w, A " 10.0.0.9", A ">10.0.0.9 ");
	policy_pod(w, "evil", "c", "'app':'c'", "10.0.0.10");
	assert_allowed(w, A " 10.0.0.10", A ">10.0.0.10 ");
	/* An address that the tenant's pod claims is still the other's, who runs and was first by name. */
	policy_apply(w, POD_START("evil", "a", "") ",'spec':{'nodeName':'other'},'status':{'phase':"
						   "'Pending','podIP':'" B "'}}");
	assert_allowed(w, A " " B, A ">" B " " B ">" A " ");
}

static void test_O6_named_ports_are_the_destinations(void **state)
{
	struct policy_world *w = *state;

	three_pods(w);
	policy_apply(
		w,
		POD_START(
			"x", "d",
			"") ",'spec':{'nodeName':'me','containers':[{'ports':[{"
			    "'name':'web','containerPort':8080},{'name':'web','protocol':'UDP',"
			    "'containerPort':53}]},{'ports':[{'name':'web','containerPort':8080}]}]},"
			    "'status':{'phase':'Running','podIP':'10.0.0.4'}}");
	policy_policy(w, "x", "in", "'podSelector':{},'ingress':[{'ports':[{'port':'web'}]}]");
	policy_sync(w);
	assert_true(policy_allows(w, A, B, PROTOCOL_TCP, 80));
	assert_true(policy_allows(w, A, "10.0.0.4", PROTOCOL_TCP, 8080));
	assert_false(policy_allows(w, A, "10.0.0.4", PROTOCOL_TCP, 80));
	assert_false(policy_allows(w, A, "10.0.0.4", PROTOCOL_UDP, 53));
	assert_false(policy_allows(w, A, B, PROTOCOL_TCP, 8080));
	/* On the way out: of every pod there is, and of nothing else. */
	policy_policy(w, "x", "in",
		      "'podSelector':{},'policyTypes':['Egress'],'egress':[{'ports':[{"
		      "'port':'web'}]}]");
	policy_sync(w);
	assert_true(policy_allows(w, A, "10.0.0.4", PROTOCOL_TCP, 8080));
	assert_false(policy_allows(w, A, "198.51.100.1", PROTOCOL_TCP, 80));
}

static void test_O6_a_name_that_nobody_has_isolates(void **state)
{
	struct policy_world *w = *state;

	three_pods(w);
	policy_policy(w, "x", "in",
		      "'podSelector':{},'ingress':[{'from':[{'podSelector':{}}],"
		      "'ports':[{'port':'nobody'}]}]");
	assert_allowed(w, A " " B " " C, "");
}

static void test_O6_ranges_and_whole_protocols(void **state)
{
	struct policy_world *w = *state;

	three_pods(w);
	policy_policy(w, "x", "in",
		      "'podSelector':{},'ingress':[{'ports':[{'port':80,'endPort':90},{'port':85,"
		      "'endPort':95},{'protocol':'SCTP'}]}]");
	policy_sync(w);
	for (uint16_t port = 79; port < 98; port++)
		assert_int_equal(policy_allows(w, A, B, PROTOCOL_TCP, port),
				 port >= 80 && port <= 95);
	assert_true(policy_allows(w, A, B, PROTOCOL_SCTP, 0));
	assert_true(policy_allows(w, A, B, PROTOCOL_SCTP, 65535));
	assert_false(policy_allows(w, A, B, PROTOCOL_UDP, 80));
}

static void test_O7_blocks_and_exceptions(void **state)
{
	struct policy_world *w = *state;

	three_pods(w);
	policy_policy(
		w, "x", "in",
		"'podSelector':{},'ingress':[{'from':[{'ipBlock':{'cidr':'10.9.0.7/16','except':["
		"'10.9.1.0/24','10.9.1.128/25']}},{'ipBlock':{'cidr':'10.9.1.64/26'}},{'ipBlock':{"
		"'cidr':'::/0','except':['fd00::/8']}}]}]");
	policy_sync(w);
	assert_true(policy_allows(w, "10.9.0.1", A, PROTOCOL_TCP, 1));
	assert_true(policy_allows(w, "10.9.255.255", A, PROTOCOL_TCP, 1));
	assert_false(policy_allows(w, "10.9.1.1", A, PROTOCOL_TCP, 1));
	assert_true(policy_allows(w, "10.9.1.64", A, PROTOCOL_TCP, 1)); /* another block's */
	assert_false(policy_allows(w, "10.9.1.128", A, PROTOCOL_TCP, 1));
	assert_false(policy_allows(w, "10.10.0.0", A, PROTOCOL_TCP, 1));
	policy_policy(w, "x", "in",
		      "'podSelector':{},'ingress':[{'from':[{'ipBlock':{'cidr':"
		      "'0.0.0.0/0'}}]}]");
	policy_sync(w);
	assert_true(policy_allows(w, "255.255.255.255", A, PROTOCOL_TCP, 1));
	assert_true(policy_allows(w, "0.0.0.0", A, PROTOCOL_TCP, 1));
}

static void test_O8_a_policy_that_is_not_understood_closes_what_it_selects(void **state)
{
	struct policy_world *w = *state;

	three_pods(w);
	policy_policy(w, "x", "bad",
		      "'podSelector':{'matchLabels':{'app':'a'}},'ingress':[{'ports':[{"
		      "'port':90,'endPort':80}]}]");
	policy_policy(w, "x", "good", "'podSelector':{'matchLabels':{'app':'b'}},'ingress':[{}]");
	assert_allowed(w, A " " B " " C, EVERYTHING_BUT_TO_A);
	assert_non_null(strstr(w->reports, "PolicyNotUnderstood x/bad: it closes the pods that it "
					   "selects: spec.ingress[0].ports[0].endPort"));
	assert_null(strstr(w->reports, "good"));
	assert_int_equal(policies_stats(w->policies).closed, 1);
	policy_policy(w, "x", "bad", "'podSelector':{'matchLabels':{'app':'a'}},'ingress':[{}]");
	assert_allowed(w, A " " B " " C, OPEN_TO_A);
	assert_int_equal(policies_stats(w->policies).closed, 0);
}

static void test_O8_a_policy_that_is_too_large_closes_what_it_selects(void **state)
{
	struct policy_world *w = *state;
	char *peers = repeat("{'podSelector':{}}", 64), *rule, *rules;

	three_pods(w);
	assert_true(asprintf(&rule, "{'from':[%s]}", peers) > 0);
	rules = repeat(rule, POLICY_MAX_CHAIN_RULES / 64 + 1);
	assert_int_equal(
		store_apply(w->store,
			    decode("{'apiVersion':'networking.k8s.io/v1','kind':'NetworkPolicy',"
				   "'metadata':{'namespace':'x','name':'p'},'spec':{'podSelector':{"
				   "'matchLabels':{'app':'a'}},'ingress':[%s]}}",
				   rules)),
		0);
	assert_allowed(w, A " " B " " C, EVERYTHING_BUT_TO_A);
	assert_string_equal(w->reports,
			    "PolicyTooLarge x/p: it closes the pods that it selects: it "
			    "would need more than 4096 rules\n");
	assert_int_equal(policies_stats(w->policies).selectors, 0);
	free(peers);
	free(rule);
	free(rules);
}

/* By the kernel, for a reason of its own. */
static void test_O8_a_policy_that_is_refused_closes_what_it_selects(void **state)
{
	struct policy_world *w = *state;

	three_pods(w);
	policy_policy(w, "x", "p", ONLY_B);
	policy_sync(w);
	assert_false(policies_close(w->policies, "x", "other", "no room"));
	assert_true(policies_close(w->policies, "x", "p", "no room"));
	assert_allowed(w, A " " B " " C, EVERYTHING_BUT_TO_A);
	assert_string_equal(w->reports,
			    "PolicyNotRendered x/p: it closes the pods that it selects: "
			    "no room\n");
	assert_false(policies_close(w->policies, "x", "p", "no room")); /* closed already */
	policy_policy(w, "x", "p", ONLY_B);
	assert_allowed(w, A " " B, A ">" B " " B ">" A " ");
	assert_int_equal(policies_stats(w->policies).closed, 0);
}

static void test_default_deny_knows_who_is_there(void **state)
{
	struct policy_world *w = *state;
	struct policies_config config = w->config;
	const struct element probe = { .set = SET_LOCAL_PODS, .family = AF_INET };
	const struct element cidrs = { .set = SET_LOCAL_POD_CIDRS, .family = AF_INET };
	size_t n;

	config.default_deny = true;
	policy_world_configure(w, &config);
	assert_false(policies_know_pod_cidrs(w->policies, w->store));
	policy_apply(w,
		     "{'apiVersion':'v1','kind':'Node','metadata':{'name':'me'},'spec':{'podCIDRs':"
		     "['10.0.0.0/24']}}");
	assert_true(policies_know_pod_cidrs(w->policies, w->store));
	three_pods(w);
	policy_sync(w);
	transaction_set(&w->whole, &probe, &n);
	assert_int_equal(n, 3);
	transaction_set(&w->whole, &cidrs, &n);
	assert_int_equal(n, 1);
	policy_remove(w, KIND_POD, "x", "a");
	policy_remove(w, KIND_NODE, "", "me");
	policy_sync(w);
	transaction_set(&w->whole, &probe, &n);
	assert_int_equal(n, 2);
	transaction_set(&w->whole, &cidrs, &n);
	assert_int_equal(n, 1); /* what was closed stays so */
}

/* How many policies the chain of a pod asks, once it has found nothing in memory. */
static size_t asked(struct policy_world *w, enum definition_kind kind)
{
	size_t n = 0;

	policy_sync(w);
	for (size_t i = 0; i < w->whole.n_definitions; i++) {
		const struct definition *d = &w->whole.definitions[i].definition;

		if (d->kind != kind || d->family != AF_INET)
			continue;
		assert_int_equal(n, 0);
		assert_int_equal(d->rules[0].shape, RULE_RECALL);
		while (d->rules[1 + n].shape == RULE_POLICY)
			n++;
	}
	return n;
}

static void test_what_policies_allow_is_remembered(void **state)
{
	struct policy_world *w = *state;

	three_pods(w);
	policy_policy(w, "x", "p", "'podSelector':{}");
	assert_int_equal(asked(w, DEFINITION_INGRESS), 1);
	policy_policy(w, "x", "q", "'podSelector':{},'policyTypes':['Ingress','Egress']");
	assert_int_equal(asked(w, DEFINITION_INGRESS), 2);
	assert_int_equal(asked(w, DEFINITION_EGRESS), 1);
}

static void everything(struct policy_world *w)
{
	three_pods(w);
	policy_policy(
		w, "x", "p",
		"'podSelector':{},'policyTypes':['Ingress','Egress'],'ingress':[{'from':[{"
		"'podSelector':{'matchLabels':{'app':'b'}}},{'ipBlock':{'cidr':'10.9.0.0/16',"
		"'except':['10.9.1.0/24']}}],'ports':[{'port':80},{'port':'web'}]}],'egress':[{"
		"'to':[{'namespaceSelector':{}}],'ports':[{'port':'web'}]}]");
	policy_policy(w, "x", "q", "'podSelector':{'matchLabels':{'app':'a'}}");
}

/* Whatever allocation fails, the next sync makes good. */
static void test_nothing_is_lost_without_memory(void **state)
{
	struct policy_world *w = *state;
	struct policies_config config = w->config;

	for (unsigned n = 1, failed = 1; failed; n++) {
		policy_world_configure(w, &config);
		everything(w);
		w->fail_at = n;
		(void)policy_try_sync(w);
		failed = w->failed;
		w->fail_at = 0;
		policy_sync(w);
		assert_true(policy_allows(w, B, C, PROTOCOL_TCP, 80));
		assert_false(policy_allows(w, A, C, PROTOCOL_TCP, 80));
		assert_true(policy_allows(w, "10.9.0.1", C, PROTOCOL_TCP, 80));
		assert_false(policy_allows(w, "10.9.1.1", C, PROTOCOL_TCP, 80));
		policy_remove(w, KIND_NETWORK_POLICY, "x", "p");
		policy_remove(w, KIND_NETWORK_POLICY, "x", "q");
		policy_remove(w, KIND_POD, "x", "c");
		w->fail_at = n;
		(void)policy_try_sync(w);
		failed |= w->failed;
		w->fail_at = 0;
		policy_sync(w);
		assert_int_equal(w->whole.n_definitions, 0);
		assert_int_equal(policies_stats(w->policies).selectors, 0);
		assert_int_equal(policies_stats(w->policies).pods, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		policy_test(test_nothing_is_isolated_without_a_policy),
		policy_test(test_O5_a_policy_without_rules_closes),
		policy_test(test_O11_a_label_moves_a_pod_in_and_out),
		policy_test(test_O11_a_label_of_a_namespace_counts),
		policy_test(test_a_namespace_is_selected_by_name),
		policy_test(test_directions_are_apart),
		policy_test(test_pods_with_the_same_policies_share_a_chain),
		policy_test(test_policies_of_other_nodes_cost_nothing),
		policy_test(test_O4_an_address_is_the_youngest_running_pods),
		policy_test(test_O4_finished_and_host_network_pods_have_no_address),
		policy_test(test_O10_policies_of_an_ending_namespace_hold),
		policy_test(test_O10_a_pod_that_comes_too_late_has_no_policy),
		policy_test(test_O10_a_namespace_that_comes_back_is_open),
		policy_test(test_S9_no_namespace_opens_another),
		policy_test(test_O6_named_ports_are_the_destinations),
		policy_test(test_O6_a_name_that_nobody_has_isolates),
		policy_test(test_O6_ranges_and_whole_protocols),
		policy_test(test_O7_blocks_and_exceptions),
		policy_test(test_O8_a_policy_that_is_not_understood_closes_what_it_selects),
		policy_test(test_O8_a_policy_that_is_too_large_closes_what_it_selects),
		policy_test(test_O8_a_policy_that_is_refused_closes_what_it_selects),
		policy_test(test_default_deny_knows_who_is_there),
		policy_test(test_what_policies_allow_is_remembered),
		policy_test(test_nothing_is_lost_without_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
