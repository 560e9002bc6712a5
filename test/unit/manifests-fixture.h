/* manifests-fixture.h - a manifests directory under a temporary one, and a log of what is told.
 *
 * Services are logged as "apply NAMESPACE/NAME:PORT", other kinds as "apply KIND NAMESPACE/NAME", what
 * went as "remove ..." and reports as "report WHERE: PROBLEM", one a line.
 */
#ifndef KUBE_NFT_TEST_MANIFESTS_FIXTURE_H
#define KUBE_NFT_TEST_MANIFESTS_FIXTURE_H

#include <stddef.h>

#include "base/buf.h"
#include "base/loop.h"
#include "source/manifests.h"
#include "source/source.h"

/* Five lines. */
#define SERVICE(name, port)                      \
	"---\n"                                  \
	"{apiVersion: v1, kind: Service,\n"      \
	"metadata: {name: " name "},\n"          \
	"spec: {clusterIP: 10.0.0.1, ports: [\n" \
	"{port: " port "}]}}\n"

struct fixture {
	char *root; /* the temporary directory */
	char *path; /* the manifests in it */
	struct buf log;
	struct loop *loop;
	struct manifests *m;
	int apply_error; /* what apply() returns, doing nothing */
};

int fixture_setup(void **state);
int fixture_teardown(void **state);

/* All of these fail the test when they can't. Files are relative to the manifests directory. */
void file_write(const struct fixture *f, const char *name, const char *text);
void file_rename(const struct fixture *f, const char *from, const char *to);
void file_link(const struct fixture *f, const char *target, const char *name); /* symbolic */
void file_delete(const struct fixture *f, const char *name);
/* "DIRECTORY/NAME", to be freed. */
char *path_in(const char *directory, const char *name);
/* Delete the directory @path and all in it. */
void directory_delete(const char *path);

struct source_events fixture_events(struct fixture *f);
void fixture_open(struct fixture *f);
/* Open, forget what was told, follow. */
void fixture_follow(struct fixture *f);
/* Let the loop do all that it can do now. */
void fixture_turn(struct fixture *f);
/* Let the loop turn until something is told; fails after long. */
void fixture_wait(struct fixture *f);
/* What was told since the last call. */
void assert_told(struct fixture *f, const char *expected);

#endif
