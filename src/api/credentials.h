/* credentials.h - what proves who we are, as it is at the moment.
 *
 * Token files are read again every minute and after a 401, certificate and CA files when they changed,
 * exec plugins are run again when their credential has expired or after a 401. What libcurl must have
 * as a file is a file: inline data and a plugin's certificates become memfds.
 */
#ifndef KUBE_NFT_API_CREDENTIALS_H
#define KUBE_NFT_API_CREDENTIALS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"

struct api_access;
struct credentials;
struct error;
struct loop;
struct secret;

enum credentials_limit {
	TOKEN_MAX_BYTES = 64 * 1024,
	TOKEN_REREAD_MS = 60 * 1000,
	EXEC_TIMEOUT_MS = 60 * 1000,
	EXEC_MAX_OUTPUT_BYTES = 1024 * 1024,
};

/* Borrowed; valid until the next credentials_prepare(). */
struct credentials_view {
	const struct secret *bearer;             /* NULL: none */
	const char *username;                    /* NULL: none */
	const struct secret *password;           /* may be NULL */
	const char *certificate_path, *key_path; /* NULL: none */
	const char *ca_path;                     /* NULL: the system's */
	/* Another number: certificate, key or CA are other ones. Connections that were made with those of
	 * before must not be used for new requests. */
	uint64_t tls_serial;
};

/* @a is borrowed and must outlive it. Nothing is read yet. */
int credentials_new(struct loop *loop, const struct api_access *a, struct credentials **ret,
		    struct error *err);
/* Kills a plugin that runs; its @ready is not called. NULL is fine; returns NULL. */
struct credentials *credentials_free(struct credentials *c);
DEFINE_CLEANUP(struct credentials, credentials_free);

/* @r: 0 and @view, or a negative errno and the sentence. May free the credentials. */
typedef void (*credentials_fn)(int r, const struct credentials_view *view, const struct error *err,
			       void *userdata);

/* Make them current, then call @ready once: before this returns when nothing has to be waited for, later
 * when a plugin has to run. @renew: the server has just refused what it was given (401), so nothing
 * cached will do. Whatever goes wrong is told by @ready. Only one preparation at a time: -EBUSY, and
 * @ready is not called. */
int credentials_prepare(struct credentials *c, bool renew, credentials_fn ready, void *userdata,
			struct error *err);

/* As secret_cover(), of the token and the password that the server is shown. */
void credentials_cover(const struct credentials *c, char *text);

#endif
