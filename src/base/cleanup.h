/* cleanup.h - ownership in a page: scoped release and moving a pointer out of scope. */
#ifndef KUBE_NFT_BASE_CLEANUP_H
#define KUBE_NFT_BASE_CLEANUP_H

#include <stdlib.h>
#include <unistd.h>

/* Run @fn on the variable's address when it leaves its scope. */
#define _cleanup_(fn) __attribute__((cleanup(fn)))

/* The value of @p, which becomes NULL: the new owner is whoever takes the value. */
#define TAKE_PTR(p)                    \
	({                             \
		typeof(p) *_pp = &(p); \
		typeof(p) _v = *_pp;   \
		*_pp = NULL;           \
		_v;                    \
	})

/* The value of descriptor @fd, which becomes -EBADF. */
#define TAKE_FD(fd)               \
	({                        \
		int *_pp = &(fd); \
		int _v = *_pp;    \
		*_pp = -EBADF;    \
		_v;               \
	})

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* Defines NAMEp(), the scoped release of a `type *` by NAME(). */
#define DEFINE_CLEANUP(type, name)           \
	static inline void name##p(type **p) \
	{                                    \
		if (*p)                      \
			name(*p);            \
	}                                    \
	struct name##_needs_a_semicolon

static inline void freep(void *p)
{
	free(*(void **)p);
}

static inline void closep(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

#define _cleanup_free_ _cleanup_(freep)
#define _cleanup_close_ _cleanup_(closep)

#endif
