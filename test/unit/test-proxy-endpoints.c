#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "proxy-world.h"
#include "proxy/claims.h"
#include "proxy/endpoints.h"
#include "ruleset/element.h"

static int text_cmp(const void *a, const void *b)
{
	const char *const *x = a, *const *y = b;

	return strcmp(*x, *y);
}

/* "ADDRESS:PORT ..." without the order of slots. */
static void list_print(const struct target_list *list, uint8_t family, struct buf *out)
{
	char texts[16][ADDR_TEXT_MAX + 8];
	const char *sorted[16];

	assert_true(list->n <= ARRAY_SIZE(texts));
	for (size_t i = 0; i < list->n; i++) {
		struct addr a = { .family = family };
		char text[ADDR_TEXT_MAX];

		memcpy(a.bytes, list->items[i].addr, sizeof(a.bytes));
		snprintf(texts[i], sizeof(texts[i]), "%s:%u", addr_format(&a, text),
			 list->items[i].port);
		sorted[i] = texts[i];
	}
	qsort(sorted, list->n, sizeof(sorted[0]), text_cmp);
	for (size_t i = 0; i < list->n; i++)
		buf_printf(out, "%s%s", i > 0 ? " " : "", sorted[i]);
}

/* Compare the lists of port "http" of default/web as seen from node "me" in zone "a". */
static void assert_lists_of(struct world *w, uint8_t family, const char *expected)
{
	const struct service_port port = { .name = "http", .protocol = PROTOCOL_TCP, .port = 80 };
	const struct vantage here = { .node = "me", .zone = "a" };
	struct endpoints e = { .slices = NULL };
	struct buf text = { .data = NULL };
	const struct endpoint_slice *const *slices;
	struct claims claims;
	size_t n;

	claims_init(&claims);
	slices = store_slices(w->store, "default", "web", &n);
	assert_int_equal(endpoints_read(&e, slices, n, &here, &claims, NULL), 0);
	assert_int_equal(endpoints_choose(&e, &port, family, false, NULL), 0);
	list_print(&e.lists.cluster, family, &text);
	buf_puts(&text, " | ");
	list_print(&e.lists.local, family, &text);
	assert_string_equal(buf_text(&text), expected);
	buf_free(&text);
	endpoints_free(&e);
	claims_free(&claims);
}

static void assert_lists(struct world *w, const char *endpoints, const char *expected)
{
	world_slice(w, "web-1", "web", endpoints);
	assert_lists_of(w, AF_INET, expected);
}

static void test_ready_endpoints_are_used(void **state)
{
	struct world *w = *state;

	assert_lists(w, "", " | ");
	assert_lists(w, "10.1.0.1@me 10.1.0.2", "10.1.0.1:8080 10.1.0.2:8080 | 10.1.0.1:8080");
	assert_lists(w, "10.1.0.1@me 10.1.0.2 10.1.0.3/unready 10.1.0.4@me/draining",
		     "10.1.0.1:8080 10.1.0.2:8080 | 10.1.0.1:8080");
	assert_lists(w, "10.1.0.1@me/unready 10.1.0.2@me/dead 10.1.0.3@me/serving", " | ");
	assert_lists(w, "10.1.0.1@ME 10.1.0.2@me2", "10.1.0.1:8080 10.1.0.2:8080 | ");
}

/* KEP-1669; each list falls back for itself. */
static void test_draining_endpoints_serve_when_none_is_ready(void **state)
{
	struct world *w = *state;

	assert_lists(w, "10.1.0.1@me/draining 10.1.0.2/draining 10.1.0.3/dead",
		     "10.1.0.1:8080 10.1.0.2:8080 | 10.1.0.1:8080");
	assert_lists(w, "10.1.0.1@me/draining 10.1.0.2", "10.1.0.2:8080 | 10.1.0.1:8080");
	assert_lists(w, "10.1.0.1@me 10.1.0.2/draining", "10.1.0.1:8080 | 10.1.0.1:8080");
	assert_lists(w, "10.1.0.1@me/unready 10.1.0.2/draining", "10.1.0.2:8080 | ");
}

static void test_zone_hints(void **state)
{
	struct world *w = *state;

	assert_lists(w, "10.1.0.1/zone:a 10.1.0.2/zone:b", "10.1.0.1:8080 | ");
	assert_lists(w, "10.1.0.1/zone:a 10.1.0.2", "10.1.0.1:8080 10.1.0.2:8080 | ");
	assert_lists(w, "10.1.0.1/zone:c 10.1.0.2/zone:b", "10.1.0.1:8080 10.1.0.2:8080 | ");
	assert_lists(w, "10.1.0.1/zone:a 10.1.0.2/zone:b 10.1.0.3/unready", "10.1.0.1:8080 | ");
	assert_lists(w, "10.1.0.1/zone:a 10.1.0.2@me/zone:b", "10.1.0.1:8080 | 10.1.0.2:8080");
	assert_lists(w, "10.1.0.1/draining/zone:a 10.1.0.2/draining/zone:b",
		     "10.1.0.1:8080 10.1.0.2:8080 | ");
}

static void test_node_hints_go_before_zone_hints(void **state)
{
	struct world *w = *state;

	assert_lists(w, "10.1.0.1/zone:a/node:me 10.1.0.2/zone:a/node:other", "10.1.0.1:8080 | ");
	assert_lists(w, "10.1.0.1/zone:a/node:x 10.1.0.2/zone:a/node:y 10.1.0.3/zone:b/node:z",
		     "10.1.0.1:8080 10.1.0.2:8080 | ");
	assert_lists(w, "10.1.0.1/zone:a/node:me 10.1.0.2/zone:a 10.1.0.3/zone:b",
		     "10.1.0.1:8080 10.1.0.2:8080 | ");
}

/* The first copy is neither local nor ready, the second one both: in any order of slices. */
static void test_copies_collapse(void **state)
{
	struct world *w = *state;

	world_slice(w, "web-2", "web", "10.1.0.1@me 10.1.0.3");
	assert_lists(w, "10.1.0.1/unready 10.1.0.2",
		     "10.1.0.1:8080 10.1.0.2:8080 10.1.0.3:8080 | 10.1.0.1:8080");
	world_slice(w, "web-2", "web", "10.1.0.1/unready 10.1.0.2");
	assert_lists(w, "10.1.0.1@me 10.1.0.3",
		     "10.1.0.1:8080 10.1.0.2:8080 10.1.0.3:8080 | 10.1.0.1:8080");
}

#define SLICE(name, family, label, ports, addr)                                                \
	"{'apiVersion':'discovery.k8s.io/v1','kind':'EndpointSlice','metadata':{"              \
	"'name':'" name "','namespace':'default','labels':{" label                             \
	"'kubernetes.io/service-name':'web'}},'addressType':'" family "','ports':[" ports "]," \
	"'endpoints':[{'addresses':['" addr "'],'conditions':{}}]}"

/* A port is joined by name and protocol, and may have another number in every slice. */
static void test_ports_are_joined_by_name(void **state)
{
	struct world *w = *state;

	world_apply(w, SLICE("a", "IPv4", "", "{'name':'http','port':8080}", "10.1.0.1"));
	world_apply(w, SLICE("b", "IPv4", "", "{'name':'http','port':9090}", "10.1.0.2"));
	world_apply(w, SLICE("c", "IPv4", "", "{'name':'http','port':80,'protocol':'UDP'}",
			     "10.1.0.3"));
	world_apply(w, SLICE("d", "IPv4", "", "{'name':'web','port':80}", "10.1.0.4"));
	world_apply(w, SLICE("e", "IPv4", "", "{'name':'http'}", "10.1.0.5"));
	assert_lists_of(w, AF_INET, "10.1.0.1:8080 10.1.0.2:9090 | ");
}

static void test_families_and_labels_of_slices(void **state)
{
	struct world *w = *state;

	world_apply(w, SLICE("a", "IPv4", "", "{'name':'http','port':1}", "10.1.0.1"));
	world_apply(w, SLICE("b", "IPv6", "", "{'name':'http','port':1}", "fd01::1"));
	world_apply(w, SLICE("c", "FQDN", "", "{'name':'http','port':1}", "example.com"));
	world_apply(w, SLICE("d", "IPv4", "'service.kubernetes.io/headless':'',",
			     "{'name':'http','port':1}", "10.1.0.2"));
	assert_lists_of(w, AF_INET, "10.1.0.1:1 | ");
	assert_lists_of(w, AF_INET6, "fd01::1:1 | ");
}

/* The limit itself still fits. */
static void test_S11_more_endpoints_than_slots(void **state)
{
	static struct endpoint many[DISPATCH_MAX_ENDPOINTS + 2];
	const struct endpoint_port slice_port = { .name = "",
						  .protocol = PROTOCOL_UDP,
						  .port = 53 };
	const struct service_port port = { .name = "", .protocol = PROTOCOL_UDP, .port = 53 };
	const struct vantage here = { .node = "me" };
	struct endpoint_slice slice = {
		.family = AF_INET,
		.endpoints = many,
		.ports = &slice_port,
		.n_ports = 1,
	};
	const struct endpoint_slice *const slices[] = { &slice };
	struct endpoints e = { .slices = NULL };
	struct claims claims;

	(void)state;
	claims_init(&claims);
	for (size_t i = 0; i < ARRAY_SIZE(many); i++) {
		many[i].addr = (struct addr){
			AF_INET, { 10, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i }
		};
		many[i].ready = true;
	}
	for (size_t n = DISPATCH_MAX_ENDPOINTS - 1; n <= ARRAY_SIZE(many); n++) {
		slice.n_endpoints = n;
		assert_int_equal(endpoints_read(&e, slices, 1, &here, &claims, NULL), 0);
		assert_int_equal(endpoints_choose(&e, &port, AF_INET, false, NULL), 0);
		assert_int_equal(e.lists.cluster.n,
				 n < DISPATCH_MAX_ENDPOINTS ? n : DISPATCH_MAX_ENDPOINTS);
	}
	endpoints_free(&e);
	claims_free(&claims);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		world_test(test_ready_endpoints_are_used),
		world_test(test_draining_endpoints_serve_when_none_is_ready),
		world_test(test_zone_hints),
		world_test(test_node_hints_go_before_zone_hints),
		world_test(test_copies_collapse),
		world_test(test_ports_are_joined_by_name),
		world_test(test_families_and_labels_of_slices),
		cmocka_unit_test(test_S11_more_endpoints_than_slots),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
