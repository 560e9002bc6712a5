#include <errno.h>
#include <string.h>

#include "base/arena.h"
#include "object/decode-kinds.h"
#include "object/field.h"

static const struct enum_value phases[] = {
	{ "", POD_PENDING },
	{ "Pending", POD_PENDING },
	{ "Running", POD_RUNNING },
	{ "Succeeded", POD_SUCCEEDED },
	{ "Failed", POD_FAILED },
	{ "Unknown", POD_UNKNOWN },
	{ NULL, 0 },
};

static bool addr_read(const struct field *item, void *ret)
{
	struct field ip = field_member(item, "ip");

	return field_read_addr(&ip, ret);
}

static void addrs_decode(const struct field *status, struct pod *p)
{
	struct field single = field_member(status, "podIP");
	struct addr *addr;

	p->addrs = field_list(field_member(status, "podIPs"), POD_MAX_ADDRESSES, sizeof(*p->addrs),
			      addr_read, &p->n_addrs);
	if (p->n_addrs > 0 || !single.value)
		return;
	addr = arena_alloc(single.decoder->arena, sizeof(*addr));
	if (decoder_out_of_memory(single.decoder, addr))
		return;
	p->n_addrs = field_read_addr(&single, addr);
	p->addrs = addr;
}

static void port_read(const struct field *item, struct container_port *p)
{
	p->name = field_name(field_member(item, "name"));
	p->protocol = field_protocol(field_member(item, "protocol"));
	p->port = field_port(field_member(item, "containerPort"));
}

static bool port_is_named(const struct field *item)
{
	const char *name = field_text(field_member(item, "name"));

	return name && *name;
}

/* Reads the named ports of one container behind those that @p has; with no array yet, only counts. A pod
 * with too many is not refused: who does not know a pod can't keep anything from it. */
static void ports_append(const struct field *list, struct pod *p, struct container_port *ports)
{
	size_t n = field_count(*list, SIZE_MAX);

	for (size_t i = 0; i < n && p->n_ports < POD_MAX_PORTS; i++) {
		struct field item = field_item(list, i);

		if (!port_is_named(&item))
			continue;
		if (ports)
			port_read(&item, &ports[p->n_ports]);
		p->n_ports++;
	}
}

/* An init container that restarts Always is a sidecar: it keeps running. */
static bool container_stays(const struct field *container)
{
	const char *policy = field_text(field_member(container, "restartPolicy"));

	return policy && strcmp(policy, "Always") == 0;
}

static void containers_append(const struct field *list, bool are_init, struct pod *p,
			      struct container_port *ports)
{
	size_t n = field_count(*list, SIZE_MAX);

	for (size_t i = 0; i < n && !list->decoder->error; i++) {
		struct field container = field_item(list, i);
		struct field container_ports = field_member(&container, "ports");

		if (!are_init || container_stays(&container))
			ports_append(&container_ports, p, ports);
	}
}

static void ports_decode(const struct field *spec, struct pod *p)
{
	struct field init_containers = field_member(spec, "initContainers");
	struct field containers = field_member(spec, "containers");
	struct container_port *ports = NULL;

	containers_append(&containers, false, p, ports);
	containers_append(&init_containers, true, p, ports);
	if (p->n_ports == 0)
		return;
	ports = arena_array(spec->decoder->arena, p->n_ports, sizeof(*ports));
	if (decoder_out_of_memory(spec->decoder, ports))
		return;
	p->n_ports = 0;
	containers_append(&containers, false, p, ports);
	containers_append(&init_containers, true, p, ports);
	p->ports = ports;
}

void pod_decode(const struct field *root, struct object *o)
{
	struct pod *p = (struct pod *)o;
	struct field spec = field_member(root, "spec");
	struct field status = field_member(root, "status");

	p->node = field_string(field_member(&spec, "nodeName"));
	p->host_network = field_bool(field_member(&spec, "hostNetwork"), false);
	ports_decode(&spec, p);
	p->phase = (enum pod_phase)field_enum(field_member(&status, "phase"), phases, POD_UNKNOWN);
	addrs_decode(&status, p);
}
