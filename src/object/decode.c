#include "object/decode.h"

#include <errno.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "object/decode-kinds.h"
#include "object/field.h"

enum {
	LABEL_MAX_BYTES = 63, /* RFC 1123 */
};

struct kind {
	size_t size;
	void (*decode)(const struct field *root, struct object *o);
	bool (*label_is_kept)(const char *key); /* NULL: all, since selectors read them */
};

static const struct kind kinds[KIND_COUNT] = {
	[KIND_SERVICE] = { sizeof(struct service), service_decode, service_label_is_kept },
	[KIND_ENDPOINT_SLICE] = { sizeof(struct endpoint_slice), endpoint_slice_decode,
				  endpoint_slice_label_is_kept },
	[KIND_POD] = { sizeof(struct pod), pod_decode, NULL },
	[KIND_NODE] = { sizeof(struct node), node_decode, NULL },
	[KIND_NAMESPACE] = { sizeof(struct namespace_object), namespace_decode, NULL },
	[KIND_NETWORK_POLICY] = { sizeof(struct network_policy), network_policy_decode, NULL },
};

/* KIND_COUNT when the document has no kind that we read; the decoder then has failed. */
static enum object_kind kind_find(const struct field *document)
{
	struct field version_field = field_member(document, "apiVersion");
	struct field kind_field = field_member(document, "kind");
	const char *version = field_text(version_field), *kind = field_text(kind_field);

	field_require(*document);
	field_require(version_field);
	field_require(kind_field);
	if (!version || !kind)
		return KIND_COUNT;
	for (size_t i = 0; i < KIND_COUNT; i++)
		if (strcmp(kind, kind_name((enum object_kind)i)) == 0 &&
		    strcmp(version, kind_api_version((enum object_kind)i)) == 0)
			return (enum object_kind)i;

	field_refuse(kind_field, -ENOENT, "%.64s of %.64s is not read here", kind, version);
	return KIND_COUNT;
}

/* Runs of letters and digits with @separators between them: RFC 1123, as the API server enforces.
 * What is a name here can stand in a comment, a log line or a file name without harm. */
static bool name_is_valid(const char *name, const char *separators)
{
	static const char alphanumeric[] = "abcdefghijklmnopqrstuvwxyz0123456789";

	for (;;) {
		size_t run = strspn(name, alphanumeric);

		name += run;
		if (run == 0 || !*name)
			return run > 0;
		name += strspn(name, separators);
	}
}

/* NULL when it is absent or empty. */
static const char *name_read(struct field f, size_t max_bytes, const char *separators)
{
	const char *name = field_text(f);

	if (!name || !*name)
		return NULL;
	if (strlen(name) > max_bytes)
		field_refuse(f, -E2BIG, "has %zu bytes, more than %zu", strlen(name), max_bytes);
	else if (!name_is_valid(name, separators))
		field_refuse(f, -EINVAL, "\"%.64s\" is not a name (a-z, 0-9, inside also \"%s\")",
			     name, separators);
	return field_string(f);
}

static bool annotation_is_kept(const char *key)
{
	static const char prefix[] = "kube-router.io/";

	return strncmp(key, prefix, strlen(prefix)) == 0 ||
	       strcmp(key, "endpoints.kubernetes.io/last-change-trigger-time") == 0;
}

static void names_decode(const struct field *meta, struct object *o)
{
	struct field name = field_member(meta, "name"), place = field_member(meta, "namespace");
	const char *namespace = kind_is_namespaced(o->kind) ?
					name_read(place, LABEL_MAX_BYTES, "-") :
					NULL;

	field_require(name);
	o->name = name_read(name, OBJECT_MAX_NAME, "-.");
	o->namespace = object_id(o->kind, namespace, o->name).namespace;
}

static void metadata_decode(const struct field *root, struct object *o)
{
	const struct map_limits label_limits = { .keep = kinds[o->kind].label_is_kept };
	static const struct map_limits annotation_limits = {
		.max_bytes = OBJECT_MAX_ANNOTATION_BYTES,
		.keep = annotation_is_kept,
	};
	struct field meta = field_member(root, "metadata");
	struct field deletion = field_member(&meta, "deletionTimestamp");

	names_decode(&meta, o);
	o->uid = field_string(field_member(&meta, "uid"));
	o->resource_version = field_string(field_member(&meta, "resourceVersion"));
	o->created = field_time(field_member(&meta, "creationTimestamp"));
	field_time(deletion);
	o->deleting = deletion.value;
	o->labels = field_key_values(field_member(&meta, "labels"), &label_limits);
	o->annotations = field_key_values(field_member(&meta, "annotations"), &annotation_limits);
}

static int object_refuse(const struct object *o, int code, struct error *err)
{
	if (!o->name)
		return error_wrap(err, code, "%s", kind_name(o->kind));
	return error_wrap(err, code, "%s %s%s%s", kind_name(o->kind), o->namespace,
			  *o->namespace ? "/" : "", o->name);
}

/* The items of a list leave their kind out: the list says it for all of them. */
static void kind_check(const struct field *document, enum object_kind kind)
{
	struct field kind_field = field_member(document, "kind");
	const char *text = field_text(kind_field);

	field_require(*document);
	if (text && strcmp(text, kind_name(kind)) != 0)
		field_refuse(kind_field, -EINVAL, "is %.64s, not %s", text, kind_name(kind));
}

int object_decode_kind(const json_t *root, enum object_kind kind, struct object **ret,
		       struct decode_stats *stats, struct error *err)
{
	const struct kept_keys kept = { kinds[kind].label_is_kept, annotation_is_kept };
	_cleanup_(arena_freep) struct arena *arena = arena_new(kinds[kind].size +
							       decode_size(kind, &kept, root));
	struct decoder d = { .arena = arena, .err = err };
	struct field document = field_root(&d, root);
	struct object *o = arena ? arena_alloc(arena, kinds[kind].size) : NULL;

	if (decoder_out_of_memory(&d, o))
		return d.error;
	o->kind = kind;
	o->namespace = "";
	kind_check(&document, kind);
	metadata_decode(&document, o);
	if (!d.error)
		kinds[kind].decode(&document, o);
	if (d.error)
		return object_refuse(o, d.error, err);

	if (stats) {
		stats->unknown_enums += d.stats.unknown_enums;
		stats->clamped_values += d.stats.clamped_values;
	}
	o->arena = TAKE_PTR(arena);
	*ret = o;
	return 0;
}

int object_decode(const json_t *root, struct object **ret, struct decode_stats *stats,
		  struct error *err)
{
	struct decoder d = { .err = err };
	struct field document = field_root(&d, root);
	enum object_kind kind = kind_find(&document);

	return kind == KIND_COUNT ? d.error : object_decode_kind(root, kind, ret, stats, err);
}
