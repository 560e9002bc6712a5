/* verdicts.h - what each kind of frontend does with each kind of client: the truth table of the
 * proxy. */
#ifndef KUBE_NFT_PROXY_VERDICTS_H
#define KUBE_NFT_PROXY_VERDICTS_H

#include <stdbool.h>
#include <stdint.h>

#include "proxy/endpoints.h"
#include "proxy/frontends.h"
#include "ruleset/element.h"

struct frontend_facts {
	enum frontend_kind kind;
	struct service_policy policy;
	bool affinity;
	enum verdict scheduler; /* VERDICT_LB, ...: its twin for local endpoints is the next */
	bool masquerade_all;
	bool pods_known; /* a pod CIDR of the family is known: pods can be told from outsiders */
	bool in_range;   /* masquerade-ranges has its address, when pods are known */
};

/* VERDICT_NONE: no element in that map. A list goes with its verdict. */
struct frontend_verdicts {
	enum verdict services;
	enum verdict local_services;
	enum verdict no_endpoints;
	enum verdict recall, local_recall; /* what comes before @services, @local_services */
	enum verdict learn;
	enum verdict masquerade;
	const struct target_list *targets;       /* of @services; NULL: none */
	const struct target_list *local_targets; /* of @local_services; NULL: none */
};

struct frontend_verdicts frontend_verdicts(const struct frontend_facts *facts,
					   const struct endpoint_lists *lists);

#endif
