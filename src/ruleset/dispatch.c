#include "ruleset/dispatch.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/addr.h"
#include "base/cleanup.h"
#include "base/hash.h"
#include "object/object.h"

static const char *const names[VERDICT_COUNT] = {
	[VERDICT_REFUSE] = "refuse",
	[VERDICT_MASQUERADE_ALL] = "masquerade-all",
	[VERDICT_MASQUERADE_OUTSIDE] = "masquerade-outside",
	[VERDICT_MASQUERADE_NODE] = "masquerade-node",
	[VERDICT_LB] = "lb",
	[VERDICT_LOCAL_LB] = "local-lb",
	[VERDICT_SH] = "sh",
	[VERDICT_LOCAL_SH] = "local-sh",
	[VERDICT_SH_PORT] = "sh-port",
	[VERDICT_LOCAL_SH_PORT] = "local-sh-port",
	[VERDICT_DH] = "dh",
	[VERDICT_LOCAL_DH] = "local-dh",
	[VERDICT_RR] = "rr",
	[VERDICT_LOCAL_RR] = "local-rr",
	[VERDICT_RECALL] = "recall",
	[VERDICT_LOCAL_RECALL] = "local-recall",
	[VERDICT_LEARN] = "learn",
	[VERDICT_LOCAL_LEARN] = "local-learn",
	[VERDICT_MIXED_LEARN] = "mixed-learn",
};

static const struct {
	const char *word;
	enum protocol protocol;
} protocols[] = {
	{ "tcp", PROTOCOL_TCP },
	{ "udp", PROTOCOL_UDP },
	{ "sctp", PROTOCOL_SCTP },
};

#define COMPARE_FIELD(a, b, field)                               \
	do {                                                     \
		if ((a)->field != (b)->field)                    \
			return (a)->field < (b)->field ? -1 : 1; \
	} while (0)

int dispatch_cmp(const struct dispatch *a, const struct dispatch *b)
{
	COMPARE_FIELD(a, b, family);
	COMPARE_FIELD(a, b, verdict);
	COMPARE_FIELD(a, b, number);
	COMPARE_FIELD(a, b, protocol);
	COMPARE_FIELD(a, b, port);
	return memcmp(a->addr, b->addr, sizeof(a->addr));
}

uint64_t dispatch_hash(const struct dispatch *d)
{
	const uint32_t key[] = { d->family, d->verdict, d->number, d->protocol, d->port };

	return hash_bytes(key, sizeof(key)) ^ hash_bytes(d->addr, sizeof(d->addr));
}

const char *verdict_chain(enum verdict v)
{
	return names[v];
}

bool verdict_is_jump(enum verdict v)
{
	return v == VERDICT_RECALL || v == VERDICT_LOCAL_RECALL;
}

/* Whether the number is that of targets_number(). */
static bool verdict_has_targets(enum verdict v)
{
	return verdict_is_jump(v);
}

bool verdict_is_choice(enum verdict v)
{
	return v >= VERDICT_FIRST_DISPATCH && v <= VERDICT_LOCAL_RR;
}

bool verdict_is_local(enum verdict v)
{
	return names[v] && strncmp(names[v], "local-", strlen("local-")) == 0;
}

const char *dispatch_protocol_name(const struct dispatch *d)
{
	for (size_t i = 0; i < ARRAY_SIZE(protocols); i++)
		if (protocols[i].protocol == d->protocol)
			return protocols[i].word;
	return "none";
}

struct dispatch dispatch_pattern(enum verdict v, uint8_t family)
{
	struct dispatch d = { .family = family, .verdict = (uint8_t)v, .number = PATTERN_NUMBER };

	if (v >= VERDICT_FIRST_OWN) {
		d.protocol = PROTOCOL_TCP;
		d.port = PATTERN_NUMBER;
	}
	return d;
}

/* A chain's name has no colons: those of IPv6 are dots, and no group is left out. */
static void addr_put(const struct dispatch *d, char text[static ADDR_TEXT_MAX])
{
	struct addr a = { .family = d->family };
	size_t len = 0;

	memcpy(a.bytes, d->addr, sizeof(a.bytes));
	if (d->family == AF_INET) {
		addr_format(&a, text);
		return;
	}
	for (size_t i = 0; i < sizeof(a.bytes); i += 2)
		len += (size_t)snprintf(text + len, ADDR_TEXT_MAX - len, "%s%x", i ? "." : "",
					a.bytes[i] << 8 | a.bytes[i + 1]);
}

const char *dispatch_own_name(const struct dispatch *d, char text[static CHAIN_NAME_MAX_BYTES])
{
	char addr[ADDR_TEXT_MAX];
	int len;

	addr_put(d, addr);
	len = snprintf(text, CHAIN_NAME_MAX_BYTES, "%s-%s-%u", addr, dispatch_protocol_name(d),
		       d->port);
	if (verdict_has_targets(d->verdict) && d->number > UINT16_MAX)
		snprintf(text + len, CHAIN_NAME_MAX_BYTES - (size_t)len, "-%u-%u",
			 d->number & UINT16_MAX, d->number >> 16);
	else
		snprintf(text + len, CHAIN_NAME_MAX_BYTES - (size_t)len, "-%" PRIu32, d->number);
	return text;
}

const char *dispatch_name(const struct dispatch *d, char text[static CHAIN_NAME_MAX_BYTES])
{
	char own[CHAIN_NAME_MAX_BYTES];
	int len;

	if (!names[d->verdict])
		return NULL;
	len = snprintf(text, CHAIN_NAME_MAX_BYTES, "%s", names[d->verdict]);
	if (d->verdict >= VERDICT_FIRST_OWN)
		snprintf(text + len, CHAIN_NAME_MAX_BYTES - (size_t)len, "-%s",
			 dispatch_own_name(d, own));
	else if (d->verdict >= VERDICT_FIRST_DISPATCH)
		snprintf(text + len, CHAIN_NAME_MAX_BYTES - (size_t)len, "-%" PRIu32, d->number);
	return text;
}

/* "-" and a decimal number from 1 to @max without leading zeros. */
static bool number_take(const char **pos, uint32_t max, uint32_t *ret)
{
	const char *text = *pos;
	unsigned long n;
	char *end;

	if (text[0] != '-' || text[1] < '1' || text[1] > '9')
		return false;
	n = strtoul(text + 1, &end, 10);
	if (n > max)
		return false;
	*ret = (uint32_t)n;
	*pos = end;
	return true;
}

/* "-" and everything up to the next one. */
static bool word_take(const char **pos, char *ret, size_t size)
{
	size_t len = (*pos)[0] == '-' ? strcspn(*pos + 1, "-") : 0;

	if (len == 0 || len >= size)
		return false;
	memcpy(ret, *pos + 1, len);
	ret[len] = '\0';
	*pos += 1 + len;
	return true;
}

static bool addr_take(const char **pos, struct dispatch *ret)
{
	char text[ADDR_TEXT_MAX], again[ADDR_TEXT_MAX];
	struct addr a;

	if (!word_take(pos, text, sizeof(text)))
		return false;
	memcpy(again, text, sizeof(again));
	for (char *c = again; ret->family == AF_INET6 && *c; c++)
		*c = *c == '.' ? ':' : *c;
	if (addr_parse(again, &a) < 0 || a.family != ret->family)
		return false;
	memcpy(ret->addr, a.bytes, sizeof(ret->addr));
	addr_put(ret, again);
	return strcmp(text, again) == 0;
}

static bool protocol_take(const char **pos, struct dispatch *ret)
{
	char word[8];

	if (!word_take(pos, word, sizeof(word)))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(protocols); i++)
		if (strcmp(protocols[i].word, word) == 0)
			ret->protocol = (uint8_t)protocols[i].protocol;
	return ret->protocol != 0;
}

static bool targets_take(const char **pos, struct dispatch *ret)
{
	uint16_t targets[DISPATCH_MAX_TARGETS] = { 0 };
	uint32_t number = 0, before;

	for (size_t i = 0; i < DISPATCH_MAX_TARGETS && (i == 0 || **pos); i++) {
		before = number;
		if (!number_take(pos, UINT16_MAX, &number) || number <= before)
			return false;
		targets[i] = (uint16_t)number;
	}
	ret->number = targets_number(targets);
	return true;
}

/* What stands behind a dispatch chain's name. */
static bool dispatch_take(const char *text, struct dispatch *ret)
{
	uint32_t port = 0;
	bool good = true;

	if (ret->verdict >= VERDICT_FIRST_OWN)
		good = addr_take(&text, ret) && protocol_take(&text, ret) &&
		       number_take(&text, UINT16_MAX, &port);
	ret->port = (uint16_t)port;
	if (good && verdict_has_targets(ret->verdict))
		good = targets_take(&text, ret);
	else if (good)
		good = number_take(&text, UINT32_MAX, &ret->number);
	return good && *text == '\0';
}

bool dispatch_parse(const char *name, uint8_t family, struct dispatch *ret)
{
	for (unsigned v = 0; v < VERDICT_COUNT; v++) {
		size_t len = names[v] ? strlen(names[v]) : 0;

		if (len == 0 || strncmp(name, names[v], len) != 0)
			continue;
		*ret = (struct dispatch){ .family = family, .verdict = (uint8_t)v };
		if (v < VERDICT_FIRST_DISPATCH ? name[len] == '\0' : dispatch_take(name + len, ret))
			return true;
	}
	*ret = (struct dispatch){ .family = family };
	return false;
}

size_t dispatch_behind(const struct dispatch *d, struct dispatch ret[static 2])
{
	if (d->verdict != VERDICT_MIXED_LEARN)
		return 0;
	ret[0] = ret[1] = *d;
	ret[0].verdict = VERDICT_LEARN;
	ret[1].verdict = VERDICT_LOCAL_LEARN;
	return 2;
}

uint32_t targets_number(const uint16_t targets[static DISPATCH_MAX_TARGETS])
{
	return (uint32_t)targets[1] << 16 | targets[0];
}

size_t dispatch_targets(const struct dispatch *d, uint16_t ret[static DISPATCH_MAX_TARGETS])
{
	memset(ret, 0, DISPATCH_MAX_TARGETS * sizeof(*ret));
	if (!verdict_has_targets(d->verdict))
		return 1;
	ret[0] = (uint16_t)d->number;
	ret[1] = (uint16_t)(d->number >> 16);
	return ret[1] ? 2 : 1;
}
