/* firewall-fixture.h - the tables of a policy world as one would read them, with counters. */
#ifndef KUBE_NFT_TEST_FIREWALL_FIXTURE_H
#define KUBE_NFT_TEST_FIREWALL_FIXTURE_H

#include <stdint.h>

#include "firewall/firewall.h"
#include "kernel/defined.h"
#include "kernel/dump.h"
#include "policy-world.h"

/* Every function fails the test when it can't do its job. */
struct firewall_fixture {
	struct defined_list definitions;
	struct dump elements;
};

/* Sync @w, and read what it wants. */
void fixture_read(struct firewall_fixture *fx, struct policy_world *w);
void fixture_free(struct firewall_fixture *fx);
#define _cleanup_fixture_ _cleanup_(fixture_free)

/* Rule @i of the IPv4 or IPv6 chain @name has counted @packets, of 100 bytes each. A name "ingress-" stands for
 * the only chain that begins so. */
void fixture_count(struct firewall_fixture *fx, uint8_t family, const char *name, size_t i,
		   uint64_t packets);
/* The definition of that name (or beginning), to be changed. */
struct definition *fixture_definition(struct firewall_fixture *fx, uint8_t family,
				      const char *name);
struct firewall *fixture_build(const struct firewall_fixture *fx);

#endif
