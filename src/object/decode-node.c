/* decode-node.c - Node and Namespace, the two kinds without a namespace. */
#include "base/arena.h"
#include "object/decode-kinds.h"
#include "object/field.h"

enum { NODE_ADDR_OTHER = -1 };

static const struct enum_value addr_types[] = {
	{ "InternalIP", NODE_ADDR_INTERNAL }, { "ExternalIP", NODE_ADDR_EXTERNAL },
	{ "Hostname", NODE_ADDR_OTHER },      { "InternalDNS", NODE_ADDR_OTHER },
	{ "ExternalDNS", NODE_ADDR_OTHER },   { NULL, 0 },
};

static const struct enum_value namespace_phases[] = {
	{ "Active", false },
	{ "Terminating", true },
	{ NULL, 0 },
};

static bool node_addr_read(const struct field *item, void *ret)
{
	struct node_addr *a = ret;
	int type = field_enum(field_member(item, "type"), addr_types, NODE_ADDR_OTHER);

	if (type == NODE_ADDR_OTHER)
		return false;
	a->type = (enum node_addr_type)type;
	a->addr = field_addr(field_member(item, "address"));
	return a->addr.family != 0;
}

static bool taint_read(const struct field *item, void *ret)
{
	struct field key = field_member(item, "key");

	return field_read_string(&key, ret);
}

static void pod_cidrs_decode(const struct field *spec, struct node *n)
{
	struct field single = field_member(spec, "podCIDR");
	struct prefix *cidr;

	n->pod_cidrs = field_list(field_member(spec, "podCIDRs"), NODE_MAX_POD_CIDRS,
				  sizeof(*n->pod_cidrs), field_read_prefix, &n->n_pod_cidrs);
	if (n->n_pod_cidrs > 0 || !single.value)
		return;
	cidr = arena_alloc(single.decoder->arena, sizeof(*cidr));
	if (decoder_out_of_memory(single.decoder, cidr))
		return;
	n->n_pod_cidrs = field_read_prefix(&single, cidr);
	n->pod_cidrs = cidr;
}

void node_decode(const struct field *root, struct object *o)
{
	struct node *n = (struct node *)o;
	struct field spec = field_member(root, "spec");
	struct field status = field_member(root, "status");

	n->addrs = field_list(field_member(&status, "addresses"), NODE_MAX_ADDRESSES,
			      sizeof(*n->addrs), node_addr_read, &n->n_addrs);
	pod_cidrs_decode(&spec, n);
	n->zone = key_values_get(&o->labels, "topology.kubernetes.io/zone");
	n->provider_id = field_string(field_member(&spec, "providerID"));
	n->taints = field_list(field_member(&spec, "taints"), NODE_MAX_TAINTS, sizeof(*n->taints),
			       taint_read, &n->n_taints);
}

void namespace_decode(const struct field *root, struct object *o)
{
	struct namespace_object *n = (struct namespace_object *)o;
	struct field status = field_member(root, "status");

	n->terminating = field_enum(field_member(&status, "phase"), namespace_phases, false);
}
