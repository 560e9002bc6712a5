#include "agent/node.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/options.h"
#include "base/error.h"
#include "base/log.h"
#include "base/loop.h"
#include "policy/policies.h"
#include "proxy/proxy.h"
#include "ruleset/ruleset.h"
#include "source/manifests.h"
#include "store/store.h"

static int node_apply(struct object *o, void *userdata)
{
	struct node_state *n = userdata;
	int r = store_apply(n->store, o);

	if (r == 0 && n->changed)
		n->changed(n->userdata);
	return r;
}

static void node_remove(enum object_kind kind, const char *namespace, const char *name,
			void *userdata)
{
	struct node_state *n = userdata;

	store_remove(n->store, kind, namespace, name);
	if (n->changed)
		n->changed(n->userdata);
}

static void manifests_report(const char *where, const char *problem, void *userdata)
{
	struct node_state *n = userdata;

	log_limited(&n->log_limit, monotonic_us(), LOG_LEVEL_WARN, "manifest refused",
		    log_fields(log_text("where", where), log_text("problem", problem)));
}

static void report(const struct problem *problem, void *userdata)
{
	struct node_state *n = userdata;
	const struct object *o = problem->object;
	char object[sizeof("NetworkPolicy /") + 2 * OBJECT_MAX_NAME];

	snprintf(object, sizeof(object), "%s %s/%s", kind_name(o->kind), o->namespace, o->name);
	log_limited(&n->log_limit, monotonic_us(), LOG_LEVEL_WARN,
		    o->kind == KIND_SERVICE ? "service degraded" : "policy closed",
		    log_fields(log_text("object", object), log_text("problem", problem->text)));
	if (n->problem)
		n->problem(problem, n->userdata);
}

static void node_tell(const struct node_state *n, const struct object *o, const char *reason,
		      const char *text)
{
	const struct problem problem = { .object = o, .reason = reason, .text = text };

	if (o && n->problem)
		n->problem(&problem, n->userdata);
}

void node_tell_refused(const struct node_state *n, const char *owner, const char *why)
{
	char namespace[OBJECT_MAX_NAME + 1], name[OBJECT_MAX_NAME + 1];
	struct error text;

	/* As the proxy calls a Service's block in the ruleset. */
	if (sscanf(owner, "service %253[^/]/%253s", namespace, name) != 2)
		return;
	error_set(&text, 0, "the kernel refuses it: %s", why);
	node_tell(n, store_get(n->store, KIND_SERVICE, namespace, name), "KernelRefused",
		  text.message);
}

bool node_close_policy(const struct node_state *n, const char *owner, const char *why)
{
	char namespace[OBJECT_MAX_NAME + 1], name[OBJECT_MAX_NAME + 1];

	return n->policies && sscanf(owner, "policy %253[^/]/%253s", namespace, name) == 2 &&
	       policies_close(n->policies, namespace, name, why);
}

void node_tell_own(const struct node_state *n, const char *reason, const char *text)
{
	node_tell(n, store_get(n->store, KIND_NODE, "", n->name), reason, text);
}

void node_tell_repaired(const struct node_state *n, const char *why)
{
	struct error text;

	error_set(&text, 0, "another program had changed our nftables: %s", why);
	node_tell_own(n, "ForeignChangeRepaired", text.message);
}

void node_report(struct node_state *n, const char *namespace, const char *name, const char *reason,
		 const char *text)
{
	const struct object *o = store_get(n->store, KIND_SERVICE, namespace, name);
	const struct problem problem = { .object = o, .reason = reason, .text = text };

	if (o)
		report(&problem, n);
}

static int node_open_proxy(struct node_state *n, const struct options *o)
{
	const struct proxy_config config = {
		.node = n->name,
		.ipv4 = o->enable_ipv4,
		.ipv6 = o->enable_ipv6,
		.masquerade_all = o->masquerade_all,
		.node_port_all = o->nodeport_bindon_all_ip,
		.address_firewall = o->ipvs_permit_all,
		.graceful_termination = o->ipvs_graceful_termination,
		.strict_addresses = o->strict_external_ip_validation,
		.cluster_ranges = o->service_cluster_ip_range.items,
		.n_cluster_ranges = o->service_cluster_ip_range.n,
		.external_ranges = o->service_external_ip_range.items,
		.n_external_ranges = o->service_external_ip_range.n,
		.load_balancer_ranges = o->loadbalancer_ip_range.items,
		.n_load_balancer_ranges = o->loadbalancer_ip_range.n,
	};

	return proxy_new(&config, report, n, &n->proxy);
}

/* One list of all ranges where Services are, as --service-cluster-ip-range and its like say. */
static int node_exempt(struct node_state *n, const struct options *o)
{
	const struct prefix_list *lists[] = {
		&o->service_cluster_ip_range,
		&o->service_external_ip_range,
		&o->loadbalancer_ip_range,
	};
	size_t total = 0;

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		total += lists[i]->n;
	n->exempt = calloc(total + 1, sizeof(*n->exempt));
	if (!n->exempt)
		return -ENOMEM;
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		for (size_t j = 0; j < lists[i]->n; j++)
			n->exempt[n->n_exempt++] = lists[i]->items[j];
	return 0;
}

static int node_open_policies(struct node_state *n, const struct options *o)
{
	struct policies_config config = {
		.node = n->name,
		.ipv4 = o->enable_ipv4,
		.ipv6 = o->enable_ipv6,
		.default_deny = o->netpol_default_deny,
		.node_ports_first = o->service_node_port_range.first,
		.node_ports_last = o->service_node_port_range.last,
	};

	if (!o->run_firewall)
		return 0;
	if (node_exempt(n, o) < 0)
		return -ENOMEM;
	config.exempt = n->exempt;
	config.n_exempt = n->n_exempt;
	return policies_new(&config, n->store, report, n, &n->policies);
}

int node_open(struct node_state *n, const struct options *o, struct error *err)
{
	int r = options_node_name(o, &n->name, err);

	if (r < 0)
		return r;
	r = store_new(&n->store);
	if (r == 0)
		r = ruleset_new(&n->ruleset);
	if (r == 0)
		r = node_open_proxy(n, o);
	if (r == 0)
		r = node_open_policies(n, o);
	n->run_proxy = o->run_service_proxy;
	return r < 0 ? error_set(err, r, "out of memory") : 0;
}

struct source_events node_events(struct node_state *n)
{
	return (struct source_events){
		.apply = node_apply,
		.remove = node_remove,
		.report = manifests_report,
		.userdata = n,
	};
}

int node_load(struct node_state *n, const struct options *o, struct error *err)
{
	const struct source_events events = node_events(n);

	return manifests_open(o->manifests, &events, &n->manifests, err);
}

int node_sync(struct node_state *n, struct transaction *tx, struct error *err)
{
	int r = n->run_proxy ? proxy_sync(n->proxy, n->store, n->ruleset, tx, NULL, err) : 0;

	if (r == 0 && n->policies)
		r = policies_sync(n->policies, n->store, n->ruleset, tx, err);
	return r;
}

void node_close(struct node_state *n)
{
	n->manifests = manifests_free(n->manifests);
	n->proxy = proxy_free(n->proxy);
	n->policies = policies_free(n->policies);
	free(TAKE_PTR(n->exempt));
	n->ruleset = ruleset_free(n->ruleset);
	n->store = store_free(n->store);
	free(TAKE_PTR(n->name));
}
