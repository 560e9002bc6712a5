#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "object/decode-kinds.h"
#include "object/field.h"

enum { FAMILY_NONE = 0 };

static const struct enum_value address_types[] = {
	{ "IPv4", AF_INET },
	{ "IPv6", AF_INET6 },
	{ "FQDN", FAMILY_NONE },
	{ NULL, 0 },
};

bool endpoint_slice_label_is_kept(const char *key)
{
	return strcmp(key, "kubernetes.io/service-name") == 0 ||
	       strcmp(key, "service.kubernetes.io/headless") == 0;
}

static bool hint_read(const struct field *item, void *ret)
{
	struct field name = field_member(item, "name");

	return field_read_string(&name, ret);
}

static void hints_decode(const struct field *item, struct endpoint *e)
{
	struct field hints = field_member(item, "hints");
	size_t n;

	e->zone_hints = field_list(field_member(&hints, "forZones"), ENDPOINT_MAX_HINTS,
				   sizeof(*e->zone_hints), hint_read, &n);
	e->n_zone_hints = (uint8_t)n;
	e->node_hints = field_list(field_member(&hints, "forNodes"), ENDPOINT_MAX_HINTS,
				   sizeof(*e->node_hints), hint_read, &n);
	e->n_node_hints = (uint8_t)n;
}

static void conditions_decode(const struct field *item, struct endpoint *e)
{
	struct field conditions = field_member(item, "conditions");

	e->ready = field_bool(field_member(&conditions, "ready"), true);
	e->serving = field_bool(field_member(&conditions, "serving"), e->ready);
	e->terminating = field_bool(field_member(&conditions, "terminating"), false);
}

static bool endpoint_read(const struct field *item, void *ret)
{
	struct endpoint *e = ret;
	struct field addresses = field_member(item, "addresses");
	struct field first = field_item(&addresses, 0);

	field_count(addresses, ENDPOINT_MAX_ADDRESSES);
	field_require(first);
	e->addr = field_addr(first);
	conditions_decode(item, e);
	e->node = field_string(field_member(item, "nodeName"));
	e->zone = field_string(field_member(item, "zone"));
	hints_decode(item, e);
	return true;
}

static void endpoints_decode(const struct field *root, struct endpoint_slice *slice)
{
	struct field list = field_member(root, "endpoints");

	slice->endpoints = field_list(list, SLICE_MAX_ENDPOINTS, sizeof(*slice->endpoints),
				      endpoint_read, &slice->n_endpoints);
	for (size_t i = 0; i < slice->n_endpoints; i++) {
		struct field item = field_item(&list, i);
		struct field addresses = field_member(&item, "addresses");

		if (slice->endpoints[i].addr.family != slice->family)
			field_refuse(field_item(&addresses, 0), -EINVAL, "is not an %s address",
				     slice->family == AF_INET ? "IPv4" : "IPv6");
	}
}

static bool port_read(const struct field *item, void *ret)
{
	struct endpoint_port *p = ret;
	struct field port = field_member(item, "port");

	p->name = field_name(field_member(item, "name"));
	p->protocol = field_protocol(field_member(item, "protocol"));
	p->port = port.value ? field_port(port) : 0;
	return true;
}

void endpoint_slice_decode(const struct field *root, struct object *o)
{
	struct endpoint_slice *slice = (struct endpoint_slice *)o;
	struct field type = field_member(root, "addressType");

	field_require(type);
	slice->service = key_values_get(&o->labels, "kubernetes.io/service-name");
	slice->family = (uint8_t)field_enum(type, address_types, FAMILY_NONE);
	if (slice->family != FAMILY_NONE)
		endpoints_decode(root, slice);
	slice->ports = field_list(field_member(root, "ports"), SLICE_MAX_PORTS,
				  sizeof(*slice->ports), port_read, &slice->n_ports);
}
