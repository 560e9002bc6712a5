/* child.h - run a program from the loop, with a deadline and a limit to what it may write.
 *
 * No shell is involved. The program gets a session of its own, /dev/null as input, default signals and
 * no descriptor but its three. Its output is taken for a secret; of standard error only the first line
 * goes into the sentence of a failure. With the program ends its whole process group, so that nobody it
 * has left behind holds anything up (robustness row H8); who made a session of his own escapes. SIGCHLD
 * gets its default disposition and is otherwise left alone.
 */
#ifndef KUBE_NFT_BASE_CHILD_H
#define KUBE_NFT_BASE_CHILD_H

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"

struct child;
struct error;
struct loop;

struct child_program {
	char *const *argv; /* ends with NULL; a bare word is looked for in our own PATH */
	char *const *env;  /* "NAME=value", ends with NULL; all that it gets */
	uint64_t timeout_ms;
	size_t max_output_bytes;
};

/* The last that is heard of it; may free the child. @r: 0 when it exited with status 0, and @output
 * (valid during the call); -ETIMEDOUT, -E2BIG (it wrote too much), -EIO (another status, or a signal)
 * and the sentence. */
typedef void (*child_fn)(int r, const char *output, size_t len, const struct error *err,
			 void *userdata);

/* @program is not needed any more after this call. -ENOENT, -EACCES, -ENOEXEC and the like: it can't be
 * run; -ENOMEM, -EMFILE, ... @fn is not called then, nor before this returns. */
int child_start(struct loop *loop, const struct child_program *program, child_fn fn, void *userdata,
		struct child **ret, struct error *err);
/* Kills one that runs, without a call of @fn. NULL is fine; returns NULL. */
struct child *child_free(struct child *c);
DEFINE_CLEANUP(struct child, child_free);

#endif
