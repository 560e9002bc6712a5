/* test-decode-nomem.c - H1: every allocation of the way from text to object fails once. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "fail-alloc.h"
#include "object/decode-kinds.h"
#include "object/decode.h"
#include "object/yaml.h"

static const char *const documents[] = {
	"{apiVersion: v1, kind: Service, metadata: {name: a, uid: u, resourceVersion: '1',"
	" labels: {a: b}, annotations: {kube-router.io/service.local: 'true'}},"
	" spec: {clusterIPs: [10.0.0.1, 'fd00::1'], externalIPs: [192.0.2.1], selector: {a: b},"
	" loadBalancerSourceRanges: [192.0.2.0/24], loadBalancerClass: x,"
	" ports: [{name: http, port: 80, appProtocol: h2c}]},"
	" status: {loadBalancer: {ingress: [{ip: 192.0.2.2}]}}}",

	"{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: a},"
	" addressType: IPv4, ports: [{name: http, port: 80}], endpoints: [{addresses: [10.0.0.1],"
	" nodeName: n, zone: z, hints: {forZones: [{name: z}], forNodes: [{name: n}]},"
	" targetRef: {kind: Pod, name: p}}]}",

	"{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {nodeName: n,"
	" initContainers: [{restartPolicy: Always, ports: [{name: s, containerPort: 2}]}],"
	" containers: [{ports: [{name: http, containerPort: 80}]}]},"
	" status: {podIPs: [{ip: 10.0.0.1}]}}",

	"{apiVersion: v1, kind: Pod, metadata: {name: a}, status: {podIP: 10.0.0.1}}",

	"{apiVersion: v1, kind: Node, metadata: {name: a}, spec: {podCIDRs: [10.0.0.0/24],"
	" providerID: p, taints: [{key: t}]},"
	" status: {addresses: [{type: InternalIP, address: 10.0.0.1}]}}",

	"{apiVersion: v1, kind: Node, metadata: {name: a}, spec: {podCIDR: 10.0.0.0/24}}",

	"{apiVersion: v1, kind: Namespace, metadata: {name: a}, more: [1, 2, 3, 4, 5, 6, 7, 8, 9]}",

	"{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: a},"
	" spec: {podSelector: {matchLabels: {a: b}, matchExpressions:"
	" [{key: k, operator: In, values: [v, w]}]}, ingress: [{from: [{podSelector: {}},"
	" {ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}}], ports: [{port: web}]}],"
	" egress: [{to: [{namespaceSelector: {matchLabels: {c: d}}}]}]}}",
};

/* Calls from here are counted, and jansson calls them. */
static void *counted_malloc(size_t size)
{
	return malloc(size);
}

static int jansson_is_counted(void **state)
{
	(void)state;
	json_set_alloc_funcs(counted_malloc, free);
	/* Draws the seed of the hash tables, which opens files. */
	json_decref(json_object());
	return 0;
}

static int read_document(const char *text, json_t **ret, struct error *err)
{
	_cleanup_(yaml_reader_freep) struct yaml_reader *reader = NULL;
	unsigned line;
	int r;

	r = yaml_reader_new(text, strlen(text), &reader, err);
	return r < 0 ? r : yaml_reader_next(reader, ret, &line, err);
}

static void test_H1_yaml(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(documents); i++)
		for (unsigned n = 1;; n++) {
			struct error err = { 0 };
			json_t *root = NULL;
			int r;

			fail_alloc_at(n);
			r = read_document(documents[i], &root, &err);
			if (!fail_alloc_end()) {
				assert_int_equal(r, 1);
				json_decref(root);
				assert_true(n > 10);
				break;
			}
			assert_int_equal(r, -ENOMEM);
			assert_int_equal(err.code, -ENOMEM);
			assert_null(root);
		}
}

/* The long string makes jansson's buffer grow: there 2.14 loses a byte when memory is short. */
static void test_H1_json(void **state)
{
	static const char text[] =
		"{\"a\": [1, 2.5, true, \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"],"
		" \"b\": {\"c\": null}, \"d\": 1, \"e\": 1, \"f\": 1, \"g\": 1, \"h\": 1, \"i\": 1}";

	(void)state;
	for (unsigned n = 1;; n++) {
		struct error err = { 0 };
		json_t *root = NULL;
		int r;

		fail_alloc_at(n);
		r = json_parse(text, strlen(text), &root, &err);
		if (!fail_alloc_end()) {
			assert_int_equal(r, 0);
			json_decref(root);
			assert_true(n > 10);
			break;
		}
		assert_int_equal(r, -ENOMEM);
		assert_string_equal(err.message, "out of memory");
		assert_null(root);
	}
}

/* Decodes @root with every allocation failing in turn. Returns how many there were. */
static unsigned decode_failing(const json_t *root)
{
	for (unsigned n = 1;; n++) {
		struct decode_stats stats = { 0 };
		struct error err = { 0 };
		struct object *o = NULL;
		int r;

		fail_alloc_at(n);
		r = object_decode(root, &o, &stats, &err);
		if (!fail_alloc_end()) {
			assert_int_equal(r, 0);
			object_free(o);
			return n - 1;
		}
		assert_int_equal(r, -ENOMEM);
		assert_int_equal(err.code, -ENOMEM);
		assert_non_null(strstr(err.message, "out of memory"));
		assert_null(o);
	}
}

static size_t room;

/* In the place of the real one. */
size_t decode_size(enum object_kind kind, const struct kept_keys *kept, const json_t *root)
{
	(void)kind;
	(void)kept;
	(void)root;
	return room;
}

/* An object mostly is one allocation. Here there is more or less room in it, so that every string and list
 * once is the first to ask for more. */
static void test_H1_objects(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(documents); i++) {
		unsigned most = 0;
		json_t *root = NULL;

		assert_int_equal(read_document(documents[i], &root, NULL), 1);
		for (room = 0; room <= 1024; room += 8) {
			unsigned n = decode_failing(root);

			most = n > most ? n : most;
		}
		assert_true(most >= 2);
		json_decref(root);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_H1_yaml),
		cmocka_unit_test(test_H1_json),
		cmocka_unit_test(test_H1_objects),
	};

	return cmocka_run_group_tests(tests, jansson_is_counted, NULL);
}
