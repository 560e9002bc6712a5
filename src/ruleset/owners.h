/* owners.h - who has which block, who has changed, and who has not what it should. */
#ifndef KUBE_NFT_RULESET_OWNERS_H
#define KUBE_NFT_RULESET_OWNERS_H

#include <stdbool.h>

#include "base/table.h"

struct block;

struct owner {
	const char *name;     /* behind the struct */
	struct block *block;  /* NULL: none; then the owner goes when that is accepted */
	struct block *before; /* of a changed owner: what it had when all was accepted last */
	struct owner *next_changed, *next_reverted;
	bool changed, reverted;
};

struct owners {
	struct table by_name;   /* of struct owner */
	struct owner *changed;  /* since all was accepted */
	struct owner *reverted; /* have what they had once, not what they should */
};

void owners_init(struct owners *os);
void owners_free(struct owners *os); /* with their blocks */

struct owner *owners_find(const struct owners *os, const char *name); /* NULL: there is none */
/* A new one, without a block. 0 or -ENOMEM. */
int owners_add(struct owners *os, const char *name, struct owner **ret);
/* Free @o, which is not among the changed or reverted ones. */
void owners_remove(struct owners *os, struct owner *o);

/* @o, which was not, is changed; takes @before. */
void owners_mark_changed(struct owners *os, struct owner *o, struct block *before);
void owners_mark_reverted(struct owners *os, struct owner *o, bool reverted);

#endif
