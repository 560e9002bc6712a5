#include "traffic/name.h"

#include <errno.h>
#include <string.h>

#include "base/arena.h"
#include "ruleset/element.h"

int traffic_name_parse(const char *comment, struct arena *arena, struct traffic_name *ret)
{
	char safe[COMMENT_MAX_BYTES + 1] = "";
	char *text, *slash, *colon;

	if (comment)
		comment_from(comment, safe);
	text = arena_strdup(arena, safe);
	if (!text)
		return -ENOMEM;
	*ret = (struct traffic_name){ .namespace = "", .name = text, .port = "" };
	slash = strchr(text, '/');
	if (!slash || slash == text)
		return 0;
	*slash = '\0';
	ret->namespace = text;
	ret->name = slash + 1;
	colon = strchr(slash + 1, ':');
	if (!colon)
		return 0;
	*colon = '\0';
	ret->port = colon + 1;
	return 0;
}

int traffic_name_cmp(const struct traffic_name *a, const struct traffic_name *b)
{
	int c = strcmp(a->namespace, b->namespace);

	if (c == 0)
		c = strcmp(a->name, b->name);
	return c ? c : strcmp(a->port, b->port);
}
