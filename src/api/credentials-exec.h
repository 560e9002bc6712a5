/* credentials-exec.h - run an exec credential plugin. */
#ifndef KUBE_NFT_API_CREDENTIALS_EXEC_H
#define KUBE_NFT_API_CREDENTIALS_EXEC_H

#include "base/child.h"

struct api_access;
struct error;
struct loop;

/* Start the plugin of @a with our environment and its own. The sentence of an error does
 * not name it; @err must be there. */
int plugin_start(struct loop *loop, const struct api_access *a, child_fn fn, void *userdata,
		 struct child **ret, struct error *err);

#endif
