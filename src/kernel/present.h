/* present.h - which sets and chains of network policy the kernel has. */
#ifndef KUBE_NFT_KERNEL_PRESENT_H
#define KUBE_NFT_KERNEL_PRESENT_H

#include <stdbool.h>

#include "base/table.h"
#include "ruleset/definition.h"

struct ruleset;

struct present {
	struct table definitions; /* owned; kind, family and name of each */
};

void present_init(struct present *p);
bool present_has(const struct present *p, const struct definition *d);
int present_note(struct present *p, const struct definition *d); /* 0 or -ENOMEM */
void present_forget(struct present *p, const struct definition *d);
void present_forget_all(struct present *p);
/* Those of @kind; as table_next(). */
const struct definition *present_next(const struct present *p, enum definition_kind kind,
				      size_t *position);
/* Those that @rs does not define, the later kinds first: they refer to the earlier ones. To be freed; what
 * it points at goes with present_forget(). 0 or -ENOMEM. */
int present_unused(const struct present *p, const struct ruleset *rs,
		   const struct definition ***ret, size_t *ret_n);

#endif
