#include "traffic-fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/addr.h"
#include "base/array.h"
#include "object/object.h"

int reading_set_up(void **state)
{
	struct reading_fixture *rd = calloc(1, sizeof(*rd));

	assert_non_null(rd);
	assert_int_equal(counted_new(&rd->elements), 0);
	assert_int_equal(counted_new(&rd->hairpins), 0);
	rd->comment = "default/web:http";
	*state = rd;
	return 0;
}

int reading_tear_down(void **state)
{
	struct reading_fixture *rd = *state;

	counted_free(&rd->elements);
	counted_free(&rd->hairpins);
	free(rd);
	return 0;
}

static struct addr addr_of(const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse(text, &a), 0);
	return a;
}

static struct counted *note(struct counted_list *l, enum set_id set, const char *addr)
{
	const struct addr a = addr_of(addr);
	struct counted *c;

	assert_int_equal(ARRAY_RESERVE(l->items, l->n, l->capacity), 0);
	c = &l->items[l->n++];
	*c = (struct counted){ .element = { .set = (uint8_t)set, .family = a.family } };
	memcpy(c->element.addr, a.bytes, sizeof(a.bytes));
	return c;
}

static struct counted *note_counted(struct reading_fixture *rd, enum set_id set, const char *addr,
				    uint16_t port, uint64_t packets)
{
	struct counted *c = note(&rd->elements, set, addr);

	c->element.protocol = PROTOCOL_TCP;
	c->element.port = port;
	c->element.comment = rd->comment;
	c->counter = (struct counter){ packets, 60 * packets };
	return c;
}

void note_verdict(struct reading_fixture *rd, enum set_id set, const char *addr, uint16_t port,
		  enum verdict verdict, uint32_t number, uint64_t packets)
{
	struct counted *c = note_counted(rd, set, addr, port, packets);

	c->element.verdict = (uint8_t)verdict;
	c->element.number = number;
}

void note_row(struct reading_fixture *rd, enum set_id set, const char *addr, uint16_t port,
	      uint32_t slot, const char *target, uint64_t packets)
{
	struct counted *c = note_counted(rd, set, addr, port, packets);
	const struct addr a = addr_of(target);

	c->element.slot = slot;
	memcpy(c->element.other, a.bytes, sizeof(a.bytes));
	c->element.target_port = 8080;
}

void note_source(struct reading_fixture *rd, const char *addr, uint16_t port, const char *prefix)
{
	struct counted *c = note_counted(rd, SET_SOURCE_RANGES, addr, port, 0);
	struct prefix p;

	assert_int_equal(prefix_parse(prefix, &p), 0);
	memcpy(c->element.other, p.addr.bytes, sizeof(p.addr.bytes));
	c->element.slot = p.len;
}

void note_hairpin(struct reading_fixture *rd, const char *addr)
{
	note(&rd->hairpins, SET_HAIRPIN, addr);
}

struct conntrack_entry entry_make(const char *addr, uint16_t port, const char *target,
				  uint64_t packets)
{
	const struct addr to = addr_of(addr), from = addr_of(target);
	struct conntrack_entry e = {
		.flow = { .family = to.family, .port = port, .target_port = 8080 },
		.protocol = PROTOCOL_TCP,
		.translated = true,
		.in = { packets, 100 * packets },
		.out = { 2 * packets, 200 * packets },
	};

	memcpy(e.flow.addr, to.bytes, sizeof(to.bytes));
	memcpy(e.flow.target, from.bytes, sizeof(from.bytes));
	return e;
}

struct traffic *traffic_of(struct reading_fixture *rd)
{
	struct traffic *t;

	assert_int_equal(traffic_build(&rd->elements, &rd->hairpins, &t), 0);
	return t;
}
