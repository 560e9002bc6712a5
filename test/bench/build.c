/* Time what the agent does between its manifests and the kernel.
 *
 * Usage: build CHANGES FLAG...        (the agent's flags)
 *
 * Prints one line a measurement, "NAME WALL_US CPU_US SYSTEM_US BYTES", BYTES being those of netlink:
 *     read     the manifests, to decoded objects in the store
 *     build    all elements of the ruleset, settled
 *     commit   the whole ruleset, to tables that are not there yet
 *     change   each EndpointSlice of the JSON array in file CHANGES: from the decoded object to the
 *              commit of the difference
 */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include "agent/node.h"
#include "agent/options.h"
#include "base/error.h"
#include "kernel/tables.h"
#include "object/decode.h"
#include "proxy/proxy.h"
#include "ruleset/ruleset.h"
#include "store/store.h"

struct bench {
	struct options options;
	struct node_state node;
	struct tables *tables;
	struct transaction tx;
};

struct reading {
	int64_t wall_us, cpu_us, system_us;
};

static int64_t clock_us(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static struct reading reading_take(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (struct reading){
		.wall_us = clock_us(CLOCK_MONOTONIC),
		.cpu_us = clock_us(CLOCK_PROCESS_CPUTIME_ID),
		.system_us = (int64_t)usage.ru_stime.tv_sec * 1000000 + usage.ru_stime.tv_usec,
	};
}

static void print_since(const char *name, const struct reading *begin, size_t bytes)
{
	struct reading end = reading_take();

	printf("%s %" PRId64 " %" PRId64 " %" PRId64 " %zu\n", name, end.wall_us - begin->wall_us,
	       end.cpu_us - begin->cpu_us, end.system_us - begin->system_us, bytes);
}

static int bench_read(struct bench *b, struct error *err)
{
	struct reading begin = reading_take();
	int r = node_load(&b->node, &b->options, err);

	if (r == 0)
		print_since("read", &begin, 0);
	return r;
}

static int bench_build(struct bench *b, struct transaction *whole, struct error *err)
{
	struct reading begin = reading_take();
	struct node_state *n = &b->node;
	int r = proxy_sync(n->proxy, n->store, n->ruleset, NULL, NULL, err);

	if (r < 0)
		return r;
	r = ruleset_whole(n->ruleset, whole);
	if (r < 0)
		return error_set(err, r, "out of memory");
	print_since("build", &begin, 0);
	return 0;
}

static int bench_commit(struct bench *b, const struct transaction *whole, struct error *err)
{
	struct reading begin = reading_take();
	struct commit c;
	int r = tables_replace(b->tables, whole, &c, err);

	if (r == 0)
		print_since("commit", &begin, c.bytes);
	return r;
}

static int bench_start(struct bench *b, struct error *err)
{
	_cleanup_transaction_ struct transaction whole = { 0 };
	const struct options *o = &b->options;
	int r;

	r = node_open(&b->node, o, err);
	if (r == 0)
		r = tables_open(o->enable_ipv4, o->enable_ipv6, &b->tables, err);
	if (r == 0)
		r = bench_read(b, err);
	if (r == 0)
		r = bench_build(b, &whole, err);
	if (r == 0)
		r = bench_commit(b, &whole, err);
	return r;
}

/* Takes @o. */
static int bench_change(struct bench *b, struct object *o, struct error *err)
{
	struct reading begin = reading_take();
	struct node_state *n = &b->node;
	struct commit c;
	int r;

	transaction_reset(&b->tx);
	r = store_apply(n->store, o);
	if (r < 0)
		return error_set(err, r, "out of memory");
	r = proxy_sync(n->proxy, n->store, n->ruleset, &b->tx, NULL, err);
	if (r < 0)
		return r;
	r = transaction_settle(&b->tx);
	if (r < 0)
		return error_set(err, r, "out of memory");
	r = tables_commit(b->tables, &b->tx, &c, err);
	if (r < 0)
		return r;
	if (c.added == 0)
		return error_set(err, -EINVAL, "a change that changes nothing");
	print_since("change", &begin, c.bytes);
	return 0;
}

static int bench_changes(struct bench *b, const char *path, struct error *err)
{
	json_error_t error;
	json_t *changes = json_load_file(path, 0, &error);
	int r = 0;

	if (!changes)
		return error_set(err, -EINVAL, "%s: %s", path, error.text);
	for (size_t i = 0; r == 0 && i < json_array_size(changes); i++) {
		struct object *o;

		r = object_decode(json_array_get(changes, i), &o, NULL, err);
		if (r == 0)
			r = bench_change(b, o, err);
	}
	json_decref(changes);
	return r;
}

static void bench_close(struct bench *b)
{
	transaction_free(&b->tx);
	tables_close(b->tables);
	node_close(&b->node);
	options_free(&b->options);
}

int main(int argc, char **argv)
{
	struct bench b = { 0 };
	struct error err = { 0 };
	int r;

	if (argc < 2) {
		fprintf(stderr, "usage: build CHANGES FLAG...\n");
		return EXIT_FAILURE;
	}
	options_init(&b.options);
	r = options_parse(&b.options, argc - 1, argv + 1, &err);
	if (r == 0)
		r = bench_start(&b, &err);
	if (r == 0)
		r = bench_changes(&b, argv[1], &err);
	bench_close(&b);
	if (r < 0)
		fprintf(stderr, "build: %s\n", err.message);
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
