#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "fail-alloc.h"
#include "store/store.h"

static const size_t kind_sizes[KIND_COUNT] = {
	[KIND_SERVICE] = sizeof(struct service),
	[KIND_ENDPOINT_SLICE] = sizeof(struct endpoint_slice),
	[KIND_POD] = sizeof(struct pod),
	[KIND_NODE] = sizeof(struct node),
	[KIND_NAMESPACE] = sizeof(struct namespace_object),
	[KIND_NETWORK_POLICY] = sizeof(struct network_policy),
};

/* @version tells two objects of one key apart; @service is for slices and may be NULL. */
static struct object *object_make(enum object_kind kind, const char *namespace, const char *name,
				  const char *service, int64_t version)
{
	struct arena *a = arena_new(kind_sizes[kind] + 64);
	struct object *o;

	assert_non_null(a);
	o = arena_alloc(a, kind_sizes[kind]);
	assert_non_null(o);
	*o = (struct object){
		.kind = kind,
		.arena = a,
		.namespace = arena_strdup(a, namespace),
		.name = arena_strdup(a, name),
		.created = version,
	};
	if (service)
		((struct endpoint_slice *)o)->service = arena_strdup(a, service);
	return o;
}

static void service_apply(struct store *s, const char *namespace, const char *name)
{
	assert_int_equal(store_apply(s, object_make(KIND_SERVICE, namespace, name, NULL, 0)), 0);
}

static void slice_apply(struct store *s, const char *namespace, const char *name,
			const char *service)
{
	struct object *o = object_make(KIND_ENDPOINT_SLICE, namespace, name, service, 0);

	assert_int_equal(store_apply(s, o), 0);
}

static int key_append(const char *namespace, const char *name, void *userdata)
{
	struct buf *b = userdata;

	buf_printf(b, "%s/%s ", namespace, name);
	return 0;
}

/* Drains the changed Services and compares. */
static void assert_changed(struct store *s, const char *expected)
{
	_cleanup_buf_ struct buf b = { .data = NULL };

	assert_int_equal(store_changed_services(s, key_append, &b), 0);
	assert_string_equal(buf_text(&b), expected);
}

static int setup(void **state)
{
	return store_new((struct store **)state);
}

static int teardown(void **state)
{
	store_free(*state);
	return 0;
}

static void test_objects_are_found_by_kind_and_key(void **state)
{
	struct store *s = *state;
	const struct object *o;

	service_apply(s, "default", "web");
	assert_int_equal(store_apply(s, object_make(KIND_NODE, "", "node-1", NULL, 0)), 0);

	o = store_get(s, KIND_SERVICE, "default", "web");
	assert_non_null(o);
	assert_string_equal(o->name, "web");
	assert_null(store_get(s, KIND_SERVICE, "default", "db"));
	assert_null(store_get(s, KIND_SERVICE, "web", "default"));
	assert_null(store_get(s, KIND_POD, "default", "web"));
	assert_non_null(store_get(s, KIND_NODE, "", "node-1"));
	assert_int_equal(store_count(s, KIND_SERVICE), 1);
	assert_int_equal(store_count(s, KIND_POD), 0);
}

static void test_apply_replaces(void **state)
{
	struct store *s = *state;

	for (int64_t version = 1; version <= 3; version++) {
		struct object *o = object_make(KIND_POD, "default", "web", NULL, version);

		assert_int_equal(store_apply(s, o), 0);
	}
	assert_int_equal(store_count(s, KIND_POD), 1);
	assert_int_equal(store_get(s, KIND_POD, "default", "web")->created, 3);
}

static void test_service_marks_itself(void **state)
{
	struct store *s = *state;

	service_apply(s, "b", "web");
	service_apply(s, "a", "web");
	service_apply(s, "a", "db");
	service_apply(s, "b", "web");
	assert_changed(s, "a/db a/web b/web ");
	assert_changed(s, "");
	store_remove(s, KIND_SERVICE, "a", "db");
	assert_changed(s, "a/db ");
	store_remove(s, KIND_SERVICE, "a", "db");
	assert_changed(s, "");
}

/* "a-b" sorts before "a/..." as one text, but behind "a" as a namespace. */
static void test_keys_sort_by_namespace_first(void **state)
{
	struct store *s = *state;

	service_apply(s, "a-b", "x");
	service_apply(s, "a", "y");
	assert_changed(s, "a/y a-b/x ");
}

static void test_slice_marks_its_service_and_the_one_before(void **state)
{
	struct store *s = *state;
	size_t n;

	slice_apply(s, "default", "s1", "web");
	assert_changed(s, "default/web ");
	slice_apply(s, "default", "s1", "web");
	assert_changed(s, "default/web ");
	slice_apply(s, "default", "s1", "db");
	assert_changed(s, "default/db default/web ");
	assert_null(store_slices(s, "default", "web", &n));
	assert_int_equal(n, 0);
	slice_apply(s, "default", "s1", NULL);
	assert_changed(s, "default/db ");
	slice_apply(s, "default", "s1", "web");
	assert_changed(s, "default/web ");
	store_remove(s, KIND_ENDPOINT_SLICE, "default", "s1");
	assert_changed(s, "default/web ");
}

static void test_slices_of_a_service_sort_by_name(void **state)
{
	static const char *const names[] = { "m", "a", "z", "c" };
	static const char *const sorted[] = { "a", "c", "m", "z" };
	struct store *s = *state;
	const struct endpoint_slice *const *slices;
	size_t n;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		slice_apply(s, "default", names[i], "web");
	slice_apply(s, "other", "b", "web");
	slice_apply(s, "default", "b", "db");

	slices = store_slices(s, "default", "web", &n);
	assert_int_equal(n, ARRAY_SIZE(sorted));
	for (size_t i = 0; i < n; i++)
		assert_string_equal(slices[i]->object.name, sorted[i]);

	store_remove(s, KIND_ENDPOINT_SLICE, "default", "c");
	slices = store_slices(s, "default", "web", &n);
	assert_int_equal(n, 3);
	assert_string_equal(slices[1]->object.name, "m");
}

static void test_marks_come_from_outside_too(void **state)
{
	struct store *s = *state;

	service_apply(s, "default", "web");
	slice_apply(s, "default", "s1", "db");
	assert_changed(s, "default/db default/web ");
	assert_int_equal(store_mark_service(s, "default", "gone"), 0);
	assert_changed(s, "default/gone ");
	assert_int_equal(store_mark_services(s), 0);
	assert_changed(s, "default/db default/web ");
}

struct failing_visit {
	const char *fails_at;
	struct store *marks; /* may be NULL */
	unsigned visits;
};

static int visit_until(const char *namespace, const char *name, void *userdata)
{
	struct failing_visit *f = userdata;

	f->visits++;
	if (f->marks)
		assert_int_equal(store_mark_service(f->marks, namespace, name), 0);
	return f->fails_at && strcmp(name, f->fails_at) == 0 ? -EIO : 0;
}

static void test_failed_visit_keeps_the_rest_changed(void **state)
{
	struct failing_visit visit = { .fails_at = "b" };
	struct store *s = *state;

	service_apply(s, "default", "a");
	service_apply(s, "default", "b");
	service_apply(s, "default", "c");
	assert_int_equal(store_changed_services(s, visit_until, &visit), -EIO);
	assert_int_equal(visit.visits, 2);
	assert_changed(s, "default/b default/c ");
}

static void test_marks_during_the_walk_wait_for_the_next(void **state)
{
	struct failing_visit visit = { .marks = *state };
	struct store *s = *state;

	service_apply(s, "default", "a");
	service_apply(s, "default", "b");
	assert_int_equal(store_mark_service(s, "default", "gone"), 0);
	assert_int_equal(store_changed_services(s, visit_until, &visit), 0);
	assert_int_equal(visit.visits, 3);
	visit.fails_at = "b";
	assert_int_equal(store_changed_services(s, visit_until, &visit), -EIO);
	assert_int_equal(visit.visits, 5);
	assert_changed(s, "default/a default/b default/gone ");
	assert_changed(s, "");
}

static void test_nodes_changed(void **state)
{
	struct store *s = *state;

	assert_false(store_nodes_changed(s));
	assert_int_equal(store_apply(s, object_make(KIND_NODE, "", "node-1", NULL, 0)), 0);
	assert_true(store_nodes_changed(s));
	assert_false(store_nodes_changed(s));
	store_remove(s, KIND_NODE, "", "node-2");
	assert_false(store_nodes_changed(s));
	store_remove(s, KIND_NODE, "", "node-1");
	assert_true(store_nodes_changed(s));
	assert_changed(s, "");
}

static int object_append(const struct object *o, void *userdata)
{
	key_append(o->namespace, o->name, userdata);
	return strcmp(o->name, "stop") == 0 ? -ECANCELED : 0;
}

static void test_each_is_sorted_and_can_be_ended(void **state)
{
	_cleanup_buf_ struct buf b = { .data = NULL };
	struct store *s = *state;

	service_apply(s, "b", "x");
	service_apply(s, "a", "z");
	service_apply(s, "a", "c");
	slice_apply(s, "a", "d", NULL);
	assert_int_equal(store_each(s, KIND_SERVICE, object_append, &b), 0);
	assert_string_equal(buf_text(&b), "a/c a/z b/x ");
	buf_reset(&b);
	assert_int_equal(store_each(s, KIND_POD, object_append, &b), 0);
	service_apply(s, "a", "stop");
	assert_int_equal(store_each(s, KIND_SERVICE, object_append, &b), -ECANCELED);
	assert_string_equal(buf_text(&b), "a/c a/stop ");
}

static void test_O9_names_at_the_length_limit(void **state)
{
	struct store *s = *state;
	char long_name[OBJECT_MAX_NAME + 1], neighbour[OBJECT_MAX_NAME + 1];
	size_t n;

	memset(long_name, 'n', OBJECT_MAX_NAME);
	long_name[OBJECT_MAX_NAME] = '\0';
	memcpy(neighbour, long_name, sizeof(neighbour));
	neighbour[OBJECT_MAX_NAME - 1] = 'm';

	service_apply(s, long_name, long_name);
	service_apply(s, long_name, neighbour);
	slice_apply(s, long_name, long_name, neighbour);
	assert_int_equal(store_count(s, KIND_SERVICE), 2);
	store_slices(s, long_name, neighbour, &n);
	assert_int_equal(n, 1);
	store_slices(s, long_name, long_name, &n);
	assert_int_equal(n, 0);
}

/* The store against the plainest model of it: one slot a key, one mark a Service. */
enum { N_NAMES = 24, N_SERVICES = 8 };

struct model {
	int64_t versions[2][N_NAMES]; /* of Services and of slices; 0: not there */
	int belongs_to[N_NAMES];
	bool changed[N_NAMES];
};

static int changed_check(const char *namespace, const char *name, void *userdata)
{
	struct model *m = userdata;
	int i = atoi(name);

	assert_string_equal(namespace, "ns");
	assert_true(m->changed[i]);
	m->changed[i] = false;
	return 0;
}

static void model_check(struct store *s, struct model *m)
{
	size_t counts[2] = { 0 }, slices_of[N_SERVICES] = { 0 };

	for (int kind = 0; kind < 2; kind++)
		for (int i = 0; i < N_NAMES; i++) {
			const struct object *o;
			char name[16];

			snprintf(name, sizeof(name), "%d", i);
			o = store_get(s, (enum object_kind)kind, "ns", name);
			assert_int_equal(o ? o->created : 0, m->versions[kind][i]);
			counts[kind] += o != NULL;
			slices_of[m->belongs_to[i]] += kind == KIND_ENDPOINT_SLICE && o;
		}
	assert_int_equal(store_count(s, KIND_SERVICE), counts[0]);
	assert_int_equal(store_count(s, KIND_ENDPOINT_SLICE), counts[1]);
	for (int i = 0; i < N_SERVICES; i++) {
		char name[16];
		size_t n;

		snprintf(name, sizeof(name), "%d", i);
		store_slices(s, "ns", name, &n);
		assert_int_equal(n, slices_of[i]);
	}
}

static void model_mark(struct model *m, int kind, int i)
{
	if (m->versions[kind][i])
		m->changed[kind == KIND_SERVICE ? i : m->belongs_to[i]] = true;
}

static void test_random_operations_match_a_naive_model(void **state)
{
	struct store *s = *state;
	struct model m = { 0 };

	srand(2);
	for (int64_t step = 1; step <= 20000; step++) {
		int kind = rand() % 2, i = rand() % N_NAMES;
		char name[16], service[16];

		snprintf(name, sizeof(name), "%d", i);
		model_mark(&m, kind, i);
		if (rand() % 3) {
			m.versions[kind][i] = step;
			if (kind == KIND_ENDPOINT_SLICE)
				m.belongs_to[i] = rand() % N_SERVICES;
			snprintf(service, sizeof(service), "%d", m.belongs_to[i]);
			assert_int_equal(store_apply(s,
						     object_make((enum object_kind)kind, "ns", name,
								 kind ? service : NULL, step)),
					 0);
			model_mark(&m, kind, i);
		} else {
			m.versions[kind][i] = 0;
			store_remove(s, (enum object_kind)kind, "ns", name);
		}
		model_check(s, &m);
		if (rand() % 10)
			continue;
		assert_int_equal(store_changed_services(s, changed_check, &m), 0);
		for (i = 0; i < N_NAMES; i++)
			assert_false(m.changed[i]);
	}
}

static void test_failed_allocations_leave_the_store_as_it_was(void **state)
{
	unsigned n = 1;

	(void)state;
	for (bool failed = true; failed; n++) {
		_cleanup_(store_freep) struct store *s = NULL;
		struct object *service = object_make(KIND_SERVICE, "default", "web", NULL, 0);
		struct object *slice = object_make(KIND_ENDPOINT_SLICE, "default", "s", "db", 0);
		const char *expected;
		size_t n_slices;
		int r;

		assert_int_equal(store_new(&s), 0);
		fail_alloc_at(n);
		r = store_apply(s, service);
		r = store_apply(s, slice) < 0 ? -ENOMEM : r;
		failed = fail_alloc_end();
		assert_int_equal(r, failed ? -ENOMEM : 0);
		store_slices(s, "default", "db", &n_slices);
		assert_int_equal(n_slices, store_count(s, KIND_ENDPOINT_SLICE));
		assert_int_equal(store_count(s, KIND_SERVICE) + n_slices, failed ? 1 : 2);
		expected = !failed  ? "default/db default/web " :
			   n_slices ? "default/db " :
				      "default/web ";
		assert_changed(s, expected);
		/* Nothing is left of what failed. */
		assert_int_equal(store_mark_services(s), 0);
		assert_changed(s, expected);
	}
	assert_true(n > 6);
}

static void test_failed_allocation_of_store_mark_and_walk(void **state)
{
	_cleanup_(store_freep) struct store *none = NULL;
	struct store *s = *state;

	service_apply(s, "default", "web");
	assert_changed(s, "default/web ");
	fail_alloc_at(1);
	assert_int_equal(store_new(&none), -ENOMEM);
	fail_alloc_at(1);
	assert_int_equal(store_mark_service(s, "default", "db"), -ENOMEM);
	fail_alloc_at(1);
	assert_int_equal(store_each(s, KIND_SERVICE, object_append, NULL), -ENOMEM);
	assert_true(fail_alloc_end());
	assert_changed(s, "");
}

static int count_key(const char *namespace, const char *name, void *userdata)
{
	(void)namespace;
	(void)name;
	++*(size_t *)userdata;
	return 0;
}

/* Quadratic behaviour anywhere would take minutes here. */
static void test_many_services_and_slices(void **state)
{
	enum { N = 50000 };
	struct store *s = *state;
	size_t changed = 0, n;

	for (int i = 0; i < N; i++) {
		char name[32];

		snprintf(name, sizeof(name), "svc-%d", i);
		service_apply(s, "default", name);
		for (int j = 0; j < 2; j++) {
			char slice[48];

			snprintf(slice, sizeof(slice), "%s-%d", name, j);
			slice_apply(s, "default", slice, name);
		}
	}
	assert_int_equal(store_changed_services(s, count_key, &changed), 0);
	assert_int_equal(changed, N);
	store_slices(s, "default", "svc-77", &n);
	assert_int_equal(n, 2);
}

#define store_test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		store_test(test_objects_are_found_by_kind_and_key),
		store_test(test_apply_replaces),
		store_test(test_service_marks_itself),
		store_test(test_keys_sort_by_namespace_first),
		store_test(test_slice_marks_its_service_and_the_one_before),
		store_test(test_slices_of_a_service_sort_by_name),
		store_test(test_marks_come_from_outside_too),
		store_test(test_failed_visit_keeps_the_rest_changed),
		store_test(test_marks_during_the_walk_wait_for_the_next),
		store_test(test_nodes_changed),
		store_test(test_each_is_sorted_and_can_be_ended),
		store_test(test_O9_names_at_the_length_limit),
		store_test(test_random_operations_match_a_naive_model),
		cmocka_unit_test(test_failed_allocations_leave_the_store_as_it_was),
		store_test(test_failed_allocation_of_store_mark_and_walk),
		store_test(test_many_services_and_slices),
	};

	return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
