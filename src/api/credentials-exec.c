#include "api/credentials-exec.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "api/access.h"
#include "api/credentials.h"
#include "api/exec-credential.h"
#include "base/arena.h"
#include "base/error.h"

enum { ARENA_BYTES = 4096, HINT_BYTES = 256 };

#define EXEC_INFO "KUBERNETES_EXEC_INFO"

/* "NAME=value" texts, each name once: the first one wins. */
struct environment {
	struct arena *arena;
	char **texts; /* ends with NULL */
	size_t n;
};

static bool environment_has(const struct environment *e, const char *text)
{
	size_t name_len = strcspn(text, "=");

	for (size_t i = 0; i < e->n; i++)
		if (strncmp(e->texts[i], text, name_len) == 0 && e->texts[i][name_len] == '=')
			return true;
	return false;
}

static void environment_put(struct environment *e, char *text)
{
	if (!environment_has(e, text))
		e->texts[e->n++] = text;
}

static int variable_put(struct environment *e, const char *name, const char *value)
{
	size_t size = strlen(name) + strlen(value) + sizeof("=");
	char *text = arena_alloc(e->arena, size);

	if (!text)
		return -ENOMEM;
	snprintf(text, size, "%s=%s", name, value);
	environment_put(e, text);
	return 0;
}

static size_t texts_count(char *const *texts)
{
	size_t n = 0;

	while (texts && texts[n])
		n++;
	return n;
}

/* What the kubeconfig sets goes before what we have ourselves, and of two the later one. */
static int environment_build(struct environment *e, const struct exec_plugin *p, const char *info)
{
	size_t n = texts_count(environ);
	int r;

	e->texts = arena_array(e->arena, 1 + p->n_env + n + 1, sizeof(*e->texts));
	if (!e->texts)
		return -ENOMEM;
	r = variable_put(e, EXEC_INFO, info);
	for (size_t i = p->n_env; i > 0 && r == 0; i--)
		r = variable_put(e, p->env[i - 1].name, p->env[i - 1].value);
	for (size_t i = 0; i < n; i++)
		environment_put(e, environ[i]);
	return r;
}

static int arguments_build(struct arena *arena, const struct exec_plugin *p, char ***ret)
{
	char **argv = arena_array(arena, 1 + p->n_args + 1, sizeof(*argv));

	if (!argv)
		return -ENOMEM;
	argv[0] = arena_strdup(arena, p->command);
	for (size_t i = 0; i < p->n_args; i++)
		argv[1 + i] = arena_strdup(arena, p->args[i]);
	*ret = argv;
	return texts_count(argv) == 1 + p->n_args ? 0 : -ENOMEM;
}

/* How to get a plugin that is missing. The hint may have lines; a sentence has one. */
static int hint_append(const struct exec_plugin *p, struct error *err)
{
	char hint[HINT_BYTES];

	if (!p->install_hint)
		return err->code;
	snprintf(hint, sizeof(hint), "%s", p->install_hint);
	for (char *c = hint; *c; c++)
		if (*c == '\n')
			*c = ' ';
	return error_set(err, err->code, "%s: %s", err->message, hint);
}

static int program_start(struct loop *loop, const struct exec_plugin *p, const char *info,
			 child_fn fn, void *userdata, struct child **ret, struct error *err)
{
	_cleanup_(arena_freep) struct arena *arena = arena_new(ARENA_BYTES);
	struct environment e = { .arena = arena };
	char **argv;
	int r;

	r = arena ? arguments_build(arena, p, &argv) : -ENOMEM;
	if (r == 0)
		r = environment_build(&e, p, info);
	if (r < 0)
		return error_set(err, r, "out of memory");
	r = child_start(loop,
			&(const struct child_program){ .argv = argv,
						       .env = e.texts,
						       .timeout_ms = EXEC_TIMEOUT_MS,
						       .max_output_bytes = EXEC_MAX_OUTPUT_BYTES },
			fn, userdata, ret, err);
	return r == -ENOENT ? hint_append(p, err) : r;
}

int plugin_start(struct loop *loop, const struct api_access *a, child_fn fn, void *userdata,
		 struct child **ret, struct error *err)
{
	_cleanup_free_ char *info = NULL;
	int r;

	r = exec_info_build(a, &info, err);
	return r < 0 ? r : program_start(loop, a->exec, info, fn, userdata, ret, err);
}
