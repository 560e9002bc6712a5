/* error.h - why something failed: a code for the program and a sentence for the operator.
 *
 * Functions that meet the outside (parse, HTTP, netlink, nft) take a `struct error *`; NULL is fine
 * when the caller does not care. The message grows leftwards as it climbs:
 *     "sync services: commit: map services: File exists"
 */
#ifndef KUBE_NFT_BASE_ERROR_H
#define KUBE_NFT_BASE_ERROR_H

#define ERROR_MAX_BYTES 512

struct error {
	int code;                      /* negative errno, 0 when nothing failed */
	char message[ERROR_MAX_BYTES]; /* one line, escaped, cut on a UTF-8 boundary */
};

/* Set @err to @code (negative errno) and the formatted sentence. Returns @code. */
int error_set(struct error *err, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* As error_set() with -@errnum as the code and ": strerror(@errnum)" behind the sentence. */
int error_errno(struct error *err, int errnum, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Put "formatted: " before the sentence that is there. Returns @code. When @err holds no sentence
 * yet, strerror(-@code) stands in for it. */
int error_wrap(struct error *err, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
