/* A16: whatever a server says, in whatever order, what was told is in the end what a fresh list says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/loop.h"
#include "base/mix.h"
#include "reflector-fixture.h"

enum {
	N_WORLDS = 60,
	N_SCRIPTS = 50, /* in each of them */
	MAX_STEPS = 16, /* of a script */
	N_OBJECTS = 8,
	MAX_CHANGES = 2 * N_SCRIPTS * MAX_STEPS,
};

struct state {
	bool there;
	unsigned uid, version;
};

struct change {
	const char *type;
	unsigned object, uid, version;
};

/* A server and its history. */
struct world {
	struct reflected *f;
	uint64_t random;
	struct change changes[MAX_CHANGES];
	size_t n_changes;
	unsigned version, compacted, n_uids;
	struct state objects[N_OBJECTS], told[N_OBJECTS];
	struct http_exchange *stream; /* the watch; NULL: none */
	size_t sent;                  /* changes that it was told of */
	unsigned n_faults;
};

static unsigned roll(struct world *w, unsigned sides)
{
	return (unsigned)random_below(&w->random, sides);
}

static unsigned object_number(const char *name)
{
	unsigned n;

	assert_int_equal(sscanf(name, "s%u", &n), 1);
	assert_true(n < N_OBJECTS);
	return n;
}

static int on_apply(struct object *o, void *userdata)
{
	struct world *w = userdata;
	struct state *told = &w->told[object_number(o->name)];
	unsigned uid = (unsigned)strtoul(o->uid, NULL, 10);

	/* Another object of the same name comes only when the one before it has gone. */
	assert_true(!told->there || told->uid == uid);
	*told = (struct state){ true, uid, (unsigned)strtoul(o->resource_version, NULL, 10) };
	object_free(o);
	return 0;
}

static void on_remove(enum object_kind kind, const char *namespace, const char *name,
		      void *userdata)
{
	struct world *w = userdata;
	struct state *told = &w->told[object_number(name)];

	assert_int_equal(kind, KIND_SERVICE);
	assert_string_equal(namespace, "default");
	assert_true(told->there);
	*told = (struct state){ 0 };
}

static void on_report(const char *where, const char *problem, void *userdata)
{
	(void)where;
	(void)problem;
	((struct world *)userdata)->n_faults++;
}

static void on_synced(enum object_kind kind, void *userdata)
{
	(void)kind;
	(void)userdata;
}

static void item_write(struct buf *b, unsigned object, unsigned uid, unsigned version)
{
	buf_printf(b, ITEM("s%u", "%u", "%u"), object, uid, version);
}

static void change_send(struct http_exchange *x, const struct change *c)
{
	struct buf b = { 0 };

	buf_printf(&b, "{\"type\":\"%s\",\"object\":", c->type);
	item_write(&b, c->object, c->uid, c->version);
	buf_puts(&b, "}\n");
	http_chunk(x, buf_text(&b));
	buf_free(&b);
}

static void bookmark_send(struct http_exchange *x, unsigned version, bool end)
{
	char text[256];

	if (end)
		snprintf(text, sizeof(text), INITIAL_END("%u"), version);
	else
		snprintf(text, sizeof(text), BOOKMARK("%u"), version);
	http_chunk(x, text);
}

static void state_apply(struct state *objects, const struct change *c)
{
	objects[c->object] = (struct state){ strcmp(c->type, "DELETED") != 0, c->uid, c->version };
}

/* As the objects were at @version; how many changes that makes. */
static size_t state_at(const struct world *w, unsigned version, struct state *objects)
{
	size_t n = 0;

	memset(objects, 0, sizeof(*objects) * N_OBJECTS);
	for (; n < w->n_changes && w->changes[n].version <= version; n++)
		state_apply(objects, &w->changes[n]);
	return n;
}

static void change_add(struct world *w, const char *type, unsigned object, unsigned uid)
{
	struct change *c = &w->changes[w->n_changes++];

	assert_true(w->n_changes <= MAX_CHANGES);
	*c = (struct change){ type, object, uid, ++w->version };
	state_apply(w->objects, c);
}

static void object_change(struct world *w)
{
	unsigned object = roll(w, N_OBJECTS);
	const struct state *s = &w->objects[object];

	if (!s->there) {
		change_add(w, "ADDED", object, ++w->n_uids);
	} else if (roll(w, 4) == 0) {
		change_add(w, "MODIFIED", object, ++w->n_uids); /* deleted and added */
	} else if (roll(w, 4) == 0) {
		change_add(w, "DELETED", object, s->uid);
		change_add(w, "ADDED", object, ++w->n_uids);
	} else {
		change_add(w, roll(w, 2) ? "MODIFIED" : "DELETED", object, s->uid);
	}
}

/* The number that @target says behind @name, or -1. */
static long query_number(const struct http_exchange *x, const char *name)
{
	const char *p = strstr(http_target(x), name);

	return p ? strtol(p + strlen(name), NULL, 10) : -1;
}

/* Objects from number @from on, as they were at @version; pages hold one object. */
static void list_send(struct world *w, struct http_exchange *x, unsigned version, unsigned from,
		      bool paged)
{
	struct state objects[N_OBJECTS];
	struct buf b = { 0 };
	bool first = true;
	unsigned i;

	state_at(w, version, objects);
	buf_puts(&b, "{\"items\":[");
	for (i = from; i < N_OBJECTS && (first || !paged); i++) {
		if (!objects[i].there)
			continue;
		buf_puts(&b, first ? "" : ",");
		item_write(&b, i, objects[i].uid, objects[i].version);
		first = false;
	}
	buf_printf(&b, "],\"kind\":\"ServiceList\",\"metadata\":{\"resourceVersion\":\"%u\"",
		   version);
	if (i < N_OBJECTS)
		buf_printf(&b, ",\"continue\":\"%u\"", version * N_OBJECTS + i);
	buf_puts(&b, "}}");
	http_reply(x, 200, NULL, buf_text(&b));
	buf_free(&b);
}

static void list_answer(struct world *w, struct http_exchange *x)
{
	long version = query_number(x, "resourceVersion="), token = query_number(x, "continue=");

	switch (roll(w, 12)) {
	case 0:
		http_reply(x, 503, NULL, "");
		break;
	case 1:
		http_reply(x, 410, NULL, GONE);
		break;
	case 2:
		http_begin(x, 200, NULL);
		http_chunk(x, "{\"kind\":\"ServiceList\",\"items\":[");
		http_chunk(x, ITEM("s0", "77", "77") ",");
		http_cut(x);
		break;
	case 3:
		http_reply(x, 200, NULL, LIST("77", ITEM("s0", "77", "77")) "}");
		break;
	default:
		if (token >= 0)
			list_send(w, x, (unsigned)token / N_OBJECTS, (unsigned)token % N_OBJECTS,
				  roll(w, 2));
		else if (version > (long)w->version)
			http_reply(x, 504, NULL, TOO_LARGE);
		else
			list_send(w, x, w->version, 0, roll(w, 2));
	}
}

/* Objects as they were some time ago, what has become of them since, and the end. */
static void initial_send(struct world *w, struct http_exchange *x)
{
	struct state objects[N_OBJECTS];
	size_t n = state_at(w, w->version - roll(w, w->version < 5 ? w->version + 1 : 5), objects);

	for (unsigned i = 0; i < N_OBJECTS; i++) {
		const struct change c = { "ADDED", i, objects[i].uid, objects[i].version };

		if (objects[i].there)
			change_send(x, &c);
	}
	for (; n < w->n_changes; n++)
		change_send(x, &w->changes[n]);
}

static void watch_list_answer(struct world *w, struct http_exchange *x)
{
	unsigned fault = roll(w, 12);

	if (fault < 2) {
		http_reply(x, fault ? 422 : 429, NULL, "");
		return;
	}
	http_begin(x, 200, NULL);
	initial_send(w, x);
	if (fault == 2) {
		http_end(x);
	} else if (fault == 3) {
		http_reset(x);
	} else if (fault == 4) {
		http_chunk(x, EVENT("ERROR", GONE));
	} else {
		bookmark_send(x, w->version, fault > 5);
		w->stream = x;
		w->sent = w->n_changes;
	}
}

static void watch_answer(struct world *w, struct http_exchange *x)
{
	long version = query_number(x, "resourceVersion=");
	unsigned fault = roll(w, 12);

	assert_true(version >= 0);
	if (fault < 2) {
		http_reply(x, fault ? 429 : 500, NULL, "");
	} else if (version < (long)w->compacted && roll(w, 2)) {
		http_reply(x, 410, NULL, GONE);
	} else {
		http_begin(x, 200, NULL);
		w->stream = x;
		for (w->sent = 0;
		     w->sent < w->n_changes && w->changes[w->sent].version <= (unsigned)version;)
			w->sent++;
		if (version < (long)w->compacted)
			http_chunk(x, EVENT("ERROR", GONE));
	}
}

static void on_request(struct http_exchange *x, void *userdata)
{
	struct world *w = userdata;

	w->stream = NULL;
	if (strstr(http_target(x), "sendInitialEvents"))
		watch_list_answer(w, x);
	else if (strstr(http_target(x), "watch=true"))
		watch_answer(w, x);
	else
		list_answer(w, x);
}

static void changes_send(struct world *w)
{
	while (w->stream && w->sent < w->n_changes) {
		change_send(w->stream, &w->changes[w->sent]);
		if (roll(w, 8) == 0)
			change_send(w->stream, &w->changes[w->sent]);
		w->sent++;
	}
}

static void stream_fault(struct world *w)
{
	struct http_exchange *x = w->stream;

	w->stream = NULL;
	switch (roll(w, 5)) {
	case 0:
		http_end(x);
		break;
	case 1:
		http_reset(x);
		break;
	case 2:
		http_chunk(x, EVENT("ERROR", GONE));
		break;
	case 3:
		http_chunk(x, "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"s");
		http_cut(x);
		break;
	default:
		http_chunk(x, "<html>");
	}
}

/* Of an object that is not there; it is as far along as what was sent last. */
static void unknown_send(struct world *w)
{
	const struct change c = { "DELETED", roll(w, N_OBJECTS), 0,
				  w->sent ? w->changes[w->sent - 1].version : 0 };

	if (w->stream && !w->objects[c.object].there)
		change_send(w->stream, &c);
}

static void step(struct world *w)
{
	switch (roll(w, 10)) {
	case 0:
		if (w->stream)
			stream_fault(w);
		break;
	case 1:
		if (w->stream && w->sent == w->n_changes)
			bookmark_send(w->stream, w->version, false);
		break;
	case 2:
		w->compacted = w->version;
		break;
	case 3:
		unknown_send(w);
		break;
	default:
		object_change(w);
		if (roll(w, 3))
			changes_send(w);
	}
	for (unsigned i = roll(w, 20); i > 0; i--)
		assert_int_equal(loop_turn(w->f->loop, 0), 0);
}

/* The watch has told all. */
static bool world_is_known(void *userdata)
{
	struct world *w = userdata;
	const struct reflector *r = w->f->reflector;
	char version[16];

	snprintf(version, sizeof(version), "%u", w->version);
	if (r->phase == PHASE_WATCH && strcmp(r->version, version) == 0)
		return true;
	changes_send(w);
	if (w->stream)
		bookmark_send(w->stream, w->version, false);
	return false;
}

static void world_check(struct world *w, unsigned script)
{
	for (unsigned i = 0; i < N_OBJECTS; i++) {
		const struct state *is = &w->told[i], *should = &w->objects[i];

		if (is->there != should->there ||
		    (is->there && (is->uid != should->uid || is->version != should->version)))
			fail_msg("script %u: s%u is %d %u@%u, should be %d %u@%u", script, i,
				 is->there, is->uid, is->version, should->there, should->uid,
				 should->version);
	}
}

static void world_start(struct world *w, struct reflected *f, uint64_t seed)
{
	const struct reflector_config config = { .kind = KIND_SERVICE, .seed = seed };
	const struct source_events events = {
		.apply = on_apply, .remove = on_remove, .report = on_report, .userdata = w
	};
	struct error err;

	*w = (struct world){ .f = f, .random = seed, .version = 1 };
	http_answer(f->server, on_request, w);
	if (reflector_new(f->client, f->loop, &config, &events, on_synced, NULL, &f->reflector,
			  &err) < 0)
		fail_msg("%s", err.message);
	f->reflector->backoff.first_ms = 0;
	f->reflector->limits.watch_short_ms = 0;
	f->reflector->limits.hurry_ms = 0;
}

static void test_A16_random_scripts(void **state)
{
	static struct world w;
	uint64_t lists = 0, watches = 0, events = 0;

	for (uint64_t seed = 1; seed <= N_WORLDS; seed++) {
		struct reflector_stats stats;

		reflected_setup(state);
		world_start(&w, *state, seed);
		for (unsigned script = 0; script < N_SCRIPTS; script++) {
			for (unsigned n = roll(&w, MAX_STEPS); n > 0; n--)
				step(&w);
			http_wait(w.f->server, world_is_known, &w);
			world_check(&w, script);
		}
		stats = reflector_stats(w.f->reflector);
		lists += stats.lists;
		watches += stats.watches;
		events += stats.events;
		reflected_teardown(state);
	}
	print_message("%llu lists, %llu watches, %llu events\n", (unsigned long long)lists,
		      (unsigned long long)watches, (unsigned long long)events);
	assert_true(lists > N_WORLDS * 10 && watches > N_WORLDS * 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_A16_random_scripts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
