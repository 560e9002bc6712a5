/* namespaces.h - namespaces as policy sees them: their labels, their pods, and whether they are ending. */
#ifndef KUBE_NFT_POLICY_NAMESPACES_H
#define KUBE_NFT_POLICY_NAMESPACES_H

#include "policy/internal.h"

void namespaces_init(struct policies *p);
void namespaces_close(struct policies *p);

/* NULL: nobody has spoken of it. */
struct namespace_state *namespace_find(const struct policies *p, const char *name);
/* The same, made if need be: a pod may be told before its namespace. 0 or -ENOMEM. */
int namespace_get(struct policies *p, const char *name, struct namespace_state **ret);
/* Free @ns if neither its object nor a pod of it is there any more. */
void namespace_forget(struct policies *p, struct namespace_state *ns);

/* As store_changed() tells. 0 or -ENOMEM. */
int namespaces_changed(const struct object *before, const struct object *now, void *policies);

#endif
