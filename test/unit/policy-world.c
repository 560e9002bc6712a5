#include "policy-world.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "decode-text.h"
#include "fail-alloc.h"

static void on_report(const struct problem *problem, void *userdata)
{
	struct policy_world *w = userdata;
	size_t len = strlen(w->reports);

	snprintf(w->reports + len, sizeof(w->reports) - len, "%s %s/%s: %s\n", problem->reason,
		 problem->object->namespace, problem->object->name, problem->text);
}

static void world_open(struct policy_world *w)
{
	assert_int_equal(store_new(&w->store), 0);
	assert_int_equal(ruleset_new(&w->ruleset), 0);
	assert_int_equal(policies_new(&w->config, w->store, on_report, w, &w->policies), 0);
}

static void world_close(struct policy_world *w)
{
	w->policies = policies_free(w->policies);
	w->ruleset = ruleset_free(w->ruleset);
	w->store = store_free(w->store);
	transaction_free(&w->whole);
	transaction_free(&w->tx);
	copy_free(&w->kernel);
}

int policy_world_setup(void **state)
{
	struct policy_world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	w->config = (struct policies_config){ .node = "me",
					      .ipv4 = true,
					      .ipv6 = true,
					      .node_ports_first = 30000,
					      .node_ports_last = 32767 };
	world_open(w);
	*state = w;
	return 0;
}

int policy_world_teardown(void **state)
{
	world_close(*state);
	free(*state);
	return 0;
}

void policy_world_configure(struct policy_world *w, const struct policies_config *config)
{
	world_close(w);
	w->config = *config;
	world_open(w);
}

void policy_apply(struct policy_world *w, const char *format, ...)
{
	char text[8192];
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	assert_in_range(len, 1, sizeof(text) - 1);
	assert_int_equal(store_apply(w->store, decode("%s", text)), 0);
}

void policy_remove(struct policy_world *w, enum object_kind kind, const char *namespace,
		   const char *name)
{
	store_remove(w->store, kind, namespace, name);
}

void policy_pod(struct policy_world *w, const char *namespace, const char *name, const char *labels,
		const char *addr)
{
	policy_apply(w,
		     "{'apiVersion':'v1','kind':'Pod','metadata':{'namespace':'%s','name':'%s',"
		     "'labels':{%s}},'spec':{'nodeName':'me','containers':[{'ports':[{'name':'web',"
		     "'containerPort':80}]}]},'status':{'phase':'Running','podIP':'%s'}}",
		     namespace, name, labels, addr);
}

void policy_namespace(struct policy_world *w, const char *name, const char *labels)
{
	policy_apply(
		w, "{'apiVersion':'v1','kind':'Namespace','metadata':{'name':'%s','labels':{%s}}}",
		name, labels);
}

void policy_policy(struct policy_world *w, const char *namespace, const char *name,
		   const char *spec)
{
	policy_apply(w,
		     "{'apiVersion':'networking.k8s.io/v1','kind':'NetworkPolicy','metadata':{"
		     "'namespace':'%s','name':'%s'},'spec':{%s}}",
		     namespace, name, spec);
}

/* Sync -------------------------------------------------------------------------------------------- */

static const struct definition *definition_find(const struct transaction *tx,
						const struct definition *like)
{
	for (size_t i = 0; i < tx->n_definitions; i++)
		if (definition_cmp(&tx->definitions[i].definition, like) == 0)
			return &tx->definitions[i].definition;
	return NULL;
}

/* What is wanted now was so before, or has just been told. */
static void definitions_check(const struct transaction *before, const struct transaction *tx,
			      const struct transaction *whole)
{
	for (size_t i = 0; i < whole->n_definitions; i++) {
		const struct definition *d = &whole->definitions[i].definition;
		const struct definition *had = definition_find(tx, d);

		if (!had)
			had = definition_find(before, d);
		if (!had || !definition_same(had, d))
			fail_msg("%s is not told of", d->name);
	}
}

/* Whatever a rule or an element refers to is there. */
static void references_check(const struct transaction *whole)
{
	for (size_t i = 0; i < whole->n_definitions; i++) {
		const struct definition *d = &whole->definitions[i].definition;

		for (size_t j = 0; j < d->n_rules; j++) {
			const struct definition_rule *r = &d->rules[j];
			const char *const names[] = { r->peer, r->ports, r->policy };

			for (size_t k = 0; k < 3; k++) {
				struct definition like = { .family = d->family, .name = names[k] };

				if (!names[k])
					continue;
				like.kind = (uint8_t)definition_kind_of(names[k], k == 2);
				if (!definition_find(whole, &like))
					fail_msg("%s refers to %s", d->name, names[k]);
			}
		}
	}
}

int policy_try_sync(struct policy_world *w)
{
	struct transaction whole = { 0 };
	struct error err = { 0 };
	int r;

	ruleset_accept(w->ruleset);
	transaction_reset(&w->tx);
	fail_alloc_at(w->fail_at);
	r = policies_sync(w->policies, w->store, w->ruleset, &w->tx, &err);
	if (r == 0)
		r = transaction_settle(&w->tx);
	w->failed = fail_alloc_end();
	assert_true(r == 0 || r == -ENOMEM);
	assert_int_equal(ruleset_whole(w->ruleset, &whole), 0);
	if (r < 0)
		copy_free(&w->kernel); /* as the agent, which then sends the whole */
	copy_commit(&w->kernel, r < 0 ? &whole : &w->tx);
	assert_copy_equals(&w->kernel, &whole);
	if (r == 0) {
		definitions_check(&w->whole, &w->tx, &whole);
		references_check(&whole);
	}
	transaction_free(&w->whole);
	w->whole = whole;
	return r;
}

void policy_sync(struct policy_world *w)
{
	assert_int_equal(policy_try_sync(w), 0);
}

/* Packets ----------------------------------------------------------------------------------------- */

struct packet {
	struct addr from, to;
	uint8_t protocol;
	uint16_t port;
};

static const struct change *set_of(const struct policy_world *w, uint8_t family, const char *name,
				   size_t *ret_n)
{
	const struct definition d = { .kind = (uint8_t)definition_kind_of(name, false),
				      .name = name };
	struct element probe = { .set = (uint8_t)definition_set(d.kind), .family = family };

	assert_true(definition_id(&d, &probe.id));
	return transaction_set(&w->whole, &probe, ret_n);
}

static bool set_has_addr(const struct policy_world *w, const char *name, const struct addr *a)
{
	size_t n;
	const struct change *c = set_of(w, a->family, name, &n);

	for (size_t i = 0; i < n; i++) {
		const struct element *e = &c[i].element;
		bool interval = e->set == SET_BLOCK;

		if (memcmp(e->addr, a->bytes, 16) == 0 ||
		    (interval && memcmp(e->addr, a->bytes, 16) < 0 &&
		     memcmp(e->other, a->bytes, 16) >= 0))
			return true;
	}
	return false;
}

static bool set_has_port(const struct policy_world *w, const char *name, const struct packet *p)
{
	size_t n;
	const struct change *c = set_of(w, p->to.family, name, &n);

	for (size_t i = 0; i < n; i++) {
		const struct element *e = &c[i].element;

		if (e->protocol != p->protocol)
			continue;
		if (e->set == SET_NAMED_PORTS ?
			    e->port == p->port && memcmp(e->addr, p->to.bytes, 16) == 0 :
			    e->port <= p->port && p->port <= e->target_port)
			return true;
	}
	return false;
}

static bool rule_accepts(const struct policy_world *w, const struct definition *chain,
			 const struct definition_rule *r, const struct packet *p)
{
	const struct addr *peer = chain->kind == DEFINITION_INGRESS_POLICY ? &p->from : &p->to;

	return (!r->peer || set_has_addr(w, r->peer, peer)) &&
	       (!r->ports || set_has_port(w, r->ports, p));
}

static bool chain_accepts(const struct policy_world *w, enum definition_kind kind, uint8_t family,
			  const char *name, const struct packet *p)
{
	const struct definition like = { .kind = (uint8_t)kind, .family = family, .name = name };
	const struct definition *d = definition_find(&w->whole, &like);
	bool accepts = false;

	if (!d) {
		fail_msg("chain %s is not there", name);
		return false;
	}
	for (size_t i = 0; i < d->n_rules && !accepts; i++) {
		const struct definition_rule *r = &d->rules[i];

		if (r->shape == RULE_POLICY)
			accepts = chain_accepts(w, kind - 2, family, r->policy, p);
		else if (kind < DEFINITION_INGRESS)
			accepts = rule_accepts(w, d, r, p);
	}
	return accepts;
}

static bool end_accepts(const struct policy_world *w, enum set_id map, const struct addr *pod,
			const struct packet *p)
{
	const enum definition_kind kind = map == SET_INGRESS_PODS ? DEFINITION_INGRESS :
								    DEFINITION_EGRESS;
	struct element probe = { .set = (uint8_t)map, .family = pod->family };
	char name[CHAIN_NAME_MAX_BYTES];
	const struct element *e;

	memcpy(probe.addr, pod->bytes, sizeof(probe.addr));
	e = copy_find(&w->kernel, &probe);
	if (!e)
		return true;
	assert_int_equal(e->verdict, VERDICT_POLICIES);
	return chain_accepts(w, kind, pod->family, element_chain_name(e, name), p);
}

bool policy_allows(const struct policy_world *w, const char *from, const char *to,
		   enum protocol protocol, uint16_t port)
{
	struct packet p = { .protocol = (uint8_t)protocol, .port = port };

	assert_int_equal(addr_parse(from, &p.from), 0);
	assert_int_equal(addr_parse(to, &p.to), 0);
	return end_accepts(w, SET_EGRESS_PODS, &p.from, &p) &&
	       end_accepts(w, SET_INGRESS_PODS, &p.to, &p);
}

void assert_allowed(struct policy_world *w, const char *addrs, const char *expected)
{
	char list[256], *words[16], *rest = NULL, *word;
	struct buf got = { .data = NULL };
	size_t n = 0;

	policy_sync(w);
	snprintf(list, sizeof(list), "%s", addrs);
	for (word = strtok_r(list, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
		words[n++] = word;
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < n; j++)
			if (i != j && policy_allows(w, words[i], words[j], PROTOCOL_TCP, 80))
				buf_printf(&got, "%s>%s ", words[i], words[j]);
	assert_string_equal(buf_text(&got), expected);
	buf_free(&got);
}
