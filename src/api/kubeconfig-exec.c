/* kubeconfig-exec.c - users[].user.exec: a credential plugin. */
#include "api/kubeconfig.h"

#include <errno.h>
#include <string.h>

#include "api/access-internal.h"
#include "base/arena.h"

#define API_V1 "client.authentication.k8s.io/v1"
#define API_V1BETA1 "client.authentication.k8s.io/v1beta1"

static const char *api_version_read(const struct field *exec)
{
	struct field f = field_member(exec, "apiVersion");
	const char *text = field_text(f);

	if (!field_require(f) || !text)
		return NULL;
	if (strcmp(text, API_V1) == 0)
		return API_V1;
	if (strcmp(text, API_V1BETA1) == 0)
		return API_V1BETA1;
	field_refuse(f, -EINVAL, "\"%.64s\" is neither " API_V1 " nor " API_V1BETA1, text);
	return NULL;
}

/* An agent has no terminal. */
static void interactive_mode_check(const struct field *exec, const char *api_version)
{
	struct field f = field_member(exec, "interactiveMode");
	const char *mode = kubeconfig_text(exec, "interactiveMode");

	if (!mode) {
		/* Only v1beta1 has a default for it. */
		if (api_version && strcmp(api_version, API_V1) == 0)
			field_require(f);
	} else if (strcmp(mode, "Always") == 0) {
		field_refuse(f, -EINVAL, "the plugin wants a terminal, and here is none");
	} else if (strcmp(mode, "Never") != 0 && strcmp(mode, "IfAvailable") != 0) {
		field_refuse(f, -EINVAL, "\"%.64s\" is none of Never, IfAvailable, Always", mode);
	}
}

static bool arg_read(const struct field *item, void *ret)
{
	/* An empty argument is one, too. */
	*(const char **)ret = field_name(*item);
	return true;
}

static bool env_read(const struct field *item, void *ret)
{
	struct field name = field_member(item, "name");
	struct exec_env *env = ret;

	if (!field_require(name))
		return false;
	env->name = field_name(name);
	env->value = field_name(field_member(item, "value"));
	if (strchr(env->name, '='))
		field_refuse(name, -EINVAL, "holds a \"=\"");
	return true;
}

/* A bare word is looked for in PATH. */
static const char *command_read(struct kubeconfig *k, const struct field *exec)
{
	const char *command = kubeconfig_string(exec, "command");

	field_require(field_member(exec, "command"));
	return command && strchr(command, '/') ? kubeconfig_path(k, command) : command;
}

static const char *cluster_config_read(struct kubeconfig *k)
{
	char *text = json_dumps(k->exec_config, JSON_COMPACT | JSON_ENCODE_ANY);
	const char *kept = text ? arena_strdup(k->decoder.arena, text) : NULL;

	free(text);
	decoder_out_of_memory(&k->decoder, kept);
	return kept;
}

void kubeconfig_read_exec(struct kubeconfig *k, const struct field *exec)
{
	struct exec_plugin *p = arena_alloc(k->decoder.arena, sizeof(*p));

	if (decoder_out_of_memory(&k->decoder, p))
		return;
	p->api_version = api_version_read(exec);
	p->command = command_read(k, exec);
	interactive_mode_check(exec, p->api_version);
	p->args = field_list(field_member(exec, "args"), EXEC_MAX_ARGS, sizeof(*p->args), arg_read,
			     &p->n_args);
	p->env = field_list(field_member(exec, "env"), EXEC_MAX_ENV, sizeof(*p->env), env_read,
			    &p->n_env);
	p->install_hint = kubeconfig_string(exec, "installHint");
	p->provide_cluster_info = field_bool(field_member(exec, "provideClusterInfo"), false);
	if (p->provide_cluster_info && k->exec_config)
		p->cluster_config = cluster_config_read(k);
	k->access->exec = p;
}
