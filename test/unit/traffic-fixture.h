/* traffic-fixture.h - elements and connections as one would read them, from text. */
#ifndef KUBE_NFT_TEST_TRAFFIC_FIXTURE_H
#define KUBE_NFT_TEST_TRAFFIC_FIXTURE_H

#include <stdint.h>

#include "kernel/conntrack-entry.h"
#include "kernel/counted.h"
#include "traffic/traffic.h"

/* What was read; every function fails the test when it can't do its job. */
struct reading_fixture {
	struct counted_list elements, hairpins;
	const char *comment; /* of the next elements; borrowed */
};

int reading_set_up(void **state);
int reading_tear_down(void **state);
#define TRAFFIC_TEST(name) cmocka_unit_test_setup_teardown(name, reading_set_up, reading_tear_down)

/* A verdict of the TCP frontend @addr port @port, with @packets counted. */
void note_verdict(struct reading_fixture *rd, enum set_id set, const char *addr, uint16_t port,
		  enum verdict verdict, uint32_t number, uint64_t packets);
/* A row of @set, its endpoint at port 8080. */
void note_row(struct reading_fixture *rd, enum set_id set, const char *addr, uint16_t port,
	      uint32_t slot, const char *target, uint64_t packets);
/* Who may connect to the frontend: this network, too. */
void note_source(struct reading_fixture *rd, const char *addr, uint16_t port, const char *prefix);
void note_hairpin(struct reading_fixture *rd, const char *addr);

/* An entry of TCP, translated, with @packets in and twice as many out, 100 bytes each. */
struct conntrack_entry entry_make(const char *addr, uint16_t port, const char *target,
				  uint64_t packets);

/* What all of it comes to. */
struct traffic *traffic_of(struct reading_fixture *rd);

#endif
