#include "source/manifest-definitions.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/hash.h"
#include "source/manifest-file.h"
#include "source/manifests.h"
#include "source/source.h"

struct definition {
	struct defined *object;
	struct manifest_file *file;
	struct definition *next; /* on the same object, sorted by the file's name */
	struct definition *next_of_file;
	uint64_t lost_to; /* hash of the winner's file name that was told; 0: none */
	unsigned line;
	unsigned reading; /* of the file, that found it last */
};

struct defined {
	struct object_id id;            /* points into @key */
	struct definition *definitions; /* the first one wins */
	struct defined *next_touched;
	bool touched;
	bool applied;
	uint64_t content; /* what was applied */
	char key[];
};

static uint64_t defined_hash(const void *item)
{
	const struct defined *object = item;

	return table_hash_texts(object->id.namespace, object->id.name);
}

static bool defined_equal(const void *a, const void *b)
{
	const struct object_id *x = &((const struct defined *)a)->id;
	const struct object_id *y = &((const struct defined *)b)->id;

	return x->kind == y->kind && strcmp(x->namespace, y->namespace) == 0 &&
	       strcmp(x->name, y->name) == 0;
}

static const struct table_type defined_type = { .hash = defined_hash, .equal = defined_equal };

void definitions_init(struct definitions *d, const struct source_events *events)
{
	*d = (struct definitions){ .objects.type = &defined_type, .events = events };
	d->touched_end = &d->touched;
}

void definitions_free(struct definitions *d)
{
	struct defined *object;
	size_t position = 0;

	while ((object = table_next(&d->objects, &position))) {
		struct definition *def;

		while ((def = object->definitions)) {
			object->definitions = def->next;
			free(def);
		}
		free(object);
	}
	table_free(&d->objects);
}

static void defined_touch(struct definitions *d, struct defined *object)
{
	if (object->touched)
		return;
	object->touched = true;
	object->next_touched = NULL;
	*d->touched_end = object;
	d->touched_end = &object->next_touched;
}

static struct defined *defined_find(const struct definitions *d, const struct object_id *id)
{
	const struct defined probe = { .id = *id };

	return table_find(&d->objects, &probe);
}

/* The object of @id, made when it is new; touched, so that definitions_settle() drops it when no
 * definition follows. NULL when memory is short. */
static struct defined *defined_need(struct definitions *d, const struct object_id *id)
{
	struct defined *object = defined_find(d, id);
	size_t namespace_size = strlen(id->namespace) + 1, name_size = strlen(id->name) + 1;

	if (!object) {
		object = calloc(1, sizeof(*object) + namespace_size + name_size);
		if (!object || table_reserve(&d->objects) < 0) {
			free(object);
			return NULL;
		}
		object->id.kind = id->kind;
		object->id.namespace = memcpy(object->key, id->namespace, namespace_size);
		object->id.name = memcpy(object->key + namespace_size, id->name, name_size);
		table_put(&d->objects, object);
	}
	defined_touch(d, object);
	return object;
}

static struct definition *definition_find(const struct defined *object,
					  const struct manifest_file *f)
{
	struct definition *def = object->definitions;

	while (def && def->file != f)
		def = def->next;
	return def;
}

static struct definition *definition_new(struct defined *object, struct manifest_file *f)
{
	struct definition *def = calloc(1, sizeof(*def)), **link = &object->definitions;

	if (!def)
		return NULL;
	while (*link && strcmp((*link)->file->name, f->name) < 0)
		link = &(*link)->next;
	*def = (struct definition){
		.object = object, .file = f, .next = *link, .next_of_file = f->definitions
	};
	*link = def;
	f->definitions = def;
	return def;
}

/* Take @def from its object and free it; the file's list has forgotten it. */
static void definition_drop(struct definitions *d, struct definition *def)
{
	struct defined *object = def->object;
	struct definition **link = &object->definitions;
	bool won = object->definitions == def;

	while (*link != def)
		link = &(*link)->next;
	*link = def->next;
	if (won && object->definitions)
		object->definitions->file->dirty = true;
	defined_touch(d, object);
	free(def);
}

static int defined_apply(struct definitions *d, struct defined *object, struct object *o,
			 uint64_t content)
{
	int r;

	r = d->events->apply(o, d->events->userdata);
	if (r < 0)
		return r;
	d->n_applied += !object->applied;
	object->applied = true;
	object->content = content;
	return 0;
}

/* Why the definitions behind @winner are not followed. Returns 1. */
static int winner_describe(const struct definition *winner, struct error *ret)
{
	const struct object_id *id = &winner->object->id;

	error_set(ret, -EEXIST, "%s %s%s%s is defined by %s:%u, which wins", kind_name(id->kind),
		  id->namespace, *id->namespace ? "/" : "", id->name, winner->file->name,
		  winner->line);
	return 1;
}

int definitions_add(struct definitions *d, struct manifest_file *f, struct object *o,
		    uint64_t content, unsigned line, struct error *err)
{
	_cleanup_(object_freep) struct object *owned = o;
	const struct object_id id = { o->kind, o->namespace, o->name };
	struct defined *object = defined_need(d, &id);
	struct definition *def = object ? definition_find(object, f) : NULL;

	if (def && def->reading == f->reading)
		return winner_describe(def, err);
	if (object && !def)
		def = definition_new(object, f);
	if (!def)
		return error_set(err, -ENOMEM, "out of memory");
	def->line = line;
	def->reading = f->reading;
	if (object->definitions != def || (object->applied && object->content == content))
		return 0;
	return defined_apply(d, object, TAKE_PTR(owned), content);
}

void definitions_keep(struct definitions *d, struct manifest_file *f, const struct object_id *id)
{
	struct defined *object = defined_find(d, id);
	struct definition *def = object ? definition_find(object, f) : NULL;

	if (def)
		def->reading = f->reading;
}

void definitions_end(struct definitions *d, struct manifest_file *f, bool keep_all)
{
	struct definition **link = &f->definitions, *def;

	while ((def = *link)) {
		if (keep_all || def->reading == f->reading) {
			link = &def->next_of_file;
			continue;
		}
		*link = def->next_of_file;
		definition_drop(d, def);
	}
}

static void losers_tell(struct definitions *d, const struct defined *object)
{
	const char *winner = object->definitions->file->name;
	uint64_t winner_hash = hash_bytes(winner, strlen(winner));

	object->definitions->lost_to = 0;
	for (struct definition *loser = object->definitions->next; loser; loser = loser->next) {
		char where[MANIFEST_WHERE_BYTES];
		struct error problem;

		if (loser->lost_to == winner_hash)
			continue;
		loser->lost_to = winner_hash;
		winner_describe(object->definitions, &problem);
		d->events->report(manifest_where(loser->file->name, loser->line, where),
				  problem.message, d->events->userdata);
	}
}

void definitions_settle(struct definitions *d)
{
	struct defined *object = d->touched, *next;

	d->touched = NULL;
	d->touched_end = &d->touched;
	for (; object; object = next) {
		next = object->next_touched;
		object->touched = false;
		if (object->definitions) {
			losers_tell(d, object);
			continue;
		}
		if (object->applied) {
			d->n_applied--;
			d->events->remove(object->id.kind, object->id.namespace, object->id.name,
					  d->events->userdata);
		}
		table_take(&d->objects, object);
		free(object);
	}
}
