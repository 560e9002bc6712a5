/* frames-text.h - what frames tell of a body, as text.
 *
 * A line for each frame, "TYPE NAMESPACE/NAME@VERSION#UID TEXT", where a long text is only "N bytes"; then
 * how it ended: "= KIND VERSION CONTINUE", or "! MESSAGE".
 */
#ifndef KUBE_NFT_TEST_FRAMES_TEXT_H
#define KUBE_NFT_TEST_FRAMES_TEXT_H

#include <stddef.h>

#include "base/buf.h"
#include "source/frames.h"

/* Append what is told of the body in pieces: @first bytes, then @step at a time. */
void frames_print(enum frames_kind kind, const char *body, size_t len, size_t first, size_t step,
		  struct buf *out);

/* Fails unless this is told however the body is cut; how much a message shows may differ. */
void assert_frames_of(enum frames_kind kind, const char *body, size_t len, const char *expected);

/* In place: single quotes are written for double ones, backticks for single ones. */
void quotes_double(char *text);

/* As assert_frames_of(), with both texts written like that. */
void assert_frames(enum frames_kind kind, const char *body, const char *expected);

#endif
