/* options-usage.c - what --help prints. */
#include <stdio.h>
#include <string.h>

#include "agent/options-table.h"
#include "agent/options.h"

enum { HELP_COLUMN = 46, LEFT_MAX_BYTES = 80 };

static void usage_flag(const struct flag *f)
{
	char left[LEFT_MAX_BYTES];
	const char *word = flag_word(f);
	char letter[] = "    ";

	if (f->letter)
		snprintf(letter, sizeof(letter), "-%c, ", f->letter);
	snprintf(left, sizeof(left), "  %s--%s%s%s", letter, f->name, word ? " " : "",
		 word ? word : "");
	if (strlen(left) >= HELP_COLUMN)
		printf("%s\n%*s%s", left, HELP_COLUMN, "", f->help);
	else
		printf("%-*s%s", HELP_COLUMN, left, f->help);
	if (f->preset)
		printf(" (%s)", f->preset);
	putchar('\n');
}

void options_usage(void)
{
	puts("Usage: kube-nft [--kubeconfig FILE | --manifests DIR] --run-router=false [FLAG...]\n"
	     "       kube-nft render --manifests DIR --hostname-override NODE [FLAG...]\n"
	     "       kube-nft services [-n NAMESPACE] [--service NAME] [--json]\n"
	     "       kube-nft policies [-n NAMESPACE] [--pod NAME] [--json]\n"
	     "\n"
	     "Kubernetes Services and NetworkPolicies on this node, in nftables. The flags are\n"
	     "kube-router's. `render` prints the node's whole ruleset instead of loading it, and needs\n"
	     "no privileges.\n"
	     "`services` prints the Services that this node's kernel has, their endpoints, and how\n"
	     "many connections each got; `policies` prints which NetworkPolicies select which of\n"
	     "its pods, what each allows, and what was refused.\n"
	     "Defaults are in parentheses; a flag without one is off, or empty. --FLAG alone means\n"
	     "--FLAG=true; lists may be repeated; durations look like 300ms, 90s or 1h30m.");
	for (const struct flag *f = flags; f < flags + n_flags; f++) {
		if (f->heading)
			printf("\n%s\n", f->heading);
		usage_flag(f);
	}
}
