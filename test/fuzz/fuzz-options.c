/* fuzz-options.c - an argument vector from bytes: one argument a line.
 *
 * Whatever it is, it is taken or refused with a sentence, twice the same way, and a password that was
 * given in one argument is in no sentence.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/options.h"
#include "base/cleanup.h"
#include "base/error.h"

enum { ARGS_MAX = 64, CANARY_MIN_BYTES = 8 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void ignore_notice(const char *flag, const char *reason)
{
	require(flag && reason);
}

/* The error's text is cut and escaped, so that only a password in plain letters is looked for, and
 * only one that no other word of the command line can have put there. */
static void require_no_password(int argc, char **argv, const struct error *err)
{
	static const char flag[] = "--peer-router-passwords=";

	for (int i = 1; i < argc; i++) {
		const char *password = argv[i] + strlen(flag);
		size_t others = 0;

		if (strncmp(argv[i], flag, strlen(flag)) != 0 ||
		    strlen(password) < CANARY_MIN_BYTES)
			continue;
		for (int j = 1; j < argc; j++)
			others += j != i && strstr(argv[j], password);
		require(others > 0 || !strstr(err->message, password));
	}
}

static int parse(int argc, char **argv, struct error *err)
{
	struct options o;
	int r;

	options_init(&o);
	r = options_parse(&o, argc, argv, err);
	require(r == 0 || ((r == -EINVAL || r == -EDOM) && err->message[0]));
	if (r == 0 && !o.help && !o.version) {
		require(o.service_cluster_ip_range.n > 0 && o.overlay_encap);
		r = options_check_built(&o, ignore_notice, err);
		require(r == 0 || (r == -EOPNOTSUPP && err->message[0]));
	}
	options_free(&o);
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *text = malloc(size + 1);
	struct error first = { 0 }, second = { 0 };
	char program[] = "kube-nft";
	char *argv[ARGS_MAX] = { program };
	int argc = 1;
	char *rest = text;

	require(text);
	memcpy(text, data, size);
	text[size] = '\0';
	while (rest && argc < ARGS_MAX)
		argv[argc++] = strsep(&rest, "\n");
	require(parse(argc, argv, &first) == parse(argc, argv, &second));
	require(strcmp(first.message, second.message) == 0);
	require_no_password(argc, argv, &first);
	return 0;
}
