/* fuzz-kubeconfig.c - a kubeconfig from bytes.
 *
 * It is taken or refused, twice the same way. What is taken is whole and has nothing in it that must not
 * get into a header; of what is refused no sentence quotes a secret.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "api/access.h"
#include "base/error.h"
#include "base/secret.h"
#include "object/yaml.h"

/* The corpus has it in its secrets. */
#define CANARY "CANARY"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

static size_t canaries_count(const char *text, size_t len)
{
	const char *end = text + len;
	size_t n = 0;

	while ((text = memmem(text, (size_t)(end - text), CANARY, strlen(CANARY)))) {
		text += strlen(CANARY);
		n++;
	}
	return n;
}

static size_t canaries_of_user(const json_t *user)
{
	static const char *const keys[] = { "token", "password", "client-key-data" };
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		const json_t *value = json_object_get(user, keys[i]);

		if (json_is_string(value))
			n += canaries_count(json_string_value(value), json_string_length(value));
	}
	return n;
}

/* Whether all canaries are in secrets, so that none may be in a sentence. */
static bool canaries_are_secrets(const char *text, size_t len)
{
	_cleanup_(yaml_reader_freep) struct yaml_reader *reader = NULL;
	json_auto_t *root = NULL;
	const json_t *users;
	size_t n = 0;
	unsigned line;

	require(yaml_reader_new(text, len, &reader, NULL) == 0);
	if (yaml_reader_next(reader, &root, &line, NULL) < 0)
		return true; /* what is no YAML is not quoted at all */
	users = json_object_get(root, "users");
	for (size_t i = 0; i < json_array_size(users); i++)
		n += canaries_of_user(json_object_get(json_array_get(users, i), "user"));
	return n == canaries_count(text, len);
}

static void pem_check(const struct pem *pem)
{
	require(!pem->path || (pem->path[0] && !pem->content));
}

static void exec_check(const struct exec_plugin *p)
{
	require(p->api_version && p->command && p->command[0]);
	require(p->n_args <= EXEC_MAX_ARGS && p->n_env <= EXEC_MAX_ENV);
	for (size_t i = 0; i < p->n_args; i++)
		require(p->args[i]);
	for (size_t i = 0; i < p->n_env; i++)
		require(p->env[i].name[0] && !strchr(p->env[i].name, '=') && p->env[i].value);
}

static void token_check(const struct secret *token)
{
	size_t len;
	const char *bytes = secret_reveal(token, &len);

	require(len > 0);
	for (size_t i = 0; i < len; i++)
		require(bytes[i] > ' ' && bytes[i] <= '~');
}

static bool has(const struct pem *pem)
{
	return pem->path || pem->content;
}

static void access_check(const struct api_access *a)
{
	bool encrypted = strncmp(a->server, "https://", 8) == 0;
	bool nobody = !a->token && !a->token_file && !a->username && !a->password && !a->exec &&
		      !has(&a->certificate) && !has(&a->key);

	require(encrypted || strncmp(a->server, "http://", 7) == 0);
	require(a->server[strlen(a->server) - 1] != '/');
	require(encrypted || nobody);
	require(has(&a->certificate) == has(&a->key));
	require(!a->insecure || !has(&a->ca));
	require(!a->password || a->username);
	require(!a->username || (!a->token && !a->token_file));
	pem_check(&a->ca);
	pem_check(&a->certificate);
	pem_check(&a->key);
	if (a->token)
		token_check(a->token);
	if (a->exec)
		exec_check(a->exec);
}

static int parse(const char *text, size_t len, struct error *err)
{
	_cleanup_(access_freep) struct api_access *a = NULL;
	int r;

	r = access_parse_kubeconfig(text, len, "/etc", NULL, &a, err);
	require(r == 0 || ((r == -EINVAL || r == -E2BIG) && err->message[0] && err->code == r));
	require((r == 0) == (a != NULL));
	if (a)
		access_check(a);
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	struct error first = { 0 }, second = { 0 };

	require(parse(text, size, &first) == parse(text, size, &second));
	require(strcmp(first.message, second.message) == 0);
	require(!strstr(first.message, CANARY) || !canaries_are_secrets(text, size));
	return 0;
}
