/* firewall.h - NetworkPolicies as this node's kernel has them: which select which pod, what each allows,
 * how often it was asked for that, and what was refused.
 *
 * Made of the sets and chains of network policy and their elements, which name pods and policies. The
 * agent is not asked, so this also tells what a dead one has left, and what somebody else has
 * made of it. Pure: no clock, no I/O; the reading is in read.h.
 */
#ifndef KUBE_NFT_FIREWALL_FIREWALL_H
#define KUBE_NFT_FIREWALL_FIREWALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/cleanup.h"
#include "ruleset/element.h"
#include "traffic/name.h"

struct arena;
struct defined_list;
struct dump;

enum firewall_direction { FIREWALL_INGRESS, FIREWALL_EGRESS, FIREWALL_DIRECTIONS };

/* Peers, or ports. */
struct firewall_words {
	bool any; /* whoever, whichever: there are no items */
	/* "pods of shop: app is web", "10.0.0.0/8 except 10.1.0.0/16", "TCP 80" */
	const char **items;
	size_t n;      /* 0: nobody, no port */
	bool selected; /* by what pods have; that many do now: */
	size_t n_pods;
};

/* One thing that a policy allows. */
struct firewall_rule {
	bool strange; /* it is none of ours, and not understood */
	struct firewall_words peers, ports;
	struct counter allowed;      /* packets that it was asked about */
	const char *peer, *port_set; /* the sets that both were read from; NULL: none */
};

/* A policy in one direction. */
struct firewall_side {
	bool isolates;
	bool closed;                 /* it could not be rendered, and allows nothing */
	struct firewall_rule *rules; /* none: it allows nothing */
	size_t n;
	/* Packets to or from its pods that none of their policies allows. */
	struct counter refused;
};

struct firewall_policy {
	struct traffic_name name;
	struct firewall_side sides[FIREWALL_DIRECTIONS];
	bool shown; /* see firewall_select() */
};

/* The policies of some pods in one direction. */
struct firewall_isolation {
	enum firewall_direction direction;
	struct content_id id;
	struct firewall_policy **policies; /* in the order in which they are asked */
	size_t n;
	size_t n_pods;
	struct counter refused;
};

struct firewall_pod {
	struct traffic_name name;
	struct addr *addrs;
	size_t n_addrs;
	/* NULL: no policy isolates it. */
	const struct firewall_isolation *isolations[FIREWALL_DIRECTIONS];
	bool shown;
};

struct firewall {
	struct firewall_pod
		*pods; /* that are isolated, or known with --netpol-default-deny; by name */
	size_t n_pods;
	struct firewall_policy *policies; /* by name */
	size_t n_policies;
	struct firewall_isolation *isolations;
	size_t n_isolations;
	bool default_deny;               /* pods that are not known are refused */
	struct counter unknown, invalid; /* see struct defined_list */
	size_t strange;                  /* elements and rules that can't be ours */
	struct arena *arena;
};

/* What is asked for. NULL: all. */
struct firewall_filter {
	const char *namespace, *pod;
};

/* @elements are settled: those of the sets in @definitions, of SET_EGRESS_PODS, SET_INGRESS_PODS,
 * SET_LOCAL_PODS and SET_LOCAL_POD_CIDRS. All pods and policies are shown. 0, -ENOMEM. */
int firewall_build(const struct defined_list *definitions, const struct dump *elements,
		   struct firewall **ret);
struct firewall *firewall_free(struct firewall *f); /* NULL is fine; returns NULL */
DEFINE_CLEANUP(struct firewall, firewall_free);

/* Show only what @want asks for: with a pod, those policies that select it. */
void firewall_select(struct firewall *f, const struct firewall_filter *want);

#endif
