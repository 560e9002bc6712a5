#include "object/problems.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/hash.h"

static bool hashes_contain(const uint64_t *hashes, size_t n, uint64_t hash)
{
	for (size_t i = 0; i < n; i++)
		if (hashes[i] == hash)
			return true;
	return false;
}

void problems_begin(struct problems *p, const struct object *object,
		    const struct problem_memory *before)
{
	p->object = object;
	p->before = before;
	p->n = 0;
}

void problems_add(struct problems *p, const char *reason, const char *format, ...)
{
	char text[ERROR_MAX_BYTES];
	struct problem problem;
	uint64_t hash;
	va_list args;

	if (!p || p->n == PROBLEMS_MAX)
		return;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);

	hash = hash_bytes(text, strlen(text));
	if (hashes_contain(p->hashes, p->n, hash))
		return;
	p->hashes[p->n++] = hash;
	if (!p->report || hashes_contain(p->before->hashes, p->before->n, hash))
		return;
	problem = (struct problem){ .object = p->object, .reason = reason, .text = text };
	p->report(&problem, p->userdata);
}

int problems_end(const struct problems *p, struct problem_memory *memory)
{
	uint64_t *hashes = NULL;

	if (p->n > 0) {
		hashes = malloc(p->n * sizeof(*hashes));
		if (!hashes)
			return -ENOMEM;
		memcpy(hashes, p->hashes, p->n * sizeof(*hashes));
	}
	free(memory->hashes);
	*memory = (struct problem_memory){ .hashes = hashes, .n = p->n };
	return 0;
}
