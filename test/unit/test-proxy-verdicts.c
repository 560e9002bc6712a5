#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "proxy/verdicts.h"

enum policy { CLUSTER, LOCAL };
enum from { NONE, FROM_CLUSTER, FROM_LOCAL };

struct row {
	enum frontend_kind kind;
	enum policy policy;
	bool elsewhere, here; /* endpoints */
	enum verdict services;
	enum from targets;
	enum verdict local_services;
	enum verdict no_endpoints;
	enum verdict masquerade;
};

#define IP FRONTEND_CLUSTER_IP
#define EX FRONTEND_EXTERNAL
#define NP FRONTEND_NODE_PORT
#define LB VERDICT_LB
#define LOCAL_LB VERDICT_LOCAL_LB
#define ACCEPT VERDICT_ACCEPT
#define DROP VERDICT_DROP
#define REFUSE VERDICT_REFUSE
#define ALL VERDICT_MASQUERADE_ALL
#define OUTSIDE VERDICT_MASQUERADE_OUTSIDE
#define NODE VERDICT_MASQUERADE_NODE

static const struct row rows[] = {
	/*            elsewhere here   services targets       local     none    masquerade */
	{ IP, CLUSTER, true, true, LB, FROM_CLUSTER, 0, 0, OUTSIDE },
	{ IP, CLUSTER, true, false, LB, FROM_CLUSTER, 0, 0, OUTSIDE },
	{ IP, CLUSTER, false, false, 0, NONE, 0, REFUSE, 0 },
	{ IP, LOCAL, true, true, LB, FROM_LOCAL, 0, 0, OUTSIDE },
	{ IP, LOCAL, true, false, 0, NONE, 0, DROP, 0 },
	{ IP, LOCAL, false, false, 0, NONE, 0, REFUSE, 0 },
	{ EX, CLUSTER, true, true, LB, FROM_CLUSTER, 0, 0, ALL },
	{ EX, CLUSTER, true, false, LB, FROM_CLUSTER, 0, 0, ALL },
	{ EX, CLUSTER, false, false, 0, NONE, 0, REFUSE, 0 },
	{ EX, LOCAL, true, true, LB, FROM_CLUSTER, LOCAL_LB, 0, NODE },
	{ EX, LOCAL, true, false, LB, FROM_CLUSTER, ACCEPT, DROP, NODE },
	{ EX, LOCAL, false, false, 0, NONE, ACCEPT, REFUSE, 0 },
	{ NP, CLUSTER, true, true, LB, FROM_CLUSTER, 0, 0, ALL },
	{ NP, CLUSTER, false, false, 0, NONE, 0, REFUSE, 0 },
	{ NP, LOCAL, true, true, LB, FROM_CLUSTER, LOCAL_LB, 0, NODE },
	{ NP, LOCAL, true, false, LB, FROM_CLUSTER, ACCEPT, DROP, NODE },
	{ NP, LOCAL, false, false, 0, NONE, ACCEPT, REFUSE, 0 },
};

/* The facts of a row; its policy is that of its kind of frontend, the other policy is the opposite. */
static struct frontend_facts row_facts(const struct row *row)
{
	bool external = row->kind != FRONTEND_CLUSTER_IP, local = row->policy == LOCAL;

	return (struct frontend_facts){
		.kind = row->kind,
		.policy = { .external_local = external == local,
			    .internal_local = external != local },
		.pods_known = true,
		.scheduler = VERDICT_LB,
	};
}

static struct endpoint_lists row_lists(const struct row *row)
{
	return (struct endpoint_lists){
		.cluster.n = (size_t)row->elsewhere + row->here,
		.local.n = row->here,
	};
}

static void test_truth_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct frontend_facts facts = row_facts(&rows[i]);
		struct endpoint_lists lists = row_lists(&rows[i]);
		struct frontend_verdicts v = frontend_verdicts(&facts, &lists);

		assert_int_equal(v.services, rows[i].services);
		assert_int_equal(v.local_services, rows[i].local_services);
		assert_int_equal(v.no_endpoints, rows[i].no_endpoints);
		assert_int_equal(v.masquerade, rows[i].masquerade);
		assert_int_equal(v.recall, VERDICT_NONE);
		assert_int_equal(v.local_recall, VERDICT_NONE);
		assert_int_equal(v.learn, VERDICT_NONE);
		assert_ptr_equal(v.targets, rows[i].targets == FROM_CLUSTER ? &lists.cluster :
					    rows[i].targets == FROM_LOCAL   ? &lists.local :
									      NULL);
		assert_ptr_equal(v.local_targets,
				 v.local_services == LOCAL_LB ? &lists.local : NULL);
	}
}

/* One rule hides the clients of all that are in a range, but says nothing of other frontends and clients. */
static void test_cluster_ips_in_a_range(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct frontend_facts facts = row_facts(&rows[i]);
		struct endpoint_lists lists = row_lists(&rows[i]);
		enum verdict masquerade = rows[i].masquerade;

		facts.in_range = true;
		assert_int_equal(frontend_verdicts(&facts, &lists).masquerade,
				 masquerade == OUTSIDE ? VERDICT_NONE : masquerade);
		facts.masquerade_all = true;
		assert_int_equal(frontend_verdicts(&facts, &lists).masquerade,
				 masquerade == OUTSIDE ? ALL : masquerade);
	}
}

/* Affinity changes nothing of where others go. It remembers wherever there is something to choose, apart for
 * each list. Frontends with both lists learn by the client which it was. */
static void test_affinity(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct frontend_facts facts = row_facts(&rows[i]);
		struct endpoint_lists lists = row_lists(&rows[i]);
		bool ip = rows[i].kind == IP, local = rows[i].policy == LOCAL;
		struct frontend_verdicts v;

		facts.affinity = true;
		v = frontend_verdicts(&facts, &lists);
		assert_int_equal(v.services, rows[i].services);
		assert_int_equal(v.local_services, rows[i].local_services);
		assert_int_equal(v.no_endpoints, rows[i].no_endpoints);
		assert_int_equal(v.recall, rows[i].targets == FROM_CLUSTER ? VERDICT_RECALL :
					   rows[i].targets == FROM_LOCAL   ? VERDICT_LOCAL_RECALL :
									     0);
		assert_int_equal(v.local_recall,
				 rows[i].local_services == LOCAL_LB ? VERDICT_LOCAL_RECALL : 0);
		assert_int_equal(v.learn, rows[i].services != LB ? 0 :
					  !local                 ? VERDICT_LEARN :
					  ip                     ? VERDICT_LOCAL_LEARN :
								   VERDICT_MIXED_LEARN);
	}
}

static void test_scheduler(void **state)
{
	static const enum verdict schedulers[] = { VERDICT_RR, VERDICT_SH, VERDICT_SH_PORT,
						   VERDICT_DH };
	static const enum verdict local[] = { VERDICT_LOCAL_RR, VERDICT_LOCAL_SH,
					      VERDICT_LOCAL_SH_PORT, VERDICT_LOCAL_DH };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows) * ARRAY_SIZE(local); i++) {
		const struct row *row = &rows[i / ARRAY_SIZE(local)];
		struct frontend_facts facts = row_facts(row);
		struct endpoint_lists lists = row_lists(row);
		struct frontend_verdicts v;

		facts.scheduler = schedulers[i % ARRAY_SIZE(local)];
		v = frontend_verdicts(&facts, &lists);
		assert_int_equal(v.services, row->services == LB ? facts.scheduler : 0);
		assert_int_equal(v.local_services, row->local_services == LOCAL_LB ?
							   local[i % ARRAY_SIZE(local)] :
							   row->local_services);
	}
}

/* It is about cluster IPs. External frontends hide everybody anyway or, with policy Local, must not. */
static void test_masquerade_all(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct frontend_facts facts = row_facts(&rows[i]);
		struct endpoint_lists lists = row_lists(&rows[i]);

		facts.masquerade_all = true;
		assert_int_equal(frontend_verdicts(&facts, &lists).masquerade,
				 rows[i].masquerade == OUTSIDE ? ALL : rows[i].masquerade);
	}
}

/* Pods can't be told from outsiders: nobody is masqueraded on the way to a cluster IP. */
static void test_masquerade_with_pods_unknown(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct frontend_facts facts = row_facts(&rows[i]);
		struct endpoint_lists lists = row_lists(&rows[i]);

		facts.pods_known = false;
		assert_int_equal(frontend_verdicts(&facts, &lists).masquerade,
				 rows[i].masquerade == OUTSIDE ? 0 : rows[i].masquerade);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_truth_table),
		cmocka_unit_test(test_cluster_ips_in_a_range),
		cmocka_unit_test(test_affinity),
		cmocka_unit_test(test_scheduler),
		cmocka_unit_test(test_masquerade_all),
		cmocka_unit_test(test_masquerade_with_pods_unknown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
