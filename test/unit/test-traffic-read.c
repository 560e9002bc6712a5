#include <arpa/inet.h>
#include <errno.h>
#include <nftables/libnftables.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "kernel-fixture.h"
#include "kernel/netlink.h"
#include "traffic/read.h"
#include "traffic/traffic.h"

enum { N_FRONTENDS = 50, N_FLIPS = 300 };

static const struct traffic_filter everything;

static struct traffic *must_read(struct kernel *k, const struct traffic_filter *want)
{
	struct traffic *t;

	if (traffic_read(want, &t, &k->err) < 0)
		fail_msg("%s", k->err.message);
	return t;
}

static void open_empty(struct kernel *k)
{
	kernel_open(k, true, true);
	kernel_replace(k);
	nft(k, "add chain ip kube-nft lb-2");
	nft(k, "add chain ip kube-nft lb-1");
}

static void add_web(struct kernel *k, const char *addr, const char *comment)
{
	nft(k,
	    "add element ip kube-nft services { %s . tcp . 80 counter packets 7 bytes 420 "
	    "comment \"%s\" : goto lb-2 }",
	    addr, comment);
	for (unsigned i = 0; i < 2; i++)
		nft(k,
		    "add element ip kube-nft endpoints { %s . tcp . 80 . %u counter packets %u "
		    "bytes 60 comment \"%s\" : 10.244.1.%u . 8080 }",
		    addr, i, 3 + i, comment, 2 + i);
}

static void test_without_tables(struct kernel *k)
{
	struct traffic *t;

	assert_int_equal(traffic_read(&everything, &t, &k->err), -ENOENT);
	assert_string_equal(k->err.message, "there is no table kube-nft here");
}

static void test_table_of_one_family(struct kernel *k)
{
	_cleanup_(traffic_freep) struct traffic *t = NULL;

	kernel_open(k, false, true);
	kernel_replace(k);
	t = must_read(k, &everything);
	assert_int_equal(t->n, 0);
}

static void test_frontend_with_its_endpoints(struct kernel *k)
{
	_cleanup_(traffic_freep) struct traffic *t = NULL;

	open_empty(k);
	add_web(k, "10.96.0.10", "default/web:http");
	nft(k, "add element ip kube-nft hairpin { 10.244.1.3 . 10.244.1.3 }");
	t = must_read(k, &everything);
	assert_int_equal(t->n, 1);
	assert_string_equal(t->frontends->service.name, "web");
	assert_int_equal(t->frontends->connections, 7);
	assert_int_equal(t->frontends->n_endpoints, 2);
	assert_int_equal(t->frontends->endpoints[0].connections, 3);
	assert_int_equal(t->frontends->endpoints[1].connections, 4);
	assert_false(t->frontends->endpoints[0].here);
	assert_true(t->frontends->endpoints[1].here);
}

/* A stranger took one: packets that draw this slot find nothing. */
static void test_slots_that_are_missing(struct kernel *k)
{
	_cleanup_(traffic_freep) struct traffic *t = NULL;

	open_empty(k);
	add_web(k, "10.96.0.10", "default/web:http");
	nft(k, "delete element ip kube-nft endpoints { 10.96.0.10 . tcp . 80 . 0 }");
	t = must_read(k, &everything);
	assert_int_equal(t->frontends->inside.n_endpoints, 2);
	assert_int_equal(t->frontends->n_endpoints, 1);
}

static void test_filters(struct kernel *k)
{
	static const struct {
		struct traffic_filter want;
		size_t n;
	} cases[] = {
		{ { NULL, NULL }, 4 },       { { "default", NULL }, 2 }, { { NULL, "web" }, 2 },
		{ { "default", "web" }, 1 }, { { "other", "db" }, 0 },   { { "", NULL }, 1 },
		{ { "default", "we" }, 0 },
	};

	open_empty(k);
	add_web(k, "10.96.0.10", "default/web:http");
	add_web(k, "10.96.0.11", "default/db");
	add_web(k, "10.96.0.12", "other/web:http");
	add_web(k, "10.96.0.13", "strange");
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(traffic_freep) struct traffic *t = must_read(k, &cases[i].want);

		assert_int_equal(t->n, cases[i].n);
		for (size_t j = 0; j < t->n; j++)
			assert_int_equal(t->frontends[j].n_endpoints, 2);
	}
}

/* Tables of another release lack a set, or have one of another kind. */
static void test_other_tables_of_our_name(struct kernel *k)
{
	_cleanup_(traffic_freep) struct traffic *t = NULL;

	nft(k, "table ip kube-nft { map services { "
	       "typeof ip daddr . meta l4proto . th dport : verdict; "
	       "elements = { 10.96.0.10 . tcp . 80 comment \"a/b\" : drop }; }; "
	       "map no-endpoints { type inet_service : verdict; elements = { 80 : drop }; }; }");
	t = must_read(k, &everything);
	assert_int_equal(t->n, 1);
	assert_int_equal(t->strange, 1);
	assert_int_equal(t->frontends->inside.verdict, TRAFFIC_OTHER);
}

/* All frontends have one endpoint, or all of them two. */
static void put_state(struct buf *text, unsigned n_endpoints)
{
	buf_puts(text, "flush map ip kube-nft services; flush map ip kube-nft endpoints;");
	for (unsigned i = 0; i < N_FRONTENDS; i++) {
		buf_printf(
			text,
			"add element ip kube-nft services { 10.96.0.%u . tcp . 80 : goto lb-%u };",
			i, n_endpoints);
		for (unsigned slot = 0; slot < n_endpoints; slot++)
			buf_printf(
				text,
				"add element ip kube-nft endpoints { 10.96.0.%u . tcp . 80 . %u : "
				"10.244.%u.%u . 8080 };",
				i, slot, n_endpoints, slot);
	}
}

/* Goes from one to the other until it is killed. */
static pid_t start_flipping(void)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		struct nft_ctx *nft = nft_ctx_new(NFT_CTX_DEFAULT);
		struct buf states[2] = { 0 };

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		put_state(&states[0], 1);
		put_state(&states[1], 2);
		for (unsigned i = 0; nft; i++)
			if (nft_run_cmd_from_buffer(nft, buf_text(&states[i % 2])) != 0)
				_exit(1);
		_exit(1);
	}
	return pid;
}

static void assert_one_state(const struct traffic *t)
{
	assert_int_equal(t->n, N_FRONTENDS);
	for (size_t i = 0; i < t->n; i++) {
		const struct traffic_frontend *f = &t->frontends[i];

		assert_int_equal(f->inside.n_endpoints, t->frontends->inside.n_endpoints);
		assert_int_equal(f->n_endpoints, f->inside.n_endpoints);
		assert_int_equal(f->endpoints->addr.bytes[2], f->n_endpoints);
	}
}

static void test_what_is_read_is_of_one_moment(struct kernel *k)
{
	_cleanup_buf_ struct buf first = { 0 };
	uint32_t before, now = 0;
	unsigned n = 0;
	pid_t writer;

	open_empty(k);
	put_state(&first, 1);
	nft(k, "%s", buf_text(&first));
	assert_int_equal(netlink_generation(k->nl, &before, NULL), 0);
	writer = start_flipping();
	/* So that many of the changes fall into a reading. */
	while (n == 0 || now - before < N_FLIPS) {
		_cleanup_(traffic_freep) struct traffic *t = NULL;
		int r = traffic_read(&everything, &t, &k->err);

		if (r != -EINTR) {
			assert_int_equal(r, 0);
			assert_one_state(t);
			n++;
		}
		assert_int_equal(waitpid(writer, NULL, WNOHANG), 0);
		assert_int_equal(netlink_generation(k->nl, &now, NULL), 0);
	}
	assert_int_equal(kill(writer, SIGKILL), 0);
	assert_int_equal(waitpid(writer, NULL, 0), writer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		kernel_test(test_without_tables),
		kernel_test(test_table_of_one_family),
		kernel_test(test_frontend_with_its_endpoints),
		kernel_test(test_slots_that_are_missing),
		kernel_test(test_filters),
		kernel_test(test_other_tables_of_our_name),
		kernel_test(test_what_is_read_is_of_one_moment),
	};

	return cmocka_run_group_tests_name("traffic-read", tests, kernel_announce, NULL);
}
