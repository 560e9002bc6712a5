/* Random pods, namespaces and policies that come, change and go: whatever the order of events, the ruleset is
 * the one that the objects which are there make. That this one is right is test/netpol's business. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mix.h"
#include "decode-text.h"
#include "policy-world.h"

enum { N_NAMESPACES = 3, N_PODS = 12, N_POLICIES = 8, N_STEPS = 1500, STEPS_A_CHECK = 25 };
enum { N_OBJECTS = N_NAMESPACES + N_PODS + N_POLICIES, TEXT_BYTES = 4096 };

/* What is there, as text; "": nothing. */
struct objects {
	char texts[N_OBJECTS][TEXT_BYTES];
	uint64_t seed;
};

static unsigned below(struct objects *o, unsigned limit)
{
	return (unsigned)random_below(&o->seed, limit);
}

static const char *pick(struct objects *o, const char *const *words, unsigned n)
{
	return words[below(o, n)];
}
#define PICK(o, words) pick(o, words, sizeof(words) / sizeof((words)[0]))

static void namespace_write(struct objects *o, unsigned i, char *text)
{
	static const char *const labels[] = { "", "'team':'a'", "'team':'b'" };
	static const char *const phases[] = { "Active", "Active", "Active", "Terminating" };

	snprintf(text, TEXT_BYTES,
		 "{'apiVersion':'v1','kind':'Namespace','metadata':{'name':'n%u','labels':{%s}},"
		 "'status':{'phase':'%s'}}",
		 i, PICK(o, labels), PICK(o, phases));
}

/* Addresses are few: they are reused and contested. */
static void pod_write(struct objects *o, unsigned i, char *text)
{
	static const char *const labels[] = { "", "'app':'a'", "'app':'b'", "'app':'a','tier':'x'",
					      "'tier':'y'" };
	static const char *const phases[] = { "Running", "Running", "Running", "Pending",
					      "Failed" };
	static const char *const nodes[] = { "me", "me", "other" };
	static const char *const ports[] = { "", "{'name':'web','containerPort':80}",
					     "{'name':'web','containerPort':8080}",
					     "{'name':'web','containerPort':80},{'name':'dns',"
					     "'protocol':'UDP','containerPort':53}" };

	snprintf(
		text, TEXT_BYTES,
		"{'apiVersion':'v1','kind':'Pod','metadata':{'namespace':'n%u','name':'p%u',"
		"'creationTimestamp':'2026-01-0%uT00:00:00Z','labels':{%s}},'spec':{'nodeName':'%s',"
		"'hostNetwork':%s,'containers':[{'ports':[%s]}]},'status':{'phase':'%s','podIPs':["
		"{'ip':'10.0.0.%u'},{'ip':'fd00::%u'}]}}",
		i % N_NAMESPACES, i, 1 + below(o, 9), PICK(o, labels), PICK(o, nodes),
		below(o, 8) ? "false" : "true", PICK(o, ports), PICK(o, phases), 1 + below(o, 8),
		1 + below(o, 8));
}

#define EXPRESSIONS(list) "{'matchExpressions':[" list "]}"

static const char *const selectors[] = {
	"{}",
	"{'matchLabels':{'app':'a'}}",
	"{'matchLabels':{'app':'b'}}",
	EXPRESSIONS("{'key':'app','operator':'NotIn','values':['a']}"),
	EXPRESSIONS("{'key':'tier','operator':'Exists'}"),
	EXPRESSIONS("{'key':'app','operator':'In','values':['a','b']}"),
	EXPRESSIONS("{'key':'tier','operator':'DoesNotExist'}"),
};

static void rule_write(struct objects *o, const char *peers, char *text, size_t size)
{
	static const char *const namespaces[] = { "{}", "{'matchLabels':{'team':'a'}}",
						  "{'matchLabels':{'kubernetes.io/metadata.name':"
						  "'n1'}}" };
	static const char *const ports[] = { "", "{'port':80}", "{'port':'web'}",
					     "{'port':'web'},{'port':443,'endPort':500}",
					     "{'protocol':'UDP'}" };
	char peer[512] = "";

	switch (below(o, 5)) {
	case 0:
		break;
	case 1:
		snprintf(peer, sizeof(peer), "{'podSelector':%s}", PICK(o, selectors));
		break;
	case 2:
		snprintf(peer, sizeof(peer), "{'namespaceSelector':%s,'podSelector':%s}",
			 PICK(o, namespaces), PICK(o, selectors));
		break;
	case 3:
		snprintf(peer, sizeof(peer), "{'namespaceSelector':%s}", PICK(o, namespaces));
		break;
	default:
		snprintf(peer, sizeof(peer),
			 "{'ipBlock':{'cidr':'10.0.0.%u/%u'}},{'ipBlock':{'cidr':"
			 "'fd00::/16','except':['fd00::%u/128']}}",
			 below(o, 9), 24 + below(o, 9), below(o, 9));
	}
	snprintf(text, size, "{'%s':[%s],'ports':[%s]}", peers, peer, PICK(o, ports));
}

static void policy_write(struct objects *o, unsigned i, char *text)
{
	static const char *const types[] = { "'Ingress'", "'Egress'", "'Ingress','Egress'" };
	char in[2][700], out[700];

	rule_write(o, "from", in[0], sizeof(in[0]));
	rule_write(o, "from", in[1], sizeof(in[1]));
	rule_write(o, "to", out, sizeof(out));
	snprintf(text, TEXT_BYTES,
		 "{'apiVersion':'networking.k8s.io/v1','kind':'NetworkPolicy','metadata':{"
		 "'namespace':'n%u','name':'q%u'},'spec':{'podSelector':%s,'policyTypes':[%s],"
		 "'ingress':[%s,%s],'egress':[%s]}}",
		 i % N_NAMESPACES, i, PICK(o, selectors), PICK(o, types), in[0], in[1], out);
}

static void object_write(struct objects *o, unsigned i, char *text)
{
	if (i < N_NAMESPACES)
		namespace_write(o, i, text);
	else if (i < N_NAMESPACES + N_PODS)
		pod_write(o, i - N_NAMESPACES, text);
	else
		policy_write(o, i - N_NAMESPACES - N_PODS, text);
}

static void object_remove(struct policy_world *w, struct objects *o, unsigned i)
{
	struct object *gone;

	if (!o->texts[i][0])
		return;
	gone = decode("%s", o->texts[i]);
	store_remove(w->store, gone->kind, gone->namespace, gone->name);
	object_free(gone);
	o->texts[i][0] = '\0';
}

static void step(struct policy_world *w, struct objects *o)
{
	unsigned i = below(o, N_OBJECTS);

	if (below(o, 4) == 0) {
		object_remove(w, o, i);
		return;
	}
	object_write(o, i, o->texts[i]);
	assert_int_equal(store_apply(w->store, decode("%s", o->texts[i])), 0);
}

static void assert_same(const struct policy_world *a, const struct policy_world *b)
{
	assert_copy_equals(&a->kernel, &b->whole);
	assert_int_equal(a->whole.n_definitions, b->whole.n_definitions);
	for (size_t i = 0; i < a->whole.n_definitions; i++) {
		const struct definition *x = &a->whole.definitions[i].definition;
		const struct definition *y = &b->whole.definitions[i].definition;

		if (definition_cmp(x, y) != 0 || !definition_same(x, y))
			fail_msg("%s is not %s", x->name, y->name);
	}
}

/* Policies of a namespace that ends hold: that is history, which a new world does not know. */
static void end_no_namespace(struct policy_world *w, struct objects *o)
{
	for (unsigned i = 0; i < N_NAMESPACES; i++) {
		snprintf(o->texts[i], TEXT_BYTES,
			 "{'apiVersion':'v1','kind':'Namespace','metadata':{'name':'n%u','labels':{"
			 "'team':'%c'}}}",
			 i, 'a' + (char)below(o, 3));
		assert_int_equal(store_apply(w->store, decode("%s", o->texts[i])), 0);
	}
}

static void assert_as_anew(struct policy_world *w, struct objects *o)
{
	unsigned begin = below(o, N_OBJECTS);
	void *state;

	end_no_namespace(w, o);
	policy_sync(w);
	policy_world_setup(&state);
	for (unsigned i = 0; i < N_OBJECTS; i++) {
		const char *text = o->texts[(begin + i) % N_OBJECTS];

		if (*text)
			policy_apply(state, "%s", text);
	}
	policy_sync(state);
	assert_same(w, state);
	policy_world_teardown(&state);
}

static void test_any_order_of_events_ends_alike(void **state)
{
	struct objects *o = calloc(1, sizeof(*o));
	struct policy_world *w = *state;

	assert_non_null(o);
	o->seed = 7;
	for (unsigned i = 0; i < N_STEPS; i++) {
		step(w, o);
		if (below(o, 4) == 0)
			policy_sync(w);
		if (i % STEPS_A_CHECK == 0)
			assert_as_anew(w, o);
	}
	free(o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		policy_test(test_any_order_of_events_ends_alike),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
