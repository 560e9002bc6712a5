#include "proxy/scheduler.h"

#include <ctype.h>
#include <stdint.h>
#include <string.h>

#include "base/cleanup.h"
#include "object/object.h"
#include "object/problems.h"

#define SCHEDULER "kube-router.io/service.scheduler"
#define FLAGS "kube-router.io/service.schedflags"

#define VALUE_MAX_BYTES 64

/* What a flag means depends on the scheduler (ipvsadm(8)): the first is the fallback from a server that
 * may not have connections, and none of ours stands in the tables; the second is the client's port. */
enum scheduler_flag { FLAG_FALLBACK = 1, FLAG_PORT = 2, FLAG_THIRD = 4 };

static const struct {
	const char *word;
	struct scheduler scheduler;
} words[] = {
	{ "rr", { .verdict = VERDICT_RR } },
	/* The kernel counts no connections for us; in turn, each endpoint gets as many new ones. */
	{ "lc", { .verdict = VERDICT_RR } },
	{ "sh", { .verdict = VERDICT_SH } },
	{ "dh", { .verdict = VERDICT_DH } },
	{ "mh", { .verdict = VERDICT_SH, .maglev = true } },
};

/* An annotation may be long, and hold anything; what is told is a line. */
static void problem_add(struct problems *problems, const char *reason, const char *annotation,
			const char *value, const char *what)
{
	char safe[VALUE_MAX_BYTES + 1];
	size_t len = strnlen(value, VALUE_MAX_BYTES);

	for (size_t i = 0; i < len; i++)
		safe[i] = isascii(value[i]) && isprint((unsigned char)value[i]) ? value[i] : '?';
	safe[len] = '\0';
	problems_add(problems, reason, "annotation %s: \"%s\" %s", annotation, safe, what);
}

/* The flag that is called by the @len bytes of @word, or 0. */
static unsigned flag_by_name(const char *word, size_t len)
{
	static const char *const names[] = { "flag-1", "flag-2", "flag-3" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (len == strlen(names[i]) && memcmp(word, names[i], len) == 0)
			return 1U << i;
	return 0;
}

/* A list with commas, and spaces around its words. */
static unsigned flags_of(const struct service *s, struct problems *problems)
{
	const char *value = key_values_get(&s->object.annotations, FLAGS), *at = value;
	unsigned flags = 0;

	while (at && *at) {
		const char *end = at + strcspn(at, ","), *last = end;
		unsigned flag;

		while (at < last && isspace((unsigned char)*at))
			at++;
		while (last > at && isspace((unsigned char)last[-1]))
			last--;
		flag = flag_by_name(at, (size_t)(last - at));
		if (flag == 0 && last > at)
			problem_add(problems, "SchedulerUnknown", FLAGS, value,
				    "has a word that is none of flag-1, flag-2, flag-3");
		flags |= flag;
		at = *end ? end + 1 : end;
	}
	return flags;
}

struct scheduler scheduler_of(const struct service *s, struct problems *problems)
{
	const char *word = key_values_get(&s->object.annotations, SCHEDULER);
	unsigned flags = flags_of(s, problems);
	struct scheduler scheduler = { .verdict = VERDICT_LB };
	bool known = !word;

	for (size_t i = 0; word && i < ARRAY_SIZE(words); i++)
		if (strcmp(word, words[i].word) == 0) {
			scheduler = words[i].scheduler;
			known = true;
		}
	if (!known)
		problem_add(problems, "SchedulerUnknown", SCHEDULER, word,
			    "is none of rr, lc, sh, dh, mh: endpoints are chosen at random");
	if (word && strcmp(word, "lc") == 0)
		problem_add(problems, "SchedulerReplaced", SCHEDULER, word,
			    "needs counts that nftables has not: endpoints are chosen in turn, as "
			    "with rr");
	if (scheduler.verdict == VERDICT_SH && flags & FLAG_PORT)
		scheduler.verdict = VERDICT_SH_PORT;
	return scheduler;
}
