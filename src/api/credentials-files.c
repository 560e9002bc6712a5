#include "api/credentials-files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "api/credentials.h"
#include "api/secret-input.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/loop.h"
#include "base/secret.h"

static int secret_write(int fd, const struct secret *s)
{
	size_t len;
	const char *bytes = secret_reveal(s, &len);

	while (len > 0) {
		ssize_t n = write(fd, bytes, len);

		if (n < 0 && errno != EINTR)
			return -errno;
		bytes += n > 0 ? n : 0;
		len -= n > 0 ? (size_t)n : 0;
	}
	return 0;
}

static int memfd_make(const struct secret *content, int *ret, struct error *err)
{
	_cleanup_close_ int fd = memfd_create("kube-nft", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int r = fd < 0 ? -errno : secret_write(fd, content);

	if (r < 0)
		return error_errno(err, -r, "file in memory");
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
		return error_errno(err, errno, "file in memory");
	*ret = TAKE_FD(fd);
	return 0;
}

int pem_file_put(struct pem_file *p, struct secret *content, bool *changed, struct error *err)
{
	_cleanup_(secret_freep) struct secret *new = content;
	int fd = -EBADF;
	int r;

	if (secret_equal(p->content, new))
		return 0;
	r = new ? memfd_make(new, &fd, err) : 0;
	if (r < 0)
		return r;
	pem_file_close(p);
	p->content = TAKE_PTR(new);
	p->fd = fd;
	if (fd >= 0) {
		snprintf(p->name, sizeof(p->name), "/proc/self/fd/%d", fd);
		p->path = p->name;
	}
	*changed = true;
	return 0;
}

static bool file_is_same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       memcmp(&a->st_mtim, &b->st_mtim, sizeof(a->st_mtim)) == 0 &&
	       memcmp(&a->st_ctim, &b->st_ctim, sizeof(a->st_ctim)) == 0;
}

int pem_file_follow(struct pem_file *p, const char *path, bool *changed, struct error *err)
{
	struct stat now;

	p->path = path;
	if (stat(path, &now) < 0)
		return p->was_seen ? 0 : error_errno(err, errno, "%s", path);
	if (p->was_seen && file_is_same(&p->seen, &now))
		return 0;
	p->seen = now;
	p->was_seen = true;
	*changed = true;
	return 0;
}

void pem_file_close(struct pem_file *p)
{
	secret_free(p->content);
	closep(&p->fd);
	*p = PEM_FILE_NONE;
}

static int token_read(const char *path, struct secret **ret, struct error *err)
{
	_cleanup_(secret_freep) struct secret *text = NULL;
	const char *bytes;
	size_t len;
	int r;

	r = secret_read_file(path, TOKEN_MAX_BYTES, &text, err);
	if (r == 0) {
		bytes = secret_reveal(text, &len);
		r = secret_read_token(bytes, len, ret, err);
	}
	return r < 0 ? error_wrap(err, r, "token %s", path) : 0;
}

int token_file_follow(struct token_file *t, bool renew, struct error *err)
{
	uint64_t now_us = monotonic_us();
	struct secret *token = NULL;
	int r;

	if (t->token && !renew && now_us - t->read_us < TOKEN_REREAD_MS * (uint64_t)1000)
		return 0;
	r = token_read(t->path, &token, err);
	if (r < 0 && t->token && !renew)
		return 0;
	/* A token that was refused is not used again. */
	secret_free(t->token);
	t->token = token;
	if (r < 0)
		return r;
	t->read_us = now_us;
	return 0;
}

void token_file_close(struct token_file *t)
{
	t->token = secret_free(t->token);
}
