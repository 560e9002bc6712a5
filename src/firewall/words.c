#include "firewall/words.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/array.h"
#include "base/cleanup.h"
#include "firewall/firewall.h"
#include "firewall/networks.h"
#include "kernel/defined.h"
#include "kernel/dump.h"
#include "object/object.h"

enum words_size { PORT_WORD_BYTES = 32 }; /* "protocol 255 65535-65535" */

/* As policy/selection.c says it: "port http/TCP dns/UDP of pods of shop". */
#define NAMED_PREFIX "port "
#define NAMED_OWNERS " of "

static const uint8_t families[] = { AF_INET, AF_INET6 };

static int words_add(struct arena *arena, struct firewall_words *words, size_t *capacity,
		     const char *text)
{
	const char **items;

	if (words->n == *capacity) {
		items = arena_array(arena, 2 * *capacity + 4, sizeof(*items));
		if (!items)
			return -ENOMEM;
		if (words->n > 0)
			memcpy(items, words->items, words->n * sizeof(*items));
		words->items = items;
		*capacity = 2 * *capacity + 4;
	}
	words->items[words->n] = arena_strdup(arena, text);
	return words->items[words->n++] ? 0 : -ENOMEM;
}

/* The elements of one family of a set. */
struct slice {
	const struct element *items;
	size_t n;
};

/* The first element that does not come before the set of @in, or, @behind, comes behind it. */
static size_t bound(const struct dump *d, const struct element *in, bool behind)
{
	size_t first = 0, end = d->n;

	while (first < end) {
		size_t middle = first + (end - first) / 2;
		int c = element_set_cmp(&d->elements[middle], in);

		if (c < 0 || (behind && c == 0))
			first = middle + 1;
		else
			end = middle;
	}
	return first;
}

static struct slice slice_of(const struct words_source *s, const struct element *in)
{
	size_t first = bound(s->elements, in, false);
	size_t n = bound(s->elements, in, true) - first;

	return (struct slice){ n > 0 ? s->elements->elements + first : NULL, n };
}

/* A set as it is named in rules. */
struct named_set {
	enum definition_kind kind;
	const char *comment;           /* safe; its name, when it has none */
	const struct defined *defined; /* of one family; NULL: it is not there */
	struct slice slices[2];        /* by family */
};

static int set_find(const struct words_source *s, const char *name, struct named_set *ret)
{
	char safe[COMMENT_MAX_BYTES + 1];
	const char *comment = name;

	*ret = (struct named_set){ .kind = definition_kind_of(name, false) };
	for (size_t f = 0; f < ARRAY_SIZE(families); f++) {
		const struct defined *d = defined_find(s->definitions, ret->kind, families[f],
						       name);
		struct element in = { .set = (uint8_t)definition_set(ret->kind),
				      .family = families[f] };

		if (d && definition_id(&d->definition, &in.id))
			ret->slices[f] = slice_of(s, &in);
		if (d)
			ret->defined = d;
		if (d && *d->definition.comment)
			comment = d->definition.comment;
	}
	comment_from(comment, safe);
	ret->comment = arena_strdup(s->arena, safe);
	return ret->comment ? 0 : -ENOMEM;
}

static int comment_cmp(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* A pod has an element for each of its addresses and ports. */
static int count_pods(const struct named_set *set, size_t *ret)
{
	size_t n = 0, n_all = set->slices[0].n + set->slices[1].n;
	_cleanup_free_ const char **comments = calloc(n_all + 1, sizeof(*comments));

	if (!comments)
		return -ENOMEM;
	for (size_t f = 0; f < ARRAY_SIZE(families); f++)
		for (size_t i = 0; i < set->slices[f].n; i++) {
			const char *comment = set->slices[f].items[i].comment;

			comments[n++] = comment ? comment : "";
		}
	*ret = array_unique(comments, n, sizeof(*comments), comment_cmp);
	return 0;
}

static int words_of_pods(const struct words_source *s, const struct named_set *set,
			 struct firewall_words *ret)
{
	size_t capacity = 0;
	int r = words_add(s->arena, ret, &capacity, set->comment);

	ret->selected = true;
	return r < 0 ? r : count_pods(set, &ret->n_pods);
}

struct adding {
	struct arena *arena;
	struct firewall_words *words;
	size_t capacity;
};

static int add_network(const char *text, void *userdata)
{
	struct adding *a = userdata;

	return words_add(a->arena, a->words, &a->capacity, text);
}

static int words_of_block(const struct words_source *s, const struct named_set *set,
			  struct firewall_words *ret)
{
	const struct slice *slice = &set->slices[set->slices[0].n > 0 ? 0 : 1];
	_cleanup_free_ struct addr_range *ranges = calloc(slice->n + 1, sizeof(*ranges));
	struct adding a = { .arena = s->arena, .words = ret };

	if (!ranges)
		return -ENOMEM;
	for (size_t i = 0; i < slice->n; i++) {
		const struct element *e = &slice->items[i];

		ranges[i].first.family = ranges[i].last.family = e->family;
		memcpy(ranges[i].first.bytes, e->addr, sizeof(e->addr));
		memcpy(ranges[i].last.bytes, e->other, sizeof(e->other));
	}
	return networks_tell(ranges, slice->n, add_network, &a);
}

static const char *port_word(const struct element *e, char text[static PORT_WORD_BYTES])
{
	bool known = e->protocol == PROTOCOL_TCP || e->protocol == PROTOCOL_UDP ||
		     e->protocol == PROTOCOL_SCTP;
	size_t len;

	if (known)
		snprintf(text, PORT_WORD_BYTES, "%s", protocol_name((enum protocol)e->protocol));
	else
		snprintf(text, PORT_WORD_BYTES, "protocol %u", e->protocol);
	len = strlen(text);
	if (e->port == e->target_port)
		snprintf(text + len, PORT_WORD_BYTES - len, " %u", e->port);
	else if (e->port > 0 || e->target_port < UINT16_MAX)
		snprintf(text + len, PORT_WORD_BYTES - len, " %u-%u", e->port, e->target_port);
	return text;
}

static int words_of_ports(const struct words_source *s, const struct named_set *set,
			  struct firewall_words *ret)
{
	const struct slice *slice = &set->slices[set->slices[0].n > 0 ? 0 : 1];
	char text[PORT_WORD_BYTES];
	size_t capacity = 0;
	int r = 0;

	for (size_t i = 0; r == 0 && i < slice->n; i++)
		r = words_add(s->arena, ret, &capacity, port_word(&slice->items[i], text));
	return r;
}

/* The names in "port http/TCP dns/UDP of pods of shop" as "TCP http", "UDP dns"; all of any other text. */
static int words_of_names(const struct words_source *s, const struct named_set *set,
			  struct firewall_words *ret)
{
	const char *owners = strstr(set->comment, NAMED_OWNERS);
	char text[COMMENT_MAX_BYTES + 1], *word, *saved = NULL;
	size_t capacity = 0;
	int r = 0;

	ret->selected = true;
	if (!owners || strncmp(set->comment, NAMED_PREFIX, strlen(NAMED_PREFIX)) != 0) {
		r = words_add(s->arena, ret, &capacity, set->comment);
		return r < 0 ? r : count_pods(set, &ret->n_pods);
	}
	snprintf(text, sizeof(text), "%.*s", (int)(owners - set->comment), set->comment);
	strtok_r(text, " ", &saved);
	while (r == 0 && (word = strtok_r(NULL, " ", &saved))) {
		size_t len = strcspn(word, "/");
		char port[2 * COMMENT_MAX_BYTES];

		snprintf(port, sizeof(port), "%s%s%.*s", word[len] ? word + len + 1 : "",
			 word[len] ? " " : "", (int)len, word);
		r = words_add(s->arena, ret, &capacity, port);
	}
	return r < 0 ? r : count_pods(set, &ret->n_pods);
}

static int words_make(const struct words_source *s, const struct named_set *set,
		      struct firewall_words *ret)
{
	switch (set->kind) {
	case DEFINITION_PODS:
		return words_of_pods(s, set, ret);
	case DEFINITION_BLOCK:
		return words_of_block(s, set, ret);
	case DEFINITION_PORTS:
		return words_of_ports(s, set, ret);
	default:
		return words_of_names(s, set, ret);
	}
}

int words_of_set(const struct words_source *source, const char *name, struct firewall_words *ret)
{
	struct firewall_words made = { 0 }, *known;
	struct named_set set;
	int r = set_find(source, name, &set);

	if (r < 0)
		return r;
	known = set.defined ? &source->known[set.defined - source->definitions->items] : &made;
	if (known->n == 0)
		r = words_make(source, &set, known);
	*ret = *known;
	return r;
}

int words_of_owners(const struct words_source *source, const char *name, struct firewall_words *ret)
{
	const char *owners;
	struct named_set set;
	size_t capacity = 0;
	int r = set_find(source, name, &set);

	*ret = (struct firewall_words){ 0 };
	if (r < 0)
		return r;
	owners = strstr(set.comment, NAMED_OWNERS);
	return words_add(source->arena, ret, &capacity,
			 owners ? owners + strlen(NAMED_OWNERS) : set.comment);
}
