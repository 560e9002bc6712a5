/* fuzz-exec-credential.c - what an exec plugin wrote, from bytes.
 *
 * It is taken or refused. What is taken is whole and has nothing in it that must not get into a header;
 * of what is refused no sentence quotes anything but a time.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "api/access.h"
#include "api/exec-credential.h"
#include "base/error.h"
#include "base/secret.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void credential_check(const struct exec_credential *c)
{
	const char *token = c->token ? secret_reveal(c->token, NULL) : NULL;

	require(c->token || c->certificate);
	require(!c->certificate == !c->key);
	require(!token || *token);
	for (; token && *token; token++)
		require(*token > ' ' && *token <= '~');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct exec_plugin plugin = { .api_version = "client.authentication.k8s.io/v1" };
	struct exec_credential c = { 0 };
	struct error err = { 0 };
	int r;

	r = exec_credential_read(&plugin, (const char *)data, size, &c, &err);
	require(r == 0 || ((r == -EINVAL || r == -E2BIG) && err.message[0] && err.code == r));
	/* The corpus has it in tokens and keys. */
	require(!strstr(err.message, "CANARY") || strstr(err.message, "RFC 3339"));
	if (r == 0)
		credential_check(&c);
	else
		require(!c.token && !c.certificate && !c.key);
	exec_credential_free(&c);
	return 0;
}
