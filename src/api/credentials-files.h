/* credentials-files.h - tokens and certificates in files, as they are at the moment. */
#ifndef KUBE_NFT_API_CREDENTIALS_FILES_H
#define KUBE_NFT_API_CREDENTIALS_FILES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

struct error;
struct pem;
struct secret;

enum { PEM_NAME_BYTES = 32 };

/* What libcurl must have as a file. Born as PEM_FILE_NONE. */
struct pem_file {
	const char *path; /* NULL: none */
	struct stat seen; /* the file at @path, when that is not @name */
	bool was_seen;
	struct secret *content;    /* of the memfd */
	int fd;                    /* memfd, or -EBADF */
	char name[PEM_NAME_BYTES]; /* of the memfd */
};

#define PEM_FILE_NONE ((struct pem_file){ .fd = -EBADF })

/* @content (may be NULL) is what libcurl gets to see from now on, in a file that nobody else can reach;
 * it is taken over, also on errors. @changed is set when that is another than before, else left alone. */
int pem_file_put(struct pem_file *p, struct secret *content, bool *changed, struct error *err);
/* Look at the file @path, as pem_file_put(). A file that was there once may be missing: libcurl will
 * say so when it needs it. */
int pem_file_follow(struct pem_file *p, const char *path, bool *changed, struct error *err);
void pem_file_close(struct pem_file *p);

struct token_file {
	const char *path;
	struct secret *token; /* NULL: not read yet */
	uint64_t read_us;     /* monotonic */
};

/* Read it when TOKEN_REREAD_MS have passed, or at once when @renew. A token that was read before
 * remains when it can't be read again, unless @renew. */
int token_file_follow(struct token_file *t, bool renew, struct error *err);
void token_file_close(struct token_file *t);

#endif
