#include "proxy-world.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "decode-text.h"
#include "fail-alloc.h"

static void world_report(const struct problem *problem, void *userdata)
{
	const struct object *o = problem->object;
	struct world *w = userdata;
	size_t len = strlen(w->reports);

	snprintf(w->reports + len, sizeof(w->reports) - len, "%s %s %s/%s: %s\n", problem->reason,
		 kind_name(o->kind), o->namespace, o->name, problem->text);
}

static void kernel_forget(struct transaction *kernel)
{
	for (size_t i = 0; i < kernel->n_changes; i++)
		free((char *)(uintptr_t)kernel->changes[i].element.comment);
	transaction_reset(kernel);
}

void world_configure(struct world *w, const struct proxy_config *config)
{
	proxy_free(w->proxy);
	ruleset_free(w->ruleset);
	kernel_forget(&w->kernel);
	w->reports[0] = '\0';
	w->config = *config;
	assert_int_equal(proxy_new(&w->config, world_report, w, &w->proxy), 0);
	assert_int_equal(ruleset_new(&w->ruleset), 0);
	assert_int_equal(store_mark_services(w->store), 0);
}

int world_setup(void **state)
{
	const struct proxy_config config = { .node = "me", .ipv4 = true, .ipv6 = true };
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	assert_int_equal(store_new(&w->store), 0);
	world_configure(w, &config);
	*state = w;
	return 0;
}

int world_teardown(void **state)
{
	struct world *w = *state;

	proxy_free(w->proxy);
	ruleset_free(w->ruleset);
	store_free(w->store);
	kernel_forget(&w->kernel);
	transaction_free(&w->kernel);
	buf_free(&w->text);
	free(w);
	return 0;
}

void world_apply(struct world *w, const char *format, ...)
{
	va_list args;
	char *text;

	va_start(args, format);
	assert_true(vasprintf(&text, format, args) >= 0);
	va_end(args);
	assert_int_equal(store_apply(w->store, decode("%s", text)), 0);
	free(text);
}

void world_service(struct world *w, const char *name, int created, const char *spec)
{
	world_apply(w,
		    "{'apiVersion':'v1','kind':'Service','metadata':{'name':'%s',"
		    "'namespace':'default','creationTimestamp':'2026-01-01T00:%02d:%02dZ'},"
		    "'spec':{%s}}",
		    name, created / 60, created % 60, spec);
}

/* One flag of an endpoint into @conditions or @hints. */
static void endpoint_flag_print(const char *flag, struct buf *conditions, struct buf *hints)
{
	const char *name = strchr(flag, ':');

	if (strcmp(flag, "unready") == 0)
		buf_puts(conditions, "'ready':false,'serving':false,'terminating':false");
	else if (strcmp(flag, "serving") == 0)
		buf_puts(conditions, "'ready':false,'serving':true,'terminating':false");
	else if (strcmp(flag, "draining") == 0)
		buf_puts(conditions, "'ready':false,'serving':true,'terminating':true");
	else if (strcmp(flag, "dead") == 0)
		buf_puts(conditions, "'ready':false,'serving':false,'terminating':true");
	else if (name)
		buf_printf(hints, "%s'for%s':[{'name':'%s'}]", hints->len ? "," : "",
			   flag[0] == 'n' ? "Nodes" : "Zones", name + 1);
	else
		fail_msg("unknown flag %s", flag);
}

static void endpoint_print(char *text, struct buf *out)
{
	struct buf conditions = { .data = NULL }, hints = { .data = NULL };
	char *rest = NULL, *at, *flag;
	char *addr = strtok_r(text, "/", &rest);

	at = strchr(addr, '@');
	if (at)
		*at++ = '\0';
	while ((flag = strtok_r(NULL, "/", &rest)))
		endpoint_flag_print(flag, &conditions, &hints);
	buf_printf(out, "%s{'addresses':['%s'],'nodeName':'%s','conditions':{%s},'hints':{%s}}",
		   out->len ? "," : "", addr, at ? at : "other", buf_text(&conditions),
		   buf_text(&hints));
	buf_free(&conditions);
	buf_free(&hints);
}

void world_slice(struct world *w, const char *name, const char *service, const char *endpoints)
{
	struct buf items = { .data = NULL };
	char *copy = strdup(endpoints), *rest = NULL, *one;

	assert_non_null(copy);
	for (one = strtok_r(copy, " ", &rest); one; one = strtok_r(NULL, " ", &rest))
		endpoint_print(one, &items);
	world_apply(w,
		    "{'apiVersion':'discovery.k8s.io/v1','kind':'EndpointSlice','metadata':{"
		    "'name':'%s','namespace':'default',"
		    "'labels':{'kubernetes.io/service-name':'%s'}},'addressType':'%s',"
		    "'ports':[{'name':'http','protocol':'TCP','port':8080},"
		    "{'name':'dns','protocol':'UDP','port':5353}],'endpoints':[%s]}",
		    name, service,
		    strchr(endpoints, ':') && !strchr(endpoints, '.') ? "IPv6" : "IPv4",
		    buf_text(&items));
	buf_free(&items);
	free(copy);
}

void world_remove(struct world *w, enum object_kind kind, const char *name)
{
	store_remove(w->store, kind, kind == KIND_NODE ? "" : "default", name);
}

void world_node(struct world *w, const char *name, const char *metadata, const char *spec,
		const char *addrs)
{
	struct buf items = { .data = NULL };
	char *copy = strdup(addrs), *rest = NULL, *one;

	assert_non_null(copy);
	for (one = strtok_r(copy, ",", &rest); one; one = strtok_r(NULL, ",", &rest)) {
		char type[32], addr[ADDR_TEXT_MAX];

		assert_int_equal(sscanf(one, "%31s %45s", type, addr), 2);
		buf_printf(&items, "%s{'type':'%s','address':'%s'}", items.len ? "," : "", type,
			   addr);
	}
	world_apply(w,
		    "{'apiVersion':'v1','kind':'Node','metadata':{'name':'%s'%s%s},'spec':{%s},"
		    "'status':{'addresses':[%s]}}",
		    name, metadata[0] ? "," : "", metadata, spec, buf_text(&items));
	buf_free(&items);
	free(copy);
}

void world_local_addrs(struct world *w, const char *addrs)
{
	struct addr list[16];
	char *copy = strdup(addrs), *rest = NULL, *one;
	size_t n = 0;

	assert_non_null(copy);
	for (one = strtok_r(copy, " ", &rest); one; one = strtok_r(NULL, " ", &rest))
		assert_int_equal(addr_parse(one, &list[n++]), 0);
	assert_int_equal(proxy_set_local_addrs(w->proxy, w->store, list, n), 0);
	free(copy);
}

static struct change *kernel_find(struct transaction *kernel, const struct element *e)
{
	for (size_t i = 0; i < kernel->n_changes; i++)
		if (element_cmp(&kernel->changes[i].element, e) == 0)
			return &kernel->changes[i];
	return NULL;
}

static void kernel_add(struct transaction *kernel, const struct element *e)
{
	struct element copy = *e;

	assert_null(kernel_find(kernel, e));
	if (e->comment) {
		copy.comment = strdup(e->comment);
		assert_non_null(copy.comment);
	}
	transaction_add(kernel, &copy);
	assert_int_equal(kernel->error, 0);
}

static void kernel_delete(struct transaction *kernel, const struct element *e)
{
	struct change *found = kernel_find(kernel, e);

	if (!found) {
		fail_msg("an element is deleted that is not there");
		return;
	}
	free((char *)(uintptr_t)found->element.comment);
	*found = kernel->changes[--kernel->n_changes];
}

static void kernel_commit(struct transaction *kernel, const struct transaction *tx)
{
	for (size_t i = 0; i < tx->n_changes; i++)
		if (!tx->changes[i].add)
			kernel_delete(kernel, &tx->changes[i].element);
	for (size_t i = 0; i < tx->n_changes; i++)
		if (tx->changes[i].add)
			kernel_add(kernel, &tx->changes[i].element);
}

static void kernel_check(struct world *w)
{
	struct transaction whole = { .changes = NULL };

	assert_int_equal(ruleset_whole(w->ruleset, &whole), 0);
	assert_int_equal(whole.n_changes, ruleset_count(w->ruleset));
	assert_int_equal(whole.n_changes, w->kernel.n_changes);
	for (size_t i = 0; i < whole.n_changes; i++) {
		const struct element *e = &whole.changes[i].element;
		const struct change *found = kernel_find(&w->kernel, e);

		assert_non_null(found);
		assert_true(element_same_value(&found->element, e));
	}
	transaction_free(&whole);
}

/* What the agent does when memory was short: the next success is followed by a full load. */
static void kernel_reload(struct world *w)
{
	struct transaction whole = { .changes = NULL };

	kernel_forget(&w->kernel);
	assert_int_equal(ruleset_whole(w->ruleset, &whole), 0);
	kernel_commit(&w->kernel, &whole);
	transaction_free(&whole);
}

int world_try_sync(struct world *w)
{
	struct transaction tx = { .changes = NULL };
	struct error err = { 0 };
	int r;

	fail_alloc_at(w->fail_at);
	r = proxy_sync(w->proxy, w->store, w->ruleset, &tx, &w->computed, &err);
	if (r == 0)
		r = transaction_settle(&tx);
	w->failed = fail_alloc_end();
	if (r == 0) {
		kernel_commit(&w->kernel, &tx);
		kernel_check(w);
	} else {
		assert_int_equal(r, -ENOMEM);
		kernel_reload(w);
	}
	transaction_free(&tx);
	return r;
}

void world_sync(struct world *w)
{
	assert_int_equal(world_try_sync(w), 0);
}

const char *world_elements(struct world *w, const char *word)
{
	struct transaction whole = { .changes = NULL };

	assert_int_equal(ruleset_whole(w->ruleset, &whole), 0);
	buf_reset(&w->text);
	for (size_t i = 0; i < whole.n_changes; i++) {
		const struct element *e = &whole.changes[i].element;
		struct buf line = { .data = NULL };

		buf_printf(&line, "%s ", set_name(e->set));
		element_print(e, &line);
		if (!word || strstr(buf_text(&line), word))
			buf_printf(&w->text, "%s\n", buf_text(&line));
		buf_free(&line);
	}
	transaction_free(&whole);
	return buf_text(&w->text);
}

const char *world_reports(struct world *w)
{
	buf_reset(&w->text);
	buf_puts(&w->text, w->reports);
	w->reports[0] = '\0';
	return buf_text(&w->text);
}

void assert_world(struct world *w, const char *word, const char *expected)
{
	world_sync(w);
	assert_string_equal(world_elements(w, word), expected);
}

void assert_reports(struct world *w, const char *expected)
{
	world_sync(w);
	assert_string_equal(world_reports(w), expected);
}
