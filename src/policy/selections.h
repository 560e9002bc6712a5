/* selections.h - selectors in use, found by what a pod must have to be in one.
 *
 * A selection is filed under one thing that all of its pods have: a label, or a label of their namespace, or
 * at least their namespace. So a pod is compared with those filed under what it has, not with all. One that
 * asks only for what pods lack is filed under its namespace, or where every pod finds it.
 */
#ifndef KUBE_NFT_POLICY_SELECTIONS_H
#define KUBE_NFT_POLICY_SELECTIONS_H

#include "base/buf.h"
#include "policy/internal.h"

/* A selection of its own with copies of all that @spec has. 0 or -ENOMEM. */
int selection_new(const struct selection_spec *spec, struct selection **ret);
struct selection *selection_free(struct selection *s); /* NULL is fine; returns NULL */
DEFINE_CLEANUP(struct selection, selection_free);

/* For people: "pods of x: app is web". */
void selection_print(const struct selection_spec *spec, struct buf *out);

bool selection_has(const struct selection *s, const struct pod_state *pod);

/* File it, so that pods find it; take it out again. 0 or -ENOMEM. */
int selections_file(struct policies *p, struct selection *s);
void selections_take_out(struct policies *p, struct selection *s);

/* Those that @pod is in, into @ret, which has room for @cap. Returns how many there are. */
size_t selections_of_pod(const struct policies *p, const struct pod_state *pod,
			 struct selection **ret, size_t cap);
/* Call @visit with each pod that is in @s: of its namespace, or of those that it selects. A negative result ends the walk and is returned. */
int selection_each_pod(struct policies *p, struct selection *s,
		       int (*visit)(struct policies *p, struct pod_state *pod,
				    struct selection *s));

void selections_init(struct policies *p);
void selections_close(struct policies *p);

#endif
