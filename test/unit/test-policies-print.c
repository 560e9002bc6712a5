#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/buf.h"
#include "command/output.h"
#include "command/policies-print.h"
#include "fail-alloc.h"
#include "firewall-fixture.h"

/* Some of everything. */
static struct firewall *sample(struct policy_world *w)
{
	_cleanup_fixture_ struct firewall_fixture fx = { 0 };

	policy_namespace(w, "shop", "'team':'red'");
	policy_pod(w, "shop", "db", "'app':'db'", "10.0.0.2");
	policy_pod(w, "shop", "web", "'app':'web'", "10.0.0.1");
	policy_pod(w, "shop", "web2", "'app':'web'", "fd00::4");
	policy_policy(
		w, "shop", "broken",
		"'podSelector':{'matchLabels':{'app':'db'}},'ingress':[{'ports':[{'port':99999}]}]");
	policy_policy(w, "shop", "web",
		      "'podSelector':{'matchLabels':{'app':'web'}},'policyTypes':['Ingress',"
		      "'Egress'],'ingress':[{'from':[{'podSelector':{'matchLabels':{'app':'db'}}},"
		      "{'ipBlock':{'cidr':'10.0.0.0/8','except':['10.1.0.0/16']}}],"
		      "'ports':[{'port':80},{'port':443,'endPort':450}]}],'egress':[]");
	fixture_read(&fx, w);
	fixture_count(&fx, AF_INET, "ingress/shop/web", 0, 1234567);
	fixture_count(&fx, AF_INET, "ingress/shop/web", 1, 7);
	fixture_count(&fx, AF_INET6, "ingress/shop/web", 0, 5);
	fixture_count(&fx, AF_INET, "egress-", 3, 3);
	fx.definitions.invalid = (struct counter){ 1, 40 };
	return fixture_build(&fx);
}

/* clang-format off */
static const char tables[] =
	"POD            REFUSED  ISOLATED BY\n"
	"shop/db                 10.0.0.2\n"
	"  ingress            0  shop/broken\n"
	"  egress             -  not isolated: everything is allowed\n"
	"shop/web                10.0.0.1\n"
	"  ingress            0  shop/web (counted for 2 pods together)\n"
	"  egress             3  shop/web (counted for 2 pods together)\n"
	"shop/web2               fd00::4\n"
	"  ingress            0  shop/web (counted for 2 pods together)\n"
	"  egress             3  shop/web (counted for 2 pods together)\n"
	"(all of them)        1  dropped: of no known connection, and allowed by no policy\n"
	"\n"
	"POLICY       REFUSED  ALLOWED  WHAT IT ALLOWS\n"
	"shop/broken\n"
	"  ingress          0        -  nothing, since it could not be rendered\n"
	"shop/web\n"
	"  ingress          0  1234567  from 10.0.0.0/8 except 10.1.0.0/16, on TCP 80, 443-450\n"
	"                           12  from pods of shop: app is db (1 now), on TCP 80, 443-450\n"
	"  egress           3        -  nothing\n";

static const char json[] =
	"{'defaultDeny': false, 'unknownPods': {'packets': 0, 'bytes': 0},\n"
	" 'invalid': {'packets': 1, 'bytes': 40},\n"
	" 'pods': [\n"
	"  {'namespace': 'shop', 'name': 'db', 'addresses': ['10.0.0.2'],\n"
	"   'ingress': {'policies': [{'namespace': 'shop', 'name': 'broken'}], 'pods': 1,\n"
	"               'refused': {'packets': 0, 'bytes': 0}},\n"
	"   'egress': null},\n"
	"  {'namespace': 'shop', 'name': 'web', 'addresses': ['10.0.0.1'],\n"
	"   'ingress': {'policies': [{'namespace': 'shop', 'name': 'web'}], 'pods': 2,\n"
	"               'refused': {'packets': 0, 'bytes': 0}},\n"
	"   'egress': {'policies': [{'namespace': 'shop', 'name': 'web'}], 'pods': 2,\n"
	"              'refused': {'packets': 3, 'bytes': 300}}},\n"
	"  {'namespace': 'shop', 'name': 'web2', 'addresses': ['fd00::4'],\n"
	"   'ingress': {'policies': [{'namespace': 'shop', 'name': 'web'}], 'pods': 2,\n"
	"               'refused': {'packets': 0, 'bytes': 0}},\n"
	"   'egress': {'policies': [{'namespace': 'shop', 'name': 'web'}], 'pods': 2,\n"
	"              'refused': {'packets': 3, 'bytes': 300}}}],\n"
	" 'policies': [\n"
	"  {'namespace': 'shop', 'name': 'broken',\n"
	"   'ingress': {'rendered': false, 'refused': {'packets': 0, 'bytes': 0}, 'allows': []},\n"
	"   'egress': null},\n"
	"  {'namespace': 'shop', 'name': 'web',\n"
	"   'ingress': {'rendered': true, 'refused': {'packets': 0, 'bytes': 0}, 'allows': [\n"
	"     {'words': 'from 10.0.0.0/8 except 10.1.0.0/16, on TCP 80, 443-450',\n"
	"      'peers': ['10.0.0.0/8 except 10.1.0.0/16'], 'ports': ['TCP 80', 'TCP 443-450'],\n"
	"      'allowed': {'packets': 1234567, 'bytes': 123456700}},\n"
	"     {'words': 'from pods of shop: app is db (1 now), on TCP 80, 443-450',\n"
	"      'peers': ['pods of shop: app is db'], 'ports': ['TCP 80', 'TCP 443-450'],\n"
	"      'allowed': {'packets': 12, 'bytes': 1200}}]},\n"
	"   'egress': {'rendered': true, 'refused': {'packets': 3, 'bytes': 300}, 'allows': []}}]}\n";
/* clang-format on */

static void test_tables(void **state)
{
	_cleanup_(firewall_freep) struct firewall *f = sample(*state);
	_cleanup_buf_ struct buf text = { 0 };

	policies_print_tables(f, &text);
	assert_string_equal(buf_text(&text), tables);
}

static void test_what_is_not_shown_is_left_out(void **state)
{
	const struct firewall_filter want = { .pod = "db" };
	_cleanup_(firewall_freep) struct firewall *f = sample(*state);
	_cleanup_buf_ struct buf text = { 0 };

	firewall_select(f, &want);
	policies_print_tables(f, &text);
	assert_non_null(strstr(buf_text(&text), "shop/broken\n"));
	assert_null(strstr(buf_text(&text), "web"));
	buf_reset(&text);
	policies_print_json(f, &text);
	assert_non_null(strstr(buf_text(&text), "\"broken\""));
	assert_null(strstr(buf_text(&text), "web"));
}

static void assert_json(const struct firewall *f, const char *wanted)
{
	_cleanup_buf_ struct buf text = { 0 };
	json_auto_t *got = NULL, *want = NULL;
	json_error_t why;
	char quoted[4096];

	policies_print_json(f, &text);
	got = json_loads(buf_text(&text), JSON_REJECT_DUPLICATES, &why);
	if (!got)
		fail_msg("%s in %s", why.text, buf_text(&text));
	assert_true(strlen(wanted) < sizeof(quoted));
	strcpy(quoted, wanted);
	for (char *p = quoted; *p; p++)
		*p = *p == '\'' ? '"' : *p;
	want = json_loads(quoted, 0, &why);
	assert_non_null(want);
	if (!json_equal(got, want))
		fail_msg("%s", buf_text(&text));
}

static void test_json(void **state)
{
	_cleanup_(firewall_freep) struct firewall *f = sample(*state);

	assert_json(f, json);
}

static void test_nothing(void **state)
{
	_cleanup_fixture_ struct firewall_fixture fx = { 0 };
	_cleanup_(firewall_freep) struct firewall *f = NULL;
	_cleanup_buf_ struct buf text = { 0 };

	fixture_read(&fx, *state);
	f = fixture_build(&fx);
	policies_print_tables(f, &text);
	assert_string_equal(buf_text(&text), "POD  REFUSED  ISOLATED BY\n"
					     "\n"
					     "POLICY  REFUSED  ALLOWED  WHAT IT ALLOWS\n");
	assert_json(f, "{'defaultDeny': false, 'unknownPods': {'packets': 0, 'bytes': 0},"
		       " 'invalid': {'packets': 0, 'bytes': 0}, 'pods': [], 'policies': []}");
}

static void test_default_deny_has_a_line(void **state)
{
	_cleanup_(firewall_freep) struct firewall *f = sample(*state);
	_cleanup_buf_ struct buf text = { 0 };

	f->default_deny = true;
	f->unknown.packets = 44;
	policies_print_tables(f, &text);
	assert_non_null(strstr(buf_text(&text),
			       "(pods that are not known)       44  --netpol-default-deny\n"));
}

static void test_pods_without_a_name(void **state)
{
	_cleanup_(firewall_freep) struct firewall *f = sample(*state);
	_cleanup_buf_ struct buf text = { 0 };

	f->pods[0].name = (struct traffic_name){ "", "", "" };
	f->pods[1].name = (struct traffic_name){ "", "web", "" };
	policies_print_tables(f, &text);
	assert_non_null(strstr(buf_text(&text), "\n(no name) "));
	assert_non_null(strstr(buf_text(&text), "\nweb "));
}

static void test_H1_without_memory(void **state)
{
	_cleanup_(firewall_freep) struct firewall *f = sample(*state);

	for (int as_json = 0; as_json <= 1; as_json++) {
		bool failed = true;

		for (unsigned n = 1; failed; n++) {
			_cleanup_buf_ struct buf text = { 0 };

			fail_alloc_at(n);
			if (as_json)
				policies_print_json(f, &text);
			else
				policies_print_tables(f, &text);
			failed = fail_alloc_end();
			assert_int_equal(buf_error(&text), failed ? -ENOMEM : 0);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		policy_test(test_tables),
		policy_test(test_what_is_not_shown_is_left_out),
		policy_test(test_json),
		policy_test(test_nothing),
		policy_test(test_default_deny_has_a_line),
		policy_test(test_pods_without_a_name),
		policy_test(test_H1_without_memory),
	};

	return cmocka_run_group_tests_name("policies-print", tests, NULL, NULL);
}
