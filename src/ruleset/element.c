#include "ruleset/element.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "object/object.h"

/* clang-format off */
static const char *const set_names[SET_KINDS] = {
	[SET_SERVICES] = "services",
	[SET_LOCAL_SERVICES] = "local-services",
	[SET_ENDPOINTS] = "endpoints",
	[SET_LOCAL_ENDPOINTS] = "local-endpoints",
	[SET_NO_ENDPOINTS] = "no-endpoints",
	[SET_AFFINITY_SERVICES] = "affinity-services",
	[SET_LOCAL_AFFINITY_SERVICES] = "local-affinity-services",
	[SET_AFFINITY_TIMEOUTS] = "affinity-timeouts",
	[SET_MASQUERADE_SERVICES] = "masquerade-services",
	[SET_MASQUERADE_RANGES] = "masquerade-ranges",
	[SET_UDP_SERVICES] = "udp-services",
	[SET_UDP_FLOWS] = "udp-flows",
	[SET_HAIRPIN] = "hairpin",
	[SET_POD_CIDRS] = "pod-cidrs",
	[SET_GUARDED_FRONTENDS] = "guarded-frontends",
	[SET_SOURCE_RANGES] = "source-ranges",
	[SET_SERVICE_ADDRESSES] = "service-addresses",
	[SET_CLUSTER_RANGES] = "cluster-ranges",
	[SET_EGRESS_PODS] = "egress-pods",
	[SET_INGRESS_PODS] = "ingress-pods",
	[SET_EXEMPT_CIDRS] = "exempt-cidrs",
	[SET_EXEMPT_PORTS] = "exempt-ports",
	[SET_LOCAL_POD_CIDRS] = "local-pod-cidrs",
	[SET_LOCAL_PODS] = "local-pods",
	[SET_PODS] = "pods",
	[SET_BLOCK] = "block",
	[SET_PORTS] = "ports",
	[SET_NAMED_PORTS] = "named-ports",
};
/* clang-format on */

#define FRONTEND_KEY .addr = true, .frontend = true

static const struct set_layout set_layouts[SET_KINDS] = {
	[SET_SERVICES] = { FRONTEND_KEY, .verdict = true, .counter = true },
	[SET_LOCAL_SERVICES] = { FRONTEND_KEY, .verdict = true, .counter = true },
	[SET_ENDPOINTS] = { FRONTEND_KEY, .slot = true, .target = true, .counter = true },
	[SET_LOCAL_ENDPOINTS] = { FRONTEND_KEY, .slot = true, .target = true, .counter = true },
	[SET_NO_ENDPOINTS] = { FRONTEND_KEY, .verdict = true, .counter = true },
	[SET_AFFINITY_SERVICES] = { FRONTEND_KEY, .verdict = true, .counter = true },
	[SET_LOCAL_AFFINITY_SERVICES] = { FRONTEND_KEY, .verdict = true, .counter = true },
	[SET_AFFINITY_TIMEOUTS] = { FRONTEND_KEY, .verdict = true },
	[SET_MASQUERADE_SERVICES] = { FRONTEND_KEY, .verdict = true },
	[SET_MASQUERADE_RANGES] = { .addr = true, .interval = true },
	[SET_UDP_SERVICES] = { FRONTEND_KEY },
	[SET_UDP_FLOWS] = { FRONTEND_KEY, .flow = true },
	[SET_HAIRPIN] = { .addr = true, .pair = true, .shared = true },
	[SET_POD_CIDRS] = { .addr = true, .interval = true },
	[SET_GUARDED_FRONTENDS] = { FRONTEND_KEY },
	[SET_SOURCE_RANGES] = { FRONTEND_KEY, .prefix = true },
	[SET_SERVICE_ADDRESSES] = { .addr = true, .shared = true },
	[SET_CLUSTER_RANGES] = { .addr = true, .interval = true },
	[SET_EGRESS_PODS] = { .addr = true, .verdict = true },
	[SET_INGRESS_PODS] = { .addr = true, .verdict = true },
	[SET_EXEMPT_CIDRS] = { .addr = true, .interval = true },
	[SET_EXEMPT_PORTS] = { .ports = true },
	[SET_LOCAL_POD_CIDRS] = { .addr = true, .interval = true },
	[SET_LOCAL_PODS] = { .addr = true },
	[SET_PODS] = { .addr = true, .dynamic = true },
	[SET_BLOCK] = { .addr = true, .interval = true, .dynamic = true },
	[SET_PORTS] = { .ports = true, .dynamic = true },
	[SET_NAMED_PORTS] = { FRONTEND_KEY, .dynamic = true },
};

const char *set_name(enum set_id set)
{
	return set_names[set];
}

enum set_id set_by_name(const char *name)
{
	unsigned set = 0;

	while (set < SET_COUNT && strcmp(set_names[set], name) != 0)
		set++;
	return (enum set_id)set;
}

const struct set_layout *set_layout(enum set_id set)
{
	return &set_layouts[set];
}

const char *element_set_name(const struct element *e, char text[static SET_NAME_MAX_BYTES])
{
	char hex[CONTENT_ID_TEXT];

	if (!set_layouts[e->set].dynamic)
		return set_names[e->set];
	snprintf(text, SET_NAME_MAX_BYTES, "%s-%s", set_names[e->set],
		 content_id_format(&e->id, hex));
	return text;
}

struct dispatch element_dispatch(const struct element *e)
{
	struct dispatch d = { .family = e->family, .verdict = e->verdict, .number = e->number };

	if (e->verdict >= VERDICT_FIRST_OWN) {
		d.protocol = e->protocol;
		d.port = e->target_port;
		memcpy(d.addr, e->other, sizeof(d.addr));
	}
	return d;
}

void element_set_dispatch(struct element *e, const struct dispatch *d)
{
	e->verdict = d->verdict;
	e->number = d->number;
	e->target_port = d->port;
	memcpy(e->other, d->addr, sizeof(e->other));
}

/* "ingress-0123456789abcdef0123": the policies of a pod. */
static const char *policies_word(const struct element *e)
{
	return e->set == SET_INGRESS_PODS ? "ingress" : "egress";
}

const char *element_chain_name(const struct element *e, char text[static CHAIN_NAME_MAX_BYTES])
{
	struct dispatch d = element_dispatch(e);
	char hex[CONTENT_ID_TEXT];

	if (e->verdict != VERDICT_POLICIES)
		return dispatch_name(&d, text);
	snprintf(text, CHAIN_NAME_MAX_BYTES, "%s-%s", policies_word(e),
		 content_id_format(&e->id, hex));
	return text;
}

void element_read_chain(struct element *e, const char *name)
{
	size_t len = strlen(policies_word(e));
	struct dispatch d;

	if (dispatch_parse(name, e->family, &d) && (d.protocol == 0 || d.protocol == e->protocol))
		element_set_dispatch(e, &d);
	if ((e->set == SET_INGRESS_PODS || e->set == SET_EGRESS_PODS) &&
	    strncmp(name, policies_word(e), len) == 0 && name[len] == '-' &&
	    content_id_parse(name + len + 1, &e->id))
		e->verdict = VERDICT_POLICIES;
}

void counter_add(struct counter *sum, const struct counter *more)
{
	sum->packets += more->packets;
	sum->bytes += more->bytes;
}

#define COMPARE_FIELD(a, b, field)                               \
	do {                                                     \
		if ((a)->field != (b)->field)                    \
			return (a)->field < (b)->field ? -1 : 1; \
	} while (0)

int element_set_cmp(const struct element *a, const struct element *b)
{
	COMPARE_FIELD(a, b, set);
	COMPARE_FIELD(a, b, family);
	return set_layouts[a->set].dynamic ? content_id_cmp(&a->id, &b->id) : 0;
}

int element_cmp(const struct element *a, const struct element *b)
{
	const struct set_layout *layout = &set_layouts[a->set];
	int c = element_set_cmp(a, b);

	if (c == 0)
		c = memcmp(a->addr, b->addr, sizeof(a->addr));
	if (c)
		return c;
	COMPARE_FIELD(a, b, protocol);
	COMPARE_FIELD(a, b, port);
	if (layout->slot || layout->prefix)
		COMPARE_FIELD(a, b, slot);
	if (layout->pair || layout->interval || layout->flow || layout->prefix) {
		c = memcmp(a->other, b->other, sizeof(a->other));
		if (c)
			return c;
	}
	if (layout->flow || layout->ports)
		COMPARE_FIELD(a, b, target_port);
	return 0;
}

bool element_same_value(const struct element *a, const struct element *b)
{
	const struct set_layout *layout = &set_layouts[a->set];

	if (layout->verdict && (a->verdict != b->verdict || a->number != b->number))
		return false;
	if (a->verdict == VERDICT_POLICIES && content_id_cmp(&a->id, &b->id) != 0)
		return false;
	if ((layout->target || layout->verdict) &&
	    (a->target_port != b->target_port || memcmp(a->other, b->other, sizeof(a->other)) != 0))
		return false;
	return strcmp(a->comment ? a->comment : "", b->comment ? b->comment : "") == 0;
}

static const char *addr_text(uint8_t family, const uint8_t bytes[static 16],
			     char text[static ADDR_TEXT_MAX])
{
	struct addr a = { .family = family };

	memcpy(a.bytes, bytes, sizeof(a.bytes));
	return addr_format(&a, text);
}

/* As nft lists it: a whole address has no bits behind it. */
static const char *prefix_text(const struct element *e, char text[static PREFIX_TEXT_MAX])
{
	struct prefix p = { .addr.family = e->family, .len = (uint8_t)e->slot };

	memcpy(p.addr.bytes, e->other, sizeof(p.addr.bytes));
	return p.len == 8 * addr_len_bytes(&p.addr) ? addr_format(&p.addr, text) :
						      prefix_format(&p, text);
}

static const char *protocol_keyword(uint8_t protocol)
{
	return protocol == PROTOCOL_TCP ? "tcp" : protocol == PROTOCOL_UDP ? "udp" : "sctp";
}

/* One or a range. */
static void ports_print(const struct element *e, struct buf *out)
{
	buf_printf(out, "%s . %u", protocol_keyword(e->protocol), e->port);
	if (e->target_port != e->port)
		buf_printf(out, "-%u", e->target_port);
}

static void element_print_key(const struct element *e, struct buf *out)
{
	const struct set_layout *layout = &set_layouts[e->set];
	char addr[ADDR_TEXT_MAX], other[PREFIX_TEXT_MAX];

	if (layout->addr)
		buf_puts(out, addr_text(e->family, e->addr, addr));
	if (layout->pair)
		buf_printf(out, " . %s", addr_text(e->family, e->other, addr));
	if (layout->interval && memcmp(e->addr, e->other, sizeof(e->addr)) != 0)
		buf_printf(out, "-%s", addr_text(e->family, e->other, addr));
	if (layout->frontend)
		buf_printf(out, " . %s . %u", protocol_keyword(e->protocol), e->port);
	if (layout->ports)
		ports_print(e, out);
	if (layout->prefix)
		buf_printf(out, " . %s", prefix_text(e, other));
	if (layout->slot)
		buf_printf(out, " . %" PRIu32, e->slot);
	if (layout->flow)
		buf_printf(out, " . %s . %u", addr_text(e->family, e->other, addr), e->target_port);
}

static void element_print_data(const struct element *e, struct buf *out)
{
	const struct set_layout *layout = &set_layouts[e->set];
	char addr[ADDR_TEXT_MAX], chain[CHAIN_NAME_MAX_BYTES];

	if (layout->target)
		buf_printf(out, " : %s . %u", addr_text(e->family, e->other, addr), e->target_port);
	if (!layout->verdict)
		return;
	if (element_chain_name(e, chain))
		buf_printf(out, " : %s %s", verdict_is_jump(e->verdict) ? "jump" : "goto", chain);
	else
		buf_puts(out, e->verdict == VERDICT_DROP ? " : drop" : " : accept");
}

void element_print(const struct element *e, struct buf *out)
{
	element_print_key(e, out);
	if (e->comment)
		buf_printf(out, " comment \"%s\"", e->comment);
	element_print_data(e, out);
}
