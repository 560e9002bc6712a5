/* words.h - what the sets of a rule hold, in words. */
#ifndef KUBE_NFT_FIREWALL_WORDS_H
#define KUBE_NFT_FIREWALL_WORDS_H

struct arena;
struct defined_list;
struct dump;
struct firewall_words;

/* As for firewall_build(); the words are made in @arena. */
struct words_source {
	const struct defined_list *definitions;
	const struct dump *elements;
	struct arena *arena;
	struct firewall_words *known; /* of each definition, once told: many rules have one set */
};

/* What set @name holds. 0, -ENOMEM. */
int words_of_set(const struct words_source *source, const char *name, struct firewall_words *ret);
/* The peers of a set of named ports, on the way out: the ports are the peers' own. 0, -ENOMEM. */
int words_of_owners(const struct words_source *source, const char *name,
		    struct firewall_words *ret);

#endif
