#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "proxy-world.h"
#include "proxy/slots.h"

#define SPEC "'clusterIPs':['10.96.0.1'],'ports':[{'name':'http','port':80}]"
#define SCHEDULER "kube-router.io/service.scheduler"
#define FLAGS "kube-router.io/service.schedflags"

/* A Service with two endpoints; NULL: without the annotation. */
static void annotated(struct world *w, const char *scheduler, const char *flags)
{
	char annotations[512] = "'kube-router.io/service.hairpin':''";
	size_t len = strlen(annotations);

	if (scheduler)
		len += (size_t)snprintf(annotations + len, sizeof(annotations) - len,
					",'" SCHEDULER "':'%s'", scheduler);
	if (flags)
		snprintf(annotations + len, sizeof(annotations) - len, ",'" FLAGS "':'%s'", flags);
	world_apply(w,
		    "{'apiVersion':'v1','kind':'Service','metadata':{'name':'web',"
		    "'namespace':'default','annotations':{%s}},'spec':{" SPEC "}}",
		    annotations);
	world_slice(w, "web-1", "web", "10.1.0.1 10.1.0.2@me");
}

static void assert_goes_to(struct world *w, const char *chain)
{
	char expected[256];

	snprintf(expected, sizeof(expected),
		 "services 10.96.0.1 . tcp . 80 comment \"default/web:http\" : goto %s\n", chain);
	assert_world(w, " : goto ", expected);
}

static void test_words_choose_a_chain(void **state)
{
	static const struct {
		const char *scheduler, *flags, *chain;
	} rows[] = {
		{ NULL, NULL, "lb-2" },
		{ NULL, "flag-1,flag-2", "lb-2" },
		{ "rr", NULL, "rr-10.96.0.1-tcp-80-2" },
		{ "rr", "flag-2", "rr-10.96.0.1-tcp-80-2" },
		{ "sh", NULL, "sh-2" },
		{ "sh", "", "sh-2" },
		{ "sh", "flag-1,flag-3", "sh-2" },
		{ "sh", "flag-2", "sh-port-2" },
		{ "sh", " flag-1 ,  flag-2 ", "sh-port-2" },
		{ "sh", ",,flag-2,", "sh-port-2" },
		{ "dh", NULL, "dh-2" },
		{ "dh", "flag-2", "dh-2" },
		{ "mh", NULL, "sh-6553" },
		{ "mh", "flag-1,flag-2", "sh-port-6553" },
	};
	struct world *w = *state;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		annotated(w, rows[i].scheduler, rows[i].flags);
		assert_goes_to(w, rows[i].chain);
		assert_string_equal(world_reports(w), "");
	}
}

/* Told once, by name of the object and of the annotation; the value can't break out of the line. */
static void test_unknown_words_are_told(void **state)
{
	static const char *const words[] = { "", "RR", "rr ", "wlc", "random" };
	struct world *w = *state;

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		annotated(w, words[i], NULL);
		assert_goes_to(w, "lb-2");
		assert_non_null(strstr(world_reports(w), "SchedulerUnknown Service default/web: "
							 "annotation " SCHEDULER ": \""));
		annotated(w, words[i], NULL);
		assert_reports(w, "");
	}
	annotated(w, "a\\nb\\\"c", NULL);
	world_sync(w);
	assert_non_null(strstr(world_reports(w), "\"a?b\"c\" is none of rr"));
	annotated(w, "sh", "flag-2,flag-4");
	assert_goes_to(w, "sh-port-2");
	assert_string_equal(world_reports(w),
			    "SchedulerUnknown Service default/web: annotation " FLAGS
			    ": \"flag-2,flag-4\" has a word that is none "
			    "of flag-1, flag-2, flag-3\n");
}

static void test_least_connections_are_in_turn(void **state)
{
	struct world *w = *state;

	annotated(w, "lc", NULL);
	assert_goes_to(w, "rr-10.96.0.1-tcp-80-2");
	assert_non_null(strstr(world_reports(w), "SchedulerReplaced Service default/web: "
						 "annotation " SCHEDULER ": \"lc\" "));
	world_slice(w, "web-1", "web", "10.1.0.1");
	assert_reports(w, "");
}

static size_t count(const char *text, const char *word)
{
	size_t n = 0;

	while ((text = strstr(text, word))) {
		text += strlen(word);
		n++;
	}
	return n;
}

/* All rows are there, as good as equally many for each; without endpoints there is none. */
static void test_maglev_fills_all_its_slots(void **state)
{
	struct world *w = *state;

	annotated(w, "mh", NULL);
	world_sync(w);
	assert_int_equal(count(world_elements(w, "endpoints"), "\n"), MAGLEV_SLOTS);
	assert_in_range(count(world_elements(w, " : 10.1.0.1 . 8080"), "\n"), MAGLEV_SLOTS / 2,
			MAGLEV_SLOTS / 2 + 1);
	assert_string_equal(world_elements(w, "hairpin"), "hairpin 10.1.0.2 . 10.1.0.2\n");
	world_slice(w, "web-1", "web", "");
	world_sync(w);
	assert_string_equal(world_elements(w, " . 8080"), "");
	annotated(w, NULL, NULL);
	world_sync(w);
	assert_int_equal(count(world_elements(w, "endpoints"), "\n"), 2);
}

/* Frontends of one service port have one counter, of another one another. */
static void test_round_robin_is_of_a_service_port(void **state)
{
	struct world *w = *state;

	world_apply(w,
		    "{'apiVersion':'v1','kind':'Service','metadata':{'name':'web','namespace':"
		    "'default','annotations':{'" SCHEDULER "':'rr'}},'spec':{'clusterIPs':["
		    "'10.96.0.1'],'externalIPs':['192.0.2.1'],'externalTrafficPolicy':'Local',"
		    "'ports':[{'name':'http','port':80},{'name':'dns','port':53,'protocol':'UDP'}"
		    "]}}");
	world_slice(w, "web-1", "web", "10.1.0.1@me 10.1.0.2");
	world_sync(w);
	assert_int_equal(count(world_elements(w, " : goto rr-10.96.0.1-tcp-80-2"), "\n"), 2);
	assert_int_equal(count(world_elements(w, " : goto rr-10.96.0.1-udp-53-2"), "\n"), 2);
	assert_int_equal(count(world_elements(w, " : goto local-rr-10.96.0.1-tcp-80-1"), "\n"), 1);
}

/* A service port is called by what it has: not by a cluster IP that is another's. */
static void test_a_service_port_is_called_by_what_it_has(void **state)
{
	struct world *w = *state;

	world_service(w, "older", 1, SPEC);
	world_apply(w, "{'apiVersion':'v1','kind':'Service','metadata':{'name':'web','namespace':"
		       "'default','creationTimestamp':'2026-01-01T00:00:09Z','annotations':{"
		       "'" SCHEDULER "':'rr'}},'spec':{'externalIPs':['192.0.2.1'],"
		       "'sessionAffinity':'ClientIP'," SPEC "}}");
	world_slice(w, "web-1", "web", "10.1.0.1 10.1.0.2");
	world_slice(w, "older-1", "older", "10.1.0.9");
	assert_world(w, "-192.0.2.1-",
		     "services 192.0.2.1 . tcp . 80 comment \"default/web:http\""
		     " : jump recall-192.0.2.1-tcp-80-8080\n"
		     "affinity-services 192.0.2.1 . tcp . 80 comment \"default/web:http\""
		     " : goto rr-192.0.2.1-tcp-80-2\n"
		     "affinity-timeouts 192.0.2.1 . tcp . 80 comment \"default/web:http\""
		     " : goto learn-192.0.2.1-tcp-80-10800\n");
	world_remove(w, KIND_SERVICE, "older");
	assert_world(w, "-192.0.2.1-", "");
	assert_int_equal(count(world_elements(w, "-10.96.0.1-tcp-80-"), "\n"), 6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		world_test(test_words_choose_a_chain),
		world_test(test_unknown_words_are_told),
		world_test(test_least_connections_are_in_turn),
		world_test(test_maglev_fills_all_its_slots),
		world_test(test_round_robin_is_of_a_service_port),
		world_test(test_a_service_port_is_called_by_what_it_has),
	};

	return cmocka_run_group_tests_name("proxy-scheduler", tests, NULL, NULL);
}
