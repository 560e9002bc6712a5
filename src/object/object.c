#include "object/object.h"

#include <string.h>

#include "base/arena.h"
#include "base/array.h"

static const struct {
	const char *name, *api_version;
} kinds[KIND_COUNT] = {
	[KIND_SERVICE] = { "Service", "v1" },
	[KIND_ENDPOINT_SLICE] = { "EndpointSlice", "discovery.k8s.io/v1" },
	[KIND_POD] = { "Pod", "v1" },
	[KIND_NODE] = { "Node", "v1" },
	[KIND_NAMESPACE] = { "Namespace", "v1" },
	[KIND_NETWORK_POLICY] = { "NetworkPolicy", "networking.k8s.io/v1" },
};

const char *kind_name(enum object_kind kind)
{
	return kinds[kind].name;
}

const char *kind_api_version(enum object_kind kind)
{
	return kinds[kind].api_version;
}

bool kind_is_namespaced(enum object_kind kind)
{
	return kind != KIND_NODE && kind != KIND_NAMESPACE;
}

struct object_id object_id(enum object_kind kind, const char *namespace, const char *name)
{
	bool namespaced = kind_is_namespaced(kind);
	bool told = namespaced && namespace && *namespace;

	return (struct object_id){
		.kind = kind,
		.namespace = told       ? namespace :
			     namespaced ? "default" :
					  "",
		.name = name,
	};
}

const char *protocol_name(enum protocol p)
{
	switch (p) {
	case PROTOCOL_UDP:
		return "UDP";
	case PROTOCOL_SCTP:
		return "SCTP";
	case PROTOCOL_TCP:
		break;
	}
	return "TCP";
}

static int key_cmp(const void *key, const void *item)
{
	const struct key_value *kv = item;

	return strcmp(key, kv->key);
}

const char *key_values_get(const struct key_values *kv, const char *key)
{
	const struct key_value *found;

	found = array_find(key, kv->items, kv->n, sizeof(kv->items[0]), key_cmp);
	return found ? found->value : NULL;
}

bool key_values_same(const struct key_values *a, const struct key_values *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (strcmp(a->items[i].key, b->items[i].key) != 0 ||
		    strcmp(a->items[i].value, b->items[i].value) != 0)
			return false;
	return true;
}

struct object *object_free(struct object *o)
{
	if (o)
		arena_free(o->arena);
	return NULL;
}

int object_cmp(const struct object *a, const struct object *b)
{
	int c;

	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	c = strcmp(a->namespace, b->namespace);
	return c ? c : strcmp(a->name, b->name);
}
