#include "fail-alloc.h"

#include <stddef.h>
#include <stdlib.h>

static unsigned countdown, suspended;
static bool failed;

void fail_alloc_at(unsigned n)
{
	countdown = n;
	failed = false;
}

bool fail_alloc_end(void)
{
	countdown = 0;
	return failed;
}

void fail_alloc_suspend(void)
{
	suspended++;
}

void fail_alloc_resume(void)
{
	suspended--;
}

static bool fails_now(void)
{
	if (suspended > 0 || countdown == 0 || --countdown > 0)
		return false;
	failed = true;
	return true;
}

/* The linker sends malloc() of our objects to __wrap_malloc(), and __real_malloc() to the library. */
#define WRAP(type, name, parameters, arguments) \
	type __real_##name parameters;          \
	type __wrap_##name parameters;          \
	type __wrap_##name parameters           \
	{                                       \
		if (fails_now())                \
			return NULL;            \
		return __real_##name arguments; \
	}

WRAP(void *, malloc, (size_t size), (size))
WRAP(void *, calloc, (size_t n, size_t size), (n, size))
WRAP(void *, realloc, (void *p, size_t size), (p, size))
WRAP(char *, strdup, (const char *text), (text))
WRAP(char *, strndup, (const char *text, size_t len), (text, len))
