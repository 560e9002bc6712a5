/* fuzz-options.c - an argument vector from bytes: one argument a line.
 *
 * Whatever it is, it is taken or refused with a sentence, and with the same one if all that changes is
 * a password.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/options.h"
#include "base/cleanup.h"
#include "base/error.h"

enum { ARGS_MAX = 64 };

static const char password_flag[] = "--peer-router-passwords=";

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

/* @text, and @word in front of its password if it holds one. */
static char *argument_new(const char *text, const char *word)
{
	size_t len = strlen(password_flag);
	char *arg = malloc(strlen(text) + strlen(word) + 1);

	require(arg);
	if (strncmp(text, password_flag, len) == 0)
		sprintf(arg, "%s%s%s", password_flag, word, text + len);
	else
		strcpy(arg, text);
	return arg;
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

static int parse_lines(const char *lines, const char *word, struct error *err)
{
	_cleanup_free_ char *text = strdup(lines);
	char program[] = "kube-nft";
	char *argv[ARGS_MAX] = { program };
	char *rest = text;
	int argc = 1, r;

	require(text);
	while (rest && argc < ARGS_MAX)
		argv[argc++] = argument_new(strsep(&rest, "\n"), word);
	r = parse(argc, argv, err);
	for (int i = 1; i < argc; i++)
		free(argv[i]);
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *lines = malloc(size + 1);
	struct error first = { 0 }, second = { 0 };

	require(lines);
	memcpy(lines, data, size);
	lines[size] = '\0';
	require(parse_lines(lines, "Zmlyc3Qg", &first) == parse_lines(lines, "c2Vjb25k", &second));
	require(strcmp(first.message, second.message) == 0);
	return 0;
}
