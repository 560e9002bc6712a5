/* What libcurl says, in words for operators. Its own text is used only where it tells more, and never
 * holds a header, a password or a proxy's URL there. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "api/call.h"
#include "api/server.h"

/* Of gnutls_certificate_status_t, which CURLINFO_SSL_VERIFYRESULT holds: part of GnuTLS's ABI. */
enum certificate_status {
	CERTIFICATE_INVALID = 1 << 1,
	CERTIFICATE_REVOKED = 1 << 5,
	CERTIFICATE_SIGNER_NOT_FOUND = 1 << 6,
	CERTIFICATE_SIGNER_NOT_CA = 1 << 7,
	CERTIFICATE_INSECURE_ALGORITHM = 1 << 8,
	CERTIFICATE_NOT_ACTIVATED = 1 << 9,
	CERTIFICATE_EXPIRED = 1 << 10,
};

/* The first that fits. */
static const struct {
	long status;
	const char *problem;
} certificate_problems[] = {
	{ CERTIFICATE_NOT_ACTIVATED, "is not valid yet: is this node's clock right?" },
	{ CERTIFICATE_EXPIRED, "or its CA's has expired, unless this node's clock is wrong" },
	{ CERTIFICATE_REVOKED, "is revoked" },
	{ CERTIFICATE_SIGNER_NOT_FOUND | CERTIFICATE_SIGNER_NOT_CA,
	  "is signed by a CA that is not known here" },
	{ CERTIFICATE_INSECURE_ALGORITHM, "is signed by an insecure algorithm" },
	{ CERTIFICATE_INVALID, "is not valid" },
};

static int certificate_result(const struct api_call *call, struct error *err)
{
	const struct server *s = call->common->server;
	long status = 0;

	curl_easy_getinfo(call->easy, CURLINFO_SSL_VERIFYRESULT, &status);
	for (size_t i = 0; i < ARRAY_SIZE(certificate_problems); i++)
		if (status & certificate_problems[i].status)
			return error_set(err, -EPROTO, "TLS: the certificate of %s %s", s->peer,
					 certificate_problems[i].problem);
	return error_set(err, -EPROTO, "TLS: the certificate of %s is not for the name %s", s->peer,
			 s->tls_name);
}

static const char *through(const struct server *s)
{
	return s->proxy[0] ? " through the proxy" : "";
}

static int connect_result(const struct api_call *call, struct error *err)
{
	const struct server *s = call->common->server;
	long errnum = 0;

	curl_easy_getinfo(call->easy, CURLINFO_OS_ERRNO, &errnum);
	if (errnum != ECONNREFUSED && errnum != ETIMEDOUT)
		return error_set(err, -EHOSTUNREACH, "connect to %s%s: %s", s->peer, through(s),
				 errnum ? strerror((int)errnum) : "no connection could be made");
	return error_errno(err, (int)errnum, "connect to %s%s", s->peer, through(s));
}

/* Where it hangs is not known: name server, TCP, TLS, or another call's try of the same. */
static int connect_timeout_result(const struct api_call *call, struct error *err)
{
	const struct server *s = call->common->server;

	return error_set(err, -ETIMEDOUT, "connect to %s%s: no %sconnection within %d ms", s->peer,
			 through(s), s->tls ? "TLS " : "", API_CONNECT_TIMEOUT_MS);
}

static int broken_result(const struct api_call *call, CURLcode code, struct error *err)
{
	const struct server *s = call->common->server;
	long proxy_status = 0;

	curl_easy_getinfo(call->easy, CURLINFO_HTTP_CONNECTCODE, &proxy_status);
	if (call->phase == PHASE_CONNECT && proxy_status / 100 != 2 && proxy_status != 0)
		return error_set(err, -ECONNREFUSED, "connect to %s: the proxy answers %ld",
				 s->peer, proxy_status);
	/* So TLS 1.3 tells it, when the handshake is over on our side. */
	if (strstr(call->curl_error, "TLS fatal alert"))
		return error_set(err, -EPROTO,
				 "TLS with %s: it refuses us: is our client certificate right?",
				 s->peer);
	return error_set(err, -ECONNRESET, "%s: connection lost: %s", s->peer,
			 call->curl_error[0] ? call->curl_error : curl_easy_strerror(code));
}

static int transfer_result(const struct api_call *call, CURLcode code, struct error *err)
{
	const struct server *s = call->common->server;

	switch (code) {
	case CURLE_OUT_OF_MEMORY:
	case CURLE_ABORTED_BY_CALLBACK: /* http.c could not wait for a socket */
		return error_errno(err, ENOMEM, "HTTP request");
	case CURLE_COULDNT_RESOLVE_HOST:
		return error_set(err, -EHOSTUNREACH,
				 "connect to %s: the name is not known, or no name server answers",
				 s->peer);
	case CURLE_COULDNT_RESOLVE_PROXY:
		return error_set(err, -EHOSTUNREACH,
				 "connect to %s: the proxy's URL or name is not known", s->peer);
	case CURLE_NOT_BUILT_IN: /* libcurl's own sentence may quote the proxy's URL, password and all */
		return error_set(err, -EHOSTUNREACH,
				 "connect to %s: this libcurl can't do what its proxy needs",
				 s->peer);
	case CURLE_COULDNT_CONNECT:
		return connect_result(call, err);
	case CURLE_OPERATION_TIMEDOUT:
		return connect_timeout_result(call, err);
	case CURLE_PEER_FAILED_VERIFICATION:
		return certificate_result(call, err);
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CACERT_BADFILE:
		return error_set(err, -EPROTO, "TLS with %s: %s", s->peer,
				 call->curl_error[0] ? call->curl_error : curl_easy_strerror(code));
	case CURLE_UNSUPPORTED_PROTOCOL:
	case CURLE_WEIRD_SERVER_REPLY:
	case CURLE_BAD_CONTENT_ENCODING:
		return error_set(err, -EBADMSG, "%s: what it answered is no proper HTTP: %s",
				 s->peer, curl_easy_strerror(code));
	default:
		return broken_result(call, code, err);
	}
}

int call_result(const struct api_call *call, CURLcode code, struct error *err)
{
	if (call->handler_result < 0)
		return error_errno(err, -call->handler_result, "%s: its answer is not wanted",
				   call->common->server->peer);
	return code == CURLE_OK ? 0 : transfer_result(call, code, err);
}
