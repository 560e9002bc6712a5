/* folder.h - a temporary folder and files in it. All of these fail the test when they can't. */
#ifndef KUBE_NFT_TEST_FOLDER_H
#define KUBE_NFT_TEST_FOLDER_H

enum { FOLDER_PATH_BYTES = 256 };

struct arena;

struct folder {
	char path[FOLDER_PATH_BYTES];
	struct arena *texts; /* that were given out */
};

/* For setup and teardown of a test: the state is a struct folder. */
int folder_setup(void **state);
int folder_teardown(void **state);

/* The path of @name in the folder, valid until its end. */
const char *folder_path(const struct folder *f, const char *name);
/* A new file takes the place of @name, by rename. */
void folder_write(const struct folder *f, const char *name, const char *text);
/* As folder_write() for a shell script that may be run; its first line is written here. Returns its
 * path. */
const char *folder_write_program(const struct folder *f, const char *name, const char *script);
/* The beginning of what @name holds, NULL when there is none; as for folder_path(). */
const char *folder_read(const struct folder *f, const char *name);

#endif
