#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "agent/node.h"
#include "agent/options.h"
#include "agent/sync.h"
#include "base/loop.h"
#include "fail-alloc.h"
#include "kernel-fixture.h"

/* A sync of nothing, whose receiver refuses as often as it is told to. */
struct site {
	struct loop *loop;
	struct options options;
	struct node_state node;
	struct sync sync;
	int refusals;
	uint64_t retries_ms[8]; /* as each attempt found it */
	size_t n;
};

static int on_committed(void *userdata, struct error *err)
{
	struct site *s = userdata;

	assert_true(s->n < sizeof(s->retries_ms) / sizeof(s->retries_ms[0]));
	s->retries_ms[s->n++] = s->sync.retry_ms;
	return s->refusals-- > 0 ? error_set(err, -ENOMEM, "refused") : 0;
}

static void site_open(struct site *s, struct kernel *k)
{
	char *argv[] = { (char[]){ "kube-nft" }, (char[]){ "--hostname-override=me" } };

	*s = (struct site){ .refusals = 0 };
	kernel_open(k, true, true);
	options_init(&s->options);
	assert_int_equal(options_parse(&s->options, 2, argv, &k->err), 0);
	assert_int_equal(loop_new(&s->loop, &k->err), 0);
	assert_int_equal(node_open(&s->node, &s->options, &k->err), 0);
	assert_int_equal(sync_open(&s->sync, s->loop, &s->node, k->tables, 600000, &k->err), 0);
	s->sync.committed = on_committed;
	s->sync.userdata = s;
}

static void site_close(struct site *s)
{
	sync_close(&s->sync);
	node_close(&s->node);
	loop_free(s->loop);
	options_free(&s->options);
}

static void wait_attempts(struct site *s, size_t n)
{
	while (s->n < n)
		assert_true(loop_turn(s->loop, -1) >= 0);
}

static void test_H1_receiver_that_refuses_is_asked_less_and_less(struct kernel *k)
{
	static const uint64_t expected_ms[] = { 0, 100, 200, 400, 0 };
	struct site s;

	site_open(&s, k);
	s.refusals = 3;
	assert_int_equal(sync_request(&s.sync), 0);
	wait_attempts(&s, 4);
	assert_int_equal(sync_request(&s.sync), 0);
	wait_attempts(&s, 5);
	for (size_t i = 0; i < s.n; i++)
		assert_int_equal(s.retries_ms[i], expected_ms[i]);
	site_close(&s);
}

static void test_health_is_lost_by_a_minute_of_failures(struct kernel *k)
{
	struct site s;

	site_open(&s, k);
	assert_true(sync_is_healthy(&s.sync));
	s.refusals = 1;
	assert_int_equal(sync_request(&s.sync), 0);
	wait_attempts(&s, 1);
	assert_true(s.sync.failing_since_us > 0);
	assert_true(sync_is_healthy(&s.sync));
	s.sync.failing_since_us = monotonic_us() > 60000000 ? monotonic_us() - 60000000 : 1;
	assert_int_equal(sync_is_healthy(&s.sync), monotonic_us() <= 60000000);
	wait_attempts(&s, 2);
	assert_int_equal(s.sync.failing_since_us, 0);
	assert_true(sync_is_healthy(&s.sync));
	site_close(&s);
}

/* It is put off, and the loop goes on. */
static void test_H1_sweep_without_memory(struct kernel *k)
{
	bool failed = true;
	unsigned n = 0;

	while (failed) {
		const struct flow_sweep *flows;
		struct site s;

		site_open(&s, k);
		flows = &s.sync.flows;
		assert_int_equal(flow_sweep_request(&s.sync.flows, true), 0);
		fail_alloc_at(++n);
		do
			assert_int_equal(loop_turn(s.loop, -1), 0);
		while (flows->pass || (flows->left > 1 && flows->retry_ms == 0));
		failed = fail_alloc_end();
		assert_int_equal(flows->retry_ms > 0, failed);
		site_close(&s);
	}
	assert_true(n > 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		kernel_test(test_H1_receiver_that_refuses_is_asked_less_and_less),
		kernel_test(test_health_is_lost_by_a_minute_of_failures),
		kernel_test(test_H1_sweep_without_memory),
	};

	return cmocka_run_group_tests(tests, kernel_announce, NULL);
}
