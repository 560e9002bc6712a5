/* references.h - the sets that chains of policies look into: made for the first who needs one, gone with the
 * last. Equal ones are one.
 */
#ifndef KUBE_NFT_POLICY_REFERENCES_H
#define KUBE_NFT_POLICY_REFERENCES_H

#include "base/ranges.h"
#include "policy/internal.h"

void references_init(struct policies *p);
void references_close(struct policies *p);

/* Each adds a reference to @refs, making what it refers to, and tells the name of the set. 0 or
 * -ENOMEM. */
int references_add_selection(struct policies *p, struct references *refs,
			     const struct selection_spec *spec,
			     char ret_name[static DEFINITION_NAME_BYTES]);
/* @ranges are settled and of one family. */
int references_add_block(struct policies *p, struct references *refs, const struct ranges *ranges,
			 char ret_name[static DEFINITION_NAME_BYTES]);

/* Ports of a protocol, both inside. Without a gap: hashed byte by byte. */
struct port_span {
	uint16_t protocol, first, last;
};
/* Sort, and join what overlaps or touches. Returns how many there are. */
size_t port_spans_settle(struct port_span *spans, size_t n);
/* @spans are settled. For all families that are on. */
int references_add_ports(struct policies *p, struct references *refs, const struct port_span *spans,
			 size_t n, char ret_name[static DEFINITION_NAME_BYTES]);

/* Drop all; sets without a reference go. -ENOMEM: some are still there. */
int references_drop(struct policies *p, struct references *refs);

#endif
