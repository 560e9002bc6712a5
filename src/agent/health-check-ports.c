#include "agent/health-check-ports.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/backoff.h"
#include "base/error.h"
#include "base/http-daemon.h"
#include "base/loop.h"
#include "proxy/proxy.h"

enum { RETRY_FIRST_MS = 1000, RETRY_MAX_MS = 60 * 1000, RETRY_HEALTHY_MS = 300 * 1000 };

struct port {
	const struct health_check_ports *of;
	struct health_check_port is;    /* its names are in @text */
	struct http_listener *listener; /* NULL: it can't be had */
	bool told;
	char text[];
};

struct health_check_ports {
	struct http_daemon *daemon;
	health_check_healthy_fn healthy;
	health_check_failed_fn failed;
	void *userdata;
	struct loop_source *retry;
	bool retry_armed;
	struct backoff backoff;
	struct port **ports; /* sorted as health_check_ports_set() wants them */
	size_t n;
};

/* As kube-proxy prints it. Names have no character that JSON would escape. */
static void port_answer(const char *path, struct http_answer *a, void *userdata)
{
	const struct port *p = userdata;
	const struct health_check_port *is = &p->is;
	bool healthy = p->of->healthy(p->of->userdata);

	(void)path;
	a->status = is->local_endpoints > 0 && healthy ? 200 : 503;
	a->content_type = "application/json";
	a->header = "X-Load-Balancing-Endpoint-Weight";
	snprintf(a->header_value, sizeof(a->header_value), "%u", is->local_endpoints);
	buf_printf(&a->body,
		   "{\n"
		   "\t\"service\": {\n"
		   "\t\t\"namespace\": \"%s\",\n"
		   "\t\t\"name\": \"%s\"\n"
		   "\t},\n"
		   "\t\"localEndpoints\": %u,\n"
		   "\t\"serviceProxyHealthy\": %s\n"
		   "}",
		   is->namespace, is->name, is->local_endpoints, healthy ? "true" : "false");
}

static struct port *port_new(const struct health_check_ports *h,
			     const struct health_check_port *wanted)
{
	size_t namespace_size = strlen(wanted->namespace) + 1;
	size_t name_size = strlen(wanted->name) + 1;
	struct port *p = calloc(1, sizeof(*p) + namespace_size + name_size);

	if (!p)
		return NULL;
	p->of = h;
	p->is = *wanted;
	p->is.namespace = memcpy(p->text, wanted->namespace, namespace_size);
	p->is.name = memcpy(p->text + namespace_size, wanted->name, name_size);
	return p;
}

static struct port *port_free(struct port *p)
{
	if (!p)
		return NULL;
	http_listener_free(p->listener);
	free(p);
	return NULL;
}

static int port_cmp(const struct health_check_port *a, const struct health_check_port *b)
{
	int c = strcmp(a->namespace, b->namespace);

	if (c == 0)
		c = strcmp(a->name, b->name);
	if (c == 0)
		c = (a->family > b->family) - (a->family < b->family);
	return c ? c : (a->port > b->port) - (a->port < b->port);
}

static void port_open(struct health_check_ports *h, struct port *p)
{
	struct error err = { 0 };
	int r = http_listener_new(h->daemon, p->is.family, p->is.port, port_answer, p, &p->listener,
				  &err);

	if (r == 0 || p->told) {
		p->told = r < 0;
		return;
	}
	p->told = true;
	error_wrap(&err, r, "health check port");
	h->failed(p->is.namespace, p->is.name, err.message, h->userdata);
}

/* Open what is not open yet, and come back if something can't be. */
static int ports_open(struct health_check_ports *h)
{
	bool failed = false;

	for (size_t i = 0; i < h->n; i++) {
		if (!h->ports[i]->listener)
			port_open(h, h->ports[i]);
		failed |= !h->ports[i]->listener;
	}
	/* Calls between two attempts neither put off the next one nor make it rarer. */
	if (failed && h->retry_armed)
		return 0;
	h->retry_armed = failed;
	if (!failed)
		return loop_timer_disarm(h->retry);
	return loop_timer_arm(h->retry, backoff_next(&h->backoff, monotonic_us(), 0));
}

static int on_retry(void *userdata)
{
	struct health_check_ports *h = userdata;

	h->retry_armed = false;
	return ports_open(h);
}

/* Take from the ports that are there those that are still wanted, into @ret, with NULL where a new one
 * is; close the others. */
static void ports_keep(struct health_check_ports *h, const struct health_check_port *wanted,
		       size_t n, struct port **ret)
{
	size_t i = 0, j = 0;

	while (i < h->n || j < n) {
		int c = i == h->n ? 1 : j == n ? -1 : port_cmp(&h->ports[i]->is, &wanted[j]);

		if (c < 0) {
			port_free(h->ports[i++]);
		} else if (c > 0) {
			ret[j++] = NULL;
		} else {
			h->ports[i]->is.local_endpoints = wanted[j].local_endpoints;
			ret[j++] = h->ports[i++];
		}
	}
}

/* All that goes is closed before anything is opened: ports may change hands. */
int health_check_ports_set(struct health_check_ports *h, const struct health_check_port *wanted,
			   size_t n)
{
	struct port **ports = calloc(n + 1, sizeof(struct port *)), *p;
	bool complete = true;
	int r;

	if (!ports)
		return -ENOMEM;
	ports_keep(h, wanted, n, ports);
	free(h->ports);
	h->ports = ports;
	h->n = 0;
	for (size_t i = 0; i < n; i++) {
		p = ports[i] ? ports[i] : port_new(h, &wanted[i]);
		if (p)
			ports[h->n++] = p;
		complete &= p != NULL;
	}
	r = ports_open(h);
	return r < 0 ? r : complete ? 0 : -ENOMEM;
}

int health_check_ports_new(struct loop *loop, struct http_daemon *daemon,
			   health_check_healthy_fn healthy, health_check_failed_fn failed,
			   void *userdata, struct health_check_ports **ret, struct error *err)
{
	_cleanup_(health_check_ports_freep) struct health_check_ports *h = calloc(1, sizeof(*h));
	int r;

	if (!h)
		return error_set(err, -ENOMEM, "out of memory");
	*h = (struct health_check_ports){
		.daemon = daemon,
		.healthy = healthy,
		.failed = failed,
		.userdata = userdata,
		.backoff = {
			.first_ms = RETRY_FIRST_MS,
			.max_ms = RETRY_MAX_MS,
			.healthy_ms = RETRY_HEALTHY_MS,
			.random = monotonic_us(),
		},
	};
	r = loop_add_timer(loop, on_retry, h, &h->retry, err);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(h);
	return 0;
}

struct health_check_ports *health_check_ports_free(struct health_check_ports *h)
{
	if (!h)
		return NULL;
	for (size_t i = 0; i < h->n; i++)
		port_free(h->ports[i]);
	free(h->ports);
	loop_source_free(h->retry);
	free(h);
	return NULL;
}
