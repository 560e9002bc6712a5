/* fuzz-traffic-name.c - an element's comment, whoever wrote it. */
#include <stdint.h>

#include "base/arena.h"
#include "base/cleanup.h"
#include "object-check.h"
#include "ruleset/element.h"
#include "traffic/name.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static size_t safe_bytes(const char *text)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789 ._:/-";

	check(strspn(text, allowed) == strlen(text));
	return strlen(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	_cleanup_(arena_freep) struct arena *arena = arena_new(64);
	struct traffic_name n;
	char *comment;

	check(arena);
	comment = arena_strndup(arena, (const char *)data, len);
	check(comment && traffic_name_parse(comment, arena, &n) == 0);
	check(safe_bytes(n.namespace) + safe_bytes(n.name) + safe_bytes(n.port) <=
	      COMMENT_MAX_BYTES);
	check(traffic_name_cmp(&n, &n) == 0);
	check(n.namespace[0] || !n.port[0]);
	check(!n.namespace[0] || !strchr(n.namespace, '/'));
	return 0;
}
