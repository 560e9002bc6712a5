#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/buf.h"
#include "command/services-print.h"
#include "fail-alloc.h"
#include "traffic-fixture.h"

/* Some of everything. */
static struct traffic *sample(struct reading_fixture *rd)
{
	struct conntrack_entry flows[] = {
		entry_make("10.96.0.10", 80, "10.244.1.2", 1234567),
		entry_make("10.96.0.10", 80, "10.244.2.2", 3),
		entry_make("fd96::a", 80, "fd44:0:0:1::2", 2),
	};
	struct traffic *t;

	note_verdict(rd, SET_SERVICES, "10.96.0.10", 80, VERDICT_RECALL, 8080, 12);
	note_verdict(rd, SET_AFFINITY_SERVICES, "10.96.0.10", 80, VERDICT_LB, 2, 5);
	note_verdict(rd, SET_AFFINITY_TIMEOUTS, "10.96.0.10", 80, VERDICT_LEARN, 600, 0);
	note_row(rd, SET_ENDPOINTS, "10.96.0.10", 80, 0, "10.244.1.2", 7);
	note_row(rd, SET_ENDPOINTS, "10.96.0.10", 80, 1, "10.244.2.2", 5);
	note_verdict(rd, SET_SERVICES, "fd96::a", 80, VERDICT_LB, 1, 1);
	note_row(rd, SET_ENDPOINTS, "fd96::a", 80, 0, "fd44:0:0:1::2", 1);
	rd->comment = "default/local";
	note_verdict(rd, SET_SERVICES, "192.168.50.11", 30080, VERDICT_LB, 1, 0);
	note_verdict(rd, SET_LOCAL_SERVICES, "192.168.50.11", 30080, VERDICT_ACCEPT, 0, 4);
	note_verdict(rd, SET_NO_ENDPOINTS, "192.168.50.11", 30080, VERDICT_DROP, 0, 4);
	note_row(rd, SET_ENDPOINTS, "192.168.50.11", 30080, 0, "10.244.2.2", 0);
	rd->comment = NULL;
	note_verdict(rd, SET_NO_ENDPOINTS, "10.96.0.11", 80, VERDICT_REFUSE, 0, 3);
	note_hairpin(rd, "10.244.1.2");
	note_hairpin(rd, "fd44:0:0:1::2");
	t = traffic_of(rd);
	for (size_t i = 0; i < ARRAY_SIZE(flows); i++)
		traffic_add_flow(t, &flows[i]);
	return t;
}

static void assert_table(const struct traffic *t, size_t width, const char *wanted)
{
	_cleanup_buf_ struct buf text = { 0 };

	services_print_table(t, width, &text);
	assert_string_equal(buf_text(&text), wanted);
}

/* clang-format off */
static const char table_full[] =
	"SERVICE                    STATE                         CONNECTIONS  UNSERVED  FLOWS  PACKETS-IN  PACKETS-OUT   BYTES-IN  BYTES-OUT\n"
	"(no name)\n"
	"  10.96.0.11:80/TCP        refused                                 0         3      0           0            0          0          0\n"
	"default/local\n"
	"  192.168.50.11:30080/TCP  1 endpoint, outside: dropped            0         4      0           0            0          0          0\n"
	"    10.244.2.2:8080        not outside                             0         -      0           0            0          0          0\n"
	"default/web:http\n"
	"  10.96.0.10:80/TCP        2 endpoints, affinity 600 s            12         0      2     1234570      2469140  123457000  246914000\n"
	"    10.244.1.2:8080        this node                               7         -      1     1234567      2469134  123456700  246913400\n"
	"    10.244.2.2:8080                                                5         -      1           3            6        300        600\n"
	"  [fd96::a]:80/TCP         1 endpoint                              1         0      1           2            4        200        400\n"
	"    [fd44:0:0:1::2]:8080   this node                               1         -      1           2            4        200        400\n";

static const char table_without_accounting[] =
	"SERVICE                    STATE                         CONNECTIONS  UNSERVED  FLOWS\n"
	"(no name)\n"
	"  10.96.0.11:80/TCP        refused                                 0         3      0\n"
	"default/local\n"
	"  192.168.50.11:30080/TCP  1 endpoint, outside: dropped            0         4      0\n"
	"    10.244.2.2:8080        not outside                             0         -      0\n"
	"default/web:http\n"
	"  10.96.0.10:80/TCP        2 endpoints, affinity 600 s            12         0      2\n"
	"    10.244.1.2:8080        this node                               7         -      1\n"
	"    10.244.2.2:8080                                                5         -      1\n"
	"  [fd96::a]:80/TCP         1 endpoint                              1         0      1\n"
	"    [fd44:0:0:1::2]:8080   this node                               1         -      1\n";

static const char table_narrow[] =
	"SERVICE                    STATE                         CONNECTIONS  UNSERVED\n"
	"(no name)\n"
	"  10.96.0.11:80/TCP        refused                                 0         3\n"
	"default/local\n"
	"  192.168.50.11:30080/TCP  1 endpoint, outside: dropped            0         4\n"
	"    10.244.2.2:8080        not outside                             0         -\n"
	"default/web:http\n"
	"  10.96.0.10:80/TCP        2 endpoints, affinity 600 s            12         0\n"
	"    10.244.1.2:8080        this node                               7         -\n"
	"    10.244.2.2:8080                                                5         -\n"
	"  [fd96::a]:80/TCP         1 endpoint                              1         0\n"
	"    [fd44:0:0:1::2]:8080   this node                               1         -\n";

static const char table_tiny[] =
	"SERVICE                    STATE\n"
	"(no name)\n"
	"  10.96.0.11:80/TCP        refused\n"
	"default/local\n"
	"  192.168.50.11:30080/TCP  1 endpoint, outside: dropped\n"
	"    10.244.2.2:8080        not outside\n"
	"default/web:http\n"
	"  10.96.0.10:80/TCP        2 endpoints, affinity 600 s\n"
	"    10.244.1.2:8080        this node\n"
	"    10.244.2.2:8080\n"
	"  [fd96::a]:80/TCP         1 endpoint\n"
	"    [fd44:0:0:1::2]:8080   this node\n";

static const char json_full[] =
	"{\"accounting\": true, \"servicePorts\": [\n"
	"{\"namespace\": \"\", \"name\": \"\", \"port\": \"\", \"frontends\": [\n"
	"  {\"address\": \"10.96.0.11\", \"protocol\": \"TCP\", \"port\": 80,\n"
	"   \"inside\": {\"verdict\": \"refused\", \"endpoints\": 0}, \"outside\": {\"verdict\": \"refused\", \"endpoints\": 0},\n"
	"   \"connections\": 0, \"unserved\": 3, \"flows\": 0, \"packetsIn\": 0, \"packetsOut\": 0, \"bytesIn\": 0,\n"
	"   \"bytesOut\": 0, \"endpoints\": []}]},\n"
	"{\"namespace\": \"default\", \"name\": \"local\", \"port\": \"\", \"frontends\": [\n"
	"  {\"address\": \"192.168.50.11\", \"protocol\": \"TCP\", \"port\": 30080,\n"
	"   \"scheduler\": \"random\", \"inside\": {\"verdict\": \"balanced\", \"endpoints\": 1}, \"outside\": {\"verdict\": \"dropped\", \"endpoints\": 0},\n"
	"   \"connections\": 0, \"unserved\": 4, \"flows\": 0, \"packetsIn\": 0, \"packetsOut\": 0, \"bytesIn\": 0,\n"
	"   \"bytesOut\": 0, \"endpoints\": [\n"
	"     {\"address\": \"10.244.2.2\", \"port\": 8080, \"thisNode\": false, \"clients\": \"inside\",\n"
	"      \"connections\": 0, \"flows\": 0, \"packetsIn\": 0, \"packetsOut\": 0, \"bytesIn\": 0, \"bytesOut\": 0}]}]},\n"
	"{\"namespace\": \"default\", \"name\": \"web\", \"port\": \"http\", \"frontends\": [\n"
	"  {\"address\": \"10.96.0.10\", \"protocol\": \"TCP\", \"port\": 80,\n"
	"   \"scheduler\": \"random\", \"inside\": {\"verdict\": \"balanced\", \"endpoints\": 2}, \"outside\": {\"verdict\": \"balanced\", \"endpoints\": 2},\n"
	"   \"affinitySeconds\": 600, \"connections\": 12, \"unserved\": 0, \"flows\": 2, \"packetsIn\": 1234570,\n"
	"   \"packetsOut\": 2469140, \"bytesIn\": 123457000, \"bytesOut\": 246914000, \"endpoints\": [\n"
	"     {\"address\": \"10.244.1.2\", \"port\": 8080, \"thisNode\": true, \"clients\": \"all\",\n"
	"      \"connections\": 7, \"flows\": 1, \"packetsIn\": 1234567, \"packetsOut\": 2469134,\n"
	"      \"bytesIn\": 123456700, \"bytesOut\": 246913400},\n"
	"     {\"address\": \"10.244.2.2\", \"port\": 8080, \"thisNode\": false, \"clients\": \"all\",\n"
	"      \"connections\": 5, \"flows\": 1, \"packetsIn\": 3, \"packetsOut\": 6, \"bytesIn\": 300,\n"
	"      \"bytesOut\": 600}]},\n"
	"  {\"address\": \"fd96::a\", \"protocol\": \"TCP\", \"port\": 80,\n"
	"   \"scheduler\": \"random\", \"inside\": {\"verdict\": \"balanced\", \"endpoints\": 1}, \"outside\": {\"verdict\": \"balanced\", \"endpoints\": 1},\n"
	"   \"connections\": 1, \"unserved\": 0, \"flows\": 1, \"packetsIn\": 2, \"packetsOut\": 4, \"bytesIn\": 200,\n"
	"   \"bytesOut\": 400, \"endpoints\": [\n"
	"     {\"address\": \"fd44:0:0:1::2\", \"port\": 8080, \"thisNode\": true, \"clients\": \"all\",\n"
	"      \"connections\": 1, \"flows\": 1, \"packetsIn\": 2, \"packetsOut\": 4, \"bytesIn\": 200,\n"
	"      \"bytesOut\": 400}]}]}]}\n";

static const char json_without_accounting[] =
	"{\"accounting\": false, \"servicePorts\": [\n"
	"{\"namespace\": \"default\", \"name\": \"web\", \"port\": \"http\", \"frontends\": [\n"
	"  {\"address\": \"10.96.0.10\", \"protocol\": \"TCP\", \"port\": 80,\n"
	"   \"scheduler\": \"random\", \"inside\": {\"verdict\": \"balanced\", \"endpoints\": 1}, \"outside\": {\"verdict\": \"balanced\", \"endpoints\": 1},\n"
	"   \"connections\": 12, \"unserved\": 0, \"flows\": 0, \"endpoints\": [\n"
	"     {\"address\": \"10.244.1.2\", \"port\": 8080, \"thisNode\": false, \"clients\": \"all\",\n"
	"      \"connections\": 7, \"flows\": 0}]}]}]}\n";

/* clang-format on */

static void test_table(void **state)
{
	_cleanup_(traffic_freep) struct traffic *t = sample(*state);

	t->accounting = true;
	assert_table(t, 0, table_full);
}

static void test_table_without_accounting(void **state)
{
	_cleanup_(traffic_freep) struct traffic *t = sample(*state);

	assert_table(t, 0, table_without_accounting);
}

static void test_columns_that_do_not_fit_are_left_out(void **state)
{
	_cleanup_(traffic_freep) struct traffic *t = sample(*state);
	const size_t width = 78;

	assert_table(t, width, table_narrow);
}

static void test_terminal_without_room_for_numbers(void **state)
{
	_cleanup_(traffic_freep) struct traffic *t = sample(*state);

	assert_table(t, 10, table_tiny);
}

static void test_empty_table_has_a_head(void **state)
{
	_cleanup_(traffic_freep) struct traffic *t = traffic_of(*state);

	assert_table(t, 0, "SERVICE  STATE  CONNECTIONS  UNSERVED  FLOWS\n");
}

static void assert_json(const struct traffic *t, const char *wanted)
{
	_cleanup_buf_ struct buf text = { 0 };
	json_auto_t *got = NULL, *want = NULL;
	json_error_t why;

	services_print_json(t, &text);
	got = json_loads(buf_text(&text), JSON_REJECT_DUPLICATES, &why);
	if (!got)
		fail_msg("%s in %s", why.text, buf_text(&text));
	want = json_loads(wanted, 0, &why);
	assert_non_null(want);
	if (!json_equal(got, want))
		fail_msg("%s", buf_text(&text));
}

static void test_json(void **state)
{
	_cleanup_(traffic_freep) struct traffic *t = sample(*state);

	t->accounting = true;
	assert_json(t, json_full);
}

static void test_json_without_accounting_has_no_packets(void **state)
{
	struct reading_fixture *rd = *state;
	_cleanup_(traffic_freep) struct traffic *t = NULL;

	note_verdict(rd, SET_SERVICES, "10.96.0.10", 80, VERDICT_LB, 1, 12);
	note_row(rd, SET_ENDPOINTS, "10.96.0.10", 80, 0, "10.244.1.2", 7);
	t = traffic_of(rd);
	assert_json(t, json_without_accounting);
}

static void test_json_of_empty_tables(void **state)
{
	_cleanup_(traffic_freep) struct traffic *t = traffic_of(*state);

	assert_json(t, "{\"accounting\": false, \"servicePorts\": []}");
}

static void test_source_ranges(void **state)
{
	struct reading_fixture *rd = *state;
	_cleanup_(traffic_freep) struct traffic *t = NULL;
	_cleanup_buf_ struct buf table = { 0 }, json = { 0 };

	for (uint16_t port = 80; port < 82; port++) {
		note_verdict(rd, SET_NO_ENDPOINTS, "203.0.113.1", port, VERDICT_REFUSE, 0, 0);
		note_verdict(rd, SET_GUARDED_FRONTENDS, "203.0.113.1", port, VERDICT_NONE, 0, 0);
	}
	note_source(rd, "203.0.113.1", 80, "192.0.2.0/24");
	note_source(rd, "203.0.113.1", 80, "198.51.100.7/32");
	t = traffic_of(rd);
	services_print_table(t, 0, &table);
	assert_non_null(strstr(buf_text(&table), ":80/TCP  refused, 2 source ranges "));
	assert_non_null(strstr(buf_text(&table), ":81/TCP  refused, 0 source ranges "));
	services_print_json(t, &json);
	assert_non_null(strstr(buf_text(&json),
			       "\"sourceRanges\": [\"192.0.2.0/24\", \"198.51.100.7/32\"], "));
	assert_non_null(strstr(buf_text(&json), "\"sourceRanges\": [], "));
}

static void test_schedulers(void **state)
{
	struct reading_fixture *rd = *state;
	_cleanup_(traffic_freep) struct traffic *t = NULL;
	_cleanup_buf_ struct buf table = { 0 }, json = { 0 };

	note_verdict(rd, SET_SERVICES, "10.96.0.10", 80, VERDICT_RR, 1, 0);
	note_row(rd, SET_ENDPOINTS, "10.96.0.10", 80, 0, "10.244.1.2", 0);
	note_verdict(rd, SET_SERVICES, "10.96.0.10", 81, VERDICT_SH_PORT, 1, 0);
	note_row(rd, SET_ENDPOINTS, "10.96.0.10", 81, 0, "10.244.1.2", 0);
	note_verdict(rd, SET_NO_ENDPOINTS, "10.96.0.10", 82, VERDICT_REFUSE, 0, 0);
	t = traffic_of(rd);
	services_print_table(t, 0, &table);
	assert_non_null(strstr(buf_text(&table), ":80/TCP  1 endpoint, rr "));
	assert_non_null(strstr(buf_text(&table), ":81/TCP  1 endpoint, sh flag-2 "));
	assert_non_null(strstr(buf_text(&table), ":82/TCP  refused "));
	services_print_json(t, &json);
	assert_non_null(strstr(buf_text(&json), "\"scheduler\": \"rr\", "));
	assert_non_null(
		strstr(buf_text(&json), "\"scheduler\": \"sh\", \"schedflags\": \"flag-2\", "));
	assert_null(strstr(strstr(buf_text(&json), "\"port\": 82"), "scheduler"));
}

static void test_H1_without_memory(void **state)
{
	_cleanup_(traffic_freep) struct traffic *t = sample(*state);

	for (int json = 0; json <= 1; json++) {
		bool failed = true;

		for (unsigned n = 1; failed; n++) {
			_cleanup_buf_ struct buf text = { 0 };

			fail_alloc_at(n);
			if (json)
				services_print_json(t, &text);
			else
				services_print_table(t, 0, &text);
			failed = fail_alloc_end();
			assert_int_equal(buf_error(&text), failed ? -ENOMEM : 0);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TRAFFIC_TEST(test_table),
		TRAFFIC_TEST(test_table_without_accounting),
		TRAFFIC_TEST(test_columns_that_do_not_fit_are_left_out),
		TRAFFIC_TEST(test_terminal_without_room_for_numbers),
		TRAFFIC_TEST(test_empty_table_has_a_head),
		TRAFFIC_TEST(test_json),
		TRAFFIC_TEST(test_json_without_accounting_has_no_packets),
		TRAFFIC_TEST(test_json_of_empty_tables),
		TRAFFIC_TEST(test_source_ranges),
		TRAFFIC_TEST(test_schedulers),
		TRAFFIC_TEST(test_H1_without_memory),
	};

	return cmocka_run_group_tests_name("services-print", tests, NULL, NULL);
}
