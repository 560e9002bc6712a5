/* selection.h - a selector in use: what it is made of, its words, and which pods are in it. */
#ifndef KUBE_NFT_POLICY_SELECTION_H
#define KUBE_NFT_POLICY_SELECTION_H

#include "base/buf.h"
#include "policy/internal.h"

/* A selection of its own with copies of all that @spec has. 0 or -ENOMEM. */
int selection_new(const struct selection_spec *spec, struct selection **ret);
struct selection *selection_free(struct selection *s); /* NULL is fine; returns NULL */
DEFINE_CLEANUP(struct selection, selection_free);

/* For people: "pods of x: app is web". */
void selection_print(const struct selection_spec *spec, struct buf *out);

bool selection_has(const struct selection *s, const struct pod_state *pod);
/* Call @visit with each pod that is in @s: of its namespace, or of those that it selects. A negative result
 * ends the walk and is returned. */
int selection_each_pod(struct policies *p, struct selection *s,
		       int (*visit)(struct policies *p, struct pod_state *pod,
				    struct selection *s));

#endif
