/* proxy.h - the proxy that the environment wants for a server, by the rules that client-go follows:
 * HTTPS_PROXY, HTTP_PROXY, NO_PROXY, or the same in small letters. libcurl's own rules are other ones.
 *
 * Source: golang.org/x/net/http/httpproxy
 */
#ifndef KUBE_NFT_API_PROXY_H
#define KUBE_NFT_API_PROXY_H

#include <stdbool.h>

/* Its URL, borrowed from the environment, or NULL. @host: name or address, without brackets. */
const char *proxy_from_environment(bool tls, const char *host, const char *port);

#endif
