#include "proxy/state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static uint64_t state_hash(const void *item)
{
	const struct service_state *st = item;

	return table_hash_texts(st->namespace, st->name);
}

static bool state_equal(const void *a, const void *b)
{
	const struct service_state *one = a, *other = b;

	return strcmp(one->name, other->name) == 0 && strcmp(one->namespace, other->namespace) == 0;
}

static const struct table_type state_type = { .hash = state_hash, .equal = state_equal };

void states_init(struct states *ss)
{
	*ss = (struct states){ .table.type = &state_type, .queue_end = &ss->queue };
}

static struct service_state *state_new(const char *namespace, const char *name)
{
	size_t namespace_size = strlen(namespace) + 1, name_size = strlen(name) + 1;
	struct service_state *st = calloc(1, sizeof(*st) + namespace_size + name_size);

	if (!st)
		return NULL;
	st->namespace = memcpy(st->text, namespace, namespace_size);
	st->name = memcpy(st->text + namespace_size, name, name_size);
	return st;
}

static void state_free(struct service_state *st)
{
	free(st->claimants);
	free(st->problems.hashes);
	free(st);
}

int states_get(struct states *ss, const char *namespace, const char *name,
	       struct service_state **ret)
{
	const struct service_state probe = { .namespace = namespace, .name = name };
	struct service_state *st = table_find(&ss->table, &probe);

	if (!st) {
		if (table_reserve(&ss->table) < 0)
			return -ENOMEM;
		st = state_new(namespace, name);
		if (!st)
			return -ENOMEM;
		table_put(&ss->table, st);
	}
	*ret = st;
	return 0;
}

void states_forget(struct states *ss, struct service_state *st)
{
	state_free(table_take(&ss->table, st));
}

void states_queue(struct states *ss, struct service_state *st)
{
	if (st->queued)
		return;
	st->queued = true;
	st->next = NULL;
	*ss->queue_end = st;
	ss->queue_end = &st->next;
}

void states_unqueue(struct states *ss, struct service_state **link)
{
	struct service_state *st = *link;

	*link = st->next;
	if (!*link)
		ss->queue_end = link;
	st->queued = false;
	st->loses = false;
	st->gains = false;
}

void states_free(struct states *ss)
{
	struct service_state *st;
	size_t position = 0;

	while ((st = table_next(&ss->table, &position)))
		state_free(st);
	table_free(&ss->table);
}
