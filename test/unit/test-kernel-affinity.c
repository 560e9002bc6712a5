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
#include "kernel/affinity.h"
#include "kernel/netlink.h"
#include "object/object.h"
#include "ruleset/bindings.h"
#include "ruleset/template.h"

static void addr_set(uint8_t ret[static 16], const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse(text, &a), 0);
	memcpy(ret, a.bytes, sizeof(a.bytes));
}

static bool is_ipv6(const char *addr)
{
	return strchr(addr, ':');
}

/* The chain that learns for the service port "10.96.0.1" or "fd96::1", port 80 TCP. */
static struct dispatch port_of(const char *addr, enum verdict learn)
{
	struct dispatch d = { .verdict = (uint8_t)learn, .protocol = PROTOCOL_TCP, .port = 80 };

	d.family = is_ipv6(addr) ? AF_INET6 : AF_INET;
	d.number = 600;
	addr_set(d.addr, addr);
	return d;
}

/* That clients of a service port may have an endpoint. */
struct wish {
	const char *addr, *target;
	uint16_t target_port; /* 0: 8080 */
	bool local;
};

static uint16_t port_or_usual(uint16_t port)
{
	return port ? port : 8080;
}

/* The same in both families. */
static const struct world {
	const char *one, *two;        /* service ports with affinity */
	const char *a, *b, *c, *gone; /* endpoints */
	const char *client, *visitor; /* as they stand in a key: an address, or a hash of one */
	const char *other;
} worlds[] = {
	{ "10.96.0.1", "10.96.0.2", "10.244.1.1", "10.244.1.2", "10.244.1.3", "10.244.1.9",
	  "192.0.2.1", "192.0.2.2", "192.0.2.3" },
	{ "fd96::1", "fd96::2", "fd44::1", "fd44::2", "fd44::3", "fd44::9", "4294967294", "7",
	  "8" },
};

/* Both service ports to a and b. */
static size_t usual(const struct world *w, struct wish ret[static 8])
{
	const struct wish wishes[] = {
		{ w->one, w->a, 0, false },
		{ w->one, w->b, 0, false },
		{ w->two, w->a, 0, false },
		{ w->two, w->b, 0, false },
	};

	memcpy(ret, wishes, sizeof(wishes));
	return ARRAY_SIZE(wishes);
}

static void block_wish(struct block *b, const struct wish *wish)
{
	struct dispatch d = port_of(wish->addr, wish->local ? VERDICT_LOCAL_LEARN : VERDICT_LEARN);
	struct binding one = { .family = d.family };

	addr_set(one.addr, wish->target);
	binding_words(&d, port_or_usual(wish->target_port), one.words);
	assert_int_equal(bindings_add(&b->bindings, &one), 0);
}

/* From now on these are wanted. Something else changes, too, so that there is something to commit. */
static void want(struct kernel *k, const struct wish *wishes, size_t n, struct transaction *tx)
{
	static unsigned key;
	struct element e = element_make(SET_HAIRPIN, AF_INET, key++ % 65536, 0);
	struct block *b = block_of(&e, 1);

	assert_non_null(b);
	for (size_t i = 0; i < n; i++)
		block_wish(b, &wishes[i]);
	assert_int_equal(ruleset_replace(k->ruleset, "all", b, tx, &k->err), 0);
	if (tx)
		assert_int_equal(transaction_settle(tx), 0);
}

static void change(struct kernel *k, const struct wish *wishes, size_t n)
{
	_cleanup_transaction_ struct transaction tx = { 0 };

	want(k, wishes, n, &tx);
	if (kernel_commit(k, &tx) < 0)
		fail_msg("%s", k->err.message);
}

struct key_text {
	char text[128];
};

/* As nft has the key of a client of a service port with an endpoint of this port. */
static struct key_text key(const char *client, const struct wish *wish)
{
	struct dispatch d = port_of(wish->addr, wish->local ? VERDICT_LOCAL_LEARN : VERDICT_LEARN);
	uint32_t words[BINDING_WORDS];
	struct key_text k;

	binding_words(&d, port_or_usual(wish->target_port), words);
	snprintf(k.text, sizeof(k.text), "%s . %u . %u . %u", client, words[0], words[1], words[2]);
	return k;
}

static const char *table_of(const struct wish *wish)
{
	return is_ipv6(wish->addr) ? "ip6 kube-nft" : "ip kube-nft";
}

/* What the packets do. @time: "timeout 10m" or more. */
static void remember(struct kernel *k, const char *client, const struct wish *wish,
		     const char *time)
{
	const struct key_text at = key(client, wish);

	nft(k, "add element %s affinity { %s %s : %s }", table_of(wish), at.text, time,
	    wish->target);
}

static bool is_bound(struct kernel *k, const char *client, const struct wish *wish)
{
	const struct key_text at = key(client, wish);
	char text[64];

	snprintf(text, sizeof(text), " : %s }", wish->target);
	return nft_try(k, "get element %s affinity { %s }", table_of(wish), at.text) &&
	       strstr(nft_list(k, "get element %s affinity { %s }", table_of(wish), at.text), text);
}

static void begin(struct kernel *k, const struct world *w)
{
	struct wish wishes[8];

	kernel_open(k, true, true);
	want(k, wishes, usual(w, wishes), NULL);
	kernel_replace(k);
	remember(k, w->client, &wishes[0], "timeout 10m");
	remember(k, w->visitor, &wishes[1], "timeout 10m");
	remember(k, w->client, &wishes[2], "timeout 10m");
	remember(k, w->visitor, &wishes[3], "timeout 10m");
}

/* Fails unless exactly those bindings of begin() are there whose letter is in @expected: client and
 * visitor of service port one are 1 and 2, of two 3 and 4. */
static void assert_bound(struct kernel *k, const struct world *w, const char *expected)
{
	struct wish wishes[8];
	size_t n = usual(w, wishes);
	char got[5] = "";

	for (size_t i = 0; i < n; i++)
		if (is_bound(k, i % 2 ? w->visitor : w->client, &wishes[i]))
			got[strlen(got)] = (char)('1' + i);
	assert_string_equal(got, expected);
}

static void test_O15_endpoint_that_goes_takes_its_bindings(struct kernel *k)
{
	for (size_t i = 0; i < ARRAY_SIZE(worlds); i++) {
		const struct world *w = &worlds[i];
		struct wish wishes[8];
		size_t n;

		begin(k, w);
		n = usual(w, wishes);
		wishes[1].target = w->c; /* b goes, c comes */
		change(k, wishes, n);
		assert_bound(k, w, "134");
		wishes[1].target = w->b; /* and it is not remembered when it comes back */
		change(k, wishes, n);
		assert_bound(k, w, "134");
	}
}

/* The endpoint is the same but for its port: another one. */
static void test_endpoint_with_another_port_is_another(struct kernel *k)
{
	for (size_t i = 0; i < ARRAY_SIZE(worlds); i++) {
		struct wish wishes[8];
		size_t n = usual(&worlds[i], wishes);

		begin(k, &worlds[i]);
		wishes[n] = wishes[0];
		wishes[n].target_port = 8081;
		change(k, wishes, n + 1);
		change(k, wishes, n);
		assert_bound(k, &worlds[i], "1234");
		wishes[0].target_port = 8081;
		change(k, wishes, n);
		assert_bound(k, &worlds[i], "234");
	}
}

static void test_affinity_switched_off_forgets_the_service_port(struct kernel *k)
{
	for (size_t i = 0; i < ARRAY_SIZE(worlds); i++) {
		struct wish wishes[8];
		size_t n = usual(&worlds[i], wishes);

		begin(k, &worlds[i]);
		change(k, wishes + 2, n - 2);
		assert_bound(k, &worlds[i], "34");
		change(k, NULL, 0);
		assert_bound(k, &worlds[i], "");
	}
}

static void test_other_changes_keep_what_is_bound(struct kernel *k)
{
	for (size_t i = 0; i < ARRAY_SIZE(worlds); i++) {
		struct wish wishes[8];
		size_t n = usual(&worlds[i], wishes);

		begin(k, &worlds[i]);
		wishes[n] = (struct wish){ worlds[i].two, worlds[i].c, 0, false };
		change(k, wishes, n + 1);
		change(k, wishes, n);
		change(k, wishes, n);
		assert_bound(k, &worlds[i], "1234");
	}
}

/* The same endpoint of the same service port in the list of this node's endpoints is another binding. */
static void test_lists_are_told_apart(struct kernel *k)
{
	for (size_t i = 0; i < ARRAY_SIZE(worlds); i++) {
		const struct world *w = &worlds[i];
		struct wish wishes[8];
		size_t n = usual(w, wishes);

		begin(k, w);
		wishes[n] = (struct wish){ w->one, w->a, 0, true };
		change(k, wishes, n + 1);
		remember(k, w->client, &wishes[n], "timeout 10m");
		change(k, wishes + 1, n);
		assert_bound(k, w, "234");
		assert_true(is_bound(k, w->client, &wishes[n]));
		change(k, wishes, n);
		assert_false(is_bound(k, w->client, &wishes[n]));
	}
}

/* The map may be large: without need it is not read. What belongs to nobody shows it. */
static void test_bindings_are_not_looked_at_without_need(struct kernel *k)
{
	for (size_t i = 0; i < ARRAY_SIZE(worlds); i++) {
		const struct world *w = &worlds[i];
		const struct wish stray = { w->one, w->gone, 0, false };
		struct wish wishes[8];
		size_t n = usual(w, wishes);

		begin(k, w);
		remember(k, w->other, &stray, "timeout 10m");
		change(k, wishes, n);
		assert_true(is_bound(k, w->other, &stray));
	}
}

/* An agent may have been killed behind its commit, or have slept while endpoints went. */
static void test_O15_comparison_forgets_what_belongs_to_nobody(struct kernel *k)
{
	for (size_t i = 0; i < ARRAY_SIZE(worlds); i++) {
		const struct world *w = &worlds[i];
		const struct wish stray = { w->one, w->gone, 0, false };
		struct wish wishes[8];
		size_t n = usual(w, wishes);

		begin(k, w);
		remember(k, w->other, &stray, "timeout 10m");
		assert_reconciles(k, TABLES_EQUAL);
		assert_bound(k, w, "1234");
		assert_false(is_bound(k, w->other, &stray));

		want(k, wishes + 1, n - 1, NULL);
		assert_reconciles(k, TABLES_ADOPTED);
		assert_bound(k, w, "234");
	}
}

enum { MANY = 3000 };

/* Clients of service port one: every third is bound to a, the others to b. */
static void remember_many(struct kernel *k, const struct world *w, const char *time)
{
	const struct wish to[] = { { w->one, w->a, 0, false }, { w->one, w->b, 0, false } };
	_cleanup_buf_ struct buf text = { 0 };

	for (unsigned i = 0; i < MANY; i++) {
		const struct wish *wish = &to[i % 3 > 0];
		char client[32];

		snprintf(client, sizeof(client), "%u", 1000 + i);
		buf_printf(&text, "%s %s : %s, ", key(client, wish).text, time, wish->target);
	}
	nft(k, "add element ip6 kube-nft affinity { %s }", buf_text(&text));
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
	struct wish wishes[8];
	size_t n = usual(w, wishes), n_bindings;

	begin(k, w);
	remember_many(k, w, "timeout 10m");
	kernel_replace(k);
	assert_bound(k, w, "1234");
	assert_int_equal(count_many(k, w->a), MANY / 3 + 2);
	assert_int_equal(count_many(k, w->b), MANY / 3 * 2 + 2);
	assert_int_equal(affinity_count(k->nl, AF_INET6, TABLE_NAME, &n_bindings, NULL, &k->err),
			 0);
	assert_int_equal(n_bindings, MANY + 4);

	wishes[1].target = w->c;
	change(k, wishes, n);
	assert_bound(k, w, "134");
	assert_int_equal(count_many(k, w->a), MANY / 3 + 2);
	assert_int_equal(count_many(k, w->b), 1);
}

/* What runs out while it is being deleted voids a transaction, and must not keep the others. */
static void test_bindings_that_run_out_meanwhile_are_no_obstacle(struct kernel *k)
{
	const struct world *w = &worlds[1];
	struct wish wishes[8];
	size_t n = usual(w, wishes);

	begin(k, w);
	for (unsigned i = 0; i < 20; i++) {
		char time[64];

		snprintf(time, sizeof(time), "timeout 10m expires %ums", 1 + i);
		remember_many(k, w, time);
		wishes[1].target = i % 2 ? w->b : w->c;
		change(k, wishes, n);
	}
	assert_bound(k, w, "134");
}

/* What is left of a binding's time, in seconds, rounded down; -1: it is not there. */
static long seconds_left(struct kernel *k, const char *client, const struct wish *wish)
{
	const struct key_text binding = key(client, wish);
	const char *text, *at;
	long total = 0, n;
	char *end;

	if (!nft_try(k, "get element %s affinity { %s }", table_of(wish), binding.text))
		return -1;
	text = nft_list(k, "get element %s affinity { %s }", table_of(wish), binding.text);
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
		struct wish wishes[8];

		kernel_open(k, true, true);
		want(k, wishes, usual(w, wishes), NULL);
		kernel_replace(k);
		load_other_skeleton(k, i ? AF_INET6 : AF_INET);
		remember(k, w->client, &wishes[0], "timeout 10m expires 200s");
		remember(k, w->visitor, &wishes[3], "timeout 9h");

		assert_reconciles(k, TABLES_REPLACED);
		assert_bound(k, w, "14");
		assert_in_range(seconds_left(k, w->client, &wishes[0]), 100, 200);
		assert_in_range(seconds_left(k, w->visitor, &wishes[3]), 8 * 3600, 9 * 3600);
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
	struct wish wishes[8];

	kernel_open(k, true, true);
	want(k, wishes, usual(&worlds[0], wishes), NULL);
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

/* What is wanted may have changed while the tables were another's. */
static void test_O15_replacement_leaves_stale_bindings_behind(struct kernel *k)
{
	for (size_t i = 0; i < ARRAY_SIZE(worlds); i++) {
		const struct world *w = &worlds[i];
		struct wish wishes[8];
		size_t n = usual(w, wishes);

		begin(k, w);
		wishes[1].target = w->c;
		want(k, wishes, n, NULL);
		nft(k, "add chain %s kube-nft visitor", i ? "ip6" : "ip");
		assert_reconciles(k, TABLES_REPLACED);
		assert_bound(k, w, "134");
	}
}

/* As many service ports as make these clients too many, with a chain each. */
static struct block *many_chains(size_t n)
{
	struct block *b = block_of(NULL, 0);

	assert_non_null(b);
	for (size_t i = 0; i < n; i++) {
		const uint8_t addr[16] = { 10, 97, (uint8_t)(i >> 8), (uint8_t)i };
		struct dispatch d = port_of("10.96.0.1", VERDICT_LEARN);
		struct element *e = block_add(b);

		assert_non_null(e);
		memcpy(d.addr, addr, sizeof(addr));
		*e = (struct element){ SET_AFFINITY_TIMEOUTS, AF_INET, PROTOCOL_TCP, .port = 80 };
		memcpy(e->addr, addr, sizeof(addr));
		element_set_dispatch(e, &d);
	}
	return b;
}

static void test_too_many_bindings_are_left_behind(struct kernel *k)
{
	const struct world *w = &worlds[1];
	const size_t n_chains = TABLES_MAX_CARRIED / MANY + 1;

	begin(k, w);
	remember_many(k, w, "timeout 10m");
	assert_int_equal(
		ruleset_replace(k->ruleset, "few", many_chains(n_chains / 16), NULL, &k->err), 0);
	kernel_replace(k);
	assert_int_equal(count_many(k, w->a), MANY / 3 + 2);
	assert_int_equal(ruleset_replace(k->ruleset, "few", many_chains(n_chains), NULL, &k->err),
			 0);
	kernel_replace(k);
	assert_int_equal(count_many(k, w->a), 0);
	assert_reconciles(k, TABLES_EQUAL);
}

static void test_refused_are_counted(struct kernel *k)
{
	uint64_t refused = 9;

	kernel_open(k, true, true);
	kernel_replace(k);
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(affinity_count(k->nl, i ? AF_INET6 : AF_INET, TABLE_NAME, NULL,
						&refused, &k->err),
				 0);
	assert_int_equal(refused, 0);
	nft(k, "flush chain ip6 kube-nft affinity-full; "
	       "add rule ip6 kube-nft affinity-full counter packets 7 bytes 420");
	assert_int_equal(affinity_count(k->nl, AF_INET6, TABLE_NAME, NULL, &refused, &k->err), 0);
	assert_int_equal(refused, 7);
	assert_int_equal(affinity_count(k->nl, AF_INET, TABLE_NAME, NULL, &refused, &k->err), 0);
	assert_int_equal(refused, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		kernel_test(test_O15_endpoint_that_goes_takes_its_bindings),
		kernel_test(test_endpoint_with_another_port_is_another),
		kernel_test(test_affinity_switched_off_forgets_the_service_port),
		kernel_test(test_other_changes_keep_what_is_bound),
		kernel_test(test_lists_are_told_apart),
		kernel_test(test_bindings_are_not_looked_at_without_need),
		kernel_test(test_O15_comparison_forgets_what_belongs_to_nobody),
		kernel_test(test_many_bindings_are_kept_and_purged),
		kernel_test(test_bindings_that_run_out_meanwhile_are_no_obstacle),
		kernel_test(test_N14_replacement_keeps_bindings_and_their_time),
		kernel_test(test_N14_bindings_of_another_form_are_left_behind),
		kernel_test(test_O15_replacement_leaves_stale_bindings_behind),
		kernel_test(test_too_many_bindings_are_left_behind),
		kernel_test(test_refused_are_counted),
	};

	return cmocka_run_group_tests_name("kernel-affinity", tests, kernel_announce, NULL);
}
