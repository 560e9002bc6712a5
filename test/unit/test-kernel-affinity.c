#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/addr.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "kernel-fixture.h"
#include "kernel/affinity-key.h"
#include "object/object.h"
#include "ruleset/template.h"

static void addr_set(uint8_t ret[static 16], const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse(text, &a), 0);
	memcpy(ret, a.bytes, sizeof(a.bytes));
}

/* "10.96.0.1" or "fd96::1": frontends are TCP, port 80; endpoints' port is 8080. */
static struct element frontend(enum set_id set, const char *addr)
{
	struct element e = { .set = (uint8_t)set, .protocol = PROTOCOL_TCP, .port = 80 };

	e.family = strchr(addr, ':') ? AF_INET6 : AF_INET;
	addr_set(e.addr, addr);
	return e;
}

static struct element learning(const char *addr, uint32_t seconds)
{
	struct element e = frontend(SET_AFFINITY_SERVICES, addr);

	e.verdict = VERDICT_LEARN_AFFINITY;
	e.number = seconds;
	return e;
}

static struct element row(enum set_id set, const char *addr, uint32_t slot, const char *target)
{
	struct element e = frontend(set, addr);

	e.slot = slot;
	e.target_port = 8080;
	addr_set(e.other, target);
	return e;
}

static bool is_ipv6(const char *addr)
{
	return strchr(addr, ':');
}

struct key_text {
	char text[128];
};

/* As nft has the key of a client and a frontend. */
static struct key_text key(const char *client, const char *addr)
{
	struct element e = frontend(SET_AFFINITY_SERVICES, addr);
	uint8_t source[16];
	struct key_text k;

	addr_set(source, client);
	if (is_ipv6(addr))
		snprintf(k.text, sizeof(k.text), "%u . %u . %u . 80", affinity_key_hash(source, 1),
			 affinity_key_hash(e.addr, 0x106), affinity_key_hash(e.addr, 0x206));
	else
		snprintf(k.text, sizeof(k.text), "%s . %s . tcp . 80", client, addr);
	return k;
}

/* What the packets do. @time: "timeout 10m" or more. */
static void remember(struct kernel *k, const char *client, const char *addr, const char *target,
		     const char *time)
{
	const struct key_text at = key(client, addr);

	if (is_ipv6(addr))
		nft(k,
		    "add element ip6 kube-nft affinity { %s %s : %s }; "
		    "add element ip6 kube-nft affinity-ports { %s %s : 8080 }",
		    at.text, time, target, at.text, time);
	else
		nft(k, "add element ip kube-nft affinity { %s %s : %s . 8080 }", at.text, time,
		    target);
}

static bool element_is(struct kernel *k, const char *map, const struct key_text *at,
		       const char *data)
{
	char text[64];

	snprintf(text, sizeof(text), " : %s }", data);
	return nft_try(k, "get element %s { %s }", map, at->text) &&
	       strstr(nft_list(k, "get element %s { %s }", map, at->text), text);
}

static bool is_bound(struct kernel *k, const char *client, const char *addr, const char *target)
{
	const struct key_text at = key(client, addr);
	char data[64];

	if (is_ipv6(addr))
		return element_is(k, "ip6 kube-nft affinity", &at, target) &&
		       element_is(k, "ip6 kube-nft affinity-ports", &at, "8080");
	snprintf(data, sizeof(data), "%s . 8080", target);
	return element_is(k, "ip kube-nft affinity", &at, data);
}

/* The same in both families. */
static const struct world {
	const char *one, *two;        /* frontends with affinity */
	const char *a, *b, *c, *gone; /* endpoints */
	const char *client, *visitor; /* clients */
} worlds[] = {
	{ "10.96.0.1", "10.96.0.2", "10.244.1.1", "10.244.1.2", "10.244.1.3", "10.244.1.9",
	  "192.0.2.1", "192.0.2.2" },
	{ "fd96::1", "fd96::2", "fd44::1", "fd44::2", "fd44::3", "fd44::9", "2001:db8::1",
	  "2001:db8::2" },
};

/* Both frontends to a and b, for 600 seconds. */
static size_t usual(const struct world *w, struct element ret[static 16])
{
	size_t n = 0;

	ret[n++] = learning(w->one, 600);
	ret[n++] = learning(w->two, 600);
	ret[n++] = row(SET_ENDPOINTS, w->one, 0, w->a);
	ret[n++] = row(SET_ENDPOINTS, w->one, 1, w->b);
	ret[n++] = row(SET_ENDPOINTS, w->two, 0, w->a);
	ret[n++] = row(SET_ENDPOINTS, w->two, 1, w->b);
	return n;
}

static void begin(struct kernel *k, const struct world *w)
{
	struct element elements[16];

	kernel_open(k, true, true);
	kernel_want(k, elements, usual(w, elements), NULL);
	kernel_replace(k);
	remember(k, w->client, w->one, w->a, "timeout 10m");
	remember(k, w->visitor, w->one, w->b, "timeout 10m");
	remember(k, w->client, w->two, w->a, "timeout 10m");
	remember(k, w->visitor, w->two, w->b, "timeout 10m");
}

/* Fails unless exactly those bindings of begin() are there whose letter is in @expected: client and
 * visitor of frontend one are 1 and 2, of two 3 and 4. */
static void assert_bound(struct kernel *k, const struct world *w, const char *expected)
{
	char got[5] = "";

	if (is_bound(k, w->client, w->one, w->a))
		strcat(got, "1");
	if (is_bound(k, w->visitor, w->one, w->b))
		strcat(got, "2");
	if (is_bound(k, w->client, w->two, w->a))
		strcat(got, "3");
	if (is_bound(k, w->visitor, w->two, w->b))
		strcat(got, "4");
	assert_string_equal(got, expected);
}

static void test_O15_endpoint_that_goes_takes_its_bindings(struct kernel *k)
{
	for (size_t i = 0; i < ARRAY_SIZE(worlds); i++) {
		const struct world *w = &worlds[i];
		struct element elements[16];
		size_t n;

		begin(k, w);
		n = usual(w, elements);
		elements[3] = row(SET_ENDPOINTS, w->one, 1, w->c); /* b goes, c comes */
		kernel_change(k, elements, n);
		assert_bound(k, w, "134");
	}
}

static void test_endpoint_that_changes_its_slot_keeps_them(struct kernel *k)
{
	for (size_t i = 0; i < ARRAY_SIZE(worlds); i++) {
		const struct world *w = &worlds[i];
		struct element elements[16];
		size_t n;

		begin(k, w);
		n = usual(w, elements);
		elements[2] = row(SET_ENDPOINTS, w->one, 0, w->b);
		elements[3] = row(SET_ENDPOINTS, w->one, 1, w->a);
		elements[n++] = row(SET_ENDPOINTS, w->one, 2, w->c);
		kernel_change(k, elements, n);
		assert_bound(k, w, "1234");
		elements[2] = row(SET_ENDPOINTS, w->one, 0, w->c);
		elements[3] = row(SET_ENDPOINTS, w->one, 1, w->a);
		elements[6] = row(SET_ENDPOINTS, w->two, 2, w->c);
		kernel_change(k, elements, n);
		assert_bound(k, w, "134");
	}
}

/* The endpoint is the same but for its port: another one. */
static void test_endpoint_with_another_port_is_another(struct kernel *k)
{
	const struct world *w = &worlds[0];
	struct element elements[16];
	size_t n;

	begin(k, w);
	n = usual(w, elements);
	elements[n] = row(SET_ENDPOINTS, w->one, 2, w->a);
	elements[n].target_port = 8081;
	kernel_change(k, elements, n + 1);
	kernel_change(k, elements, n);
	assert_bound(k, w, "1234");
	elements[2].target_port = 8081;
	kernel_change(k, elements, n);
	assert_bound(k, w, "234");
}

static void test_affinity_switched_off_forgets_the_frontend(struct kernel *k)
{
	for (size_t i = 0; i < ARRAY_SIZE(worlds); i++) {
		struct element elements[16];
		size_t n;

		begin(k, &worlds[i]);
		n = usual(&worlds[i], elements);
		kernel_change(k, elements + 1, n - 1);
		assert_bound(k, &worlds[i], "34");
	}
}

static void test_another_timeout_keeps_what_is_bound(struct kernel *k)
{
	struct element elements[16];
	size_t n;

	begin(k, &worlds[1]);
	n = usual(&worlds[1], elements);
	elements[0].number = 60;
	kernel_change(k, elements, n);
	assert_bound(k, &worlds[1], "1234");
}

static void test_other_changes_keep_what_is_bound(struct kernel *k)
{
	const struct world *w = &worlds[0];
	struct element elements[16];
	size_t n;

	begin(k, w);
	n = usual(w, elements);
	elements[n++] = row(SET_ENDPOINTS, "10.96.0.3", 0, w->a);
	kernel_change(k, elements, n);
	kernel_change(k, elements, n - 1); /* of a frontend without affinity */
	assert_bound(k, w, "1234");
}

static void test_same_endpoint_on_another_port_keeps_them(struct kernel *k)
{
	const struct world *w = &worlds[0];
	struct element elements[16];
	size_t n;

	begin(k, w);
	n = usual(w, elements);
	elements[n] = row(SET_ENDPOINTS, w->one, 0, w->a);
	elements[n].protocol = PROTOCOL_UDP;
	elements[n + 1] = row(SET_ENDPOINTS, w->one, 0, w->a);
	elements[n + 1].port = 81;
	kernel_change(k, elements, n + 2);
	kernel_change(k, elements, n);
	assert_bound(k, w, "1234");
}

/* The map may be large: without need it is not read. What is left there by frontends that had affinity
 * once, a long time ago, shows it. */
static void test_bindings_are_not_looked_at_without_affinity(struct kernel *k)
{
	for (size_t i = 0; i < ARRAY_SIZE(worlds); i++) {
		const struct world *w = &worlds[i];
		struct element elements[16];
		size_t n = usual(w, elements);

		kernel_open(k, true, true);
		kernel_want(k, elements + 2, n - 2, NULL);
		kernel_replace(k);
		remember(k, w->client, w->one, w->a, "timeout 10m");
		kernel_change(k, elements + 3, n - 3);
		assert_bound(k, w, "1");
	}
}

enum { MANY = 3000 };

/* Clients of frontend one: every third is bound to a, the others to b. */
static void remember_many(struct kernel *k, const struct world *w)
{
	_cleanup_buf_ struct buf addrs = { 0 }, ports = { 0 };

	buf_puts(&addrs, "add element ip6 kube-nft affinity { ");
	buf_puts(&ports, "add element ip6 kube-nft affinity-ports { ");
	for (unsigned i = 0; i < MANY; i++) {
		char client[32];
		struct key_text at;

		snprintf(client, sizeof(client), "fd77::%x", i + 1);
		at = key(client, w->one);
		buf_printf(&addrs, "%s timeout 10m : %s, ", at.text, i % 3 ? w->b : w->a);
		buf_printf(&ports, "%s timeout 10m : 8080, ", at.text);
	}
	nft(k, "%s }; %s }", buf_text(&addrs), buf_text(&ports));
}

static unsigned count_many(struct kernel *k, const char *target)
{
	const char *at = nft_list(k, "list map ip6 kube-nft affinity");
	char text[64];
	unsigned n = 0;

	snprintf(text, sizeof(text), " : %s", target);
	while ((at = strstr(at, text))) {
		at++;
		n++;
	}
	return n;
}

/* More than one netlink message holds in either direction. */
static void test_many_bindings_are_kept_and_purged(struct kernel *k)
{
	const struct world *w = &worlds[1];
	struct element elements[16];
	size_t n = usual(w, elements);

	begin(k, w);
	remember_many(k, w);
	kernel_replace(k);
	assert_bound(k, w, "1234");
	assert_int_equal(count_many(k, w->a), MANY / 3 + 2);
	assert_int_equal(count_many(k, w->b), MANY / 3 * 2 + 2);

	elements[3] = row(SET_ENDPOINTS, w->one, 1, w->c);
	kernel_change(k, elements, n);
	assert_bound(k, w, "134");
	assert_int_equal(count_many(k, w->a), MANY / 3 + 2);
	assert_int_equal(count_many(k, w->b), 1);
}

/* What is left of a binding's time, in seconds, rounded down; -1: it is not there. */
static long seconds_left(struct kernel *k, const char *client, const char *addr)
{
	const struct key_text binding = key(client, addr);
	const char *family = is_ipv6(addr) ? "ip6" : "ip", *text, *at;
	long total = 0, n;
	char *end;

	if (!nft_try(k, "get element %s kube-nft affinity { %s }", family, binding.text))
		return -1;
	text = nft_list(k, "get element %s kube-nft affinity { %s }", family, binding.text);
	at = strstr(text, " expires ");
	assert_non_null(at);
	for (at += strlen(" expires "); (n = strtol(at, &end, 10)), end != at; at = end) {
		if (strncmp(end, "ms", 2) == 0) {
			break;
		}
		total += n * (*end == 'h' ? 3600 : *end == 'm' ? 60 : 1);
		end++;
	}
	return total;
}

/* The table of an older release: its comment has another hash. */
static void load_other_skeleton(struct kernel *k, uint8_t family)
{
	_cleanup_transaction_ struct transaction none = { 0 };
	_cleanup_buf_ struct buf text = { 0 };

	template_print(family, &none, &text);
	memset(strstr(text.data, "skeleton ") + strlen("skeleton "), '0', 16);
	nft(k, "delete table %s kube-nft; %s", family == AF_INET ? "ip" : "ip6", text.data);
}

static void test_N14_replacement_keeps_bindings_and_their_time(struct kernel *k)
{
	for (size_t i = 0; i < ARRAY_SIZE(worlds); i++) {
		const struct world *w = &worlds[i];
		struct element elements[16];

		kernel_open(k, true, true);
		kernel_want(k, elements, usual(w, elements), NULL);
		kernel_replace(k);
		load_other_skeleton(k, i ? AF_INET6 : AF_INET);
		remember(k, w->client, w->one, w->a, "timeout 10m expires 200s");
		remember(k, w->visitor, w->two, w->b, "timeout 9h");

		assert_reconciles(k, TABLES_REPLACED);
		assert_bound(k, w, "14");
		assert_in_range(seconds_left(k, w->client, w->one), 100, 200);
		assert_in_range(seconds_left(k, w->visitor, w->two), 8 * 3600, 9 * 3600);
		assert_reconciles(k, TABLES_EQUAL);
	}
}

/* What an old map held in another form than ours is lost, and nothing else is. */
static void test_N14_bindings_of_another_form_are_left_behind(struct kernel *k)
{
	static const char *const maps[] = {
		"type ipv4_addr : verdict; flags timeout; elements = { 192.0.2.1 timeout 1h : drop }",
		"type ipv4_addr . ipv4_addr . inet_proto . inet_service : ipv4_addr; flags timeout; "
		"elements = { 192.0.2.1 . 10.96.0.1 . tcp . 80 timeout 1h : 10.244.1.1 }",
		"type ipv4_addr . ipv4_addr . inet_proto . inet_service : "
		"ipv4_addr . inet_service . inet_service; flags timeout; elements = "
		"{ 192.0.2.1 . 10.96.0.1 . tcp . 80 timeout 1h : 10.244.1.1 . 8080 . 1 }",
		"type ipv6_addr . inet_service : ipv4_addr . inet_service; "
		"elements = { fd00::1 . 80 : 10.244.1.1 . 8080 }",
		"type inet_service : ipv4_addr . inet_service; elements = { 80 : 10.244.1.1 . 8080 }",
	};
	struct element elements[16];

	kernel_open(k, true, true);
	kernel_want(k, elements, usual(&worlds[0], elements), NULL);
	for (size_t i = 0; i < ARRAY_SIZE(maps); i++) {
		nft(k,
		    "add table ip kube-nft; delete table ip kube-nft; "
		    "table ip kube-nft { map affinity { %s; }; }",
		    maps[i]);
		assert_reconciles(k, TABLES_REPLACED);
		assert_kernel_has_what_is_wanted(k);
		assert_null(strstr(nft_list(k, "list map ip kube-nft affinity"), "elements"));
	}
}

/* Clients from outside had all endpoints, and have this node's from now on. */
static void test_policy_that_becomes_local_forgets_the_others(struct kernel *k)
{
	for (size_t i = 0; i < ARRAY_SIZE(worlds); i++) {
		const struct world *w = &worlds[i];
		struct element elements[16];
		size_t n;

		begin(k, w);
		n = usual(w, elements);
		elements[n] = frontend(SET_LOCAL_SERVICES, w->one);
		elements[n].verdict = VERDICT_AFFINITY_LOCAL_LB;
		elements[n++].number = 1;
		elements[n] = row(SET_LOCAL_ENDPOINTS, w->one, 0, w->a);
		kernel_change(k, elements, n + 1);
		assert_bound(k, w, "34");

		/* A pod, which may have all; then the local endpoint goes and comes. */
		remember(k, w->visitor, w->one, w->b, "timeout 10m");
		elements[n - 1].verdict = VERDICT_ACCEPT;
		kernel_change(k, elements, n);
		elements[n - 1].verdict = VERDICT_AFFINITY_LOCAL_LB;
		kernel_change(k, elements, n + 1);
		assert_bound(k, w, "234");
	}
}

/* What is wanted may have changed while the tables were another's. */
static void test_O15_replacement_leaves_stale_bindings_behind(struct kernel *k)
{
	for (size_t i = 0; i < ARRAY_SIZE(worlds); i++) {
		const struct world *w = &worlds[i];
		struct element elements[16];
		size_t n;

		begin(k, w);
		n = usual(w, elements);
		elements[3] = row(SET_ENDPOINTS, w->one, 1, w->c);
		kernel_want(k, elements, n, NULL);
		nft(k, "add chain %s kube-nft visitor", i ? "ip6" : "ip");
		assert_reconciles(k, TABLES_REPLACED);
		assert_bound(k, w, "134");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		kernel_test(test_O15_endpoint_that_goes_takes_its_bindings),
		kernel_test(test_endpoint_that_changes_its_slot_keeps_them),
		kernel_test(test_endpoint_with_another_port_is_another),
		kernel_test(test_affinity_switched_off_forgets_the_frontend),
		kernel_test(test_another_timeout_keeps_what_is_bound),
		kernel_test(test_other_changes_keep_what_is_bound),
		kernel_test(test_same_endpoint_on_another_port_keeps_them),
		kernel_test(test_bindings_are_not_looked_at_without_affinity),
		kernel_test(test_many_bindings_are_kept_and_purged),
		kernel_test(test_N14_replacement_keeps_bindings_and_their_time),
		kernel_test(test_N14_bindings_of_another_form_are_left_behind),
		kernel_test(test_policy_that_becomes_local_forgets_the_others),
		kernel_test(test_O15_replacement_leaves_stale_bindings_behind),
	};

	return cmocka_run_group_tests_name("kernel-affinity", tests, kernel_announce, NULL);
}
