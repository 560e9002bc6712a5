#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "decode-text.h"

#define POLICY_START                                                   \
	"{'apiVersion':'networking.k8s.io/v1','kind':'NetworkPolicy'," \
	"'metadata':{'name':'p','namespace':'x'},'spec':{"
#define POLICY POLICY_START "%s}}"
#define REFUSED "NetworkPolicy x/p: spec."

static struct network_policy *policy(const char *spec)
{
	return (struct network_policy *)decode(POLICY, spec);
}

static void policy_free(struct network_policy *p)
{
	object_free(&p->object);
}

static void test_policy_types(void **state)
{
	static const struct {
		const char *spec;
		bool ingress, egress;
	} rows[] = {
		{ "", true, false },
		{ "'policyTypes':[]", true, false },
		{ "'egress':[]", true, false },
		{ "'egress':[{}]", true, true },
		{ "'policyTypes':['Egress']", false, true },
		{ "'policyTypes':['Egress'],'ingress':[{}]", false, true },
		{ "'policyTypes':['Ingress'],'egress':[{}]", true, false },
		{ "'policyTypes':['Ingress','Egress']", true, true },
		{ "'policyTypes':['Sideways']", false, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct network_policy *p = policy(rows[i].spec);

		assert_int_equal(p->ingress, rows[i].ingress);
		assert_int_equal(p->egress, rows[i].egress);
		policy_free(p);
	}
}

static void test_A19_unknown_policy_type_is_counted(void **state)
{
	struct decode_stats stats = { 0 };

	(void)state;
	decode_count(&stats, "{'apiVersion':'networking.k8s.io/v1','kind':'NetworkPolicy',"
			     "'metadata':{'name':'p'},'spec':{'policyTypes':['Sideways']}}");
	assert_int_equal(stats.unknown_enums, 1);
}

static void test_absent_selector_is_not_an_empty_one(void **state)
{
	struct network_policy *p = policy("'podSelector':{},'ingress':[{'from':["
					  "{'podSelector':{}},"
					  "{'namespaceSelector':{}},"
					  "{'podSelector':{'matchLabels':{'a':'b'}},"
					  " 'namespaceSelector':{'matchLabels':{'c':'d'}}}]}]");
	const struct policy_peer *peers = p->ingress_rules[0].peers;

	(void)state;
	assert_int_equal(p->pods.n, 0);
	assert_int_equal(p->ingress_rules[0].n_peers, 3);
	assert_non_null(peers[0].pods);
	assert_int_equal(peers[0].pods->n, 0);
	assert_null(peers[0].namespaces);
	assert_null(peers[1].pods);
	assert_non_null(peers[1].namespaces);
	assert_string_equal(peers[2].pods->requirements[0].key, "a");
	assert_string_equal(peers[2].namespaces->requirements[0].values[0], "d");
	assert_false(peers[2].is_block);
	policy_free(p);
}

static void test_rules_without_peers_are_for_everybody(void **state)
{
	static const char *const specs[] = { "'ingress':[{}]", "'ingress':[{'from':[]}]",
					     "'ingress':[{'from':null,'ports':null}]",
					     "'ingress':[null]" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(specs); i++) {
		struct network_policy *p = policy(specs[i]);

		assert_int_equal(p->n_ingress_rules, 1);
		assert_int_equal(p->ingress_rules[0].n_peers, 0);
		assert_int_equal(p->ingress_rules[0].n_ports, 0);
		policy_free(p);
	}
}

static void test_blocks(void **state)
{
	struct network_policy *p = policy(
		"'egress':[{'to':[{'ipBlock':{'cidr':'10.0.0.9/8',"
		"'except':['10.1.0.0/16','10.255.255.255/32']}},{'ipBlock':{'cidr':'::/0'}}]}]");
	const struct policy_peer *peers = p->egress_rules[0].peers;
	char text[PREFIX_TEXT_MAX];

	(void)state;
	assert_true(peers[0].is_block);
	assert_null(peers[0].pods);
	assert_string_equal(prefix_format(&peers[0].block, text), "10.0.0.9/8");
	assert_int_equal(peers[0].n_excepts, 2);
	assert_string_equal(prefix_format(&peers[0].excepts[1], text), "10.255.255.255/32");
	assert_string_equal(prefix_format(&peers[1].block, text), "::/0");
	assert_int_equal(peers[1].n_excepts, 0);
	policy_free(p);
}

static void test_O6_ports(void **state)
{
	static const struct {
		const char *port;
		enum policy_port_kind kind;
		enum protocol protocol;
		uint16_t first, last;
		const char *name;
	} rows[] = {
		{ "{}", POLICY_PORT_ANY, PROTOCOL_TCP, 0, 0, NULL },
		{ "{'protocol':'SCTP'}", POLICY_PORT_ANY, PROTOCOL_SCTP, 0, 0, NULL },
		{ "{'port':80}", POLICY_PORT_NUMBER, PROTOCOL_TCP, 80, 80, NULL },
		{ "{'port':80,'endPort':80}", POLICY_PORT_NUMBER, PROTOCOL_TCP, 80, 80, NULL },
		{ "{'port':1,'endPort':65535,'protocol':'UDP'}", POLICY_PORT_NUMBER, PROTOCOL_UDP,
		  1, 65535, NULL },
		{ "{'port':'web'}", POLICY_PORT_NAME, PROTOCOL_TCP, 0, 0, "web" },
		{ "{'port':'8080-a','protocol':'UDP'}", POLICY_PORT_NAME, PROTOCOL_UDP, 0, 0,
		  "8080-a" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct network_policy *p = (struct network_policy *)decode(
			POLICY_START "'ingress':[{'ports':[%s]}]}}", rows[i].port);
		const struct policy_port *port = &p->ingress_rules[0].ports[0];

		assert_int_equal(port->kind, rows[i].kind);
		assert_int_equal(port->protocol, rows[i].protocol);
		assert_int_equal(port->port, rows[i].first);
		assert_int_equal(port->end_port, rows[i].last);
		if (rows[i].name)
			assert_string_equal(port->name, rows[i].name);
		else
			assert_null(port->name);
		policy_free(p);
	}
}

static void test_O6_bad_ports_are_refused(void **state)
{
	static const struct {
		const char *port;
		const char *message;
	} rows[] = {
		{ "{'port':0}", "port: 0 is not a port (1 to 65535)" },
		{ "{'port':65536}", "port: 65536 is not a port (1 to 65535)" },
		{ "{'port':true}", "port: is a boolean, not an integer" },
		{ "{'port':'80'}", "port: \"80\" is not the name of a port" },
		{ "{'port':''}", "port: \"\" is not the name of a port" },
		{ "{'port':80,'endPort':79}", "endPort: 79 is below port 80" },
		{ "{'port':80,'endPort':65536}", "endPort: 65536 is not a port (1 to 65535)" },
		{ "{'port':'web','endPort':90}", "endPort: belongs to a port with a number" },
		{ "{'endPort':90}", "endPort: belongs to a port with a number" },
		{ "{'protocol':'ICMP'}",
		  "protocol: \"ICMP\" is not a protocol (TCP, UDP or SCTP)" },
	};
	char message[ERROR_MAX_BYTES];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		snprintf(message, sizeof(message), REFUSED "egress[1].ports[0].%s",
			 rows[i].message);
		assert_refused(-EINVAL, message, POLICY_START "'egress':[{},{'ports':[%s]}]}}",
			       rows[i].port);
	}
}

static void test_bad_peers_are_refused(void **state)
{
	static const struct {
		const char *peer;
		const char *message;
	} rows[] = {
		{ "{}", ": has neither an ipBlock nor a selector" },
		{ "null", ": has neither an ipBlock nor a selector" },
		{ "'x'", ": is a string, not an object" },
		{ "{'ipBlock':{'cidr':'10.0.0.0/8'},'podSelector':{}}",
		  ": has an ipBlock and a selector" },
		{ "{'ipBlock':{}}", ".ipBlock.cidr: is missing" },
		{ "{'ipBlock':{'cidr':''}}", ".ipBlock.cidr: is missing" },
		{ "{'ipBlock':{'cidr':'10.0.0.1'}}",
		  ".ipBlock.cidr: \"10.0.0.1\" is not an address range (ADDRESS/BITS)" },
		{ "{'ipBlock':{'cidr':'10.0.0.0/8','except':['10.1.0.0/16','11.0.0.0/16']}}",
		  ".ipBlock.except[1]: 11.0.0.0/16 is not inside of the cidr" },
		{ "{'ipBlock':{'cidr':'10.0.0.0/8','except':['10.0.0.0/8']}}",
		  ".ipBlock.except[0]: 10.0.0.0/8 is not inside of the cidr" },
		{ "{'ipBlock':{'cidr':'10.0.0.0/8','except':['fd00::/16']}}",
		  ".ipBlock.except[0]: fd00::/16 is not inside of the cidr" },
	};
	char message[ERROR_MAX_BYTES];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		snprintf(message, sizeof(message), REFUSED "ingress[0].from[0]%s", rows[i].message);
		assert_refused(-EINVAL, message, POLICY_START "'ingress':[{'from':[%s]}]}}",
			       rows[i].peer);
	}
}

static void test_selectors_are_sorted(void **state)
{
	struct network_policy *p = policy(
		"'podSelector':{'matchLabels':{'b':'1','a':''},'matchExpressions':["
		"{'key':'c','operator':'NotIn','values':['z','y','z','']},"
		"{'key':'a','operator':'Exists'},"
		"{'key':'a','operator':'In','values':['q']}]}");
	const struct selector_requirement *r = p->pods.requirements;

	(void)state;
	assert_int_equal(p->pods.n, 5);
	assert_string_equal(r[0].key, "a");
	assert_int_equal(r[0].op, SELECTOR_IN);
	assert_int_equal(r[1].op, SELECTOR_IN);
	assert_int_equal(r[2].op, SELECTOR_EXISTS);
	assert_int_equal(r[2].n_values, 0);
	assert_string_equal(r[3].key, "b");
	assert_string_equal(r[3].values[0], "1");
	assert_int_equal(r[4].op, SELECTOR_NOT_IN);
	assert_int_equal(r[4].n_values, 3);
	assert_string_equal(r[4].values[0], "");
	assert_string_equal(r[4].values[1], "y");
	assert_string_equal(r[4].values[2], "z");
	policy_free(p);
}

static void test_bad_selectors_are_refused(void **state)
{
	static const struct {
		const char *expression;
		const char *message;
	} rows[] = {
		{ "{'operator':'Exists'}", "key: is missing" },
		{ "{'key':'a'}", "operator: is missing" },
		{ "{'key':'a','operator':'Gt','values':['1']}",
		  "operator: is not In, NotIn, Exists or DoesNotExist" },
		{ "{'key':'a','operator':'In'}", "values: is empty" },
		{ "{'key':'a','operator':'NotIn','values':[]}", "values: is empty" },
		{ "{'key':'a','operator':'Exists','values':['x']}",
		  "values: belongs to In and NotIn only" },
		{ "{'key':'a','operator':'DoesNotExist','values':['x']}",
		  "values: belongs to In and NotIn only" },
		{ "{'key':'a','operator':'In','values':['x',1]}",
		  "values[1]: is an integer, not a string" },
	};
	char message[ERROR_MAX_BYTES];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		snprintf(message, sizeof(message), REFUSED "podSelector.matchExpressions[0].%s",
			 rows[i].message);
		assert_refused(-EINVAL, message,
			       POLICY_START "'podSelector':{'matchExpressions':[%s]}}}",
			       rows[i].expression);
	}
}

static void test_S11_lists_are_limited(void **state)
{
	(void)state;
	assert_list_limit(REFUSED "ingress", POLICY_START "'ingress':", "{}", POLICY_MAX_RULES,
			  "}}");
	assert_list_limit(REFUSED "egress", POLICY_START "'egress':", "{}", POLICY_MAX_RULES, "}}");
	assert_list_limit(REFUSED "egress[0].to",
			  POLICY_START "'egress':[{'to':", "{'podSelector':{}}", POLICY_MAX_PEERS,
			  "}]}}");
	assert_list_limit(REFUSED "egress[0].ports",
			  POLICY_START "'egress':[{'ports':", "{'port':80}", POLICY_MAX_PORTS,
			  "}]}}");
	assert_list_limit(REFUSED "ingress[0].from[0].ipBlock.except",
			  POLICY_START
			  "'ingress':[{'from':[{'ipBlock':{'cidr':'10.0.0.0/8','except':",
			  "'10.0.0.0/9'", POLICY_MAX_EXCEPTS, "}}]}]}}");
	assert_list_limit(REFUSED "podSelector.matchExpressions",
			  POLICY_START "'podSelector':{'matchExpressions':",
			  "{'key':'a','operator':'Exists'}", SELECTOR_MAX_REQUIREMENTS, "}}}");
	assert_list_limit(REFUSED "podSelector.matchExpressions[0].values",
			  POLICY_START
			  "'podSelector':{'matchExpressions':[{'key':'a','operator':'In','values':",
			  "'v'", SELECTOR_MAX_VALUES, "}]}}}");
}

static void test_S11_labels_and_expressions_are_limited_together(void **state)
{
	_cleanup_free_ char *expressions = repeat("{'key':'a','operator':'Exists'}",
						  SELECTOR_MAX_REQUIREMENTS);

	(void)state;
	assert_refused(-E2BIG, REFUSED "podSelector.matchExpressions: has 256 items, more than 255",
		       POLICY_START "'podSelector':{'matchLabels':{'a':'b'},"
				    "'matchExpressions':[%s]}}}",
		       expressions);
}

/* A direction without rules isolates; a peer that matches nobody is not "everybody". */
static void test_O5_nothing_selected_is_nothing_allowed(void **state)
{
	static const struct key_value label = { "app", "web" };
	const struct key_values labels = { .items = &label, .n = 1 };
	struct network_policy *p = policy("'podSelector':{'matchLabels':{'app':'db'}},'ingress':[],"
					  "'egress':[{'to':[{'podSelector':{'matchExpressions':"
					  "[{'key':'app','operator':'DoesNotExist'}]}}]}],"
					  "'policyTypes':['Ingress','Egress']");

	(void)state;
	assert_true(p->ingress);
	assert_int_equal(p->n_ingress_rules, 0);
	assert_true(p->egress);
	assert_int_equal(p->egress_rules[0].n_peers, 1);
	assert_false(selector_matches(p->egress_rules[0].peers[0].pods, &labels));
	assert_false(selector_matches(&p->pods, &labels));
	policy_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_policy_types),
		cmocka_unit_test(test_A19_unknown_policy_type_is_counted),
		cmocka_unit_test(test_absent_selector_is_not_an_empty_one),
		cmocka_unit_test(test_rules_without_peers_are_for_everybody),
		cmocka_unit_test(test_blocks),
		cmocka_unit_test(test_O6_ports),
		cmocka_unit_test(test_O6_bad_ports_are_refused),
		cmocka_unit_test(test_bad_peers_are_refused),
		cmocka_unit_test(test_selectors_are_sorted),
		cmocka_unit_test(test_bad_selectors_are_refused),
		cmocka_unit_test(test_O5_nothing_selected_is_nothing_allowed),
		cmocka_unit_test(test_S11_lists_are_limited),
		cmocka_unit_test(test_S11_labels_and_expressions_are_limited_together),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
