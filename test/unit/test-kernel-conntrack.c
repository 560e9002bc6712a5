#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <libnetfilter_conntrack/libnetfilter_conntrack.h>
#include <libnetfilter_conntrack/libnetfilter_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/addr.h"
#include "base/cleanup.h"
#include "fail-alloc.h"
#include "kernel-fixture.h"
#include "kernel/conntrack.h"
#include "kernel/netlink.h"

enum { N_MANY = 20000, FIRST_PORT = 10000 };

static void addr_set(uint8_t ret[static 16], const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse(text, &a), 0);
	memcpy(ret, a.bytes, sizeof(a.bytes));
}

/* A frontend at port 53 and an endpoint of it at port 5353; @target NULL: the frontend alone. */
static struct flow flow_make(const char *addr, const char *target)
{
	struct flow f = { .family = strchr(addr, ':') ? AF_INET6 : AF_INET,
			  .protocol = IPPROTO_UDP,
			  .port = 53 };

	addr_set(f.addr, addr);
	if (target) {
		addr_set(f.target, target);
		f.target_port = 5353;
	}
	return f;
}

static void note(struct flows *f, const char *addr, const char *target)
{
	const struct flow one = flow_make(addr, target);

	assert_int_equal(flows_add(f, &one), 0);
	flows_settle(f);
}

static void rules_free(struct conntrack_rules *rules)
{
	flows_free(&rules->kept);
	flows_free(&rules->gone);
	flows_free(&rules->draining);
	flows_free(&rules->ended);
}
#define _cleanup_rules_ _cleanup_(rules_free)

/* The addresses, on return in use: those of IPv6 are some time after they have been added. Entries stay
 * for longer than the slowest machine needs: by default, those of UDP do for half a minute. */
static void prepare(void)
{
	assert_int_equal(system("for f in /proc/sys/net/netfilter/nf_conntrack_*_timeout*; "
				"do echo 3600 >$f || exit; done; ip link set lo up; "
				"for a in 10.96.0.1 10.96.0.2 10.96.0.3 10.1.0.1 10.1.0.2 "
				"fd96::1 fd96::2 fd96::3 fd01::1 fd01::2; "
				"do ip address add $a dev lo || exit; "
				"until ip route get $a 2>&1 | grep -q ^local; do :; done; done"),
			 0);
}

/* A stranger's rules: a frontend's port goes to the endpoint that the packet's mark names. */
static void translate(struct kernel *k)
{
	prepare();
	nft(k, "table ip nat { chain output { type nat hook output priority -100; "
	       "meta l4proto { tcp, udp } th dport 53 dnat ip to meta mark map { "
	       "1 : 10.1.0.1 . 5353, 2 : 10.1.0.2 . 5353 }; }; }; "
	       "table ip6 nat { chain output { type nat hook output priority -100; "
	       "meta l4proto { tcp, udp } th dport 53 dnat ip6 to meta mark map { "
	       "1 : fd01::1 . 5353, 2 : fd01::2 . 5353 }; }; }");
}

/* A refused connection leaves no entry. */
static int listen_tcp(void)
{
	const struct sockaddr_in6 a = { .sin6_family = AF_INET6, .sin6_port = htons(5353) };
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (const struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(fd, 10), 0);
	return fd;
}

/* Send one packet from source port @from. @to: the number of the endpoint that the rules above take,
 * or 0. */
static void send_packet(const char *addr, int type, uint16_t from, uint16_t port, unsigned to)
{
	union {
		struct sockaddr any;
		struct sockaddr_in ipv4;
		struct sockaddr_in6 ipv6;
	} a = { .any.sa_family = strchr(addr, ':') ? AF_INET6 : AF_INET };
	struct flow f = flow_make(addr, NULL);
	/* TCP must be connected: the entry of a handshake that is broken off goes at once. */
	int fd = socket(f.family, type | SOCK_CLOEXEC, 0), one = 1;

	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_MARK, &to, sizeof(to)), 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)), 0);
	a.ipv4.sin_port = htons(from); /* where IPv6 has it too */
	assert_int_equal(bind(fd, &a.any, sizeof(a)), 0);
	a.ipv4.sin_port = htons(port);
	if (f.family == AF_INET)
		memcpy(&a.ipv4.sin_addr, f.addr, 4);
	else
		memcpy(&a.ipv6.sin6_addr, f.addr, 16);
	(void)connect(fd, &a.any, sizeof(a));
	if (type == SOCK_DGRAM)
		assert_int_equal(send(fd, "?", 1, 0), 1);
	close(fd);
}

/* By source port: whose entries are there. */
struct listing {
	uint32_t ids[65536];
	size_t n;
};

static int listing_add(const struct nlmsghdr *nlh, void *userdata)
{
	struct nf_conntrack *ct = nfct_new();
	struct listing *l = userdata;

	assert_non_null(ct);
	assert_true(nfct_nlmsg_parse(nlh, ct) >= 0);
	l->ids[ntohs(nfct_get_attr_u16(ct, ATTR_ORIG_PORT_SRC))] = nfct_get_attr_u32(ct, ATTR_ID);
	l->n++;
	nfct_destroy(ct);
	return 0;
}

static const struct listing *list(struct kernel *k)
{
	static struct listing listing;
	char request[256] __attribute__((aligned(8)));
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(request);

	memset(&listing, 0, sizeof(listing));
	mnl_nlmsg_put_extra_header(nlh, sizeof(struct nfgenmsg));
	memset(mnl_nlmsg_get_payload(nlh), 0, sizeof(struct nfgenmsg));
	nlh->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	if (netlink_dump(k->nl, nlh, listing_add, &listing, &k->err) < 0)
		fail_msg("%s", k->err.message);
	return &listing;
}

/* The whole pass; how many steps it took. */
static unsigned pass(struct kernel *k, const struct conntrack_rules *rules,
		     struct conntrack_counts *ret)
{
	_cleanup_(conntrack_endp) struct conntrack *ct = NULL;
	unsigned steps = 0;
	int r = 1;

	assert_int_equal(conntrack_begin(&ct, &k->err), 0);
	for (; r > 0; steps++)
		r = conntrack_step(ct, rules, &k->err);
	if (r < 0)
		fail_msg("%s", k->err.message);
	*ret = *conntrack_counts(ct);
	return steps;
}

static void note_tcp(struct flows *f, const char *addr, const char *target)
{
	struct flow one = flow_make(addr, target);

	one.protocol = IPPROTO_TCP;
	assert_int_equal(flows_add(f, &one), 0);
	flows_settle(f);
}

/* Rules for both protocols alike. */
static void note_both(struct flows *f, const char *addr, const char *target)
{
	note(f, addr, target);
	note_tcp(f, addr, target);
}

static void test_what_becomes_of_a_flow(void **state)
{
	_cleanup_rules_ struct conntrack_rules rules = { 0 };
	const struct {
		const char *addr, *target;
		bool translated;
		enum conntrack_verdict udp, tcp;
	} cases[] = {
		{ "10.96.0.1", "10.1.0.1", true, CONNTRACK_KEEP, CONNTRACK_KEEP },
		/* An endpoint that went; of those of TCP, the time of the third is over. */
		{ "10.96.0.1", "10.1.0.2", true, CONNTRACK_END, CONNTRACK_DRAIN },
		{ "10.96.0.1", "10.1.0.3", true, CONNTRACK_END, CONNTRACK_END },
		/* One of another frontend. */
		{ "10.96.0.2", "10.1.0.1", true, CONNTRACK_END, CONNTRACK_DRAIN },
		/* None is left, or there was none yet. */
		{ "10.96.0.3", "10.1.0.1", true, CONNTRACK_END, CONNTRACK_DRAIN },
		{ "10.96.0.3", "10.1.0.1", false, CONNTRACK_END, CONNTRACK_KEEP },
		/* A frontend that went; what goes straight to it was never ours. */
		{ "10.96.0.4", "10.1.0.1", true, CONNTRACK_END, CONNTRACK_DRAIN },
		{ "10.96.0.4", "10.1.0.1", false, CONNTRACK_KEEP, CONNTRACK_KEEP },
		/* No frontend; but what is known to drain goes on to. */
		{ "10.96.0.5", "10.1.0.1", true, CONNTRACK_KEEP, CONNTRACK_KEEP },
		{ "10.96.0.5", "10.1.0.1", false, CONNTRACK_KEEP, CONNTRACK_KEEP },
		{ "10.96.0.5", "10.1.0.2", true, CONNTRACK_KEEP, CONNTRACK_DRAIN },
		{ "10.96.0.5", "10.1.0.3", true, CONNTRACK_KEEP, CONNTRACK_END },
		{ "fd96::1", "fd01::1", true, CONNTRACK_KEEP, CONNTRACK_KEEP },
		{ "fd96::1", "fd01::2", true, CONNTRACK_END, CONNTRACK_DRAIN },
	};

	(void)state;
	note_both(&rules.kept, "10.96.0.1", NULL);
	note_both(&rules.kept, "10.96.0.1", "10.1.0.1");
	note_both(&rules.kept, "10.96.0.2", NULL);
	note_both(&rules.kept, "10.96.0.2", "10.1.0.2");
	note_both(&rules.kept, "10.96.0.3", NULL);
	note_both(&rules.kept, "fd96::1", NULL);
	note_both(&rules.kept, "fd96::1", "fd01::1");
	note_both(&rules.gone, "10.96.0.4", NULL);
	note_both(&rules.gone, "10.96.0.1", NULL);          /* it has come back */
	note_tcp(&rules.draining, "10.96.0.1", "10.1.0.1"); /* and its endpoint has */
	note_tcp(&rules.ended, "10.96.0.1", "10.1.0.1");
	note_tcp(&rules.draining, "10.96.0.1", "10.1.0.3");
	note_tcp(&rules.ended, "10.96.0.1", "10.1.0.3");
	note_tcp(&rules.draining, "10.96.0.5", "10.1.0.2");
	note_tcp(&rules.draining, "10.96.0.5", "10.1.0.3");
	note_tcp(&rules.ended, "10.96.0.5", "10.1.0.3");
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct flow f = flow_make(cases[i].addr, cases[i].target);

		if (conntrack_judge(&rules, &f, cases[i].translated) != cases[i].udp)
			fail_msg("case %zu, UDP", i);
		f.protocol = IPPROTO_TCP;
		if (conntrack_judge(&rules, &f, cases[i].translated) != cases[i].tcp)
			fail_msg("case %zu, TCP", i);
	}
}

/* Where an endpoint of the node has its frontend's own address and port, nothing is translated. */
static void test_endpoint_that_is_its_own_frontend(void **state)
{
	_cleanup_rules_ struct conntrack_rules rules = { 0 };
	struct flow f = flow_make("10.96.0.1", "10.96.0.1");

	(void)state;
	f.target_port = f.port;
	note(&rules.kept, "10.96.0.1", NULL);
	assert_int_equal(conntrack_judge(&rules, &f, false), CONNTRACK_END);
	assert_int_equal(flows_add(&rules.kept, &f), 0);
	flows_settle(&rules.kept);
	assert_int_equal(conntrack_judge(&rules, &f, false), CONNTRACK_KEEP);
}

static const struct world {
	const char *one, *two, *other; /* frontends, but the last */
	const char *endpoint;
} worlds[] = {
	{ "10.96.0.1", "10.96.0.2", "10.96.0.3", "10.1.0.1" },
	{ "fd96::1", "fd96::2", "fd96::3", "fd01::1" },
};

static void test_N16_only_stale_entries_go(struct kernel *k)
{
	_cleanup_rules_ struct conntrack_rules rules = { 0 };
	struct conntrack_counts counts;
	struct listing before;
	uint16_t port = 1000;
	int listener = listen_tcp();

	translate(k);
	for (size_t i = 0; i < ARRAY_SIZE(worlds); i++, port += 1000) {
		const struct world *w = &worlds[i];

		note(&rules.kept, w->one, NULL);
		note(&rules.kept, w->one, w->endpoint);
		note(&rules.gone, w->two, NULL);
		send_packet(w->one, SOCK_DGRAM, port + 1, 53, 2);    /* goes */
		send_packet(w->one, SOCK_DGRAM, port + 2, 53, 0);    /* goes */
		send_packet(w->two, SOCK_DGRAM, port + 3, 53, 1);    /* goes */
		send_packet(w->one, SOCK_DGRAM, port + 11, 53, 1);   /* the right endpoint */
		send_packet(w->one, SOCK_DGRAM, port + 12, 54, 0);   /* another port */
		send_packet(w->two, SOCK_DGRAM, port + 13, 53, 0);   /* not translated */
		send_packet(w->other, SOCK_DGRAM, port + 14, 53, 1); /* no frontend */
		send_packet(w->endpoint, SOCK_DGRAM, port + 15, 5353, 0);
		send_packet(w->one, SOCK_STREAM, port + 16, 53, 2);
	}
	before = *list(k);
	assert_int_equal(before.n, 2 * 9);

	pass(k, &rules, &counts);
	assert_int_equal(counts.deleted, 2 * 3);
	assert_int_equal(counts.seen, 2 * 8);
	for (port = 1000; port <= 2000; port += 1000)
		for (uint16_t n = 0; n < 20; n++)
			assert_int_equal(list(k)->ids[port + n],
					 n >= 11 ? before.ids[port + n] : 0);
	close(listener);
}

/* Two connections to an endpoint that left: found, and ended when they are told of. */
static void test_connections_drain(struct kernel *k)
{
	_cleanup_rules_ struct conntrack_rules rules = { 0 };
	int listener = listen_tcp();
	struct conntrack_counts counts;

	translate(k);
	for (size_t i = 0; i < ARRAY_SIZE(worlds); i++) {
		const struct world *w = &worlds[i];
		const char *left = i ? "fd01::2" : "10.1.0.2";
		_cleanup_(conntrack_endp) struct conntrack *ct = NULL;

		note_tcp(&rules.kept, w->one, NULL);
		note_tcp(&rules.kept, w->one, w->endpoint);
		send_packet(w->one, SOCK_STREAM, 1001, 53, 1);
		send_packet(w->one, SOCK_STREAM, 1002, 53, 2);
		send_packet(w->one, SOCK_STREAM, 1003, 53, 2);
		send_packet(w->one, SOCK_DGRAM, 1004, 53, 2); /* no rule tells of UDP */
		assert_int_equal(conntrack_begin(&ct, &k->err), 0);
		while (conntrack_step(ct, &rules, &k->err) > 0)
			;
		assert_int_equal(conntrack_counts(ct)->deleted, 0);
		assert_int_equal(conntrack_draining(ct)->n, 1);
		note_tcp(&rules.draining, w->one, left);
		assert_true(flows_have(&rules.draining, &conntrack_draining(ct)->items[0]));

		note_tcp(&rules.ended, w->one, left);
		pass(k, &rules, &counts);
		assert_int_equal(counts.deleted, 2);
		assert_int_equal(counts.ended, 2);
		assert_int_not_equal(list(k)->ids[1001], 0);
		assert_int_not_equal(list(k)->ids[1004], 0);
		assert_int_equal(list(k)->n, 2 * (i + 1));
		rules.draining.n = 0;
		rules.ended.n = 0;
	}
	close(listener);
}

/* Its frontend went, too, and only what drains tells of it. */
static void test_connections_drain_without_a_frontend(struct kernel *k)
{
	_cleanup_rules_ struct conntrack_rules rules = { 0 };
	int listener = listen_tcp();
	struct conntrack_counts counts;

	translate(k);
	send_packet("10.96.0.1", SOCK_STREAM, 1001, 53, 1);
	note_tcp(&rules.draining, "10.96.0.1", "10.1.0.1");
	pass(k, &rules, &counts);
	assert_int_equal(counts.deleted, 0);
	note_tcp(&rules.ended, "10.96.0.1", "10.1.0.1");
	pass(k, &rules, &counts);
	assert_int_equal(counts.ended, 1);
	close(listener);
}

static void test_families_without_frontends_are_not_read(struct kernel *k)
{
	_cleanup_rules_ struct conntrack_rules rules = { 0 };
	struct conntrack_counts counts;

	translate(k);
	send_packet("10.96.0.1", SOCK_DGRAM, 1001, 53, 2);
	send_packet("fd96::1", SOCK_DGRAM, 1002, 53, 2);
	assert_int_equal(pass(k, &rules, &counts), 1);
	assert_int_equal(counts.seen, 0);
	note(&rules.gone, "fd96::1", NULL);
	pass(k, &rules, &counts);
	assert_int_equal(counts.seen, 1);
	assert_int_equal(counts.deleted, 1);
}

static void test_zones_are_minded(struct kernel *k)
{
	_cleanup_rules_ struct conntrack_rules rules = { 0 };
	struct conntrack_counts counts;

	translate(k);
	nft(k, "table ip raw { chain output { type filter hook output priority raw; "
	       "udp sport 1001 ct zone set 7; udp sport 1002 ct original zone set 8; }; }");
	note(&rules.kept, "10.96.0.1", NULL);
	for (uint16_t port = 1001; port <= 1003; port++)
		send_packet("10.96.0.1", SOCK_DGRAM, port, 53, 2);
	pass(k, &rules, &counts);
	assert_int_equal(counts.deleted, 3);
	assert_int_equal(list(k)->n, 0);
}

/* One socket, many destinations: an entry for each port. */
static void send_many(const char *to)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(inet_pton(AF_INET, to, &a.sin_addr), 1);
	for (unsigned i = 0; i < N_MANY; i++) {
		a.sin_port = htons((uint16_t)(FIRST_PORT + i));
		(void)sendto(fd, "?", 1, 0, (const struct sockaddr *)&a, sizeof(a));
		/* Nobody listens, and what is told of that ends up as this socket's error. */
		(void)recv(fd, &(char){ 0 }, 1, MSG_DONTWAIT);
	}
	close(fd);
}

static void test_many_entries_take_many_steps(struct kernel *k)
{
	_cleanup_rules_ struct conntrack_rules rules = { 0 };
	struct conntrack_counts counts;
	size_t n, n_stale = 0;
	unsigned steps;

	translate(k);
	send_many("10.96.0.1");
	n = list(k)->n;
	assert_true(n > N_MANY / 2);
	note(&rules.kept, "10.96.0.2", NULL);
	steps = pass(k, &rules, &counts);
	assert_int_equal(counts.seen, n);
	assert_true(steps > n / 400 / CONNTRACK_STEP_READS);

	for (uint16_t i = 0; i < N_MANY; i += 2, n_stale++) {
		struct flow f = flow_make("10.96.0.1", NULL);

		f.port = (uint16_t)(FIRST_PORT + i);
		assert_int_equal(flows_add(&rules.kept, &f), 0);
	}
	flows_settle(&rules.kept);
	pass(k, &rules, &counts);
	assert_in_range(counts.deleted, n - n_stale, n_stale);
	assert_int_equal(list(k)->n, n - counts.deleted);
	pass(k, &rules, &counts);
	assert_int_equal(counts.deleted, 0);
}

static void put_tcp_entry(struct kernel *k, uint16_t port)
{
	char request[1024] __attribute__((aligned(8)));
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(request);
	struct nfgenmsg *nfg = mnl_nlmsg_put_extra_header(nlh, sizeof(*nfg));
	struct nf_conntrack *ct = nfct_new();

	assert_non_null(ct);
	nfct_set_attr_u8(ct, ATTR_L3PROTO, AF_INET);
	nfct_set_attr_u32(ct, ATTR_IPV4_SRC, htonl(0x0a600001));
	nfct_set_attr_u32(ct, ATTR_IPV4_DST, htonl(0x0a600002));
	nfct_set_attr_u8(ct, ATTR_L4PROTO, IPPROTO_TCP);
	nfct_set_attr_u16(ct, ATTR_PORT_SRC, htons(port));
	nfct_set_attr_u16(ct, ATTR_PORT_DST, htons(80));
	nfct_setobjopt(ct, NFCT_SOPT_SETUP_REPLY);
	nfct_set_attr_u8(ct, ATTR_TCP_STATE, TCP_CONNTRACK_ESTABLISHED);
	nfct_set_attr_u32(ct, ATTR_TIMEOUT, 600);
	nlh->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_NEW;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_CREATE;
	*nfg = (struct nfgenmsg){ .nfgen_family = AF_INET };
	assert_true(nfct_nlmsg_build(nlh, ct) >= 0);
	nfct_destroy(ct);
	assert_int_equal(netlink_request(k->nl, nlh, nlh->nlmsg_len, NULL, NULL, &k->err), 0);
}

/* By Linux 5.8 and later. */
static void test_entries_of_tcp_are_not_sent_here(struct kernel *k)
{
	_cleanup_rules_ struct conntrack_rules rules = { 0 };
	struct conntrack_counts counts;

	translate(k);
	for (unsigned i = 0; i < N_MANY; i++)
		put_tcp_entry(k, (uint16_t)(FIRST_PORT + i));
	assert_int_equal(list(k)->n, N_MANY);
	note(&rules.kept, "10.96.0.2", NULL);
	pass(k, &rules, &counts);
	assert_int_equal(counts.seen, 0);
}

static void test_rules_may_change_between_steps(struct kernel *k)
{
	_cleanup_(conntrack_endp) struct conntrack *ct = NULL;
	_cleanup_rules_ struct conntrack_rules first = { 0 }, then = { 0 };

	translate(k);
	send_many("10.96.0.1");
	note(&first.kept, "10.96.0.2", NULL);
	for (unsigned i = 0; i < N_MANY; i++) {
		struct flow f = flow_make("10.96.0.1", NULL);

		f.port = (uint16_t)(FIRST_PORT + i);
		assert_int_equal(flows_add(&then.kept, &f), 0);
	}
	flows_settle(&then.kept);
	assert_int_equal(conntrack_begin(&ct, &k->err), 0);
	assert_int_equal(conntrack_step(ct, &first, &k->err), 1);
	assert_int_equal(conntrack_counts(ct)->deleted, 0);
	while (conntrack_step(ct, &then, &k->err) > 0)
		;
	assert_true(conntrack_counts(ct)->deleted > 0);
	assert_true(conntrack_counts(ct)->deleted < conntrack_counts(ct)->seen);
}

static void test_H1_pass_without_memory(struct kernel *k)
{
	_cleanup_rules_ struct conntrack_rules rules = { 0 };
	bool failed = true;
	unsigned n = 0;

	translate(k);
	send_packet("10.96.0.1", SOCK_DGRAM, 1001, 53, 2);
	note(&rules.kept, "10.96.0.1", NULL);
	while (failed) {
		_cleanup_(conntrack_endp) struct conntrack *ct = NULL;
		int r;

		assert_int_equal(list(k)->n, 1);
		fail_alloc_at(++n);
		r = conntrack_begin(&ct, &k->err);
		while (r == 0 && (r = conntrack_step(ct, &rules, &k->err)) > 0)
			r = 0;
		failed = fail_alloc_end();
		assert_int_equal(r, failed ? -ENOMEM : 0);
		if (r == 0)
			assert_int_equal(conntrack_counts(ct)->deleted, 1);
	}
	assert_int_equal(n, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_becomes_of_a_flow),
		cmocka_unit_test(test_endpoint_that_is_its_own_frontend),
		kernel_test(test_N16_only_stale_entries_go),
		kernel_test(test_connections_drain),
		kernel_test(test_connections_drain_without_a_frontend),
		kernel_test(test_families_without_frontends_are_not_read),
		kernel_test(test_zones_are_minded),
		kernel_test(test_many_entries_take_many_steps),
		kernel_test(test_entries_of_tcp_are_not_sent_here),
		kernel_test(test_H1_pass_without_memory),
		kernel_test(test_rules_may_change_between_steps),
	};

	return cmocka_run_group_tests(tests, kernel_announce, NULL);
}
