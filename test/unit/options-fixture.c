#include "options-fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { ARGS_MAX = 24 };

int options_set_up(void **state)
{
	static struct options_fixture fixture;

	options_init(&fixture.o);
	fixture.err = (struct error){ 0 };
	fixture.command = NULL;
	*state = &fixture;
	return 0;
}

int options_tear_down(void **state)
{
	options_free(&((struct options_fixture *)*state)->o);
	return 0;
}

int options_parse_again(struct options_fixture *t, const char *const *args)
{
	char *argv[ARGS_MAX] = { NULL };
	int argc = 0;

	options_free(&t->o);
	t->o.command = t->command;
	t->err.message[0] = '\0';
	while (args[argc])
		argc++;
	assert_in_range(argc, 1, ARGS_MAX - 1);
	memcpy(argv, args, sizeof(args[0]) * (size_t)argc);
	return options_parse(&t->o, argc, argv, &t->err);
}

void assert_says(const struct options_fixture *t, const char *words)
{
	if (!strstr(t->err.message, words))
		fail_msg("\"%s\" does not say \"%s\"", t->err.message, words);
}
