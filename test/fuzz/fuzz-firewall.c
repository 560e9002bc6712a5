/* fuzz-firewall.c - a table as the kernel dumps it, whoever wrote it, to pods and policies in words. The first
 * byte chooses the family. A part is its kind, its name, one of those below, the length of its attributes in
 * two bytes, and these. */
#include <libmnl/libmnl.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/array.h"
#include "firewall/firewall.h"
#include "kernel/defined.h"
#include "kernel/dump.h"
#include "kernel/skeleton-internal.h"
#include "object-check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { PART_HEAD_BYTES = 4 };

static const char *const names[] = {
	"ingress/shop/web",
	"egress/shop/web",
	"egress/no",
	"ingress-0123456789abcdef0123",
	"egress-0123456789abcdef0123",
	"pods-0123456789abcdef0123",
	"block-0123456789abcdef0123",
	"ports-0123456789abcdef0123",
	"named-ports-0123456789abcdef0123",
	"exceptions",
	"refuse-unknown",
};

/* Of just its size, so that reading behind it is seen. 0: there is no more. */
static size_t part_make(const uint8_t *data, size_t len, struct skeleton *s)
{
	struct part part;
	struct parts *parts;
	size_t size;
	void *attrs;

	if (len < PART_HEAD_BYTES)
		return 0;
	parts = &s->parts[data[0] % PART_KINDS];
	part = (struct part){ .name = names[data[1] % ARRAY_SIZE(names)] };
	size = (size_t)data[2] << 8 | data[3];
	part.len = size < len - PART_HEAD_BYTES ? size : len - PART_HEAD_BYTES;
	check(ARRAY_RESERVE(parts->items, parts->n, parts->capacity) == 0);
	attrs = malloc(part.len + 1);
	check(attrs);
	memcpy(attrs, data + PART_HEAD_BYTES, part.len);
	part.attrs = attrs;
	parts->items[parts->n++] = part;
	return PART_HEAD_BYTES + part.len;
}

static void parts_free(struct skeleton *s)
{
	for (size_t kind = 0; kind < PART_KINDS; kind++) {
		for (size_t i = 0; i < s->parts[kind].n; i++)
			free((void *)(uintptr_t)s->parts[kind].items[i].attrs);
		free(s->parts[kind].items);
	}
}

static void definition_check(const struct defined *d)
{
	check(d->definition.kind < DEFINITION_COUNT && d->definition.comment);
	for (size_t i = 0; i < d->definition.n_rules; i++)
		check(d->definition.rules[i].shape <= RULE_SHAPES && d->counters);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	_cleanup_(firewall_freep) struct firewall *f = NULL;
	_cleanup_defined_ struct defined_list l = { 0 };
	_cleanup_dump_ struct dump elements = { 0 };
	struct skeleton s = { 0 };
	size_t size;

	if (len < 1)
		return 0;
	s.family = data[0] & 1 ? AF_INET6 : AF_INET;
	for (size_t at = 1; (size = part_make(data + at, len - at, &s)) > 0;)
		at += size;
	check(defined_new(&l) == 0 && dump_new(&elements) == 0);
	check(defined_take(&l, &s) == 0);
	for (size_t i = 0; i < l.n; i++)
		definition_check(&l.items[i]);
	check(firewall_build(&l, &elements, &f) == 0);
	parts_free(&s);
	return 0;
}
