/* server.h - the API server's URL in the forms that libcurl and the sentences of errors want. */
#ifndef KUBE_NFT_API_SERVER_H
#define KUBE_NFT_API_SERVER_H

#include <stdbool.h>

struct api_access;
struct arena;
struct error;

/* Strings of an arena. */
struct server {
	const char *peer;     /* "10.0.0.1:6443", "[fd00::1]:6443": always with the port */
	const char *tls_name; /* what its certificate must be for: "10.0.0.1" */
	const char *url;  /* "https://10.0.0.1:6443/prefix": what a request's path goes behind */
	const char *host; /* of the Host header; NULL: as in @url */
	const char *connect_to; /* of CURLOPT_CONNECT_TO; NULL: as in @url */
	const char *proxy;      /* "": none */
	bool tls;
};

/* -EINVAL: not a URL of http or https. */
int server_parse(const struct api_access *a, struct arena *arena, struct server *ret,
		 struct error *err);

#endif
