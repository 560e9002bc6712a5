/* kube-nft without a command word is the agent; with one it is the operator's tool. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/agent.h"
#include "agent/options.h"
#include "base/error.h"
#include "base/log.h"
#include "command/command.h"

#define EXIT_USAGE 2 /* as pflag: the command line can't be read */

static void notice(const char *flag, const char *reason)
{
	log_warn("flag without effect", log_text("flag", flag), log_text("reason", reason));
}

static int fail(const char *message, const struct error *err)
{
	log_error(message, log_text("error", err->message));
	return err->code == -EINVAL ? EXIT_USAGE : EXIT_FAILURE;
}

static int run_agent(const struct options *o)
{
	struct error err = { 0 };

	if (options_nothing_enabled(o)) {
		log_info("router, firewall and service proxy are switched off: nothing to do");
		return EXIT_SUCCESS;
	}
	if (options_check_built(o, notice, &err) < 0) {
		err.code = -EDOM;
		return fail("start refused", &err);
	}
	if (agent_run(o, &err) < 0) {
		log_error("stopped", log_text("error", err.message));
		return EXIT_FAILURE;
	}
	return EXIT_SUCCESS;
}

static int run(struct options *o, int argc, char **argv)
{
	command_fn command = argc > 1 ? command_find(argv[1]) : NULL;
	struct error err = { 0 };
	int skip = command ? 1 : 0;

	o->command = command ? argv[1] : NULL;
	if (options_parse(o, argc - skip, argv + skip, &err) < 0)
		return fail("command line refused", &err);
	if (o->help) {
		options_usage();
		return EXIT_SUCCESS;
	}
	if (o->version) {
		fprintf(stderr, "kube-nft %s\n", KUBE_NFT_VERSION);
		return EXIT_SUCCESS;
	}
	if (o->verbosity > 0)
		log_set_level(LOG_LEVEL_DEBUG);
	return command ? command(o) : run_agent(o);
}

int main(int argc, char **argv)
{
	struct options o;
	int status;

	options_init(&o);
	status = run(&o, argc, argv);
	options_free(&o);
	return status;
}
