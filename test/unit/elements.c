#include "elements.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/array.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "object/object.h"

struct destination {
	uint8_t verdict;
	uint32_t number;
};

/* Of chains that are always there. */
#define POD_DESTINATIONS                                                                        \
	{ VERDICT_REFUSE, 0 }, { VERDICT_DROP, 0 }, { VERDICT_ACCEPT, 0 }, { VERDICT_DROP, 0 }, \
		{ VERDICT_ACCEPT, 0 },                                                          \
	{                                                                                       \
		VERDICT_DROP, 0                                                                 \
	}

/* By set, then value. */
static const struct destination destinations[SET_COUNT][N_VALUES] = {
	[SET_SERVICES] = {
		{ VERDICT_LB, 1 },
		{ VERDICT_LB, 2 },
		{ VERDICT_LB, DISPATCH_MAX_ENDPOINTS },
		{ VERDICT_RECALL, 8081U << 16 | 8080 },
		{ VERDICT_RR, 3 },
		{ VERDICT_ACCEPT, 0 },
	},
	[SET_LOCAL_SERVICES] = {
		{ VERDICT_LOCAL_LB, 1 },
		{ VERDICT_LOCAL_SH, 2 },
		{ VERDICT_LOCAL_RECALL, 65535U << 16 | 65534 },
		{ VERDICT_LOCAL_RR, 7 },
		{ VERDICT_LOCAL_RR, DISPATCH_MAX_ENDPOINTS },
		{ VERDICT_ACCEPT, 0 },
	},
	[SET_NO_ENDPOINTS] = {
		{ VERDICT_REFUSE, 0 },
		{ VERDICT_DROP, 0 },
		{ VERDICT_ACCEPT, 0 },
		{ VERDICT_REFUSE, 0 },
		{ VERDICT_DROP, 0 },
		{ VERDICT_ACCEPT, 0 },
	},
	[SET_AFFINITY_SERVICES] = {
		{ VERDICT_LB, 1 },
		{ VERDICT_SH, 2 },
		{ VERDICT_RR, 3 },
		{ VERDICT_RR, 4 },
		{ VERDICT_DH, 3 },
		{ VERDICT_DH, 3 },
	},
	[SET_LOCAL_AFFINITY_SERVICES] = {
		{ VERDICT_LOCAL_LB, 1 },
		{ VERDICT_LOCAL_SH_PORT, 2 },
		{ VERDICT_LOCAL_RR, 3 },
		{ VERDICT_LOCAL_RR, 4 },
		{ VERDICT_LOCAL_DH, 3 },
		{ VERDICT_LOCAL_DH, 3 },
	},
	[SET_AFFINITY_TIMEOUTS] = {
		{ VERDICT_LEARN, 1 },
		{ VERDICT_LEARN, 60 },
		{ VERDICT_LOCAL_LEARN, 10800 },
		{ VERDICT_MIXED_LEARN, 86400 },
		{ VERDICT_MIXED_LEARN, 2 },
		{ VERDICT_MIXED_LEARN, 2 },
	},
	[SET_EGRESS_PODS] = { POD_DESTINATIONS },
	[SET_INGRESS_PODS] = { POD_DESTINATIONS },
	[SET_MASQUERADE_SERVICES] = {
		{ VERDICT_MASQUERADE_ALL, 0 },
		{ VERDICT_MASQUERADE_OUTSIDE, 0 },
		{ VERDICT_MASQUERADE_NODE, 0 },
		{ VERDICT_MASQUERADE_ALL, 0 },
		{ VERDICT_MASQUERADE_OUTSIDE, 0 },
		{ VERDICT_MASQUERADE_NODE, 0 },
	},
};

static void addr_make(uint8_t family, uint8_t net, unsigned key, uint8_t ret[static 16])
{
	const uint8_t tail[] = { (uint8_t)(key >> 8), (uint8_t)key };

	if (family == AF_INET) {
		ret[0] = net;
		memcpy(ret + 1, tail, sizeof(tail));
	} else {
		ret[0] = 0xfd;
		ret[1] = net;
		memcpy(ret + 8, tail, sizeof(tail));
	}
}

/* All of an address behind the bytes that addr_make() fills. */
static void interval_end(const struct element *e, uint8_t ret[static 16])
{
	size_t prefix = e->family == AF_INET ? 3 : 10, all = e->family == AF_INET ? 4 : 16;

	memcpy(ret, e->addr, prefix);
	memset(ret + prefix, 0xff, all - prefix);
}

bool set_has_values(enum set_id set)
{
	return set_layout(set)->frontend || set_layout(set)->verdict;
}

struct element element_make(enum set_id set, uint8_t family, unsigned key, unsigned value)
{
	static const uint8_t protocols[] = { PROTOCOL_TCP, PROTOCOL_UDP, PROTOCOL_SCTP };
	static const char *const comments[N_VALUES] = {
		"default/web:http", NULL, "default/dns", "", "a/b", "a/c"
	};
	const struct set_layout *layout = set_layout(set);
	struct element e = { .set = (uint8_t)set, .family = family };

	if (layout->addr)
		addr_make(family, 10, key, e.addr);
	if (layout->frontend) {
		e.protocol = protocols[key % 3];
		e.port = (uint16_t)(key % 1000 + 1);
	}
	if (layout->frontend || layout->verdict)
		e.comment = comments[value];
	if (layout->ports) {
		e.protocol = PROTOCOL_TCP;
		e.port = (uint16_t)(key * 10);
		e.target_port = (uint16_t)(e.port + key % 10);
	}
	if (layout->slot)
		e.slot = key % 4;
	if (layout->target) {
		addr_make(family, 44, value, e.other);
		e.target_port = (uint16_t)(8080 + value);
	}
	if (layout->verdict) {
		e.verdict = destinations[set][value].verdict;
		e.number = destinations[set][value].number;
	}
	if (layout->flow) {
		addr_make(family, 44, key, e.other);
		e.target_port = (uint16_t)(8080 + key % 2);
	}
	if (e.verdict >= VERDICT_FIRST_OWN) {
		addr_make(family, 11, value, e.other);
		e.target_port = (uint16_t)(80 + value);
	}
	if (layout->pair)
		memcpy(e.other, e.addr, sizeof(e.other));
	if (layout->prefix) {
		addr_make(family, 44, key % 4 << 8, e.other);
		e.slot = family == AF_INET ? 16 + key % 3 * 8 : 72 + key % 3 * 28;
	}
	if (layout->interval)
		interval_end(&e, e.other);
	return e;
}

struct block *block_of(const struct element *elements, size_t n)
{
	_cleanup_(block_freep) struct block *b = NULL;

	if (block_new(n / 2, &b) < 0)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		struct element *e = block_add(b);

		if (!e)
			return NULL;
		*e = elements[i];
		e->comment = elements[i].comment ? block_comment(b, elements[i].comment) : NULL;
		if (elements[i].comment && !e->comment)
			return NULL;
	}
	return TAKE_PTR(b);
}

const char *element_text(const struct element *e)
{
	static char texts[4][512];
	static unsigned next;
	char *text = texts[next++ % 4];
	struct buf b = { .data = NULL };

	buf_printf(&b, "%s %s ", e->family == AF_INET ? "ip" : "ip6", set_name(e->set));
	element_print(e, &b);
	assert_true(b.len < sizeof(texts[0]));
	memcpy(text, buf_text(&b), b.len + 1);
	buf_free(&b);
	return text;
}

static int element_cmp_qsort(const void *a, const void *b)
{
	return element_cmp(a, b);
}

const struct element *copy_find(const struct copy *c, const struct element *key)
{
	return array_find(key, c->elements, c->n, sizeof(*key), element_cmp_qsort);
}

static void copy_delete(struct copy *c, const struct element *e)
{
	const struct element *found = copy_find(c, e);
	size_t i;

	if (!found) {
		fail_msg("deleted, but not there: %s", element_text(e));
		return;
	}
	i = (size_t)(found - c->elements);
	free((char *)(uintptr_t)found->comment);
	memmove(&c->elements[i], &c->elements[i + 1], (--c->n - i) * sizeof(*found));
}

static void copy_add(struct copy *c, const struct element *e)
{
	struct element *new;

	assert_int_equal(ARRAY_RESERVE(c->elements, c->n, c->capacity), 0);
	new = &c->elements[c->n++];
	*new = *e;
	if (e->comment) {
		new->comment = strdup(e->comment);
		assert_non_null(new->comment);
	}
}

void copy_commit(struct copy *c, const struct transaction *tx)
{
	for (size_t i = 0; i < tx->n_changes; i++)
		if (!tx->changes[i].add)
			copy_delete(c, &tx->changes[i].element);
	for (size_t i = 0; i < tx->n_changes; i++)
		if (tx->changes[i].add)
			copy_add(c, &tx->changes[i].element);
	array_sort(c->elements, c->n, sizeof(c->elements[0]), element_cmp_qsort);
	for (size_t i = 1; i < c->n; i++)
		if (element_cmp(&c->elements[i - 1], &c->elements[i]) == 0)
			fail_msg("added, but already there: %s", element_text(&c->elements[i]));
}

void assert_copy_equals(const struct copy *c, const struct transaction *whole)
{
	for (size_t i = 0; i < c->n && i < whole->n_changes; i++) {
		const struct element *a = &c->elements[i], *b = &whole->changes[i].element;

		if (element_cmp(a, b) != 0 || !element_same_value(a, b))
			fail_msg("have %s, want %s", element_text(a), element_text(b));
		assert_true(whole->changes[i].add);
	}
	assert_int_equal(c->n, whole->n_changes);
}

void copy_free(struct copy *c)
{
	for (size_t i = 0; i < c->n; i++)
		free((char *)(uintptr_t)c->elements[i].comment);
	free(c->elements);
	*c = (struct copy){ 0 };
}
