#include <errno.h>
#include <string.h>

#include "base/array.h"
#include "object/decode.h"
#include "source/reflector-internal.h"
#include "source/resource.h"

static struct object_id frame_id(const struct reflector *r, const struct frame *frame)
{
	return object_id(r->config.kind, frame->namespace, frame->name);
}

static struct known *known_of(const struct reflector *r, const struct frame *frame)
{
	struct object_id id = frame_id(r, frame);

	return known_find(&r->known, id.namespace, id.name);
}

/* As known_need(). -ENOMEM, -E2BIG. */
static int object_known(struct reflector *r, const char *namespace, const char *name,
			struct known **ret)
{
	struct known *k = known_find(&r->known, namespace, name);

	if (!k && r->known.n >= r->limits.max_objects)
		return -E2BIG;
	k = k ? k : known_need(&r->known, namespace, name);
	if (!k)
		return -ENOMEM;
	k->list = r->list;
	*ret = k;
	return 0;
}

/* Whether exactly this version of the object was told, so that it need not even be decoded. */
static bool known_is_same(const struct known *k, const char *uid, const char *version)
{
	return k && k->told && k->version && k->version == known_hash(version) &&
	       k->uid == known_hash(uid);
}

/* Report a bad object, once for each version of it; of those that nobody can name one until the next
 * list. */
static int object_refuse(struct reflector *r, const struct frame *frame, const struct error *why)
{
	const struct source_events *events = &r->events;
	uint32_t version = (uint32_t)known_hash(frame->resource_version);
	struct object_id id = frame_id(r, frame);
	struct known *k;
	int rc;

	r->stats.refused++;
	if (!*frame->name) {
		if (r->unnamed_list == r->list)
			return 0;
		r->unnamed_list = r->list;
	} else {
		rc = object_known(r, id.namespace, id.name, &k);
		if (rc < 0)
			return rc;
		if (version && k->bad_version == version)
			return 0;
		k->bad_version = version;
	}
	events->report(resource_name(r->config.kind), why->message, events->userdata);
	return 0;
}

static int object_read(struct reflector *r, const struct frame *frame, struct object **ret,
		       struct error *err)
{
	json_auto_t *root = NULL;
	struct decode_stats stats = { 0 };
	int rc;

	if (frame->too_big)
		rc = error_set(err, -E2BIG, "more than %d bytes", FRAME_MAX_BYTES);
	else
		rc = json_parse(frame->text, frame->len, &root, err);
	if (rc < 0)
		return error_wrap(err, rc, "%s %s%s%s", kind_name(r->config.kind), frame->namespace,
				  *frame->namespace ? "/" : "",
				  *frame->name ? frame->name : "without a readable name");
	rc = object_decode_kind(root, r->config.kind, ret, &stats, err);
	r->stats.unknown_enums += stats.unknown_enums;
	return rc;
}

/* 0 with *@ret NULL when there is nothing to tell. */
static int object_take(struct reflector *r, const struct frame *frame, struct object **ret)
{
	struct known *k = known_of(r, frame);
	struct error err = { 0 };
	int rc;

	*ret = NULL;
	if (k)
		k->list = r->list;
	if (known_is_same(k, frame->uid, frame->resource_version))
		return 0;
	rc = object_read(r, frame, ret, &err);
	return rc == 0 || rc == -ENOMEM ? rc : object_refuse(r, frame, &err);
}

static void object_remove(struct reflector *r, struct known *k)
{
	const struct source_events *events = &r->events;

	if (!k->told)
		return;
	k->told = false;
	r->stats.objects--;
	events->remove(r->config.kind, k->namespace, k->name, events->userdata);
}

/* Takes @o in any case. */
static int object_apply(struct reflector *r, struct object *o)
{
	_cleanup_(object_freep) struct object *owned = o;
	uint64_t uid = known_hash(o->uid), version = known_hash(o->resource_version);
	struct known *k;
	int rc;

	rc = object_known(r, o->namespace, o->name, &k);
	if (rc < 0)
		return rc;
	if (known_is_same(k, o->uid, o->resource_version))
		return 0;
	/* Deleted and made again, and we hear only of the last of it. */
	if (k->told && k->uid != uid)
		object_remove(r, k);
	rc = r->events.apply(TAKE_PTR(owned), r->events.userdata);
	if (rc < 0)
		return rc;
	r->stats.objects += !k->told;
	k->told = true;
	k->uid = uid;
	k->version = version;
	return 0;
}

int reflector_tell(struct reflector *r, const struct frame *frame)
{
	struct object *o;
	int rc = object_take(r, frame, &o);

	return rc < 0 || !o ? rc : object_apply(r, o);
}

void reflector_tell_gone(struct reflector *r, const struct frame *frame)
{
	struct known *k = known_of(r, frame);

	if (!k)
		return;
	object_remove(r, k);
	known_drop(&r->known, k);
}

void staging_free(struct staging *s)
{
	for (size_t i = 0; i < s->n; i++)
		object_free(s->objects[i]);
	free(s->objects);
	free(s->token);
	*s = (struct staging){ 0 };
}

void staging_begin(struct reflector *r)
{
	staging_free(&r->staging);
	r->list++;
}

int staging_add(struct reflector *r, const struct frame *frame)
{
	struct staging *s = &r->staging;
	struct object *o = NULL;
	int rc;

	if (++s->n_items > r->limits.max_objects)
		return -E2BIG;
	rc = ARRAY_RESERVE(s->objects, s->n, s->capacity);
	if (rc == 0)
		rc = object_take(r, frame, &o);
	if (o)
		s->objects[s->n++] = o;
	return rc;
}

void staging_drop(struct reflector *r, const struct frame *frame)
{
	struct staging *s = &r->staging;
	struct object_id id = frame_id(r, frame);
	struct known *k = known_of(r, frame);

	if (k)
		k->list = r->list - 1;
	/* Rare: only what is deleted while a watch list is on its way. */
	for (size_t i = 0; i < s->n; i++)
		if (s->objects[i] && strcmp(s->objects[i]->namespace, id.namespace) == 0 &&
		    strcmp(s->objects[i]->name, id.name) == 0)
			s->objects[i] = object_free(s->objects[i]);
}

int staging_commit(struct reflector *r)
{
	struct known *gone = known_sweep(&r->known, r->list), *next;
	struct staging *s = &r->staging;
	int rc = 0;

	for (; gone; gone = next) {
		next = gone->next;
		object_remove(r, gone);
		free(gone);
	}
	for (size_t i = 0; rc == 0 && i < s->n; i++)
		if (s->objects[i])
			rc = object_apply(r, TAKE_PTR(s->objects[i]));
	return rc;
}
