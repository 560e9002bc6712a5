/* buf.h - bytes that grow. The first failed allocation sticks: later calls do nothing and
 * buf_error() says -ENOMEM, so that a caller who writes a lot checks once. */
#ifndef KUBE_NFT_BASE_BUF_H
#define KUBE_NFT_BASE_BUF_H

#include <stdarg.h>
#include <stddef.h>

struct buf {
	char *data; /* owned; always followed by a zero byte once something was written */
	size_t len;
	size_t capacity;
	int error; /* 0 or -ENOMEM */
};

void buf_append(struct buf *b, const void *data, size_t len);
void buf_puts(struct buf *b, const char *text);
void buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Room for @len more bytes, to be written by the caller, who then calls buf_advance().
 * NULL when memory is short. */
void *buf_reserve(struct buf *b, size_t len);
void buf_advance(struct buf *b, size_t len);
int buf_error(const struct buf *b);
/* "" when nothing was written. Valid until the next write. */
const char *buf_text(const struct buf *b);
/* Forget the bytes, keep the memory. */
void buf_reset(struct buf *b);
void buf_free(struct buf *b);

#define _cleanup_buf_ _cleanup_(buf_free)

#endif
