/* object-check.h - what must hold for every tree and object that the parsers let through. */
#ifndef KUBE_NFT_TEST_OBJECT_CHECK_H
#define KUBE_NFT_TEST_OBJECT_CHECK_H

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/error.h"
#include "object/decode.h"

static inline void check(bool holds)
{
	if (!holds)
		abort();
}

static inline void addr_check(const struct addr *a)
{
	char text[ADDR_TEXT_MAX];
	struct addr again;

	check(a->family == AF_INET || a->family == AF_INET6);
	check(addr_parse(addr_format(a, text), &again) == 0 && addr_equal(a, &again));
}

static inline void prefix_check(const struct prefix *p)
{
	addr_check(&p->addr);
	check(p->len <= (p->addr.family == AF_INET ? 32 : 128));
}

static inline void protocol_check(enum protocol p)
{
	check(p == PROTOCOL_TCP || p == PROTOCOL_UDP || p == PROTOCOL_SCTP);
}

static inline void key_values_check(const struct key_values *kv)
{
	for (size_t i = 0; i < kv->n; i++) {
		check(kv->items[i].value != NULL);
		check(i == 0 || strcmp(kv->items[i - 1].key, kv->items[i].key) < 0);
	}
}

static inline void service_check(const struct service *s)
{
	check(s->n_cluster_ips <= 2 && s->headless == (s->n_cluster_ips == 0));
	for (size_t i = 0; i < s->n_cluster_ips; i++)
		addr_check(&s->cluster_ips[i]);
	check(s->n_cluster_ips < 2 || s->cluster_ips[0].family != s->cluster_ips[1].family);
	check(s->n_ports <= SERVICE_MAX_PORTS);
	for (size_t i = 0; i < s->n_ports; i++) {
		check(s->ports[i].name && s->ports[i].port > 0);
		protocol_check(s->ports[i].protocol);
	}
	for (size_t i = 0; i < s->n_external_ips; i++)
		addr_check(&s->external_ips[i]);
	for (size_t i = 0; i < s->n_load_balancer_ips; i++)
		addr_check(&s->load_balancer_ips[i].addr);
	for (size_t i = 0; i < s->n_source_ranges; i++)
		prefix_check(&s->source_ranges[i]);
	check(s->affinity_timeout_s >= 1 && s->affinity_timeout_s <= 86400);
}

static inline void endpoint_slice_check(const struct endpoint_slice *slice)
{
	check(slice->n_endpoints <= SLICE_MAX_ENDPOINTS && slice->n_ports <= SLICE_MAX_PORTS);
	for (size_t i = 0; i < slice->n_endpoints; i++) {
		addr_check(&slice->endpoints[i].addr);
		check(slice->endpoints[i].addr.family == slice->family);
	}
	for (size_t i = 0; i < slice->n_ports; i++)
		protocol_check(slice->ports[i].protocol);
}

static inline void pod_check(const struct pod *p)
{
	check(p->n_addrs <= POD_MAX_ADDRESSES && p->n_ports <= POD_MAX_PORTS);
	for (size_t i = 0; i < p->n_addrs; i++)
		addr_check(&p->addrs[i]);
	for (size_t i = 0; i < p->n_ports; i++) {
		check(p->ports[i].name && p->ports[i].port > 0);
		protocol_check(p->ports[i].protocol);
	}
}

static inline void node_check(const struct node *n)
{
	check(n->n_addrs <= NODE_MAX_ADDRESSES && n->n_pod_cidrs <= NODE_MAX_POD_CIDRS);
	for (size_t i = 0; i < n->n_addrs; i++)
		addr_check(&n->addrs[i].addr);
	for (size_t i = 0; i < n->n_pod_cidrs; i++)
		prefix_check(&n->pod_cidrs[i]);
}

/* Selecting must agree with itself: a set of labels either has a key or has not. */
static inline void selector_check(const struct selector *s, const struct key_values *labels)
{
	selector_matches(s, labels);
	for (size_t i = 0; i < s->n; i++) {
		const struct selector_requirement *r = &s->requirements[i];
		bool wants_values = r->op == SELECTOR_IN || r->op == SELECTOR_NOT_IN;

		check(wants_values == (r->n_values > 0));
		check(i == 0 || strcmp(s->requirements[i - 1].key, r->key) <= 0);
		for (size_t j = 1; j < r->n_values; j++)
			check(strcmp(r->values[j - 1], r->values[j]) < 0);
	}
}

static inline void peer_check(const struct policy_peer *peer, const struct key_values *labels)
{
	check(peer->is_block != (peer->pods || peer->namespaces));
	if (peer->pods)
		selector_check(peer->pods, labels);
	if (peer->namespaces)
		selector_check(peer->namespaces, labels);
	if (peer->is_block)
		prefix_check(&peer->block);
	for (size_t i = 0; i < peer->n_excepts; i++)
		check(prefix_contains(&peer->block, &peer->excepts[i].addr));
}

static inline void rules_check(const struct policy_rule *rules, size_t n,
			       const struct key_values *labels)
{
	check(n <= POLICY_MAX_RULES);
	for (size_t i = 0; i < n; i++) {
		for (size_t j = 0; j < rules[i].n_peers; j++)
			peer_check(&rules[i].peers[j], labels);
		for (size_t j = 0; j < rules[i].n_ports; j++) {
			const struct policy_port *p = &rules[i].ports[j];

			protocol_check(p->protocol);
			check(p->kind != POLICY_PORT_NUMBER ||
			      (p->port > 0 && p->end_port >= p->port));
			check((p->kind == POLICY_PORT_NAME) == (p->name != NULL));
		}
	}
}

static inline void network_policy_check(const struct network_policy *p)
{
	selector_check(&p->pods, &p->object.labels);
	rules_check(p->ingress_rules, p->n_ingress_rules, &p->object.labels);
	rules_check(p->egress_rules, p->n_egress_rules, &p->object.labels);
}

static inline void object_check(const struct object *o)
{
	check(strlen(o->name) >= 1 && strlen(o->name) <= OBJECT_MAX_NAME && !strchr(o->name, '/'));
	check(strlen(o->namespace) <= 63);
	check((o->kind == KIND_NODE || o->kind == KIND_NAMESPACE) == !*o->namespace);
	key_values_check(&o->labels);
	key_values_check(&o->annotations);
	if (o->kind == KIND_SERVICE)
		service_check((const struct service *)o);
	else if (o->kind == KIND_ENDPOINT_SLICE)
		endpoint_slice_check((const struct endpoint_slice *)o);
	else if (o->kind == KIND_POD)
		pod_check((const struct pod *)o);
	else if (o->kind == KIND_NODE)
		node_check((const struct node *)o);
	else if (o->kind == KIND_NETWORK_POLICY)
		network_policy_check((const struct network_policy *)o);
}

/* An error is one printable line with a code; a tree that is refused leaves nothing behind. */
static inline void error_check(const struct error *err, int code)
{
	check(code == err->code && err->message[0] != '\0');
	check(strlen(err->message) < ERROR_MAX_BYTES && !strchr(err->message, '\n'));
}

static inline void tree_check(const json_t *root)
{
	struct error err = { 0 };
	struct object *o = NULL;
	int r = object_decode(root, &o, NULL, &err);

	if (r == 0) {
		object_check(o);
		object_free(o);
		return;
	}
	check(r == -EINVAL || r == -E2BIG || r == -ENOENT);
	check(!o);
	error_check(&err, r);
}

#endif
