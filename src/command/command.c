#include "command/command.h"

#include <stddef.h>
#include <string.h>

#include "base/cleanup.h"

static const struct {
	const char *name;
	command_fn run;
} commands[] = {
	{ "policies", command_policies },
	{ "render", command_render },
	{ "services", command_services },
};

command_fn command_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (strcmp(commands[i].name, name) == 0)
			return commands[i].run;
	return NULL;
}
